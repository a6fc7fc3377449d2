/**
 * One call of a language model that a framework leaves to its adapter: a step of the run, with hooks, events and budget.
 *
 * The framework gets the answer once it is stored; readers get it as it arrives. A resumed run gets the stored answer.
 *
 * @since 0.1.0
 */
import { Event, type Hook, Run } from "@fastagentic/core"
import { CurrentRun } from "@fastagentic/core/run/Run"
import { Effect, Exit, Schema, Stream } from "effect"
import type * as Prompt from "effect/ai/Prompt"
import * as Response from "effect/ai/Response"
import { totalOf } from "../effect-ai/internal/usage.ts"
import { Thrown } from "./AdapterError.ts"
import { toJson } from "./Json.ts"
import * as ModelBudget from "./ModelBudget.ts"
import * as PartEvents from "./PartEvents.ts"
import * as Tokens from "./Tokens.ts"

const Metadata = Schema.optionalKey(Schema.Record(Schema.String, Schema.Json))

/** A part of a stored answer. @category models @since 0.1.0 */
export const Part = Schema.Union([
  Schema.Struct({ type: Schema.Literals(["text", "reasoning"]), text: Schema.String, metadata: Metadata }),
  Schema.Struct({
    type: Schema.Literal("tool-call"),
    id: Schema.String,
    name: Schema.String,
    arguments: Schema.Json,
    metadata: Metadata
  })
])

/** @category models @since 0.1.0 */
export type Part = typeof Part.Type

/**
 * A stored answer. `native` is the answer in the framework's own form; it is absent when a hook has changed the answer.
 *
 * @category models
 * @since 0.1.0
 */
export const Reply = Schema.Struct({
  parts: Schema.Array(Part),
  finishReason: Response.FinishReason,
  usage: Schema.optionalKey(Event.Usage),
  native: Schema.optionalKey(Schema.Json)
})

/** @category models @since 0.1.0 */
export type Reply = typeof Reply.Type

/**
 * The request that the adapter sends: `prompt` is absent unless a hook has changed it, and the answer may have no more tokens
 * than `maxOutputTokens`. `model` is another one than that of the request only where `others` has it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Send {
  readonly model: string
  readonly prompt: Prompt.Prompt | undefined
  readonly maxOutputTokens: number | undefined
}

/** An answer as it arrives. @category models @since 0.1.0 */
export interface Arriving {
  readonly parts: Stream.Stream<Response.AnyPart, Thrown>
  /** The answer in the framework's own form, once it is complete. */
  readonly native: () => unknown
}

/** @category models @since 0.1.0 */
export interface Request {
  readonly model: string
  readonly provider?: string | undefined
  /** The conversation as hooks and budgets see it. */
  readonly prompt: Prompt.Prompt
  /** The tool declarations sent to the model. */
  readonly tools?: ReadonlyArray<unknown> | undefined
  readonly maxOutputTokens?: number | undefined
  /** The models that a hook or a budget may name instead; by default none. */
  readonly others?: ((name: string) => Pick<Request, "model" | "provider"> | undefined) | undefined
  readonly send: (send: Send) => Arriving
}

/**
 * Calls the model once per run. A refusal by a hook or a budget is a defect with its own typed error; a failure of the
 * model is `Thrown`, for the framework to handle.
 *
 * @category combinators
 * @since 0.1.0
 */
export const run = (request: Request): Effect.Effect<Reply, Thrown, CurrentRun> =>
  Run.stepWith("model", Reply, answer(request))

const none = () => undefined

const idOf = () => `llm_${globalThis.crypto.randomUUID()}`

const answer = Effect.fnUntraced(function*(request: Request) {
  const { maxOutputTokens, others = none, prompt, send, tools } = request
  const { emit, hooks } = yield* CurrentRun
  const call: Hook.LlmCall = { callId: idOf(), model: request.model, prompt }
  const draft = new Draft()
  const message = PartEvents.make(call.callId)
  const passed: Array<Response.AnyPart> = []
  const spent: Array<Event.Usage> = []
  let ended: Array<Event.Event> = []
  let arriving: Arriving | undefined
  let requests = 0
  let isChanged = false

  const emitAll = (events: ReadonlyArray<Event.Event>) => {
    const [only] = events
    return only !== undefined && events.length === 1 ? emit(only) : Effect.forEach(events, emit, { discard: true })
  }

  const next = (asked: Hook.LlmCall) =>
    Stream.unwrap(Effect.gen(function*() {
      requests++
      const callId = requests === 1 ? call.callId : `${call.callId}#${requests}`
      const inputTokens = Tokens.ofPrompt(asked.prompt, tools)
      const wanted = asked.model === request.model ? request : others(asked.model) ?? request
      const paid = yield* ModelBudget.open({
        callId,
        model: wanted.model,
        provider: wanted.provider,
        inputTokens,
        maxOutputTokens,
        clamps: true,
        changesTo: (name) => others(name) !== undefined
      })
      const { model, provider } = paid.model === wanted.model ? wanted : others(paid.model) ?? wanted
      yield* emit({ type: "llm_start", data: { callId, model, ...(provider === undefined ? {} : { provider }) } })
      let last: Response.FinishPart | undefined
      arriving = send({
        model,
        prompt: asked.prompt === prompt ? undefined : asked.prompt,
        maxOutputTokens: paid.maxOutputTokens
      })
      return arriving.parts.pipe(
        Stream.map((part) => {
          if (part.type === "finish") last = part
          paid.see(part)
          passed.push(part)
          return part
        }),
        Stream.onExit((exit) =>
          Effect.gen(function*() {
            const reported = last === undefined ? undefined : PartEvents.usageOf(last)
            const isCut = reported === undefined && Exit.isFailure(exit)
            const usage = isCut ? yield* Effect.as(paid.cut, undefined) : yield* paid.end(reported)
            const finishReason = last?.reason ?? (Exit.isFailure(exit) ? "error" : "unknown")
            ended.push({ type: "llm_end", data: { callId, finishReason, ...(usage === undefined ? {} : { usage }) } })
            if (usage === undefined) return
            spent.push(usage)
            ended.push({ type: "usage", data: { callId, model, ...usage } })
          })
        )
      )
    }))

  const finish = (reason: string) =>
    Effect.suspend(() => {
      const events = [...message.cut(reason), ...ended]
      ended = []
      return emitAll(events)
    })

  yield* hooks.llm(call, next).pipe(
    Stream.runForEach((part) => {
      if (part.type === "error") return Effect.fail(new Thrown({ cause: part.error }))
      if (passed.shift() !== part) isChanged = true
      draft.add(part)
      return part.type === "finish" ? Effect.void : emitAll(message.events(part))
    }),
    Effect.tapError(() => finish("error")),
    Effect.catchTag("HookBlocked", Effect.die)
  )
  yield* finish(draft.finishReason)
  const isNative = !isChanged && passed.length === 0 && requests === 1
  const native = isNative ? arriving?.native() : undefined
  const usage = spent.length === 0 ? undefined : totalOf(spent)
  return {
    parts: draft.parts,
    finishReason: draft.finishReason,
    ...(usage === undefined ? {} : { usage }),
    ...(native === undefined ? {} : { native: toJson(native) })
  } satisfies Reply
})

/** Collects the parts of an answer. */
class Draft {
  readonly parts: Array<Part> = []
  finishReason: Response.FinishReason = "unknown"
  private readonly open = new Map<string, number>()

  add(part: Response.AnyPart) {
    switch (part.type) {
      case "text":
      case "reasoning":
        this.parts.push({ type: part.type, text: part.text, ...metadataOf(part) })
        break
      case "text-start":
      case "text-delta":
      case "text-end":
        this.extend("text", part)
        break
      case "reasoning-start":
      case "reasoning-delta":
      case "reasoning-end":
        this.extend("reasoning", part)
        break
      case "tool-call":
        if (part.providerExecuted !== true) {
          const { id, name, params } = part
          this.parts.push({ type: "tool-call", id, name, arguments: toJson(params), ...metadataOf(part) })
        }
        break
      case "finish":
        this.finishReason = part.reason
        break
      default:
    }
  }

  private extend(
    type: "text" | "reasoning",
    part: { readonly id: string; readonly delta?: string; readonly metadata: Response.ProviderMetadata }
  ) {
    const key = `${type} ${part.id}`
    const index = this.open.get(key) ?? this.parts.length
    this.open.set(key, index)
    const known = this.parts[index]
    const text = known !== undefined && "text" in known ? known.text : ""
    const metadata = { ...known?.metadata, ...metadataOf(part).metadata }
    this.parts[index] = {
      type,
      text: text + (part.delta ?? ""),
      ...(Object.keys(metadata).length === 0 ? {} : { metadata })
    }
  }
}

const decodeMetadata = Schema.decodeUnknownSync(Schema.Record(Schema.String, Schema.Json))

const metadataOf = ({ metadata }: { readonly metadata: Response.ProviderMetadata }) =>
  Object.keys(metadata).length === 0 ? {} : { metadata: decodeMetadata(toJson(metadata)) }
