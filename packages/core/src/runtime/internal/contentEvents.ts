// Checks the content that a handler emits. A journal is read by the schema of its events, so that content which does not fit
// would make it unreadable: the handler's mistake ends the run, and content that a guard has changed is kept as data.
import { Result, Schema } from "effect"
import { problemsOf } from "../../base/Validation.ts"
import * as Content from "../../run/Content.ts"
import * as Event from "../../run/Event.ts"
import { InvalidContent } from "../../run/RunError.ts"

const isValid = Schema.is(Event.schemas.content)

/** The event, or what is wrong with its content. */
export const checkContent = (event: Event.Event): Event.Event | InvalidContent => {
  if (event.type !== "content" || isValid(event.data)) return event
  return Result.match(Schema.decodeUnknownResult(Event.schemas.content, { errors: "all" })(event.data), {
    onSuccess: () => event,
    onFailure: (error) => new InvalidContent({ issues: problemsOf(error) })
  })
}

/** The event with content that fits. */
export const fitContent = (event: Event.Event): Event.Event => {
  if (event.type !== "content" || isValid(event.data)) return event
  const { content } = event.data
  const pieces: ReadonlyArray<Content.Content> = Array.isArray(content) ? content : []
  return { ...event, data: { content: pieces.map((one) => Content.isContent(one) ? one : Content.data(one)) } }
}
