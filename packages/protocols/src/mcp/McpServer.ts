// The SDK's low-level server with the methods of an app: one for each HTTP request or stdio connection.
import * as Caller from "@fastagentic/core/door/Caller"
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import * as Content from "@fastagentic/core/run/Content"
import type { Credentials } from "@fastagentic/core/run/Credentials"
import type { RunError } from "@fastagentic/core/run/RunError"
import * as Tracing from "@fastagentic/core/telemetry/Tracing"
import type * as Sdk from "@modelcontextprotocol/server"
import { type Context, Effect } from "effect"
import { type Ask, canAsk } from "./Elicitation.ts"
import type { ElicitationFlow } from "./ElicitationFlow.ts"
import type { InFlightCall } from "./InFlightCalls.ts"
import { type Catalog, completionKey, visibleTo } from "./McpCatalog.ts"
import * as McpContent from "./McpContent.ts"
import * as McpError from "./McpError.ts"
import * as ToolCall from "./ToolCall.ts"
import { Meta } from "./ToolResult.ts"

/** The client's credentials and the abilities of its transport. */
export interface Connection {
  readonly credentials: Credentials
  /** The identity of the HTTP request that carries the message, which is authenticated. */
  readonly authenticated?: Caller.Caller["authenticated"]
  readonly traceparent: string | undefined
  /** The public path of the app, which the results of calls name. */
  readonly path: string
  /** The address by which the client reaches the app over HTTP. */
  readonly url?: string | undefined
  /** The revision that an HTTP request names. */
  readonly revision?: string | undefined
  readonly onLimits?: Caller.Caller["onLimits"]
  /** Registers the run that a request waits for; the result removes it when the request ends. */
  readonly register: (requestId: Sdk.RequestId, call: InFlightCall) => () => void
  /** The way to ask a client of 2025 while its call waits; nothing when the client has not declared the capability. */
  readonly ask: (server: Sdk.Server, context: Sdk.ServerContext, caller: Caller.Caller) => Ask | undefined
  /** Whether an abort cancels the run, or only ends the connection. */
  readonly isCancelled: (signal: AbortSignal) => boolean
}

export interface Options {
  readonly runtime: Runtime["Service"]
  readonly catalog: Catalog
  /** The loggers, tracers and references of the handlers. */
  readonly services: Context.Context<never>
}

/** Makes the servers, once the SDK is loaded. */
export const make = (sdk: typeof Sdk, options: Options): (connection: Connection) => Sdk.Server => {
  const { capabilities, server: info } = options.catalog
  const { runtime } = options
  const methods = makeMethods(options)
  const runPromise = Effect.runPromiseWith(options.services)
  return (connection) => {
    const server = new sdk.Server(info, { capabilities })
    const answer = <A>(
      context: Sdk.ServerContext,
      method: (caller: Caller.Caller) => Effect.Effect<A, McpError.McpError | RunError>
    ): Promise<A> => {
      const caller = callerOf(connection, context)
      const answered = (caller: Caller.Caller) =>
        Effect.catchCause(
          Effect.flatMap(runtime.authenticate(caller), method),
          (cause) => Effect.flatMap(McpError.fromCause(cause, caller.traceId), Effect.fail)
        )
      const traced = Tracing.within(
        Effect.flatMap(
          Tracing.current,
          (span) => answered(span === undefined ? caller : { ...caller, traceId: span.traceId, span })
        ),
        context.mcpReq.method,
        () => spanOf(connection, context, caller)
      )
      return runPromise(traced, { signal: context.mcpReq.signal })
    }
    if (capabilities.tools !== undefined) {
      server.setRequestHandler(
        "tools/list",
        ({ params }, context) => answer(context, methods.list(params, ({ tools }) => ({ tools })))
      )
      server.setRequestHandler("tools/call", ({ params }, context) =>
        answer(
          context,
          methods.call(params, context, {
            path: connection.path,
            reader: readerOf(connection, server),
            register: (call) => connection.register(context.mcpReq.id, { ...call, close: () => server.close() }),
            elicitation: (caller) => elicitationOf(connection, server, context, caller),
            isCancelled: () => connection.isCancelled(context.mcpReq.signal)
          })
        ))
    }
    if (capabilities.resources !== undefined) {
      server.setRequestHandler(
        "resources/list",
        ({ params }, context) => answer(context, methods.list(params, ({ resources }) => ({ resources })))
      )
      server.setRequestHandler(
        "resources/templates/list",
        ({ params }, context) =>
          answer(context, methods.list(params, ({ resourceTemplates }) => ({ resourceTemplates })))
      )
      server.setRequestHandler("resources/read", ({ params }, context) => answer(context, methods.read(params.uri)))
    }
    if (capabilities.prompts !== undefined) {
      server.setRequestHandler(
        "prompts/list",
        ({ params }, context) => answer(context, methods.list(params, ({ prompts }) => ({ prompts })))
      )
      server.setRequestHandler(
        "prompts/get",
        ({ params }, context) =>
          answer(context, methods.render(params.name, params.arguments ?? {}, readerOf(connection, server)))
      )
    }
    if (capabilities.completions !== undefined) {
      server.setRequestHandler(
        "completion/complete",
        ({ params }, context) => answer(context, methods.complete(params))
      )
    }
    return server
  }
}

/** The SDK knows the revision of a client on a connection that lives on, and of 2026-07-28; other requests name it. */
const readerOf = ({ revision = "2025-03-26", url }: Connection, server: Sdk.Server): McpContent.Reader => ({
  revision: server.getNegotiatedProtocolVersion() ?? revision,
  url
})

/** The trace of a message is the parent of its span; the trace of the transport is linked. */
const spanOf = ({ traceparent }: Connection, { mcpReq }: Sdk.ServerContext, { span }: Caller.Caller) => {
  const transport = Tracing.fromTraceparent(traceparent)
  return {
    kind: "server",
    ...(span === undefined ? {} : { parent: span }),
    links: transport === undefined || transport.spanId === span?.spanId ? [] : [{ span: transport, attributes: {} }],
    attributes: { "mcp.method.name": mcpReq.method, "jsonrpc.request.id": String(mcpReq.id) }
  } as const
}

/** The trace comes from the request's own `_meta`, or else from the transport. */
const callerOf = (connection: Connection, { mcpReq }: Sdk.ServerContext) => {
  const own = mcpReq._meta?.["traceparent"]
  const caller = Caller.make("mcp", {
    credentials: connection.credentials,
    onLimits: connection.onLimits,
    traceparent: typeof own === "string" && Caller.traceIdOf(own) !== undefined ? own : connection.traceparent
  })
  return { ...caller, authenticated: connection.authenticated }
}

/** A request of 2026-07-28 carries its client's capabilities; before, the transport knows them. */
const elicitationOf = (
  connection: Connection,
  server: Sdk.Server,
  context: Sdk.ServerContext,
  caller: Caller.Caller
): ElicitationFlow | undefined => {
  const { envelope, inputResponses = {}, requestState } = context.mcpReq
  if (envelope !== undefined) {
    const { [capabilitiesKey]: capabilities } = { ...Object(envelope) }
    const state = requestState<string>()
    return canAsk(capabilities) || state !== undefined
      ? { _tag: "Rounds", state, responses: inputResponses }
      : undefined
  }
  const ask = connection.ask(server, context, caller)
  return ask && { _tag: "Push", ask }
}

const capabilitiesKey = "io.modelcontextprotocol/clientCapabilities"

type Method<A> = (caller: Caller.Caller) => Effect.Effect<A, McpError.McpError | RunError>

/** Each method of the protocol as an effect on the runtime. */
const makeMethods = ({ catalog, runtime }: Options) => {
  /** A list is one page, so every cursor is invalid. */
  const list = <A>(
    params: { readonly cursor?: string | undefined } | undefined,
    pageOf: (catalog: Catalog) => A
  ): Method<A> =>
  (caller) =>
    Effect.flatMap(
      visibleTo(runtime, catalog, caller),
      (some) =>
        params?.cursor === undefined ? Effect.succeed(pageOf(some)) : Effect.fail(
          new McpError.McpError({
            code: McpError.invalidParams,
            message: "Invalid cursor",
            data: { tag: "InvalidCursor", cursor: params.cursor, traceId: caller.traceId }
          })
        )
    )

  const call = (
    params: Sdk.CallToolRequest["params"],
    { mcpReq }: Sdk.ServerContext,
    { elicitation, ...client }: Pick<ToolCall.ToolCall, "path" | "reader" | "register" | "isCancelled"> & {
      readonly elicitation: (caller: Caller.Caller) => ElicitationFlow | undefined
    }
  ): Method<Sdk.CallToolResult | Sdk.InputRequiredResult> =>
  (caller) =>
    ToolCall.run(runtime, catalog, {
      caller,
      name: params.name,
      arguments: params.arguments ?? {},
      idempotencyKey: textOf(mcpReq._meta, Meta.idempotencyKey),
      threadId: textOf(mcpReq._meta, Meta.threadId),
      timeout: mcpReq._meta?.[Meta.timeout],
      report: reporter(mcpReq),
      elicitation: elicitation(caller),
      ...client
    })

  const read = (uri: string): Method<Sdk.ReadResourceResult> => (caller) =>
    runtime.read(caller, uri).pipe(
      Effect.map(({ content, mimeType }) => {
        const text = typeof content === "string" ? content : JSON.stringify(content)
        return {
          contents: [{
            uri,
            mimeType,
            ...(catalog.isBinary(uri) ? { blob: text } : { text }),
            _meta: { [Meta.untrusted]: true }
          }],
          _meta: { [Meta.traceId]: caller.traceId }
        }
      }),
      Effect.catchTag("ReadFailed", (error) => Effect.fail(McpError.fromReadFailed(error, uri, caller.traceId))),
      Effect.catchReason("RunError", "NotDeclared", () => Effect.fail(McpError.resourceNotFound(uri, caller.traceId)))
    )

  /** A message has one block, so that a message with more content is several. */
  const render = (name: string, params: unknown, reader: McpContent.Reader): Method<Sdk.GetPromptResult> => (caller) =>
    runtime.render(caller, name, params).pipe(
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

  const complete = ({ argument, ref }: Sdk.CompleteRequest["params"]): Method<Sdk.CompleteResult> => (caller) => {
    const owner = ref.type === "ref/prompt" ? ref.name : ref.uri
    return Effect.map(visibleTo(runtime, catalog, caller), ({ completions }) => {
      const all = completions.get(completionKey(owner, argument.name)) ?? []
      const values = all.filter((value) => value.startsWith(argument.value))
      return { completion: { values: values.slice(0, 100), total: values.length, hasMore: values.length > 100 } }
    })
  }

  return { list, call, read, render, complete }
}

const textOf = (meta: Sdk.RequestMeta | undefined, key: string): string | undefined => {
  const value = meta?.[key]
  return typeof value === "string" ? value : undefined
}

/** Sends progress; a failed send is ignored, because the client may have disconnected. */
const reporter = ({ _meta, notify }: Sdk.ServerContext["mcpReq"]): ToolCall.ToolCall["report"] => {
  const progressToken = _meta?.progressToken
  if (progressToken === undefined) return undefined
  return ({ event, message, progress }, runId) =>
    Effect.ignore(Effect.tryPromise(() =>
      notify({
        method: "notifications/progress",
        params: { progressToken, progress, message, _meta: { [Meta.runId]: runId, [Meta.event]: event } }
      })
    ))
}
