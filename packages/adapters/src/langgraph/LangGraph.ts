/**
 * Implements an agent with a LangGraph.js graph.
 *
 * Events come from LangChain's awaited callbacks, not from its streams: a stream buffers the graph's output, a callback
 * makes the graph wait for the journal and lets hooks refuse.
 *
 * @since 0.1.0
 */
import type { Agent, Event } from "@fastagentic/core"
import type { ModelEnd } from "@fastagentic/core/run/ModelEnd"
import { CurrentRun, type InterruptDenied } from "@fastagentic/core/run/Run"
import type { BaseCallbackHandler } from "@langchain/core/callbacks/base"
import type { BaseChatModel } from "@langchain/core/language_models/chat_models"
import type { StructuredToolInterface } from "@langchain/core/tools"
import type { BaseCheckpointSaver } from "@langchain/langgraph"
import { Effect, type Layer, type Scope } from "effect"
import type * as Tool from "effect/ai/Tool"
import type { Adapter, AdapterCapabilities } from "../adapter/AdapterCapabilities.ts"
import { type AdapterLoadError, Thrown } from "../adapter/AdapterError.ts"
import { failureOf } from "../adapter/Failure.ts"
import { adapterOf, type Declared, layerOf } from "../adapter/internal/declared.ts"
import { toJson } from "../adapter/Json.ts"
import * as PromiseScope from "../adapter/PromiseScope.ts"
import * as RuntimeTool from "../adapter/RuntimeTool.ts"
import * as AppParts from "./internal/appParts.ts"
import * as Callbacks from "./internal/callbacks.ts"
import * as Checkpoints from "./internal/checkpoints.ts"
import { type Library, library } from "./internal/library.ts"
import { ask } from "./internal/questions.ts"
import { makeSaver } from "./internal/saver.ts"
import { answerOf, questionsOf, readChunk } from "./internal/state.ts"

/**
 * The policy that can be enforced on a compiled graph from outside.
 *
 * **Details**
 *
 * A refused model call fails its node before the model is called. A refused tool call becomes an error message for the
 * model. A hook that changes a call or its result is refused as well: the change could not reach the graph.
 *
 * @category capabilities
 * @since 0.1.0
 */
export const capabilities: AdapterCapabilities = {
  tokens: true,
  boundary: "node",
  commit: "barrier",
  interrupts: true,
  cancel: "abort",
  hooks: { llm: "block", tool: "block", node: "block" },
  toolInjection: "none",
  usage: true,
  budget: true,
  backpressure: "waits"
}

/** Options of a graph's execution. @category models @since 0.1.0 */
export interface StreamOptions {
  streamMode: Array<"values" | "custom">
  subgraphs: true
  signal: AbortSignal
  durability: "sync"
  configurable: Record<string, unknown>
  callbacks: Array<BaseCallbackHandler>
}

/**
 * The part of a compiled graph that the adapter uses.
 *
 * @category models
 * @since 0.1.0
 */
export interface Graph<Input, State> {
  invoke(input: Input): Promise<State>
  stream(input: Input, options: StreamOptions): Promise<AsyncIterable<unknown>>
}

/**
 * The run that a graph is made for, with what the app has for it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Runtime {
  readonly runId: string
  readonly threadId: string
  /** Aborts when the run ends for any reason. */
  readonly signal: AbortSignal
  /** The tools of the option `toolkit`: their calls pass the door, hooks, approvals and journal of the app. */
  readonly tools: Array<StructuredToolInterface>
  /** A model of the app by its name; by default the one that the agent declares, and then that of the layer. */
  readonly model: (name?: string) => BaseChatModel
  /** The checkpointer in the run's store; a graph that is compiled without one gets it as well. */
  readonly checkpointer: BaseCheckpointSaver
}

/**
 * A compiled graph, or a function that makes one for each run.
 *
 * @category models
 * @since 0.1.0
 */
export type Source<Input, State, R> =
  | Graph<Input, State>
  | ((runtime: Runtime) => Graph<Input, State> | Effect.Effect<Graph<Input, State>, never, R>)

type Field<Name extends string, Mapping, Optional> = true extends Optional ? { readonly [K in Name]?: Mapping }
  : { readonly [K in Name]: Mapping }

/**
 * Maps payload and answer to the graph's state. A mapping may be omitted where the types match: a payload that is the
 * graph's input, an answer that is the text of the last message.
 *
 * @category models
 * @since 0.1.0
 */
export type Options<Payload, Success, Input, State> =
  & Field<"input", (payload: Payload) => Input, [Payload] extends [Input] ? true : false>
  & Field<"output", (state: State) => Success, [string] extends [Success] ? true : false>

type Rest<O> = {} extends O ? [options?: O] : [options: O]

interface Mapping<Payload, Success, Input, State> {
  readonly input?: (payload: Payload) => Input
  readonly output?: (state: State) => Success
}

/**
 * Implements an agent with a graph.
 *
 * A declared error that a node throws arrives as that error; any other is a defect.
 *
 * **Gotchas**
 *
 * Interrupting a run aborts the graph's `signal`, and no further node starts; a node that ignores the signal runs to its
 * own end.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <
  Identifier extends string,
  Payload extends Agent.PayloadSchema,
  Success extends Agent.AnySchema,
  Input,
  State,
  R = never,
  Tools extends Record<string, Tool.Any> = {},
  R2 = never
>(
  agent: Declared<Identifier, Payload, Success>,
  source: Source<Input, State, R>,
  ...[options]: Rest<Options<Payload["Type"], Success["Type"], Input, State> & RuntimeTool.Options<Tools, R2>>
): Layer.Layer<
  Agent.Handler<Identifier>,
  AdapterLoadError,
  Exclude<R, CurrentRun | Scope.Scope> | RuntimeTool.Services<Tools, R2>
> => {
  // cast: the option types allow omitting a mapping only when identity fits.
  const mapping = (options ?? {}) as Mapping<Payload["Type"], Success["Type"], Input, State>
  // cast: as above, the payload is an input.
  const input = mapping.input ?? ((payload: Payload["Type"]) => payload as unknown as Input)
  // cast: as above, a string is an answer.
  const output = mapping.output ?? ((state: State) => answerOf(state) as Success["Type"])
  // A graph keeps its own checkpoints elsewhere: nothing of the run waits for them, and none survives with it.
  const able = typeof source === "function" || !hasCheckpointer(source)
    ? capabilities
    : { ...capabilities, commit: "none" as const, interrupts: false }
  const tools: RuntimeTool.Options<Tools, R2> = options ?? {}
  const adapter: Adapter = {
    ...adapterOf("langgraph", able, typeof source === "function", tools),
    remedy: "compile the graph without a checkpointer"
  }
  return layerOf(
    agent,
    adapter,
    library,
    (loaded, payload) =>
      Effect.map(drive(loaded, agent.errorSchema, source, RuntimeTool.from(tools), input(payload)), output)
  )
}

const drive = <Error extends Agent.AnySchema, Input, State, R, R2>(
  loaded: Library,
  errorSchema: Error,
  source: Source<Input, State, R>,
  given: Effect.Effect<ReadonlyArray<RuntimeTool.RuntimeTool>, never, R2>,
  input: Input
): Effect.Effect<State, Error["Type"] | InterruptDenied | ModelEnd, R | R2 | CurrentRun> =>
  Effect.scoped(PromiseScope.host(Effect.fnUntraced(function*(host: PromiseScope.Host) {
    const run = yield* CurrentRun
    const { record } = run
    const place: Checkpoints.Place = { current: run }
    const checkpoints = yield* Checkpoints.make(place)
    const { handler, session } = yield* Callbacks.make(loaded, host.signal, place)
    const { modelFailures, toolCallIds } = session
    const decisions = new AppParts.Decisions()
    const { fatal, model, tools } = yield* AppParts.make(session, yield* given, decisions)
    const threadId = record.threadId ?? record.runId
    const { restore, saver } = makeSaver(
      loaded,
      threadId,
      (op) => checkpoints.commit({ ...op, calls: toolCallIds.snapshot })
    )
    const { runId } = record
    const runtime = { runId, threadId, signal: host.signal, tools, model, checkpointer: saver }
    const graph = yield* graphOf(source, runtime).pipe(
      Effect.catchTag("Thrown", (thrown) => failureOf(errorSchema, modelFailures, thrown))
    )
    const isOwn = hasCheckpointer(graph) && graph.checkpointer !== saver
    if (isOwn && record.durable) return yield* Effect.die(new Error(ownCheckpointer))
    const options: StreamOptions = {
      streamMode: ["values", "custom"],
      subgraphs: true,
      signal: host.signal,
      durability: "sync",
      // LangGraph lends a checkpointer to its subgraphs in the same way.
      configurable: { thread_id: threadId, ...(isOwn ? {} : { __pregel_checkpointer: saver }) },
      callbacks: [handler]
    }

    /** Runs the graph until it ends or asks; its last state. */
    const once = (next: unknown) => {
      let last: unknown
      // cast: `null` and commands continue from the last checkpoint, which every graph accepts.
      return host.call(() => graph.stream(next as Input, options)).pipe(
        Effect.flatMap((chunks) =>
          host.forEach(chunks, (chunk): Effect.Effect<void> => {
            const { mode, path, value } = readChunk(chunk)
            if (mode === "custom") {
              const custom: Event.Event = { type: "custom", data: { name: "langgraph", value: toJson(value) } }
              return place.current.emit(withPath(custom, path))
            }
            if (path.length === 0) last = value
            return Effect.void
          })
        ),
        Effect.map(() => last)
      )
    }

    const untilEnded = Effect.gen(function*() {
      if (isOwn) {
        const state = yield* once(input)
        return questionsOf(state).length === 0 ? state : yield* Effect.die(new Error(ownCheckpointer))
      }
      const recorded = yield* checkpoints.recorded
      for (const op of recorded) {
        yield* host.call(() => restore(op))
        if (op.calls !== undefined) toolCallIds.restore(op.calls)
      }
      let next: unknown = recorded.length === 0 ? input : null
      for (;;) {
        const state = yield* checkpoints.during(once(next))
        const questions = questionsOf(state)
        if (questions.length > 0) {
          const answers = yield* Effect.forEach(
            questions,
            (one) => Effect.map(ask(one, decisions), (answer) => [one.id, answer] as const),
            { concurrency: "unbounded" }
          )
          next = new loaded.graph.Command({ resume: Object.fromEntries(answers) })
          continue
        }
        if (state !== undefined) return state
        // A graph that had ended before says nothing more.
        const tuple = yield* host.call(() => saver.getTuple({ configurable: { thread_id: threadId } }))
        return tuple?.checkpoint.channel_values
      }
    })

    return yield* Effect.raceFirst(untilEnded, fatal).pipe(
      Effect.ensuring(checkpoints.close),
      // cast: the last value of a graph is its state.
      Effect.map((state) => state as State),
      Effect.catchTag("Thrown", (thrown) => failureOf(errorSchema, modelFailures, thrown))
    )
  })))

const ownCheckpointer =
  "a graph that is durable or asks is compiled without a checkpointer: the run's store keeps its checkpoints"

const hasCheckpointer = (graph: object): graph is { readonly checkpointer: object } =>
  "checkpointer" in graph && typeof graph.checkpointer === "object" && graph.checkpointer !== null

const withPath = (event: Event.Event, path: ReadonlyArray<string>): Event.Event =>
  path.length === 0 ? event : { ...event, path }

const graphOf = <Input, State, R>(
  source: Source<Input, State, R>,
  runtime: Runtime
): Effect.Effect<Graph<Input, State>, Thrown, R> => {
  if (typeof source !== "function") return Effect.succeed(source)
  const made = Effect.try({ try: () => source(runtime), catch: (cause) => new Thrown({ cause }) })
  return Effect.flatMap(made, (one) => Effect.isEffect(one) ? one : Effect.succeed(one))
}
