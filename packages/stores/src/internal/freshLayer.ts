// Used by every `layer` that opens its own client.
import { Layer } from "effect"

/**
 * Builds stores on a client of their own. Layers are memoised, so two databases would share the first client;
 * `Layer.fresh` keeps them apart.
 */
export const freshLayer = <A, E, R>(stores: Layer.Layer<A, E, R>): Layer.Layer<A, E, R> =>
  Layer.suspend(() => Layer.fresh(stores))
