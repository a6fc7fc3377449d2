/**
 * The port to what decides which node drives a run next.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer, type Scope } from "effect"

/** A run to drive, and its attempt. @category models @since 0.1.0 */
export interface Turn {
  readonly runId: string
  readonly attempt: number
}

/**
 * Takes a run on this node and drives it to its next rest: returns when the run is taken, or nobody has to take it any
 * more.
 *
 * @category models
 * @since 0.1.0
 */
export type EngineClaim = (turn: Turn) => Effect.Effect<void>

/** Asks for a turn to be driven somewhere. With `false` whoever asked takes the run. @category models @since 0.1.0 */
export type EngineSchedule = (turn: Turn) => Effect.Effect<boolean>

/**
 * Spreads runs over nodes. A node joins with how it drives a run, until its scope closes, and gets how it asks for a run to
 * be driven; nothing, when it drives by itself whatever it starts, lets go on or finds without an owner.
 *
 * **Details**
 *
 * An engine says where, never whether: a run is taken by a compare-and-set on its attempt in the `RunStore`, which stays
 * the truth about states, timers, decisions and owners. So an engine may ask twice, late, or the wrong node, and the same
 * turn is asked for again, by any node, as long as it is due. A turn that an engine forgets or cannot place has to come back as
 * `false` in the end.
 *
 * Durable runs of agents without limits are placed. Those with limits are taken in the order of their line by whichever
 * node sees room.
 *
 * The default is a node that drives by itself.
 *
 * @category services
 * @since 0.1.0
 */
export const RunEngine: Context.Reference<RunEngineShape> = Context.Reference<RunEngineShape>(
  "@fastagentic/core/runtime/RunEngine",
  { defaultValue: () => local }
)

/** @category models @since 0.1.0 */
export interface RunEngineShape {
  readonly join: (drive: EngineClaim) => Effect.Effect<EngineSchedule | undefined, never, Scope.Scope>
}

const local: RunEngineShape = { join: () => Effect.succeed(undefined) }

/** A node drives what it starts, also where another layer says otherwise. @category layers @since 0.1.0 */
export const layerLocal: Layer.Layer<never> = Layer.succeed(RunEngine, local)
