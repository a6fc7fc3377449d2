// The calls of models and tools that an agent of a framework leaves to the run: steps with hooks, budget and approval.
// host.ts adds these requests for agents of frameworks.
import type { CurrentRun } from "@fastagentic/core/run/Run"
import { type Effect, Schema, Stream } from "effect"
import * as Prompt from "effect/ai/Prompt"
import { Thrown } from "../../adapter/AdapterError.ts"
import { toJson } from "../../adapter/Json.ts"
import * as ModelStep from "../../adapter/ModelStep.ts"
import * as ToolStep from "../../adapter/ToolStep.ts"
import { modelPart } from "./modelParts.ts"
import type { Ask, Handler, Session } from "./session.ts"

const optional = Schema.optionalKey
const Json = Schema.Record(Schema.String, Schema.Json)

export const decodePrompt = Schema.decodeUnknownSync(Prompt.Prompt)
const encodeMessages = Schema.encodeSync(Schema.toCodecJson(Schema.Array(Prompt.Message)))

const decodeModel = Schema.decodeUnknownSync(Schema.Struct({
  model: Schema.String,
  provider: optional(Schema.String),
  prompt: Schema.Array(Schema.Json),
  tools: Schema.Array(Json),
  maxOutputTokens: optional(Schema.Int)
}))
const decodeTool = Schema.decodeUnknownSync(Schema.Struct({
  name: Schema.NonEmptyString,
  description: Schema.String,
  parameters: Json,
  /** Absent for a call that code makes by itself. */
  toolCallId: optional(Schema.NonEmptyString),
  arguments: Schema.Json,
  needsApproval: Schema.Boolean
}))

/** Calls a model, as a step; a failure of the model keeps the model's name. `onSend` says that the answer is not a stored one. */
export const callModel = async (
  session: Session,
  model: string,
  call: (onSend: () => void) => Effect.Effect<ModelStep.Reply, Thrown, CurrentRun>
): Promise<ModelStep.Reply> => {
  let isNew = false
  try {
    const reply = await session.framework.promise(call(() => {
      isNew = true
    }))
    session.hasMoved ||= isNew
    return reply
  } catch (error) {
    const cause = error instanceof Thrown ? error.cause : undefined
    if (typeof cause === "object" && cause !== null) session.modelFailures.set(cause, model)
    throw error
  }
}

/** Calls a model of the worker; `begin` opens the turn that the answer belongs to. */
export const modelHandler = (begin: () => Promise<void>): Handler => async (ask) => {
  const { prompt, ...request } = decodeModel(ask.data)
  await begin()
  return callModel(ask.session, request.model, (onSend) =>
    ModelStep.run({
      ...request,
      prompt: decodePrompt({ content: prompt }),
      send: ({ maxOutputTokens, prompt }) => {
        onSend()
        return arriving(ask, {
          ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
          ...(prompt === undefined ? {} : { prompt: contentOf(prompt.content) })
        })
      }
    }))
}

/** Messages as the worker reads them. */
export const contentOf = (messages: ReadonlyArray<Prompt.Message>): Schema.Json => encodeMessages(messages)

/** The answer of a model of the worker, piece by piece; the next piece is taken once the one before is handled. */
const arriving = ({ parts, work }: Ask, request: { readonly [name: string]: Schema.Json }): ModelStep.Arriving => {
  let native: Schema.Json | undefined
  const pieces = async function*() {
    const controller = new AbortController()
    const inbox: Array<{ readonly part: unknown; readonly taken: () => void }> = []
    let wake = () => {}
    let isOver = false
    parts.take = (part) =>
      new Promise((taken) => {
        inbox.push({ part, taken })
        wake()
      })
    const done = work(request, controller.signal).then((value) => {
      native = value
    }).finally(() => {
      isOver = true
      wake()
    })
    // The failure is thrown below, once the pieces before it are taken.
    done.catch(() => {})
    try {
      while (!isOver || inbox.length > 0) {
        const next = inbox.shift()
        if (next === undefined) {
          await new Promise<void>((resolve) => {
            wake = resolve
          })
          continue
        }
        yield modelPart(next.part)
        next.taken()
      }
      await done
    } finally {
      parts.take = undefined
      for (const { taken } of inbox) taken()
      controller.abort()
    }
  }
  return {
    native: () => native,
    parts: Stream.fromAsyncIterable(pieces(), (cause) => new Thrown({ cause }))
  }
}

/** Calls a tool of the worker. */
export const toolHandler: Handler = async ({ data, session, work }) => {
  const { arguments: args, needsApproval, toolCallId, ...tool } = decodeTool(data)
  let isNew = false
  const outcome = await session.framework.promise(ToolStep.run(session.framework, {
    ...tool,
    ...(needsApproval ? { needsApproval: () => true } : {}),
    execute: (given, { signal }) => {
      isNew = true
      return work({ arguments: toJson(given) }, signal)
    }
  }, { ...(toolCallId === undefined ? {} : { toolCallId }), arguments: args }))
  session.hasMoved ||= isNew
  return outcome
}
