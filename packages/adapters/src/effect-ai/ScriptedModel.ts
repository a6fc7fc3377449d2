/**
 * A language model that answers from a script, for tests.
 *
 * @since 0.1.0
 */
import { Context, type Duration, Effect, Layer, Ref, Stream } from "effect"
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import type * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import { OutputLimit } from "../adapter/OutputLimit.ts"
import * as Conversation from "./internal/conversation.ts"
import { countTokens, type Reply, toParts, toStreamParts, wordsOf } from "./internal/reply.ts"

/**
 * A tool call of a scripted turn.
 *
 * @category models
 * @since 0.1.0
 */
export interface Call {
  readonly name: string
  readonly params: unknown
  /** Made from the request and the place of the call when absent. */
  readonly id?: string | undefined
}

/**
 * How a scripted answer ends.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ending {
  readonly reason?: Response.FinishReason | undefined
  readonly inputTokens?: number | undefined
  readonly outputTokens?: number | undefined
}

/**
 * One step of a script.
 *
 * **Details**
 *
 * `Answer`, `Fail` and `Hang` each serve one request. A `Delay` delays the request that the next step serves.
 *
 * @category models
 * @since 0.1.0
 */
export type Turn =
  | {
    readonly _tag: "Answer"
    readonly texts: ReadonlyArray<string>
    readonly calls: ReadonlyArray<Call>
    readonly ending: Ending
  }
  | { readonly _tag: "Fail"; readonly texts: ReadonlyArray<string>; readonly reason: AiError.AiErrorReason }
  | { readonly _tag: "Delay"; readonly duration: Duration.Input }
  | { readonly _tag: "Hang"; readonly texts: ReadonlyArray<string> }

/**
 * A step that serves one request.
 *
 * @category models
 * @since 0.1.0
 */
export type Answering = Exclude<Turn, { readonly _tag: "Delay" }>

const textsOf = (text: string | ReadonlyArray<string>): ReadonlyArray<string> =>
  typeof text === "string" ? wordsOf(text) : text

/**
 * Answers with a text, streamed word by word or in the chunks given.
 *
 * @category turns
 * @since 0.1.0
 */
export const text = (text: string | ReadonlyArray<string>, ending: Ending = {}): Answering => ({
  _tag: "Answer",
  texts: textsOf(text),
  calls: [],
  ending
})

/**
 * Answers with a value as JSON text, for `generateObject`.
 *
 * @category turns
 * @since 0.1.0
 */
export const object = (value: unknown, ending: Ending = {}): Answering => text([JSON.stringify(value)], ending)

/**
 * Answers with tool calls, after a text when one is given.
 *
 * @category turns
 * @since 0.1.0
 */
export const calls = (
  calls: ReadonlyArray<Call>,
  options: Ending & { readonly text?: string | ReadonlyArray<string> | undefined } = {}
): Answering => ({ _tag: "Answer", texts: textsOf(options.text ?? []), calls, ending: options })

/**
 * Answers with one tool call.
 *
 * @category turns
 * @since 0.1.0
 */
export const call = (name: string, params: unknown, id?: string): Answering => calls([{ name, params, id }])

/**
 * Fails the request, when streaming after a text that was already sent.
 *
 * @category turns
 * @since 0.1.0
 */
export const fail = (
  reason: AiError.AiErrorReason,
  options: { readonly after?: string | ReadonlyArray<string> | undefined } = {}
): Answering => ({ _tag: "Fail", texts: textsOf(options.after ?? []), reason })

/**
 * Waits before the request that the next turn serves.
 *
 * @category turns
 * @since 0.1.0
 */
export const delay = (duration: Duration.Input): Turn => ({ _tag: "Delay", duration })

/**
 * Never ends, when streaming after a text that was already sent.
 *
 * @category turns
 * @since 0.1.0
 */
export const hang = (options: { readonly after?: string | ReadonlyArray<string> | undefined } = {}): Answering => ({
  _tag: "Hang",
  texts: textsOf(options.after ?? [])
})

/**
 * One request that the model received.
 *
 * @category models
 * @since 0.1.0
 */
export interface Request {
  readonly method: "generateText" | "streamText"
  readonly prompt: Prompt.Prompt
  readonly tools: ReadonlyArray<string>
  readonly toolChoice: LanguageModel.ProviderOptions["toolChoice"]
  readonly responseFormat: LanguageModel.ProviderOptions["responseFormat"]
  /** The output limit of the request, in tokens: a longer answer is cut. */
  readonly outputLimit: number | undefined
}

/**
 * The requests a scripted model has received, oldest first.
 *
 * @category services
 * @since 0.1.0
 */
export class Requests extends Context.Service<Requests, {
  readonly all: Effect.Effect<ReadonlyArray<Request>>
  readonly prompts: Effect.Effect<ReadonlyArray<Prompt.Prompt>>
  /** The turns that no request has used yet. */
  readonly remaining: Effect.Effect<ReadonlyArray<Turn>>
}>()("@fastagentic/adapters/effect-ai/ScriptedModel/Requests") {}

const modelId = "scripted"

const partial = (id: string, texts: ReadonlyArray<string>): ReadonlyArray<Response.StreamPartEncoded> => [
  { type: "response-metadata", id, modelId },
  ...(texts.length === 0 ? [] : [{ type: "text-start", id } as const]),
  ...texts.map((delta) => ({ type: "text-delta", id, delta }) as const)
]

const toReply = (turn: Extract<Turn, { readonly _tag: "Answer" }>, request: Request, number: number): Reply => {
  const id = `scripted_${number}`
  const calls = turn.calls.map((call, index) => ({ ...call, id: call.id ?? `call_${number}_${index + 1}` }))
  const written = turn.texts.join("").length +
    calls.reduce((size, { params }) => size + JSON.stringify(params).length, 0)
  const reply = {
    id,
    modelId,
    texts: turn.texts,
    calls,
    reason: turn.ending.reason ?? (calls.length === 0 ? "stop" : "tool-calls"),
    inputTokens: turn.ending.inputTokens ?? countTokens(Conversation.read(request.prompt).size),
    outputTokens: turn.ending.outputTokens ?? countTokens(written)
  }
  const { outputLimit = Infinity } = request
  if (reply.outputTokens <= outputLimit) return reply
  const texts = [turn.texts.join("").slice(0, 4 * outputLimit)]
  return { ...reply, texts, calls: [], reason: "length", outputTokens: outputLimit }
}

const failure = (method: Request["method"], reason: AiError.AiErrorReason) =>
  AiError.make({ module: "ScriptedModel", method, reason })

const outOfTurns = (turns: ReadonlyArray<Turn>, number: number) => {
  const answering = turns.filter((turn) => turn._tag !== "Delay").length
  return new AiError.UnknownError({ description: `the script has ${answering} turns, and this is request ${number}` })
}

interface Step {
  readonly turn: Answering
  readonly request: Request
  readonly number: number
}

/** Which turn answers a request; `undefined` when none is left for it. */
interface Script {
  readonly next: (request: Request) => Effect.Effect<Turn | undefined>
  readonly missing: (request: Request, number: number) => AiError.AiErrorReason
  readonly remaining: Effect.Effect<ReadonlyArray<Turn>>
}

/** One turn after the other, in the order in which requests arrive. */
const inOrder = (turns: ReadonlyArray<Turn>): Effect.Effect<Script> =>
  Effect.map(Ref.make(turns), (remaining) => ({
    next: () => Ref.modify(remaining, (turns) => [turns[0], turns.slice(1)]),
    missing: (_request, number) => outOfTurns(turns, number),
    remaining: Ref.get(remaining)
  }))

const make = Effect.fnUntraced(function*({ missing, next, remaining }: Script) {
  const requests = yield* Ref.make<ReadonlyArray<Request>>([])

  const step = Effect.fnUntraced(function*(method: Request["method"], options: LanguageModel.ProviderOptions) {
    const request: Request = {
      method,
      prompt: options.prompt,
      tools: options.tools.map((tool) => String(tool.name)),
      toolChoice: options.toolChoice,
      responseFormat: options.responseFormat,
      outputLimit: yield* OutputLimit
    }
    const number = yield* Ref.modify(requests, (requests) => [requests.length + 1, [...requests, request]])
    let turn = yield* next(request)
    while (turn?._tag === "Delay") {
      yield* Effect.sleep(turn.duration)
      turn = yield* next(request)
    }
    if (turn === undefined) return yield* failure(method, missing(request, number))
    return { turn, request, number } satisfies Step
  })

  const generate = ({ number, request, turn }: Step) => {
    switch (turn._tag) {
      case "Answer":
        return Effect.succeed(toParts(toReply(turn, request, number)))
      case "Fail":
        return Effect.fail(failure(request.method, turn.reason))
      case "Hang":
        return Effect.never
    }
  }

  const stream = ({ number, request, turn }: Step): Stream.Stream<Response.StreamPartEncoded, AiError.AiError> => {
    const id = `scripted_${number}`
    switch (turn._tag) {
      case "Answer":
        return Stream.fromIterable(toStreamParts(toReply(turn, request, number)))
      case "Fail": {
        const error = failure(request.method, turn.reason)
        return Stream.concat(
          Stream.fromIterable(turn.texts.length === 0 ? [] : partial(id, turn.texts)),
          Stream.fail(error)
        )
      }
      case "Hang":
        return Stream.concat(Stream.fromIterable(partial(id, turn.texts)), Stream.never)
    }
  }

  const model = yield* LanguageModel.make({
    generateText: (options) => Effect.flatMap(step("generateText", options), generate),
    streamText: (options) => Stream.unwrap(Effect.map(step("streamText", options), stream)).pipe(Stream.rechunk(1))
  })
  const received = Requests.of({
    all: Ref.get(requests),
    prompts: Effect.map(Ref.get(requests), (requests) => requests.map(({ prompt }) => prompt)),
    remaining
  })
  return Context.make(LanguageModel.LanguageModel, model).pipe(Context.add(Requests, received))
})

/**
 * Provides a model that answers with the turns in order, and the requests it received.
 *
 * **Gotchas**
 *
 * A request after the last turn fails with an `AiError` that is not retryable and says how many turns there were.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (turns: ReadonlyArray<Turn>): Layer.Layer<LanguageModel.LanguageModel | Requests> =>
  Layer.effectContext(Effect.flatMap(inOrder(turns), make))

/**
 * The answers to the requests that a rule is for.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rule {
  /** Tests the last message of the user, or the whole request. */
  readonly when: string | RegExp | ((request: Request) => boolean)
  /** The answers to that message, in order: tool calls, and the text that follows their results. */
  readonly turns: ReadonlyArray<Answering>
}

const matches = ({ when }: Rule, request: Request) => {
  if (typeof when === "function") return when(request)
  const { question } = Conversation.read(request.prompt)
  return typeof when === "string" ? question.includes(when) : question.search(when) >= 0
}

/** How many answers the model has given to the last message of the user. */
const answersIn = ({ prompt: { content } }: Request) => {
  const asked = content.findLastIndex(({ role }) => role === "user")
  return content.slice(asked + 1).filter(({ role }) => role === "assistant").length
}

const byConversation = (rules: ReadonlyArray<Rule>): Script => {
  const ruleOf = (request: Request) => rules.find((rule) => matches(rule, request))
  return {
    next: (request) => Effect.succeed(ruleOf(request)?.turns[answersIn(request)]),
    missing: (request) => {
      const rule = ruleOf(request)
      const asked = JSON.stringify(Conversation.read(request.prompt).question)
      return new AiError.UnknownError({
        description: rule === undefined
          ? `no rule of the script is for ${asked}`
          : `the rule for ${asked} has ${rule.turns.length} turns, and this is answer ${answersIn(request) + 1}`
      })
    },
    remaining: Effect.succeed([])
  }
}

/**
 * Provides a model whose answers depend on the conversation alone: the first rule that is for the last message of the user
 * answers it. Requests of several agents may arrive in any order, and a replay or a retry gets the same answers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerRules = (rules: ReadonlyArray<Rule>): Layer.Layer<LanguageModel.LanguageModel | Requests> =>
  Layer.effectContext(make(byConversation(rules)))
