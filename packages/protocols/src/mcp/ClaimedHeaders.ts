// Headers of a request of 2026-07-28 that repeat its body: Endpoint refuses a request whose two disagree.
import type * as Caller from "@fastagentic/core/door/Caller"
import { Predicate, Schema } from "effect"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import type { Catalog } from "./McpCatalog.ts"
import * as McpError from "./McpError.ts"
import * as ParamHeaders from "./ParamHeaders.ts"
import { refused } from "./Refusals.ts"

const isClaimed = Schema.is(Schema.Struct({
  method: Schema.Literal("tools/call"),
  params: Schema.Struct({
    name: Schema.String,
    arguments: Schema.optionalKey(Schema.Unknown),
    _meta: Schema.Struct({ "io.modelcontextprotocol/protocolVersion": Schema.String })
  })
}))

const isOfTask = Schema.is(Schema.Struct({
  method: Schema.Literals(["tasks/get", "tasks/update", "tasks/cancel"]),
  params: Schema.Struct({
    taskId: Schema.String,
    _meta: Schema.Struct({ "io.modelcontextprotocol/protocolVersion": Schema.String })
  })
}))

/** The header of a request of 2026-07-28 that disagrees with its body. */
export const headerOf = (
  { headers: declared }: Catalog,
  { headers }: HttpServerRequest.HttpServerRequest,
  body: unknown
) => {
  if (isOfTask(body)) return headers["mcp-name"] === body.params.taskId ? undefined : "mcp-name"
  if (declared.size === 0 || !isClaimed(body)) return undefined
  const ofTool = declared.get(body.params.name)
  return ofTool && ParamHeaders.mismatch(ofTool, body.params.arguments, headers)
}

export const mismatched = (header: string, body: unknown, { traceId }: Caller.Caller) =>
  refused(
    400,
    {
      code: McpError.headerMismatch,
      message: `The header ${header} and the arguments disagree`,
      data: { tag: "HeaderMismatch", header, traceId }
    },
    {},
    Predicate.hasProperty(body, "id") ? body.id : null
  )
