// The runtimes of this process that want to know of changed resources; Resource.changed calls them.
import type { Effect } from "effect"

export const resourceListeners: Set<(uri: string) => Effect.Effect<void>> = new Set()
