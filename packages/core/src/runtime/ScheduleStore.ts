/**
 * The port to what all nodes know about schedules: how far each has come, and those that callers have made at run time.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer, Schema } from "effect"
import { Principal } from "../run/Principal.ts"
import type { StoreUnavailable } from "../run/RunError.ts"
import type { Fact } from "../store/RunStore.ts"

/** A schedule that a caller made; its runs act for `principal`, with these rights. @category schemas @since 0.1.0 */
export const Definition = Schema.Struct({
  id: Schema.String,
  agent: Schema.String,
  cron: Schema.String,
  timeZone: Schema.String,
  payload: Schema.Json,
  missed: Schema.Literals(["skip", "once", "all"]),
  overlap: Schema.Literals(["skip", "queue", "allow"]),
  principal: Schema.Struct(Principal.fields),
  createdAt: Schema.Int,
  updatedAt: Schema.Int
})

/** @category models @since 0.1.0 */
export type Definition = typeof Definition.Type

/**
 * How far a schedule has come: every tick up to `upto` is decided, of those the ones in `waiting` have still to start their
 * run, and `fired` is the last tick that started one, `runId`. Times are Unix milliseconds.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Mark = Schema.Struct({
  /** The app that the schedule belongs to. */
  app: Schema.String,
  key: Schema.String,
  version: Schema.Int,
  upto: Schema.Int,
  fired: Schema.optionalKey(Schema.Int),
  runId: Schema.optionalKey(Schema.String),
  waiting: Schema.Array(Schema.Int),
  paused: Schema.Boolean,
  /** Only of a schedule that the app does not declare. */
  definition: Schema.optionalKey(Definition)
})

/** @category models @since 0.1.0 */
export type Mark = typeof Mark.Type

/** @category services @since 0.1.0 */
export class ScheduleStore extends Context.Service<ScheduleStore, {
  readonly get: (key: string) => Effect.Effect<Mark | undefined, StoreUnavailable>
  /** The marks of an app, in order of their keys. */
  readonly list: (app: string) => Effect.Effect<ReadonlyArray<Mark>, StoreUnavailable>
  /** Keeps a mark if the one that is kept has the version `after`, which is 0 when none is kept. */
  readonly set: (mark: Mark, after: number, facts?: ReadonlyArray<Fact>) => Effect.Effect<boolean, StoreUnavailable>
  /** Removes a mark if it has this version. */
  readonly remove: (
    key: string,
    version: number,
    facts?: ReadonlyArray<Fact>
  ) => Effect.Effect<boolean, StoreUnavailable>
  /** The identity of the run store in whose outbox facts are kept with their change; no store gets facts without it. */
  readonly outbox?: Effect.Effect<string, StoreUnavailable>
}>()("@fastagentic/core/runtime/ScheduleStore") {
  static readonly layerMemory: Layer.Layer<ScheduleStore> = Layer.sync(ScheduleStore, () => makeMemory())
}

/** Marks of this process alone. @category constructors @since 0.1.0 */
export const makeMemory = (): ScheduleStore["Service"] => {
  const marks = new Map<string, Mark>()
  const isAt = (key: string, version: number) => (marks.get(key)?.version ?? 0) === version
  return {
    get: (key) => Effect.sync(() => marks.get(key)),
    list: (app) =>
      Effect.sync(() => [...marks.values()].filter((mark) => mark.app === app).sort((a, b) => a.key < b.key ? -1 : 1)),
    set: (mark, after) =>
      Effect.sync(() => {
        if (!isAt(mark.key, after)) return false
        marks.set(mark.key, mark)
        return true
      }),
    remove: (key, version) => Effect.sync(() => isAt(key, version) && marks.delete(key))
  }
}
