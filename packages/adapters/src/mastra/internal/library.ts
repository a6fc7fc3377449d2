// Loads Mastra's workflows when the layer of an agent is built; Mastra is an optional peer.
import { Effect } from "effect"
import { AdapterLoadError } from "../../adapter/AdapterError.ts"

export const workflows = Effect.tryPromise({
  try: () => import("@mastra/core/workflows"),
  catch: (cause) => new AdapterLoadError({ adapter: "mastra", module: "@mastra/core", cause })
})

export type Library = Pick<Effect.Success<typeof workflows>, "DefaultExecutionEngine">
