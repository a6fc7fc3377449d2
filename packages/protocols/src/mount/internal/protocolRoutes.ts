// The routes of each protocol; a mount serves some or all of them.
import type { Auth } from "@fastagentic/core/door/Auth"
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import { Layer } from "effect"
import type * as HttpRouter from "effect/http/HttpRouter"
import * as A2aProtocol from "../../a2a/A2aProtocol.ts"
import * as AgUiRoutes from "../../ag-ui/AgUiRoutes.ts"
import * as AiSdkRoutes from "../../ai-sdk/AiSdkRoutes.ts"
import * as HttpProtocol from "../../http/HttpProtocol.ts"
import * as McpProtocol from "../../mcp/McpProtocol.ts"
import * as CompletionRoutes from "../../openai/CompletionRoutes.ts"
import * as ResponseRoutes from "../../openai/ResponseRoutes.ts"
import * as CatalogRoute from "./catalogRoute.ts"
import * as ResourceMetadata from "./resourceMetadata.ts"

/** The front ends whose routes are routes of the document too. */
const frontEnds = {
  "ai-sdk": AiSdkRoutes.routes,
  "ag-ui": AgUiRoutes.routes,
  openai: [...CompletionRoutes.routes, ...ResponseRoutes.routes]
} as const

export type Protocol = "rest" | "rpc" | "mcp" | "a2a" | keyof typeof frontEnds

export const allProtocols: ReadonlyArray<Protocol> = ["rest", "rpc", "mcp", "a2a", "ai-sdk", "ag-ui", "openai"]

export const protocolRoutes = (
  protocols: ReadonlyArray<Protocol> = allProtocols
): Layer.Layer<never, never, HttpRouter.HttpRouter | Runtime | Auth> => {
  const has = (protocol: Protocol) => protocols.includes(protocol)
  const http = {
    rest: has("rest"),
    rpc: has("rpc"),
    frontEnds: Object.entries(frontEnds).flatMap(([name, routes]) =>
      protocols.some((one) => one === name) ? routes : []
    )
  }
  return Layer.mergeAll(
    ResourceMetadata.layer(has("mcp") ? ["", "/mcp"] : [""]),
    http.rest || http.rpc || http.frontEnds.length > 0 ? HttpProtocol.layer(http) : Layer.empty,
    has("mcp") ? McpProtocol.layer : Layer.empty,
    has("a2a") ? A2aProtocol.layer : Layer.empty,
    CatalogRoute.layer({ hasA2a: has("a2a"), hasMcp: has("mcp") })
  )
}
