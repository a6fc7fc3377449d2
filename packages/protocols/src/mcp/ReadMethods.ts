// Resources are read and subscribed to, and prompts rendered; McpServer answers with them.
import type { Asked } from "@fastagentic/core/operations/Runtime"
import * as Content from "@fastagentic/core/run/Content"
import type * as Sdk from "@modelcontextprotocol/server"
import { Effect } from "effect"
import * as AskedReads from "./AskedReads.ts"
import type { ReadFlow } from "./AskedReads.ts"
import type { Connection, Method, Options } from "./Connection.ts"
import * as McpContent from "./McpContent.ts"
import * as McpError from "./McpError.ts"
import { Meta } from "./ToolResult.ts"

export const make = ({ catalog, runtime }: Pick<Options, "catalog" | "runtime">) => {
  const read = (uri: string, flow: ReadFlow): Method<Sdk.ReadResourceResult | Sdk.InputRequiredResult> => (caller) => {
    const contents = (client: Asked) =>
      runtime.read(caller, uri, client).pipe(
        Effect.catchReason(
          "RunError",
          "NotDeclared",
          () => Effect.fail(McpError.resourceNotFound(uri, caller.traceId))
        ),
        Effect.catchTag("ReadFailed", (error) => Effect.fail(McpError.fromReadFailed(error, uri, caller.traceId))),
        Effect.map(({ content, mimeType }) => {
          const text = typeof content === "string" ? content : JSON.stringify(content)
          const body = catalog.isBinary(uri) ? { blob: text } : { text }
          return {
            contents: [{ uri, mimeType, ...body, _meta: { [Meta.untrusted]: true, ...catalog.metaOf(uri) } }],
            _meta: { [Meta.traceId]: caller.traceId }
          }
        })
      )
    return AskedReads.run(runtime, flow, { params: { uri }, traceId: caller.traceId }, contents)
  }

  /** A client of 2025 hears of changes to a resource, which it may read. */
  const subscribe =
    (uri: string, connection: Pick<Connection, "subscribe">, wanted: boolean): Method<{}> => (caller) => {
      const identifier = catalog.resourceOf(uri)
      return identifier === undefined
        ? Effect.fail(McpError.resourceNotFound(uri, caller.traceId))
        : Effect.as(
          Effect.andThen(
            runtime.checkScopes(caller, { kind: "resource", identifier }),
            connection.subscribe(uri, wanted)
          ),
          {}
        )
    }

  /** A message has one block, so that a message with more content is several. */
  const render = (
    name: string,
    params: unknown,
    reader: McpContent.Reader,
    flow: ReadFlow
  ): Method<Sdk.GetPromptResult | Sdk.InputRequiredResult> =>
  (caller) =>
    AskedReads.run(
      runtime,
      flow,
      { params: { name, params }, traceId: caller.traceId },
      (client) =>
        runtime.render(caller, name, params, client).pipe(
          Effect.flatMap(Effect.forEach((message) =>
            Effect.map(
              McpContent.toBlocks(
                runtime,
                caller,
                reader,
                "content" in message ? message.content : [Content.text(message.text)]
              ),
              (blocks) => blocks.map((content) => ({ role: message.role, content }))
            )
          )),
          Effect.map((messages) => ({ messages: messages.flat(), _meta: { [Meta.traceId]: caller.traceId } }))
        )
    )

  return { read, subscribe, render }
}
