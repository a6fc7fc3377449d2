/**
 * The operations of a handler inside its run: emit, journal a step, pause for a decision.
 *
 * @since 0.1.0
 */
import { type Cause, Context, Duration, Effect, Option, type Schedule, Schema } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import type { AnySchema, PayloadSchema } from "../app/Agent.ts"
// A page does not ask: `interrupt` is marked as pure, so that bundlers leave it and the writer of JSON Schemas out.
import * as JsonSchema from "../base/JsonSchema.ts"
import { type ApprovalOptions, asked } from "../base/Policy.ts"
import * as Timings from "../base/Timings.ts"
import type { Budget, Grant, ModelRequest, Refusal } from "../budget/Budget.ts"
import type { RunTools } from "../door/internal/toolDoor.ts"
import type { Points } from "../hook/Hook.ts"
import type { Outcome } from "../runtime/internal/delegation.ts"
import type { RunFiles } from "../runtime/internal/runFiles.ts"
import type { RunThread } from "../thread/Thread.ts"
import type { Data, Event } from "./Event.ts"
import { Failure } from "./Event.ts"
import { newsSignal } from "./internal/newsSignal.ts"
import { isChanged, orMisfit } from "./internal/recordMisfit.ts"
import type * as Interrupt from "./Interrupt.ts"
import type { Principal } from "./Principal.ts"
import type { RunError, SideEffectTimeout } from "./RunError.ts"
import type { RunRecord } from "./RunRecord.ts"

/**
 * The run that a handler is in. Failures of the store end the run and never reach the handler's error channel.
 *
 * @category services
 * @since 0.1.0
 */
export class CurrentRun extends Context.Service<CurrentRun, {
  readonly record: RunRecord
  readonly principal: Principal
  readonly emit: (event: Event) => Effect.Effect<void>
  readonly step: <E, R>(
    name: string,
    run: Effect.Effect<Schema.Json, E, R>,
    after?: (value: Schema.Json) => ReadonlyArray<Event>
  ) => Effect.Effect<Schema.Json, E, R>
  readonly sideEffect: <E, R>(
    name: string,
    run: Effect.Effect<Schema.Json, E, R | SqlClient>,
    timeoutMillis?: number
  ) => Effect.Effect<Schema.Json, E | SideEffectTimeout, Exclude<R, SqlClient>>
  readonly sleep: (name: string, millis: number) => Effect.Effect<void>
  readonly interrupt: (request: Interrupt.Request) => Effect.Effect<Interrupt.Resolution>
  /** Whether the next step of this name has an outcome already: what led to it is not decided again. */
  readonly isRecorded: (name: string) => boolean
  /** The decision that was taken under the next use of this name, which counts as used then. Nothing is asked. */
  readonly recall: (name: string) => Interrupt.Interrupt | undefined
  /** The next message of a signal; without waiting none when there is none. */
  readonly receive: (signal: string, waits: boolean) => Effect.Effect<Option.Option<unknown>>
  /**
   * Runs an effect in a place of its own: names in it are counted apart. An adapter chooses the name itself (`implied`):
   * the first of such places is the one that it is in, and several that begin at the same moment are no conflict.
   */
  readonly scope: <A, E, R>(name: string, effect: Effect.Effect<A, E, R>, implied?: boolean) => Effect.Effect<A, E, R>
  /** Supersedes all that was said in this place so far: an answer that broke off is requested again. */
  readonly retract: Effect.Effect<void>
  /** Ends this attempt, as if its node went away: a durable run resumes from its last commit, and keeps what it asks. */
  readonly leave: Effect.Effect<never>
  /** Waits for other work of the run itself, which may rest meanwhile. */
  readonly idle: <A>(wait: Effect.Effect<A>) => Effect.Effect<A>
  /** Waits for code of the run that nothing here sees, such as that of another process: the run does not rest meanwhile. */
  readonly busy: <A>(work: Effect.Effect<A>) => Effect.Effect<A>
  /** Whether the names of branches are kept apart: a run of an earlier version replays as it was recorded. */
  readonly places: boolean
  /** Registers an undo of this run, which is code of its handler and found again by a replay. */
  readonly compensate: <E, R>(name: string, undo: Effect.Effect<unknown, E, R>) => Effect.Effect<void, never, R>
  readonly delegate: (agent: string, payload: Schema.Json) => Effect.Effect<Outcome, RunError>
  readonly idempotencyKey: string
  /** The stored files that the owner of the run may read. */
  readonly files: RunFiles
  /** The message that the payload was read from, as its protocol delivered it; nothing where there was none. */
  readonly message: Effect.Effect<Schema.Json | undefined>
  /** The same of the run that the tree of this run began with, which is this run itself when nothing has delegated to it. */
  readonly rootMessage: Effect.Effect<Schema.Json | undefined>
  /** The conversation that the run belongs to. */
  readonly thread: RunThread
  /** Asks for a call of a language model: no adapter calls one without. */
  readonly spend: (request: ModelRequest) => Effect.Effect<Grant, Refusal>
  /** The model that the agent declares, by its name in the app. */
  readonly model: string | undefined
  /** Whether the agent takes tools of its client, which are in the message. */
  readonly clientTools: boolean
  /** The most tokens that a model reads, where that is known. */
  readonly contextWindow: Budget["Service"]["contextWindow"]
  readonly hooks: Required<Omit<Points, "request" | "error" | "output">>
  /** The door for calls of tools: `ToolCall` and the adapters pass it before each. */
  readonly tools: RunTools
  /** Journals what a hook has decided. */
  readonly decided: (decision: Data<"hook_decision">) => Effect.Effect<void>
}>()("@fastagentic/core/run/Run/CurrentRun") {}

/**
 * The answer to an interrupt was no, or none came in time. Every agent may fail with it without declaring it.
 *
 * @category errors
 * @since 0.1.0
 */
export class InterruptDenied extends Schema.TaggedError<InterruptDenied>()("InterruptDenied", {
  name: Schema.String,
  reason: Schema.optionalKey(Schema.String)
}, { httpApiStatus: 403 }) {
  override get message() {
    return this.reason === undefined
      ? `The request "${this.name}" was denied.`
      : `The request "${this.name}" was denied: ${this.reason}`
  }
}

/**
 * Adds an event to the run's journal.
 *
 * **Gotchas**
 *
 * A resumed handler runs again from its top: events it has already emitted outside of steps are not emitted again, so
 * a handler must emit the same events in the same order up to its last step.
 *
 * @category combinators
 * @since 0.1.0
 */
export const emit = (event: Event): Effect.Effect<void, never, CurrentRun> => CurrentRun.use((run) => run.emit(event))

/**
 * The message that the run's payload was read from, as its protocol delivered it, with its metadata and references; nothing
 * when the run was started with a payload alone.
 *
 * **Gotchas**
 *
 * Hooks that change the input change the payload and not this message.
 *
 * @category accessors
 * @since 0.1.0
 */
export const message: Effect.Effect<Schema.Json | undefined, never, CurrentRun> = CurrentRun.use((run) => run.message)

/**
 * The message of the run that the tree of this run began with, where it came by one: a handler that something delegated to
 * reads with it how the work arrived.
 *
 * @category accessors
 * @since 0.1.0
 */
export const rootMessage: Effect.Effect<Schema.Json | undefined, never, CurrentRun> = CurrentRun.use((run) =>
  run.rootMessage
)

/**
 * How a step is tried: again by a schedule when it fails, each time for so long at most.
 *
 * @category options
 * @since 0.1.0
 */
export interface StepOptions<E> {
  readonly retry?: Schedule.Schedule<unknown, E | Cause.TimeoutError>
  readonly timeout?: Duration.Input
}

/**
 * Runs an effect once per run: its result is journaled, and a resumed run gets the stored result.
 *
 * The result has to be JSON; `stepWith` stores any schema. Names are matched in order of use, so a loop may use one
 * name many times. A failure is not stored.
 *
 * @category combinators
 * @since 0.1.0
 */
export const step: {
  <A extends Schema.Json, E, R>(
    name: string,
    effect: Effect.Effect<A, E, R>,
    options?: StepOptions<E> & { readonly timeout?: never }
  ): Effect.Effect<A, E, R | CurrentRun>
  <A extends Schema.Json, E, R>(
    name: string,
    effect: Effect.Effect<A, E, R>,
    options: StepOptions<E>
  ): Effect.Effect<A, E | Cause.TimeoutError, R | CurrentRun>
} = <A extends Schema.Json, E, R>(
  name: string,
  effect: Effect.Effect<A, E, R>,
  options: StepOptions<E> = {}
): Effect.Effect<A, E, R | CurrentRun> =>
  // cast: what comes out of the journal is what went in, and that was an `A`; only a timeout adds an error.
  CurrentRun.use((run) => run.step(name, tried(effect, options))) as Effect.Effect<A, E, R | CurrentRun>

const tried = <A, E, R>(effect: Effect.Effect<A, E, R>, { retry, timeout }: StepOptions<E>) => {
  const timed: Effect.Effect<A, E | Cause.TimeoutError, R> = timeout === undefined
    ? effect
    : Effect.timeout(effect, timeout)
  return retry === undefined ? timed : Effect.retry(timed, retry)
}

/**
 * A key that is the same however often this step is tried, on whatever node, and like no other: for a call downstream that
 * must not act twice. Outside of a step it is the run's.
 *
 * @category accessors
 * @since 0.1.0
 */
export const idempotencyKey: Effect.Effect<string, never, CurrentRun> = CurrentRun.useSync((run) => run.idempotencyKey)

/**
 * Steps that run side by side, at most `concurrency` at once (by default all of them), each under the name that
 * it has in the record.
 *
 * The first that fails stops the others; what was committed by then does not run again.
 *
 * @category combinators
 * @since 0.1.0
 */
export const all = <const Steps extends { readonly [name: string]: Effect.Effect<Schema.Json, unknown, unknown> }>(
  steps: Steps,
  options: { readonly concurrency?: number } = {}
): Effect.Effect<
  { readonly [Name in keyof Steps]: Effect.Success<Steps[Name]> },
  Effect.Error<Steps[keyof Steps]>,
  Effect.Services<Steps[keyof Steps]> | CurrentRun
> =>
  CurrentRun.use((run) =>
    Effect.map(
      Effect.forEach(
        Object.entries(steps),
        // No two have the same name, so it does not matter which comes first.
        ([name, effect]) => Effect.map(run.step(name, effect), (value) => [name, value] as const),
        { concurrency: options.concurrency ?? "unbounded" }
      ),
      Object.fromEntries
    )
    // cast: the entries are those of the record.
  ) as never

/**
 * Runs an effect in a place of its own, so that branches that run side by side may use the same names in it:
 * `Effect.forEach(orders, (order) => Run.scope(order.id)(check(order)), { concurrency: 4 })`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const scope = (name: string) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | CurrentRun> =>
  CurrentRun.use((run) => run.scope(name, effect))

/**
 * A step that is done exactly once: what it writes with the `SqlClient` that it gets, and the record that it is done, are
 * one transaction in the store's own database.
 *
 * **Gotchas**
 *
 * It is for a few statements, and nothing else to wait for: on SQLite every other write of this process waits meanwhile.
 * After `timeout`, one second by default, it is rolled back and fails with `SideEffectTimeout`. It needs a durable run and a
 * store that is a SQL database; elsewhere the run fails.
 *
 * @category combinators
 * @since 0.1.0
 */
export const sideEffect = <A extends Schema.Json, E, R>(
  name: string,
  effect: Effect.Effect<A, E, R | SqlClient>,
  options: { readonly timeout?: Duration.Input } = {}
): Effect.Effect<A, E | SideEffectTimeout, Exclude<R, SqlClient> | CurrentRun> =>
  CurrentRun.use((run) =>
    run.sideEffect(
      name,
      effect,
      Duration.toMillis(Duration.fromInputUnsafe(options.timeout ?? Timings.sideEffectMillis))
    )
    // cast: what comes out of the journal is what went in, and that was an `A`.
  ) as Effect.Effect<A, E | SideEffectTimeout, Exclude<R, SqlClient> | CurrentRun>

/**
 * Pauses the run for a time, over any restart. A run that sleeps is nobody's: it costs a row in the store.
 *
 * @category combinators
 * @since 0.1.0
 */
export const sleep = (duration: Duration.Input, name = "pause"): Effect.Effect<void, never, CurrentRun> =>
  CurrentRun.use((run) => run.sleep(name, Duration.toMillis(Duration.fromInputUnsafe(duration))))

/**
 * Registers an undo, which is committed when this returns. When the run fails or is cancelled, also by its deadline or with
 * the run that started it, its undos run, each once and the last registered first, and then the run ends; a pause, a drain
 * or a restart runs none. A run that completes needs none.
 *
 * Register an undo before the step that it undoes: a step that was cut off is then undone too. `Run.idempotencyKey` inside
 * of an undo is the same for every try. An undo that fails is tried five times; then the others run, and its failure stays
 * in the journal.
 *
 * **Gotchas**
 *
 * An undo runs at least once and is stored once. It gets what the handler has in scope, from a replay of what is recorded,
 * so it may use values of steps and can use nothing else of the run. It needs a durable run, and a place outside of steps.
 *
 * @category combinators
 * @since 0.1.0
 */
export const compensate = <E, R>(
  name: string,
  undo: Effect.Effect<unknown, E, R>
): Effect.Effect<void, never, R | CurrentRun> => CurrentRun.use((run) => run.compensate(name, undo))

/** A delegated run did not complete. @category errors @since 0.1.0 */
export class DelegationFailed extends Schema.TaggedError<DelegationFailed>()("DelegationFailed", {
  agent: Schema.String,
  runId: Schema.String,
  state: Schema.Literals(["failed", "cancelled", "rejected"]),
  failure: Schema.optionalKey(Failure)
}, { httpApiStatus: 502 }) {
  override get message() {
    const why = this.failure === undefined ? "" : `: ${this.failure.message}`
    return `The run "${this.runId}" of the agent "${this.agent}" is ${this.state}${why}`
  }
}

const decodeDenial = Schema.decodeUnknownOption(Schema.toCodecJson(InterruptDenied))

/**
 * Starts a run of another agent of the app and gives its answer. It is a run like any other, with this run's owner and
 * rights, and passes the same door. When it pauses this run pauses, and when this run ends it is cancelled.
 *
 * @category combinators
 * @since 0.1.0
 */
export const delegate = Effect.fnUntraced(function*<
  Payload extends PayloadSchema,
  Success extends AnySchema,
  Error extends AnySchema
>(
  agent: {
    readonly identifier: string
    readonly payloadSchema: Payload
    readonly successSchema: Success
    readonly errorSchema: Error
  },
  payload: Payload["Type"]
): Effect.fn.Return<Success["Type"], Error["Type"] | InterruptDenied | DelegationFailed | RunError, CurrentRun> {
  const run = yield* CurrentRun
  const encoded = yield* Effect.orDie(Schema.encodeEffect(Schema.toCodecJson(agent.payloadSchema))(payload))
  const { error, output, runId, state } = yield* run.delegate(agent.identifier, encoded)
  if (state === "completed") {
    return yield* orMisfit(`answer of the run ${runId}`)(
      Schema.decodeUnknownEffect(Schema.toCodecJson(agent.successSchema))(output ?? null)
    )
  }
  if (error?.declared === true) {
    const declared = yield* orMisfit(`failure of the run ${runId}`)(
      Schema.decodeUnknownEffect(Schema.toCodecJson(agent.errorSchema))(error.value ?? null)
    )
    return yield* Effect.fail(declared)
  }
  const denial = decodeDenial(error?.value)
  if (Option.isSome(denial)) return yield* denial.value
  return yield* new DelegationFailed({
    agent: agent.identifier,
    runId,
    state,
    ...(error === undefined ? {} : { failure: error })
  })
})

/**
 * A `step` whose result is stored through a schema.
 *
 * @category combinators
 * @since 0.1.0
 */
export const stepWith = Effect.fnUntraced(function*<S extends Schema.ConstraintCodec<unknown, unknown>, E, R>(
  name: string,
  schema: S,
  effect: Effect.Effect<S["Type"], E, R>
) {
  const run = yield* CurrentRun
  const codec = Schema.toCodecJson(schema)
  const isRecorded = run.isRecorded(name)
  const stored = yield* run.step(
    name,
    Effect.flatMap(effect, (value) => Effect.orDie(Schema.encodeEffect(codec)(value)))
  )
  const decoded = Schema.decodeUnknownEffect(codec)(stored)
  return yield* isRecorded ? orMisfit(`step "${name}"`)(decoded) : Effect.orDie(decoded)
})

/**
 * Pauses the run until somebody answers, over any restart, and returns the answer's value.
 *
 * `schema` says what the value has to be; another value is refused at the wire and the run goes on waiting. After
 * `expiresIn` without an answer the run goes on with `default`, or fails as if denied when there is none. With `scopes` or
 * `notRequester` it is not up to the run's owner who may answer.
 *
 * @category combinators
 * @since 0.1.0
 */
export const interrupt = /* @__PURE__ */ Effect.fnUntraced(
  function*<S extends Schema.ConstraintCodec<unknown, unknown>>(
    name: string,
    options: {
      readonly schema: S
      readonly message?: string
      readonly arguments?: Schema.Json
      readonly default?: S["Type"]
    } & ApprovalOptions
  ): Effect.fn.Return<S["Type"], InterruptDenied, CurrentRun> {
    const run = yield* CurrentRun
    const codec = Schema.toCodecJson(options.schema)
    const resolution = yield* run.interrupt({
      name,
      kind: "input",
      responseSchema: JsonSchema.fromSchema(options.schema, "input"),
      ...(options.message === undefined ? {} : { message: options.message }),
      ...(options.arguments === undefined ? {} : { arguments: options.arguments }),
      ...(yield* asked(options)),
      ...(options.default === undefined
        ? {}
        : { default: yield* Effect.orDie(Schema.encodeEffect(codec)(options.default)) })
    })
    const { decision, reason = decision === "expire" ? "expired" : undefined, value } = resolution
    if (decision === "deny" || (decision === "expire" && value === undefined)) {
      return yield* new InterruptDenied({ name, ...(reason === undefined ? {} : { reason }) })
    }
    const decoded = Schema.decodeUnknownEffect(codec)(value ?? null)
    return yield* isChanged(resolution) ? orMisfit(`answer to "${name}"`)(decoded) : Effect.orDie(decoded)
  }
)

/** The messages that an agent declares. @category models @since 0.1.0 */
export interface Signals {
  readonly [name: string]: AnySchema
}

interface Receives<S extends Signals> {
  readonly signals: S
}

/**
 * Waits for the next message of a signal that the agent declares, over any restart, and gives it. Messages come in the order
 * in which they were sent, each to one receive; a message that comes before its receive is kept until then.
 *
 * **Example** (Steering an agent while it works)
 *
 * ```ts
 * class Writer extends Agent.make("writer", {
 *   description: "Writes",
 *   payload: {},
 *   signals: { steer: Schema.String }
 * }) {}
 *
 * const wish = Run.receive(Writer, "steer")
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const receive: {
  <S extends Signals, Name extends keyof S & string>(
    agent: Receives<S>,
    name: Name
  ): Effect.Effect<S[Name]["Type"], never, CurrentRun>
  (name: string): Effect.Effect<unknown, never, CurrentRun>
} = (...args: readonly [Receives<Signals>, string] | readonly [string]) =>
  Effect.flatMap(
    taken(args, true),
    (message) => Option.isNone(message) ? Effect.never : Effect.succeed(message.value)
  )

/**
 * Gives the next message of a signal if one has come, without waiting. A replay gives the same answer.
 *
 * @category combinators
 * @since 0.1.0
 */
export const poll: {
  <S extends Signals, Name extends keyof S & string>(
    agent: Receives<S>,
    name: Name
  ): Effect.Effect<Option.Option<S[Name]["Type"]>, never, CurrentRun>
  (name: string): Effect.Effect<Option.Option<unknown>, never, CurrentRun>
} = (...args: readonly [Receives<Signals>, string] | readonly [string]) => taken(args, false)

/**
 * Waits until the protocol that has given work to another server hears of it there. The work is read then: nothing else is said.
 *
 * @category combinators
 * @since 0.1.0
 */
export const news: Effect.Effect<void, never, CurrentRun> = CurrentRun.use((run) =>
  Effect.flatMap(run.receive(newsSignal, true), (message) => Option.isNone(message) ? Effect.never : Effect.void)
)

const taken = (
  args: readonly [Receives<Signals>, string] | readonly [string],
  waits: boolean
): Effect.Effect<Option.Option<unknown>, never, CurrentRun> =>
  CurrentRun.use((run) => run.receive(args.length === 1 ? args[0] : args[1], waits))
