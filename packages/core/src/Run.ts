/**
 * What a handler can do inside its run: emit, journal a step, pause for a decision.
 *
 * @since 0.1.0
 */
import { Context, Effect, Schema } from "effect"
import type { Grant, ModelRequest, Refusal } from "./Budget.ts"
import type { Data, Event } from "./Event.ts"
import type { Points } from "./Hook.ts"
import type * as Interrupt from "./Interrupt.ts"
import * as JsonSchema from "./JsonSchema.ts"
import type { Principal } from "./Principal.ts"
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
  readonly interrupt: (request: Interrupt.Request) => Effect.Effect<Interrupt.Resolution>
  /** Asks for a call of a language model: no adapter calls one without. */
  readonly spend: (request: ModelRequest) => Effect.Effect<Grant, Refusal>
  readonly hooks: Required<Omit<Points, "request" | "error" | "output">>
  /** Journals what a hook has decided. */
  readonly decided: (decision: Data<"hook_decision">) => Effect.Effect<void>
}>()("@fastagentic/core/Run/CurrentRun") {}

/** The answer to an interrupt was no. @category errors @since 0.1.0 */
export class InterruptDenied extends Schema.TaggedError<InterruptDenied>()("InterruptDenied", {
  name: Schema.String,
  reason: Schema.optionalKey(Schema.String)
}, { httpApiStatus: 403 }) {}

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
 * Runs an effect once per run: its result is journaled, and a resumed run gets the stored result.
 *
 * The result has to be JSON; `stepWith` stores any schema. Names are matched in order of use, so a loop may use one
 * name many times. A failure is not stored.
 *
 * @category combinators
 * @since 0.1.0
 */
export const step = <A extends Schema.Json, E, R>(
  name: string,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R | CurrentRun> =>
  // makeProto: what comes out of the journal is what went in, and that was an `A`.
  CurrentRun.use((run) => run.step(name, effect)) as Effect.Effect<A, E, R | CurrentRun>

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
  const stored = yield* run.step(
    name,
    Effect.flatMap(effect, (value) => Effect.orDie(Schema.encodeEffect(codec)(value)))
  )
  return yield* Effect.orDie(Schema.decodeUnknownEffect(codec)(stored))
})

/**
 * Pauses the run until somebody answers, over any restart, and returns the answer's value.
 *
 * `schema` says what the value has to be; another value is refused at the wire and the run goes on waiting.
 *
 * @category combinators
 * @since 0.1.0
 */
export const interrupt = Effect.fnUntraced(function*<S extends Schema.ConstraintCodec<unknown, unknown>>(
  name: string,
  options: { readonly schema: S; readonly message?: string; readonly arguments?: Schema.Json }
): Effect.fn.Return<S["Type"], InterruptDenied, CurrentRun> {
  const run = yield* CurrentRun
  const codec = Schema.toCodecJson(options.schema)
  const resolution = yield* run.interrupt({
    name,
    kind: "input",
    responseSchema: JsonSchema.fromSchema(options.schema, "input"),
    ...(options.message === undefined ? {} : { message: options.message }),
    ...(options.arguments === undefined ? {} : { arguments: options.arguments })
  })
  if (resolution.decision === "deny" || resolution.decision === "expire") {
    return yield* new InterruptDenied({
      name,
      ...(resolution.reason === undefined ? {} : { reason: resolution.reason })
    })
  }
  return yield* Effect.orDie(Schema.decodeUnknownEffect(codec)(resolution.value ?? null))
})
