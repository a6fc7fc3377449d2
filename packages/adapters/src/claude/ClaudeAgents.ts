/**
 * Implements an agent with a session of the Claude Agent SDK, whose process asks its model and works with its tools itself.
 *
 * @since 0.1.0
 */
import { type Agent, Event, Run } from "@fastagentic/core"
import * as Policy from "@fastagentic/core/base/Policy"
import { noHints } from "@fastagentic/core/door/ToolPolicy"
import { CurrentRun, type InterruptDenied } from "@fastagentic/core/run/Run"
import { Effect, type Layer, type Schema } from "effect"
import type { Adapter, AdapterCapabilities } from "../adapter/AdapterCapabilities.ts"
import { failureOf } from "../adapter/Failure.ts"
import type { Declared } from "../adapter/internal/declared.ts"
import { QueryFailed } from "./ClaudeError.ts"
import * as Session from "./internal/session.ts"
import type { Decision } from "./internal/tools.ts"
import type { Deferred } from "./internal/wire.ts"

/**
 * The abilities of the adapter: the process makes the calls itself, so a query that a crash has cut off is made again.
 *
 * @category capabilities
 * @since 0.1.0
 */
export const capabilities: AdapterCapabilities = {
  tokens: true,
  boundary: "none",
  commit: "best-effort",
  interrupts: true,
  cancel: "kill",
  hooks: { llm: "none", tool: "modify", node: "none" },
  toolInjection: "none",
  usage: true,
  budget: false,
  backpressure: "waits"
}

const adapter: Adapter = { name: "claude", capabilities }

/** The run that a session works for. @category models @since 0.1.0 */
export interface Runtime {
  readonly runId: string
  readonly threadId: string
  /** Aborts when the run ends for any reason, and when it waits for a human. */
  readonly signal: AbortSignal
}

/** The result of a session: the text of its last answer, and its structured output. @category models @since 0.1.0 */
export interface Result {
  readonly text: string
  readonly structured: Schema.Json | undefined
}

/** @category options @since 0.1.0 */
export type Settings<Payload, Success, Options> = {
  readonly prompt: (payload: Payload) => string
  /** The options of the SDK, or a function of the run that makes them. */
  readonly options?: Options | ((run: Runtime) => Options)
  /** The tools whose calls wait for an approver, who may edit them. */
  readonly approve?: ReadonlyArray<string> | ((tool: string, input: Schema.Json) => boolean)
  /** By default the text of the last answer. */
  readonly output?: (result: Result) => Success
}

/** The function `query` of the SDK. @category models @since 0.1.0 */
export type Query<Options> = Session.Query<Options>

/**
 * Implements an agent with sessions of the Claude Agent SDK.
 *
 * **Gotchas**
 *
 * The agent has to be declared with `durable: false`: a query that a crash has cut off is made again, with all of its calls.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <
  Identifier extends string,
  Payload extends Agent.PayloadSchema,
  Success extends Agent.AnySchema,
  Options extends object
>(
  agent: Declared<Identifier, Payload, Success>,
  query: Query<Options>,
  settings: Settings<Payload["Type"], Success["Type"], Options>
): Layer.Layer<Agent.Handler<Identifier>> => {
  // cast: an agent whose answer is no text has the setting `output`.
  const output = settings.output ?? (({ text }: Result) => text as Success["Type"])
  return agent.toLayer(
    (payload): Effect.Effect<Success["Type"], Agent.AnySchema["Type"] | InterruptDenied, CurrentRun> => {
      const failures = new WeakMap<object, string>()
      return converse(query, settings, settings.prompt(payload)).pipe(
        Effect.map(({ structured, text }) => output({ text, structured })),
        Effect.catchTag("Thrown", (thrown) => {
          if (thrown.cause instanceof QueryFailed) failures.set(thrown.cause, "claude")
          return failureOf(agent.errorSchema, failures, thrown)
        })
      )
    },
    adapter
  )
}

/** Makes a query, and resumes its session after each call that a human has decided about. */
const converse = Effect.fnUntraced(function*<Payload, Success, Options extends object>(
  query: Query<Options>,
  { approve = [], options }: Settings<Payload, Success, Options>,
  prompt: string
) {
  const { record: { runId, threadId = runId } } = yield* CurrentRun
  const needsApproval = typeof approve === "function" ? approve : (tool: string) => approve.includes(tool)
  let decision: Decision | undefined
  let last: Session.Ended | undefined
  for (let count = 1;; count++) {
    const asked = {
      prompt: last === undefined ? prompt : "",
      resume: last?.sessionId,
      transcript: last?.transcript ?? [],
      tools: { needsApproval, decision }
    }
    const made = (signal: AbortSignal) => typeof options === "function" ? options({ runId, threadId, signal }) : options
    const before = last?.costUsd ?? 0
    last = yield* Run.stepWith(`query ${count}`, Session.Ended, Session.exchange(query, made, asked))
    // The SDK counts the cost of the whole session.
    const costUsd = Math.max(0, (last.costUsd ?? 0) - before)
    if (costUsd > 0) yield* Run.emit(Event.custom("claude cost", { costUsd }))
    if (last.deferred === undefined) return last
    decision = yield* ask(last.deferred, needsApproval)
  }
})

/** Asks about a call that the session waits with. */
const ask = Effect.fnUntraced(function*(
  { id, input, name }: Deferred,
  needsApproval: (tool: string, input: Schema.Json) => boolean
): Effect.fn.Return<Decision, never, CurrentRun> {
  const run = yield* CurrentRun
  const answer = yield* run.tools.judge({
    toolCallId: id,
    arguments: input,
    tool: name,
    hints: noHints,
    declared: { decision: needsApproval(name, input) ? "ask" : "allow" }
  })
  const terms = answer.decision === "ask" ? yield* Policy.asked(answer) : {}
  const { by, decision, reason, value } = yield* run.interrupt({
    name: `approve ${id}`,
    kind: "approval",
    message: `${name} asks for approval`,
    tool: name,
    toolCallId: id,
    arguments: input,
    // Claude Code knows what its tools take, and says it to no host.
    responseSchema: { type: "object" },
    ...terms
  })
  return decision === "approve" || decision === "edit"
    ? { toolCallId: id, approved: true, arguments: decision === "edit" ? value ?? {} : input, by }
    : { toolCallId: id, approved: false, reason: reason ?? "nobody decided in time" }
})
