/**
 * The port to what all nodes know about schedules: how far each has come.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer } from "effect"
import type { StoreUnavailable } from "../run/RunError.ts"

/**
 * How far a schedule has come: every tick up to `upto` is dealt with, `fired` is the last of them that started a run.
 * Times are Unix milliseconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Mark {
  readonly key: string
  readonly version: number
  readonly upto: number
  readonly fired?: number
  readonly paused: boolean
}

/** @category services @since 0.1.0 */
export class ScheduleStore extends Context.Service<ScheduleStore, {
  readonly get: (key: string) => Effect.Effect<Mark | undefined, StoreUnavailable>
  /** Keeps a mark if the one that is kept is of the version before, or for version 1 if there is none. */
  readonly set: (mark: Mark) => Effect.Effect<boolean, StoreUnavailable>
}>()("@fastagentic/core/runtime/ScheduleStore") {
  static readonly layerMemory: Layer.Layer<ScheduleStore> = Layer.sync(ScheduleStore, () => makeMemory())
}

/** Marks of this process alone. @category constructors @since 0.1.0 */
export const makeMemory = (): ScheduleStore["Service"] => {
  const marks = new Map<string, Mark>()
  return {
    get: (key) => Effect.sync(() => marks.get(key)),
    set: (mark) =>
      Effect.sync(() => {
        if ((marks.get(mark.key)?.version ?? 0) !== mark.version - 1) return false
        marks.set(mark.key, mark)
        return true
      })
  }
}
