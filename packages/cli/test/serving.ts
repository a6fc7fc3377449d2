import { Context, Layer } from "effect"
import * as HttpServer from "effect/http/HttpServer"
import { Audit, Budget, RateLimit, RunStore } from "fastagentic"

/** The services of a server besides auth: in memory and without limits. */
export const memory = Layer.mergeAll(
  RunStore.RunStore.layerMemory,
  Audit.layerMemory,
  RateLimit.layerUnlimited,
  Budget.layerUnlimited
)

export const urlOf = (context: Context.Context<HttpServer.HttpServer>): string => {
  const { address } = Context.get(context, HttpServer.HttpServer)
  return `http://127.0.0.1:${"port" in address ? address.port : 0}`
}
