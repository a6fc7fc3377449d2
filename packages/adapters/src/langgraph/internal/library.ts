// Loads LangChain on use; it is an optional peer.
import { Effect } from "effect"
import { AdapterLoadError } from "../../adapter/AdapterError.ts"

const load = <A>(module: string, start: () => Promise<A>) =>
  Effect.tryPromise({ try: start, catch: (cause) => new AdapterLoadError({ adapter: "langgraph", module, cause }) })

/** The part of LangChain used at run time; a graph has loaded it already. */
export const library = Effect.all({
  graph: load("@langchain/langgraph", () => import("@langchain/langgraph")),
  callbacks: load("@langchain/core", () => import("@langchain/core/callbacks/base")),
  messages: load("@langchain/core", () => import("@langchain/core/messages"))
}, { concurrency: "unbounded" })

export type Library = Effect.Success<typeof library>
