/**
 * Middleware around the six points of a run: request, llm, tool, node, checkpoint and error.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer, Schema, type Stream } from "effect"
import type * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import type { Failure } from "./Event.ts"
import type { Principal } from "./Principal.ts"
import { HookBlocked } from "./RunError.ts"

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

/** What a tool call gave back. @category models @since 0.1.0 */
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

/** What a run could go on from, about to be committed: the result of a step, by its name. @category models @since 0.1.0 */
export interface CheckpointCall {
  readonly checkpointId: string
  readonly format: string
  readonly bytes: number
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
export interface Hook<Identifier extends string> {
  new(_: never): {}
  readonly [TypeId]: typeof TypeId
  readonly identifier: Identifier
  readonly handler: Context.Key<Handler<Identifier>, Points>
  toLayer<E = never, R = never>(
    points: Points | Effect.Effect<Points, E, R>
  ): Layer.Layer<Handler<Identifier>, E, R>
}

/** @category utility types @since 0.1.0 */
export interface Any {
  readonly [TypeId]: typeof TypeId
  readonly identifier: string
}

const Proto = {
  [TypeId]: TypeId,
  toLayer<E, R>(this: Hook<string>, points: Points | Effect.Effect<Points, E, R>) {
    return Layer.effect(this.handler, Effect.isEffect(points) ? points : Effect.succeed(points))
  }
}

/**
 * Declares a hook.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const Identifier extends string>(identifier: Identifier): Hook<Identifier> => {
  function Hook() {}
  Object.setPrototypeOf(Hook, Proto)
  const handler = Context.Service<Handler<Identifier>, Points>(`@fastagentic/core/Hook/${identifier}`)
  // makeProto: a declared value is a function object, so that a class can extend it.
  return Object.assign(Hook, { identifier, handler }) as unknown as Hook<Identifier>
}

/**
 * Refuses what the hook stands around. The reason is shown to the caller.
 *
 * @category combinators
 * @since 0.1.0
 */
export const block = (hook: Any, point: keyof Points, reason: string): Effect.Effect<never, HookBlocked> =>
  Effect.fail(new HookBlocked({ hook: hook.identifier, point, reason }))
