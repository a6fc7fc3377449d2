// Loads the OpenAI Agents SDK on use; it is an optional peer.
import { Effect } from "effect"
import { AdapterLoadError } from "../../adapter/AdapterError.ts"

/** The part of the SDK used at run time. */
export const library = Effect.map(
  Effect.tryPromise({
    try: () => import("@openai/agents"),
    catch: (cause) => new AdapterLoadError({ adapter: "openai-agents", module: "@openai/agents", cause })
  }),
  ({ Runner, tool, Usage }) => ({ Runner, tool, Usage })
)

export type Library = Effect.Success<typeof library>
