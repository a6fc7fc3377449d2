/**
 * A graph of LangGraph.js as the handler of an agent.
 *
 * Events come from LangChain's awaited callbacks and not from its streams: a stream buffers whatever the graph produces,
 * a callback makes the graph wait for the journal and lets hooks refuse.
 *
 * @since 0.1.0
 */
import type { Agent, Event, Hook } from "@fastagentic/core"
import { CurrentRun } from "@fastagentic/core/run/Run"
import type { BaseCallbackHandler } from "@langchain/core/callbacks/base"
import { Effect, type Layer, type Scope } from "effect"
import type { AdapterCapabilities } from "../adapter/AdapterCapabilities.ts"
import { toJson } from "../adapter/Json.ts"
import * as PromiseScope from "../adapter/PromiseScope.ts"
import * as Callbacks from "./internal/callbacks.ts"
import { failureOf } from "./internal/failure.ts"
import { library } from "./internal/library.ts"
import { answerOf, isPaused, readChunk } from "./internal/state.ts"

/**
 * What can be enforced on a compiled graph from outside.
 *
 * **Details**
 *
 * A refused model call fails its node before the model is called. A refused tool call becomes an error that the model is
 * told. A hook that changes a call or its result is refused as well: the change could not reach the graph.
 *
 * @category capabilities
 * @since 0.1.0
 */
export const capabilities: AdapterCapabilities = {
  tokens: true,
  boundary: "node",
  commit: "none",
  interrupts: false,
  cancel: "abort",
  hooks: { llm: "block", tool: "block", node: "block" },
  toolInjection: "none",
  backpressure: "waits"
}

/** How a graph is asked to run. @category models @since 0.1.0 */
export interface StreamOptions {
  streamMode: Array<"values" | "custom">
  subgraphs: true
  signal: AbortSignal
  configurable: Record<string, unknown>
  callbacks: Array<BaseCallbackHandler>
}

/**
 * What is needed of a compiled graph.
 *
 * @category models
 * @since 0.1.0
 */
export interface Graph<Input, State> {
  invoke(input: Input): Promise<State>
  stream(input: Input, options: StreamOptions): Promise<AsyncIterable<unknown>>
}

/**
 * The run that a graph is made for.
 *
 * @category models
 * @since 0.1.0
 */
export interface Runtime {
  readonly runId: string
  readonly threadId: string
  /** Aborts when the run ends, in whatever way. */
  readonly signal: AbortSignal
}

/**
 * A compiled graph, or what makes one for each run.
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
 * How payload and answer become the graph's state. Each may be left out where the types say it is not needed: a payload
 * that is the graph's input, an answer that is the text of the last message.
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
 * An error that a node throws and the agent declares arrives as that error; any other is a defect.
 *
 * **Gotchas**
 *
 * An interrupted run aborts the graph's `signal` and no further node starts; a node that ignores the signal runs to its
 * own end.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <
  Identifier extends string,
  Payload extends Agent.PayloadSchema,
  Success extends Agent.AnySchema,
  Error extends Agent.AnySchema,
  Hooks extends Hook.Any,
  Input,
  State,
  R = never
>(
  agent: Agent.Agent<Identifier, Payload, Success, Error, Hooks>,
  source: Source<Input, State, R>,
  ...[options]: Rest<Options<Payload["Type"], Success["Type"], Input, State>>
): Layer.Layer<Agent.Handler<Identifier>, never, Exclude<R, CurrentRun | Scope.Scope>> => {
  // cast: where a mapping is left out, the types of the options have made sure that identity is one.
  const mapping = (options ?? {}) as Mapping<Payload["Type"], Success["Type"], Input, State>
  // cast: as above, the payload is an input.
  const input = mapping.input ?? ((payload: Payload["Type"]) => payload as unknown as Input)
  // cast: as above, a string is an answer.
  const output = mapping.output ?? ((state: State) => answerOf(state) as Success["Type"])
  const handle = Effect.fnUntraced(function*(payload: Payload["Type"]) {
    return output(yield* drive(agent.errorSchema, source, input(payload)))
  })
  return agent.toLayer(handle)
}

const drive = <Error extends Agent.AnySchema, Input, State, R>(
  errorSchema: Error,
  source: Source<Input, State, R>,
  input: Input
): Effect.Effect<State, Error["Type"], R | CurrentRun> =>
  Effect.scoped(PromiseScope.host(Effect.fnUntraced(function*(host: PromiseScope.Host) {
    const { emit, record } = yield* CurrentRun
    const loaded = yield* Effect.orDie(library)
    const { handler, modelFailures } = yield* Callbacks.make(loaded, host.signal)
    const threadId = record.threadId ?? record.runId
    const graph = yield* graphOf(source, { runId: record.runId, threadId, signal: host.signal })
    const options: StreamOptions = {
      streamMode: ["values", "custom"],
      subgraphs: true,
      signal: host.signal,
      configurable: { thread_id: threadId },
      callbacks: [handler]
    }
    let last: unknown
    return yield* host.call(() => graph.stream(input, options)).pipe(
      Effect.flatMap((chunks) =>
        host.forEach(chunks, (chunk): Effect.Effect<void> => {
          const { mode, path, value } = readChunk(chunk)
          if (mode === "custom") {
            return emit(withPath({ type: "custom", data: { name: "langgraph", value: toJson(value) } }, path))
          }
          if (path.length === 0) last = value
          return Effect.void
        })
      ),
      Effect.andThen(Effect.suspend(() =>
        // cast: the last value of a graph is its state.
        isPaused(last)
          ? Effect.die(new Error("a graph that interrupts is not supported yet"))
          : Effect.succeed(last as State)
      )),
      Effect.catchTag("Thrown", (thrown) => failureOf(errorSchema, modelFailures, thrown))
    )
  })))

const withPath = (event: Event.Event, path: ReadonlyArray<string>): Event.Event =>
  path.length === 0 ? event : { ...event, path }

const graphOf = <Input, State, R>(source: Source<Input, State, R>, runtime: Runtime) => {
  if (typeof source !== "function") return Effect.succeed(source)
  const made = source(runtime)
  return Effect.isEffect(made) ? made : Effect.succeed(made)
}
