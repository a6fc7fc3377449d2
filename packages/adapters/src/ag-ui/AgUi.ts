/**
 * Implements an agent with an AG-UI endpoint, whoever serves it: each request to it is a step of the run.
 *
 * @since 0.1.0
 */
import type { Agent } from "@fastagentic/core"
import { CurrentRun, stepWith } from "@fastagentic/core/run/Run"
import { Effect, Layer, Option, type Redacted, Schema } from "effect"
import * as HttpClient from "effect/http/HttpClient"
import type { Adapter, AdapterCapabilities } from "../adapter/AdapterCapabilities.ts"
import type { Declared } from "../adapter/internal/declared.ts"
import * as ThreadTurn from "../adapter/internal/threadTurn.ts"
import * as Egress from "../egress/Egress.ts"
import { EndpointFailed } from "./AgUiError.ts"
import { Conversation } from "./internal/conversation.ts"
import { type Endpoint, exchange, shownUrl } from "./internal/exchange.ts"
import * as Wire from "./internal/wire.ts"

/**
 * The abilities of the adapter: models and tools are at the other end, where no hook and no budget reaches them, and a request
 * that a crash has cut off is made again.
 *
 * @category capabilities
 * @since 0.1.0
 */
export const capabilities: AdapterCapabilities = {
  tokens: true,
  boundary: "none",
  commit: "best-effort",
  interrupts: true,
  cancel: "abort",
  hooks: { llm: "none", tool: "none", node: "none" },
  toolInjection: "none",
  usage: false,
  budget: false,
  backpressure: "waits"
}

const adapter: Adapter = { name: "ag-ui", capabilities }

/** The result of an endpoint: the text of its last message, and the result that its run has ended with. @category models @since 0.1.0 */
export interface Result {
  readonly text: string
  readonly result: Schema.Json | undefined
  readonly state: Schema.Json | undefined
}

/** An endpoint, and how it is reached. @category options @since 0.1.0 */
export interface Remote {
  readonly url: string
  readonly headers?: Readonly<Record<string, string | Redacted.Redacted>> | undefined
  /**
   * The rules of `Egress` for the endpoint: by default it has to be in the public network, one request may take ten minutes,
   * and its answer 64 MiB.
   */
  readonly egress?: Egress.Options | undefined
  /** The messages of the run's thread go before the prompt, and both become its turn. */
  readonly thread?: true | undefined
}

/** The prompt of a payload, and the answer of a result; by default its text. @category options @since 0.1.0 */
export type Mapping<Payload, Success> =
  & { readonly prompt: (payload: Payload) => string }
  & ([string] extends [Success] ? { readonly output?: (result: Result) => Success }
    : { readonly output: (result: Result) => Success })

/** @category options @since 0.1.0 */
export type Options<Payload, Success> = Remote & Mapping<Payload, Success>

/**
 * Implements an agent with an AG-UI endpoint.
 *
 * **Details**
 *
 * Text, reasoning, tool calls, state and custom events of the endpoint are events of the run. Its interrupts are interrupts
 * of the run, whose decisions are sent back as `resume`. An error whose `metadata.error` is a declared error of the agent is
 * that error.
 *
 * **Gotchas**
 *
 * The agent has to be declared with `durable: false`: nobody can say whether an endpoint does its work twice.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <
  Identifier extends string,
  Payload extends Agent.PayloadSchema,
  Success extends Agent.AnySchema
>(
  agent: Declared<Identifier, Payload, Success>,
  options: Options<Payload["Type"], Success["Type"]>
): Layer.Layer<Agent.Handler<Identifier>, Egress.UnknownNetwork> => {
  // cast: the option may be omitted only where the answer is a text.
  const output = options.output ??
    (({ result, text }: Result) => (typeof result === "string" ? result : text) as Success["Type"])
  const decode = Schema.decodeUnknownOption(agent.errorSchema)
  const handler = HttpClient.HttpClient.useSync((client) =>
    agent.toLayer(
      (payload) =>
        Effect.flatMap(converse(client, options, options.prompt(payload)), (ended) => {
          const { error, result, state, text } = ended
          if (error === undefined) return Effect.sync(() => output({ text, result, state }))
          const declared = decode(error.value)
          if (Option.isSome(declared)) return Effect.fail(declared.value)
          const { code, message } = error
          return Effect.die(
            new EndpointFailed({
              url: shownUrl(options.url),
              reason: message,
              ...(code === undefined ? {} : { code })
            })
          )
        }),
      adapter
    )
  )
  return Layer.unwrap(handler).pipe(
    Layer.provide(Egress.layer({ timeout: "10 minutes", maxResponseSize: 64 * 1_048_576, ...options.egress }))
  )
}

/** Sends the prompt, and decisions as long as the endpoint asks for some. */
const converse = Effect.fnUntraced(function*(client: HttpClient.HttpClient, remote: Remote, prompt: string) {
  const { record } = yield* CurrentRun
  const { runId, threadId = runId } = record
  const endpoint: Endpoint = { url: remote.url, headers: remote.headers ?? {} }
  const before = remote.thread === true ? yield* ThreadTurn.before : []
  const asked = [...before, { id: `${runId}-prompt`, role: "user", content: prompt }]
  let resume: ReadonlyArray<Schema.Json> = []
  let last: Wire.Ended = { messages: asked, text: "", interrupts: [], cancelled: false }
  for (let count = 1;; count++) {
    const { messages, state } = last
    const input = { threadId, runId: `${runId}-${count}`, messages, state, resume }
    last = yield* stepWith(`request ${count}`, Wire.Ended, Effect.orDie(exchange(client, endpoint, input)))
    if (last.error !== undefined) return last
    if (last.cancelled) {
      return yield* Effect.die(new EndpointFailed({ url: shownUrl(remote.url), reason: "its run was cancelled" }))
    }
    if (last.interrupts.length === 0) break
    const conversation = new Conversation(last.messages, undefined)
    resume = yield* Effect.forEach(last.interrupts, (one) => ask(one, conversation), { concurrency: "unbounded" })
  }
  if (remote.thread === true) yield* ThreadTurn.keep(prompt, last.text)
  return last
})

/** Asks about an interrupt of the endpoint: about a tool call for an approval, about anything else for its value. */
const ask = Effect.fnUntraced(function*(interrupt: Wire.Interrupt, conversation: Conversation) {
  const { id, message, responseSchema } = interrupt
  const run = yield* CurrentRun
  const toolCallId = interrupt.toolCallId ?? undefined
  const call = toolCallId === undefined ? undefined : conversation.callOf(toolCallId)
  const isApproval = interrupt.reason === "tool_call" || interrupt.reason === "confirmation" ||
    (call !== undefined && interrupt.reason !== "input_required")
  const expiresAt = Date.parse(interrupt.expiresAt ?? "")
  const { decision, reason, value } = yield* run.interrupt({
    name: `${interrupt.reason} ${id}`,
    kind: isApproval ? "approval" : "input",
    ...(typeof message === "string" ? { message } : {}),
    ...(call === undefined || toolCallId === undefined
      ? {}
      : { tool: call.name, toolCallId, arguments: call.arguments }),
    // An approver's edit of a call is any object: the endpoint does not say which arguments its tools take.
    ...(isApproval ? { responseSchema: { type: "object" } } : responseSchema === undefined ? {} : { responseSchema }),
    ...(Number.isNaN(expiresAt) ? {} : { expiresAt })
  })
  const isGranted = decision === "approve" || decision === "edit" || value !== undefined
  if (!isApproval) {
    return isGranted
      ? { interruptId: id, status: "resolved", payload: value ?? null }
      : { interruptId: id, status: "cancelled" }
  }
  return {
    interruptId: id,
    status: "resolved",
    payload: {
      approved: isGranted,
      ...(decision === "edit" && value !== undefined ? { editedArgs: value } : {}),
      ...(reason === undefined ? {} : { reason })
    }
  }
})
