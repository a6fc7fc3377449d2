import { RunError, RunStore } from "@fastagentic/core"
import { Effect, Layer } from "effect"

/** A store in memory that a node can be cut off from, while others still write to it. */
export const cutStore = Effect.gen(function*() {
  const inner = yield* Effect.provide(RunStore.RunStore, RunStore.RunStore.layerMemory)
  const link = { isCut: false }
  const through = <A, E>(effect: Effect.Effect<A, E>) =>
    Effect.suspend((): Effect.Effect<A, E | RunError.StoreUnavailable> =>
      link.isCut ? Effect.fail(new RunError.StoreUnavailable({ operation: "reach" })) : effect
    )
  const store: RunStore.RunStore["Service"] = {
    ...inner,
    write: (writes) => through(inner.write(writes)),
    get: (runId) => through(inner.get(runId)),
    interrupts: (runId) => through(inner.interrupts(runId)),
    events: (runId, after, limit) => through(inner.events(runId, after, limit)),
    threads: { ...inner.threads, messages: (query) => through(inner.threads.messages(query)) },
    due: (query) => through(inner.due(query)),
    unfinished: through(inner.unfinished),
    abandoned: through(inner.abandoned)
  }
  return { inner, link, layer: Layer.succeed(RunStore.RunStore, store) }
})
