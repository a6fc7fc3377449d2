// Loads LangGraph and LangChain when the layer of an agent is built; they are optional peers.
import { Effect } from "effect"
import { AdapterLoadError } from "../../adapter/AdapterError.ts"

const load = <A>(module: string, start: () => Promise<A>) =>
  Effect.tryPromise({ try: start, catch: (cause) => new AdapterLoadError({ adapter: "langgraph", module, cause }) })

/** The parts of them used at run time. */
export const library = Effect.all({
  graph: load("@langchain/langgraph", () => import("@langchain/langgraph")),
  callbacks: load("@langchain/core", () => import("@langchain/core/callbacks/base")),
  messages: load("@langchain/core", () => import("@langchain/core/messages")),
  models: load("@langchain/core", () => import("@langchain/core/language_models/chat_models")),
  tools: load("@langchain/core", () => import("@langchain/core/tools")),
  functions: load("@langchain/core", () => import("@langchain/core/utils/function_calling"))
}, { concurrency: "unbounded" })

export type Library = Effect.Success<typeof library>
