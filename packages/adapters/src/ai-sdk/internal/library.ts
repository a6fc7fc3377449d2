// Loads the AI SDK on use; it is an optional peer. The adapters ai-sdk and mastra wrap models with it.
import type { LanguageModel } from "ai"
import { Effect } from "effect"
import { AdapterLoadError } from "../../adapter/AdapterError.ts"

/** The part of the AI SDK used at run time. */
export const library = (adapter: string) =>
  Effect.map(
    Effect.tryPromise({
      try: () => import("ai"),
      catch: (cause) => new AdapterLoadError({ adapter, module: "ai", cause })
    }),
    ({ asSchema, gateway, jsonSchema, ToolLoopAgent, wrapLanguageModel }) => ({
      asSchema,
      jsonSchema,
      ToolLoopAgent,
      wrapLanguageModel,
      /** A model that is named by a text is one of the default provider, as in the AI SDK itself. */
      gateway: (id: string): Exclude<LanguageModel, string> =>
        (globalThis.AI_SDK_DEFAULT_PROVIDER ?? gateway).languageModel(id)
    })
  )

export type Library = Effect.Success<ReturnType<typeof library>>
