import { Layer } from "effect"

/**
 * Stores of a database of their own. Layers are built once for all who use them, and so would those of two databases be,
 * on the client that comes first.
 */
export const freshLayer = <A, E, R>(stores: Layer.Layer<A, E, R>): Layer.Layer<A, E, R> =>
  Layer.suspend(() => Layer.fresh(stores))
