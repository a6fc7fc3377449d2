// Checks the content that a handler emits. A journal is read by the schema of its events, so that content which does not fit
// would make it unreadable: the handler's mistake ends the run, and content that a guard has changed is kept as data.
import { Result, Schema } from "effect"
import { problemsOf } from "../../base/Validation.ts"
import * as Content from "../../run/Content.ts"
import * as Event from "../../run/Event.ts"
import { InvalidContent } from "../../run/RunError.ts"

const { content: contentSchema, message: messageSchema } = Event.schemas

const isValid = { content: Schema.is(contentSchema), message: Schema.is(messageSchema) }

const decoders = {
  content: Schema.decodeUnknownResult(contentSchema, { errors: "all" }),
  message: Schema.decodeUnknownResult(messageSchema, { errors: "all" })
}

const isName = Schema.is(Content.Name)

/** The event, or what is wrong with its content. */
export const checkContent = (event: Event.Event): Event.Event | InvalidContent => {
  if ((event.type !== "content" && event.type !== "message") || isValid[event.type](event.data)) return event
  const decoded: Result.Result<unknown, Schema.SchemaError> = decoders[event.type](event.data)
  return Result.match(decoded, {
    onSuccess: () => event,
    onFailure: (error) => new InvalidContent({ issues: problemsOf(error) })
  })
}

/** The event with content and a name that fit. */
export const fitContent = (event: Event.Event): Event.Event => {
  switch (event.type) {
    case "content": {
      if (isValid.content(event.data)) return event
      const { content, last, messageId, name } = event.data
      return {
        ...event,
        data: {
          content: fitted(content),
          ...(messageId === undefined ? {} : { messageId }),
          ...(isName(name) ? { name } : {}),
          ...(last === undefined ? {} : { last })
        }
      }
    }
    case "message": {
      if (isValid.message(event.data)) return event
      const { content, last, messageId, parts, role } = event.data
      return {
        ...event,
        data: {
          role,
          ...(messageId === undefined ? {} : { messageId }),
          ...(parts === undefined ? {} : { parts: Array.isArray(parts) ? parts : [parts] }),
          ...(content === undefined ? {} : { content: fitted(content) }),
          ...(last === undefined ? {} : { last })
        }
      }
    }
    default:
      return event
  }
}

const fitted = (content: unknown): Content.List => {
  const pieces: ReadonlyArray<Schema.Json | Content.Content> = Array.isArray(content) ? content : []
  return pieces.map((one) => Content.isContent(one) ? one : Content.data(one))
}
