/**
 * An agent as a value: what it takes, what it gives, how it can fail, who may call it.
 *
 * @since 0.1.0
 */
import { Context, type Duration, Effect, Layer, Option, Schema, type Scope, Stream } from "effect"
import { SecureRandom } from "effect/crypto/SecureRandom"
import { recordedRandom } from "../base/internal/handlerRandom.ts"
import type * as Hook from "../hook/Hook.ts"
import type { ClientRefused } from "../run/ClientRequest.ts"
import type { Event } from "../run/Event.ts"
import type { ModelEnd } from "../run/ModelEnd.ts"
import { type NamedModel, NamedModels } from "../run/NamedModels.ts"
import { CurrentRun, type InterruptDenied, type Signals } from "../run/Run.ts"
import type { FileNotFound, SideEffectTimeout } from "../run/RunError.ts"
import type { Adapter } from "./AdapterCapabilities.ts"
import type { Presentation } from "./Presentation.ts"

const TypeId = "~@fastagentic/core/Agent"

/** A schema that needs no services to read or write. @category models @since 0.1.0 */
export type AnySchema = Schema.ConstraintCodec<unknown, unknown>

/** A payload has named fields. @category models @since 0.1.0 */
export interface PayloadSchema extends Schema.ConstraintCodec<unknown, unknown> {
  readonly fields: Schema.Struct.Fields
}

/** Payload fields, or a struct of them. @category utility types @since 0.1.0 */
export type StructOf<P> = P extends PayloadSchema ? P
  : P extends { readonly [key: string]: AnySchema } ? Schema.Struct<P> extends infer S extends PayloadSchema ? S : never
  : never

/**
 * The phantom service that an agent's layer provides.
 *
 * @category models
 * @since 0.1.0
 */
export interface Handler<Identifier extends string> {
  readonly _: unique symbol
  readonly agent: Identifier
}

/** How many runs of an agent may be running at once: in the whole cluster, and in one tenant. @category models @since 0.1.0 */
export interface Concurrency {
  readonly total?: number
  readonly perTenant?: number
}

/**
 * When a run starts in a thread that has a run which has not ended: they run side by side; the new one is refused, or waits
 * for its turn; or the old one is cancelled, and with `rollback` removed as if it had never been.
 *
 * @category models
 * @since 0.1.0
 */
export type Threads = "parallel" | "reject" | "enqueue" | "interrupt" | "rollback"

/**
 * How a run that an earlier definition has started goes on with this one: `from` is the version of that definition, or its
 * payload, and the steps that are named get other values.
 *
 * @category models
 * @since 0.1.0
 */
export interface Migration {
  readonly from: string | PayloadSchema
  readonly payload: (old: never) => unknown
  readonly steps: MigratedSteps
}

/** Stored values of steps, by the name of the step, and what becomes of them. @category models @since 0.1.0 */
export type MigratedSteps = Readonly<Record<string, (value: Schema.Json) => Schema.Json>>

/** The failures of every agent, declared or not: each ends the run with its own status and words. @category models @since 0.1.0 */
export type Undeclared = InterruptDenied | ClientRefused | SideEffectTimeout | FileNotFound | ModelEnd

/** A handler as the runtime calls it: with the decoded payload, inside a run. @category models @since 0.1.0 */
export interface Handle {
  readonly run: (payload: unknown) => Effect.Effect<unknown, unknown, CurrentRun | Scope.Scope>
  /** The services of the handler, which `run` gets where its caller does not have them. */
  readonly services: Context.Context<never>
  /** The adapter of the framework that does the work; absent when the handler itself does. */
  readonly adapter?: Adapter
  /** The models that its loops can name. */
  readonly models: { readonly [name: string]: NamedModel }
}

/**
 * A declared agent.
 *
 * @category models
 * @since 0.1.0
 */
export interface Agent<
  Identifier extends string,
  Payload extends PayloadSchema,
  Success extends AnySchema,
  Error extends AnySchema,
  Hooks extends Hook.Any = never,
  Messages extends Signals = {}
> {
  new(_: never): {}
  readonly [TypeId]: typeof TypeId
  readonly identifier: Identifier
  readonly description: string
  readonly payloadSchema: Payload
  readonly successSchema: Success
  readonly errorSchema: Error
  readonly durable: boolean
  readonly concurrency: Concurrency
  readonly threads: Threads
  readonly timeout: Duration.Input | undefined
  readonly model: string | undefined
  readonly signals: Messages
  readonly clientTools: boolean
  readonly mcpTool: boolean
  readonly presentation: Presentation
  readonly scopes: ReadonlyArray<string>
  readonly examples: ReadonlyArray<string>
  readonly version: string | undefined
  readonly migrations: ReadonlyArray<Migration>
  readonly hooks: ReadonlyArray<Hooks>
  readonly handler: Context.Key<Handler<Identifier>, Handle>

  /** Adds hooks inside of those already there: the first declared is the outermost. */
  hook<H extends ReadonlyArray<Hook.Any>>(
    ...hooks: H
  ): Agent<Identifier, Payload, Success, Error, Hooks | H[number], Messages>

  /**
   * Lets runs go on that an earlier definition has started: those of that version, or those whose payload was of that
   * shape. The first migration that fits a run is taken.
   */
  migrate<const Old extends { readonly [key: string]: AnySchema } | PayloadSchema>(migration: {
    readonly from: Old
    readonly payload: (old: StructOf<Old>["Type"]) => Payload["Type"]
    readonly steps?: MigratedSteps
  }): Agent<Identifier, Payload, Success, Error, Hooks, Messages>
  migrate(migration: {
    readonly from: string
    readonly payload: (old: Schema.Json) => Payload["Type"]
    readonly steps?: MigratedSteps
  }): Agent<Identifier, Payload, Success, Error, Hooks, Messages>

  /**
   * Implements the agent: an Effect of its answer or, when the answer is a string, a Stream of events whose tokens are
   * the answer. It may fail with the declared error, and with those that every agent may have. An adapter adds what it
   * can do: the server does not start when the app asks for more.
   */
  toLayer<R>(
    handler: (
      payload: Payload["Type"]
    ) => Effect.Effect<Success["Type"], Error["Type"] | Undeclared, R>,
    adapter?: Adapter
  ): Layer.Layer<Handler<Identifier>, never, Exclude<R, CurrentRun | Scope.Scope>>
  toLayer<R>(
    handler: string extends Success["Type"]
      ? (payload: Payload["Type"]) => Stream.Stream<Event, Error["Type"] | Undeclared, R>
      : never,
    adapter?: Adapter
  ): Layer.Layer<Handler<Identifier>, never, Exclude<R, CurrentRun | Scope.Scope>>
}

/** @category utility types @since 0.1.0 */
export interface Any {
  readonly [TypeId]: typeof TypeId
  readonly identifier: string
  readonly description: string
  readonly payloadSchema: PayloadSchema
  readonly successSchema: AnySchema
  readonly errorSchema: AnySchema
  readonly durable: boolean
  readonly concurrency: Concurrency
  readonly threads: Threads
  readonly timeout: Duration.Input | undefined
  readonly model: string | undefined
  readonly signals: Signals
  readonly clientTools: boolean
  readonly mcpTool: boolean
  readonly presentation: Presentation
  readonly scopes: ReadonlyArray<string>
  readonly examples: ReadonlyArray<string>
  readonly version: string | undefined
  readonly migrations: ReadonlyArray<Migration>
  readonly hooks: ReadonlyArray<Hook.Any>
}

/** The services that an agent needs to be served. @category utility types @since 0.1.0 */
export type Handlers<A> = A extends Agent<infer I, infer _P, infer _S, infer _E, infer H, infer _M>
  ? Handler<I> | (H extends Hook.Any ? Hook.HandlersOf<H> : never)
  : never

type Options = Omit<
  Agent<string, PayloadSchema, AnySchema, AnySchema, Hook.Any, Signals>,
  "hook" | "migrate" | "toLayer" | typeof TypeId
>

const Proto = {
  [TypeId]: TypeId,
  hook(this: Options, ...hooks: ReadonlyArray<Hook.Any>) {
    return makeProto({ ...optionsOf(this), hooks: [...this.hooks, ...hooks] })
  },
  migrate(this: Options, migration: {
    readonly from: string | { readonly [key: string]: AnySchema } | PayloadSchema
    readonly payload: (old: never) => unknown
    readonly steps?: MigratedSteps
  }) {
    const { from, payload, steps = {} } = migration
    const added: Migration = { from: typeof from === "string" ? from : structOf(from), payload, steps }
    return makeProto({ ...optionsOf(this), migrations: [...this.migrations, added] })
  },
  toLayer(
    this: Options,
    handler: (
      payload: unknown
    ) => Effect.Effect<unknown, unknown, CurrentRun> | Stream.Stream<Event, unknown, CurrentRun>,
    adapter?: Adapter
  ) {
    return Layer.effect(
      this.handler,
      Effect.contextWith((services: Context.Context<never>) => {
        const random = Option.map(Context.getOption(services, SecureRandom), recordedRandom)
        return Effect.succeed({
          ...(adapter === undefined ? {} : { adapter }),
          models: Context.get(services, NamedModels),
          services,
          run: (payload: unknown) => {
            const answer = handler(payload)
            const given = Stream.isStream(answer) ? answerOf(answer) : answer
            return Option.isNone(random) ? given : Effect.provideService(given, SecureRandom, random.value)
          }
        })
      })
    )
  }
}

const answerOf = Effect.fnUntraced(function*<E, R>(events: Stream.Stream<Event, E, R>) {
  const run = yield* CurrentRun
  let answer = ""
  yield* Stream.runForEach(events, (event) => {
    if (event.type === "token") answer += event.data.delta
    return run.emit(event)
  })
  return answer
})

/** A payload may be given as a struct or as its fields. @category constructors @since 0.1.0 */
export const structOf = <P extends { readonly [key: string]: AnySchema } | PayloadSchema>(payload: P): StructOf<P> =>
  // cast: the two branches are the two cases of `StructOf`.
  (Schema.isSchema(payload) ? payload : Schema.Struct(payload as Schema.Struct.Fields)) as StructOf<P>

const optionsOf = (agent: Options): Options => ({
  identifier: agent.identifier,
  description: agent.description,
  payloadSchema: agent.payloadSchema,
  successSchema: agent.successSchema,
  errorSchema: agent.errorSchema,
  durable: agent.durable,
  concurrency: agent.concurrency,
  threads: agent.threads,
  timeout: agent.timeout,
  model: agent.model,
  signals: agent.signals,
  clientTools: agent.clientTools,
  mcpTool: agent.mcpTool,
  presentation: agent.presentation,
  scopes: agent.scopes,
  examples: agent.examples,
  version: agent.version,
  migrations: agent.migrations,
  hooks: agent.hooks,
  handler: agent.handler
})

const makeProto = <A>(options: Options): A => {
  function Agent() {}
  Object.setPrototypeOf(Agent, Proto)
  // cast: a declared value is a function object, so that a class can extend it.
  return Object.assign(Agent, options) as unknown as A
}

/**
 * Declares an agent.
 *
 * `success` is a string unless said otherwise. A durable agent (the default) survives restarts; one that is not keeps
 * its runs in memory. Starts beyond `concurrency` wait in line, those of the same priority in order of arrival. `threads`
 * says what becomes of a message to a thread that is not through with the one before. Runs of another `version` do not go
 * on with this one unless a migration says how: change it when the handler no longer does the same steps. `timeout` is how
 * long a run may take. `model` is the model that its loops ask, by its name in the app. `signals` are the messages that a run takes while it works (`Run.receive`). With `clientTools` it may
 * call tools that the page of its client offers (`ClientTools`). `mcpTool: false` hides it
 * from MCP's tool list. `examples` show callers what to ask.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <
  const Identifier extends string,
  const Payload extends { readonly [key: string]: AnySchema } | PayloadSchema,
  Success extends AnySchema = typeof Schema.String,
  Error extends AnySchema = typeof Schema.Never,
  const Messages extends Signals = {}
>(identifier: Identifier, options: {
  readonly description: string
  readonly payload: Payload
  readonly success?: Success
  readonly error?: Error
  readonly durable?: boolean
  readonly concurrency?: Concurrency
  readonly threads?: Threads
  readonly timeout?: Duration.Input
  readonly model?: string
  readonly signals?: Messages
  readonly clientTools?: boolean
  readonly mcpTool?: boolean
  readonly presentation?: Presentation
  readonly scopes?: ReadonlyArray<string>
  readonly examples?: ReadonlyArray<string>
  readonly version?: string
}): Agent<
  Identifier,
  StructOf<Payload>,
  Success,
  Error,
  never,
  Messages
> =>
  makeProto({
    identifier,
    description: options.description,
    payloadSchema: structOf(options.payload),
    successSchema: options.success ?? Schema.String,
    errorSchema: options.error ?? Schema.Never,
    durable: options.durable ?? true,
    concurrency: options.concurrency ?? {},
    threads: options.threads ?? "parallel",
    timeout: options.timeout,
    model: options.model,
    signals: options.signals ?? {},
    clientTools: options.clientTools ?? false,
    mcpTool: options.mcpTool ?? true,
    presentation: options.presentation ?? {},
    scopes: options.scopes ?? [],
    examples: options.examples ?? [],
    version: options.version,
    migrations: [],
    hooks: [],
    handler: Context.Service<Handler<Identifier>, Handle>(`@fastagentic/core/Agent/${identifier}`)
  })
