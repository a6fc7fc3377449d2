// The routes of each protocol; a mount serves some or all of them.
import type { Auth } from "@fastagentic/core/door/Auth"
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import { Layer } from "effect"
import type * as HttpRouter from "effect/http/HttpRouter"
import * as A2aProtocol from "../../a2a/A2aProtocol.ts"
import * as HttpProtocol from "../../http/HttpProtocol.ts"
import * as McpProtocol from "../../mcp/McpProtocol.ts"
import * as ResourceMetadata from "./resourceMetadata.ts"

const layers = { rest: HttpProtocol.layer, mcp: McpProtocol.layer, a2a: A2aProtocol.layer } as const

export type Protocol = keyof typeof layers

export const protocolRoutes = (
  protocols: ReadonlyArray<Protocol> = ["rest", "mcp", "a2a"]
): Layer.Layer<never, never, HttpRouter.HttpRouter | Runtime | Auth> =>
  protocols.map((protocol) => layers[protocol]).reduce(
    (all, one) => Layer.merge(all, one),
    ResourceMetadata.layer(protocols.includes("mcp") ? ["", "/mcp"] : [""])
  )
