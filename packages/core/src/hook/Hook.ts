/**
 * Hooks wrap the points of a run: request, llm, tool, node, checkpoint and error. `output` is a guard over what leaves the
 * run; an observer only sees it.
 *
 * @since 0.1.0
 */
import { type Cause, Context, Duration, Effect, Layer, Metric, Queue, Schema, type Scope, type Stream } from "effect"
import type * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import type * as Tool from "effect/ai/Tool"
import { canonical } from "../base/internal/canonical.ts"
import * as Timings from "../base/Timings.ts"
import type { Failure, Type as EventType } from "../run/Event.ts"
import type { Principal } from "../run/Principal.ts"
import { CurrentRun } from "../run/Run.ts"
import { HookBlocked } from "../run/RunError.ts"
import { CurrentEdits } from "./internal/callEdits.ts"

const TypeId = "~@fastagentic/core/Hook"

/** A run as its `request` hooks see it. @category models @since 0.1.0 */
export interface RequestCall {
  readonly runId: string
  readonly kind: "agent" | "tool"
  readonly agent: string
  readonly principal: Principal
  readonly payload: Schema.Json
}

/** One call of a language model. @category models @since 0.1.0 */
export interface LlmCall {
  readonly callId: string
  readonly model: string
  readonly prompt: Prompt.Prompt
}

/** One call of a tool, with the arguments that it will really get. @category models @since 0.1.0 */
export interface ToolCall {
  readonly toolCallId: string
  readonly name: string
  readonly arguments: Schema.Json
}

/** The result of a tool call. @category models @since 0.1.0 */
export interface ToolOutcome {
  readonly result: Schema.Json
  readonly isError: boolean
}

/** A node of an agent: a graph task, a step or a turn. @category models @since 0.1.0 */
export interface NodeCall {
  readonly nodeId: string
  readonly name: string
  readonly kind: "node" | "step" | "turn" | "task" | "method"
}

/** A checkpoint about to be committed: the result of a step, by its name. @category models @since 0.1.0 */
export interface CheckpointCall {
  readonly checkpointId: string
  readonly format: string
  readonly bytes: number
}

/** An output about to leave a run. @category models @since 0.1.0 */
export interface OutputCall {
  readonly runId: string
  readonly kind: "agent" | "tool"
  readonly agent: string
  readonly principal: Principal
  /** The event it leaves in. */
  readonly type: EventType
}

/** The part of a text that may leave now, and the part that waits for more text. @category models @since 0.1.0 */
export interface Passed {
  readonly out: string
  readonly held: string
}

/**
 * A guard over what a run says, before it is journaled or anybody sees it. `Hook.block` cuts the run off.
 *
 * `text` gets all of a streamed text that has not left yet: what it held before and what was added. With `ended` there
 * is no more to come, and what it holds then is dropped. `value` gets every other content: messages, arguments, results,
 * failures, the answer. Both have to do the same with the same text: a resumed run says everything again to its guards.
 *
 * @category models
 * @since 0.1.0
 */
export interface Guard {
  readonly text?: (
    text: string,
    call: OutputCall & { readonly ended: boolean }
  ) => Effect.Effect<Passed, HookBlocked>
  readonly value?: (value: Schema.Json, call: OutputCall) => Effect.Effect<Schema.Json, HookBlocked>
  /** A guard that asks a service: it is not asked about content of telemetry. */
  readonly remote?: boolean
}

/**
 * The points of a hook. Each wraps what happens inside: it may change the call, skip it, repeat it, change what comes
 * back, or refuse with `Hook.block`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Points {
  readonly request?: <E, R>(
    call: RequestCall,
    next: (call: RequestCall) => Effect.Effect<Schema.Json, E, R>
  ) => Effect.Effect<Schema.Json, E | HookBlocked, R>
  readonly llm?: <E, R>(
    call: LlmCall,
    next: (call: LlmCall) => Stream.Stream<Response.AnyPart, E, R>
  ) => Stream.Stream<Response.AnyPart, E | HookBlocked, R>
  readonly tool?: <E, R>(
    call: ToolCall,
    next: (call: ToolCall) => Effect.Effect<ToolOutcome, E, R>
  ) => Effect.Effect<ToolOutcome, E | HookBlocked, R>
  readonly node?: <A, E, R>(
    call: NodeCall,
    next: (call: NodeCall) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | HookBlocked, R>
  readonly checkpoint?: <A, E, R>(
    call: CheckpointCall,
    next: (call: CheckpointCall) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | HookBlocked, R>
  readonly error?: (failure: Failure, call: RequestCall) => Effect.Effect<Failure>
  readonly output?: Guard
}

/** The point of an interceptor that a decision was made at. @category models @since 0.1.0 */
export type Point = keyof Points

interface Observed {
  readonly request: { readonly call: RequestCall; readonly value: Schema.Json }
  readonly llm: { readonly call: LlmCall; readonly value: ReadonlyArray<Response.AnyPart> }
  readonly tool: { readonly call: ToolCall; readonly value: ToolOutcome }
  readonly node: { readonly call: NodeCall; readonly value: unknown }
  readonly checkpoint: { readonly call: CheckpointCall; readonly value: unknown }
  readonly error: { readonly call: RequestCall; readonly value: Failure }
}

/**
 * An observation: a call as it goes in, its result, or its failure. A pause or a cancellation is a
 * failure whose cause is an interruption.
 *
 * @category models
 * @since 0.1.0
 */
export type Observation = {
  readonly [P in keyof Observed]:
    & { readonly runId: string; readonly at: number; readonly point: P; readonly call: Observed[P]["call"] }
    & (
      | { readonly phase: "start" }
      | { readonly phase: "end"; readonly value: Observed[P]["value"] }
      | { readonly phase: "failure"; readonly cause: Cause.Cause<unknown> }
    )
}[keyof Observed]

/** Takes what is to be observed and never waits. @category models @since 0.1.0 */
export interface Watch {
  readonly offer: (observation: Observation) => void
}

/**
 * The phantom service that a hook's layer provides.
 *
 * @category models
 * @since 0.1.0
 */
export interface Handler<Identifier extends string> {
  readonly _: unique symbol
  readonly hook: Identifier
}

/**
 * A declared hook. Its layer says what it does.
 *
 * @category models
 * @since 0.1.0
 */
export interface Hook<Identifier extends string> extends Declared<Identifier> {
  new(_: never): {}
  readonly handler: Context.Key<Handler<Identifier>, Points>
  toLayer<E = never, R = never>(
    points: Points | Effect.Effect<Points, E, R>
  ): Layer.Layer<Handler<Identifier>, E, Exclude<R, Scope.Scope>>
}

/**
 * A declared observer. Its layer says what is done with what it sees.
 *
 * @category models
 * @since 0.1.0
 */
export interface Observer<Identifier extends string> extends Declared<Identifier> {
  new(_: never): {}
  readonly handler: Context.Key<Handler<Identifier>, Watch>
  toLayer<R>(
    see: (observation: Observation) => Effect.Effect<void, unknown, R>
  ): Layer.Layer<Handler<Identifier>, never, R>
}

interface Declared<Identifier extends string> extends Any {
  readonly identifier: Identifier
}

/** @category utility types @since 0.1.0 */
export interface Any {
  readonly [TypeId]: typeof TypeId
  readonly identifier: string
  /** How long it may take for its own work at one point, in milliseconds. */
  readonly timeoutMillis: number
  readonly onFailure: "open" | "closed"
  readonly suspends: boolean
}

const Proto = {
  [TypeId]: TypeId,
  toLayer<E, R>(this: Hook<string>, points: Points | Effect.Effect<Points, E, R>) {
    return Layer.effect(this.handler, Effect.isEffect(points) ? points : Effect.succeed(points))
  }
}

const declare = <A>(
  proto: object,
  identifier: string,
  options: Omit<Any, "identifier" | typeof TypeId> & { readonly capacity?: number }
): A => {
  function Hook() {}
  Object.setPrototypeOf(Hook, proto)
  const handler = Context.Service(`@fastagentic/core/Hook/${identifier}`)
  // cast: a declared value is a function object, so that a class can extend it.
  return Object.assign(Hook, { identifier, handler, ...options }) as unknown as A
}

/**
 * Declares a hook that may change or refuse what it stands around.
 *
 * **Details**
 *
 * `timeout` (10 seconds) is for its own work: while what it stands around runs, its time stands still. A hook that
 * breaks or takes longer is `"closed"` unless said otherwise: what it stands around is refused. An `"open"` one is left
 * out. `suspends` says that it may ask a human with `Hook.suspend`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const Identifier extends string>(identifier: Identifier, options: {
  readonly timeout?: Duration.Input
  readonly onFailure?: "open" | "closed"
  readonly suspends?: boolean
} = {}): Hook<Identifier> =>
  declare(Proto, identifier, {
    timeoutMillis: Duration.toMillis(options.timeout ?? Timings.hookMillis),
    onFailure: options.onFailure ?? "closed",
    suspends: options.suspends ?? false
  })

const dropped = Metric.counter("fastagentic_observations_dropped_total", {
  description: "What observers did not see because their queue was full",
  incremental: true
})

const ObserverProto = {
  [TypeId]: TypeId,
  toLayer<R>(
    this: Observer<string> & { readonly capacity: number },
    see: (observation: Observation) => Effect.Effect<void, unknown, R>
  ) {
    const { capacity, handler, identifier } = this
    return Layer.effect(
      handler,
      Effect.gen(function*() {
        const queue = yield* Queue.dropping<Observation>(capacity)
        const services = yield* Effect.context<never>()
        const lost = Metric.withAttributes(dropped, { observer: identifier })
        lost.updateUnsafe(0, services)
        yield* Effect.forkScoped(
          Effect.forever(Effect.flatMap(Queue.take(queue), (observation) =>
            Effect.suspend(() => see(observation)).pipe(
              Effect.catchCause((cause) => Effect.logError(`The observer "${identifier}" failed`, cause))
            )))
        )
        return {
          offer: (observation) => {
            if (!Queue.offerUnsafe(queue, observation)) lost.updateUnsafe(1, services)
          }
        }
      })
    )
  }
}

/**
 * Declares an observer: it sees every point as a hook at its place would, and can neither change, delay nor fail a run.
 *
 * Observations wait in a queue of `capacity` (1,024); those that do not fit are dropped and counted as
 * `fastagentic_observations_dropped_total`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const observer = <const Identifier extends string>(
  identifier: Identifier,
  options: { readonly capacity?: number } = {}
): Observer<Identifier> =>
  declare(ObserverProto, identifier, {
    timeoutMillis: 0,
    onFailure: "open",
    suspends: false,
    capacity: options.capacity ?? 1_024
  })

/**
 * Refuses what the hook stands around, or cuts off what leaves. The reason is shown to the caller.
 *
 * @category combinators
 * @since 0.1.0
 */
export const block = (hook: Any, point: Point, reason: string): Effect.Effect<never, HookBlocked> =>
  Effect.fail(new HookBlocked({ hook: hook.identifier, point, reason }))

/**
 * Pauses the run until a human has decided about this very call, over any restart. Gives the call to go on with, whose
 * arguments may have been edited; a call that was denied is refused. All hooks see an edited tool call again.
 *
 * @category combinators
 * @since 0.1.0
 */
export const suspend = Effect.fnUntraced(function*<Call extends ToolCall | RequestCall>(
  hook: Any,
  call: Call,
  options: { readonly message?: string; readonly expiresAt?: number } = {}
): Effect.fn.Return<Call, HookBlocked> {
  if (!hook.suspends) return yield* Effect.die(new Error(`declare the hook "${hook.identifier}" with suspends: true`))
  const run = Context.getUnsafe(yield* Effect.context<never>(), CurrentRun)
  const point = "toolCallId" in call ? "tool" : "request"
  const edits = yield* CurrentEdits
  const name = `${hook.identifier} ${"toolCallId" in call ? call.toolCallId : "request"}`
  if ("toolCallId" in call) {
    const edit = edits.get(hook.identifier)
    if (edit !== undefined && canonical(edit) === canonical(call.arguments)) return call
    // The call is made: the approval that permitted it was used up, and nobody is asked again.
    if (run.isRecorded(`tool ${call.toolCallId}`)) {
      const value = run.recall(name)?.resolution?.value
      return value === undefined ? call : { ...call, arguments: value }
    }
  }
  const asked = "toolCallId" in call
    ? { tool: call.name, toolCallId: call.toolCallId, arguments: call.arguments }
    : { arguments: call.payload }
  const message = options.message ?? `${hook.identifier} asks for approval`
  yield* run.emit({
    type: "hook_decision",
    data: { hook: hook.identifier, point, decision: "suspend", reason: message }
  })
  const { expiresAt } = options
  const resolution = yield* run.interrupt({
    ...asked,
    name,
    kind: "approval",
    message,
    ...(expiresAt === undefined ? {} : { expiresAt })
  })
  if (resolution.decision === "approve") return call
  if (resolution.decision !== "edit") return yield* block(hook, point, resolution.reason ?? "denied")
  const value = resolution.value ?? null
  edits.set(hook.identifier, value)
  return "toolCallId" in call ? { ...call, arguments: value } : { ...call, payload: value }
})

/** The hooks of a tool, as `Hook.on` writes them on it. @category annotations @since 0.1.0 */
export const ToolHooks = Context.Reference<ReadonlyArray<Any>>("@fastagentic/core/hook/Hook/ToolHooks", {
  defaultValue: () => []
})

interface ToolConfig {
  readonly parameters: Schema.Constraint
  readonly success: Schema.Constraint
  readonly failure: Schema.Constraint
  readonly failureMode: Tool.FailureMode
}

/**
 * Puts hooks around one tool, whoever calls it, inside of the app's and the agent's. Their `tool` point is used.
 *
 * @category combinators
 * @since 0.1.0
 */
export const on = <Name extends string, Config extends ToolConfig, R, const H extends ReadonlyArray<Any>>(
  tool: Tool.Tool<Name, Config, R>,
  ...hooks: H
): Tool.Tool<Name, Config, R | HandlersOf<H[number]>> =>
  tool
    .annotate(ToolHooks, [...Context.get(tool.annotations, ToolHooks), ...hooks])
    // A type only: the hooks' handlers are looked up when the tool is called.
    .addDependency(Context.Service<HandlersOf<H[number]>, unknown>("@fastagentic/core/hook/Hook/on"))

/** The services that hooks need. @category utility types @since 0.1.0 */
export type HandlersOf<H extends Any> = H extends Any ? Handler<H["identifier"]> : never
