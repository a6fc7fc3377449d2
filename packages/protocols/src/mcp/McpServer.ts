// The SDK's low-level server with the methods of an app: one for each HTTP request or stdio connection.
import * as Caller from "@fastagentic/core/door/Caller"
import type { Asked, Runtime } from "@fastagentic/core/operations/Runtime"
import * as Content from "@fastagentic/core/run/Content"
import type { Credentials } from "@fastagentic/core/run/Credentials"
import type { RunError } from "@fastagentic/core/run/RunError"
import * as Tracing from "@fastagentic/core/telemetry/Tracing"
import type * as Sdk from "@modelcontextprotocol/server"
import { type Context, Effect, Predicate } from "effect"
import * as Abilities from "./Abilities.ts"
import * as AskedReads from "./AskedReads.ts"
import type { Raw, ReadFlow } from "./AskedReads.ts"
import type { Ask, Client, Question } from "./ClientQuestion.ts"
import type { ElicitationFlow } from "./ElicitationFlow.ts"
import type { InFlightCall } from "./InFlightCalls.ts"
import { type Catalog, completionKey, instanceOf, visibleTo } from "./McpCatalog.ts"
import * as McpContent from "./McpContent.ts"
import * as McpError from "./McpError.ts"
import * as Pages from "./Pages.ts"
import * as Report from "./Report.ts"
import * as RunTools from "./RunTools.ts"
import * as TaskMethods from "./TaskMethods.ts"
import * as TaskView from "./TaskView.ts"
import * as ToolCall from "./ToolCall.ts"
import { Meta } from "./ToolResult.ts"

/** The client's credentials and the abilities of its transport. */
export interface Connection {
  readonly era: "legacy" | "modern"
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
  readonly register: (requestId: Sdk.RequestId, call: InFlightCall, seq: number) => () => void
  /** The abilities that a client of 2025 has declared. */
  readonly abilities: (server: Sdk.Server) => Abilities.Abilities
  /** The level from which a client of 2025 wants logs. */
  readonly logLevel: Effect.Effect<Report.Level | undefined, RunError>
  readonly setLogLevel: (level: Report.Level) => Effect.Effect<void, RunError>
  /** Begins or ends the subscription of a client of 2025. */
  readonly subscribe: (uri: string, wanted: boolean) => Effect.Effect<void, RunError>
  /** Asks a client of 2025 while its call waits. */
  readonly ask: (server: Sdk.Server, context: Sdk.ServerContext, caller: Caller.Caller) => Ask
  /** Sends a request to a client of 2025 while its prompt or resource is read. */
  readonly put: (
    server: Sdk.Server,
    context: Sdk.ServerContext,
    caller: Caller.Caller
  ) => (question: Question) => Effect.Effect<Raw>
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
  const tasks = TaskMethods.make(runtime, options.catalog)
  const runPromise = Effect.runPromiseWith(options.services)
  return (connection) => {
    const server = new sdk.Server(info, {
      capabilities: {
        ...capabilities,
        ...(options.catalog.hasTasks ? taskCapabilities(connection.era) : {})
      },
      ...(options.catalog.instructions === "" ? {} : { instructions: options.catalog.instructions })
    })
    const clientOf = (context: Sdk.ServerContext) => clientIn(connection, server, context)
    const resultFor = (caller: Caller.Caller) => ({
      caller,
      path: connection.path,
      reader: readerOf(connection, server)
    })
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
        ({ params }, context) =>
          answer(context, methods.list(params, ({ tools }) => tools, nameOf, (tools) => ({ tools })))
      )
      server.setRequestHandler("tools/call", ({ params }, context) =>
        answer(
          context,
          methods.call(params, context, {
            path: connection.path,
            reader: readerOf(connection, server),
            era: connection.era,
            register: (call, seq) =>
              connection.register(context.mcpReq.id, { ...call, close: () => server.close() }, seq),
            logLevel: connection.logLevel,
            elicitation: (caller) => elicitationOf(connection, server, context, caller),
            isCancelled: () => connection.isCancelled(context.mcpReq.signal)
          })
        ))
    }
    if (options.catalog.hasTasks && connection.era === "modern") {
      const task = <A>(
        context: Sdk.ServerContext,
        method: (caller: Caller.Caller) => Effect.Effect<A, McpError.McpError | RunError>
      ) =>
        answer(
          context,
          (caller) => hasExtension(context) ? method(caller) : Effect.fail(McpError.missingTasks(caller.traceId))
        )
      server.setRequestHandler(
        "tasks/get",
        TaskMethods.wire.one,
        ({ taskId }, context) => task(context, (caller) => tasks.get(taskId, clientOf(context), resultFor(caller)))
      )
      server.setRequestHandler(
        "tasks/update",
        TaskMethods.wire.one,
        ({ taskId }, context) =>
          task(
            context,
            (caller) => tasks.update(taskId, clientOf(context), caller, context.mcpReq.inputResponses ?? {})
          )
      )
      server.setRequestHandler(
        "tasks/cancel",
        TaskMethods.wire.one,
        ({ taskId }, context) => task(context, (caller) => Effect.as(tasks.cancel(taskId, caller), {}))
      )
    }
    if (options.catalog.hasTasks && connection.era === "legacy") {
      server.setRequestHandler(
        "tasks/get",
        TaskMethods.wire.one,
        ({ taskId }, context) => answer(context, (caller) => tasks.legacyGet(taskId, clientOf(context), caller))
      )
      server.setRequestHandler(
        "tasks/list",
        TaskMethods.wire.list,
        ({ cursor }, context) => answer(context, (caller) => tasks.legacyList(cursor, caller))
      )
      server.setRequestHandler(
        "tasks/cancel",
        TaskMethods.wire.one,
        ({ taskId }, context) => answer(context, (caller) => tasks.legacyCancel(taskId, caller))
      )
      server.setRequestHandler(
        "tasks/result",
        TaskMethods.wire.one,
        ({ taskId }, context) =>
          answer(context, (caller) =>
            tasks.legacyResult(taskId, {
              ...resultFor(caller),
              name: "",
              arguments: {},
              idempotencyKey: undefined,
              threadId: undefined,
              timeout: undefined,
              report: undefined,
              task: "none",
              resume: undefined,
              register: () => () => {},
              isCancelled: () => false,
              elicitation: elicitationOf(connection, server, context, caller)
            }))
      )
    }
    if (capabilities.logging !== undefined) {
      server.setRequestHandler(
        "logging/setLevel",
        ({ params }, context) => answer(context, () => Effect.as(connection.setLogLevel(params.level), {}))
      )
    }
    if (capabilities.resources !== undefined) {
      server.setRequestHandler(
        "resources/list",
        ({ params }, context) => answer(context, methods.resources(params))
      )
      server.setRequestHandler(
        "resources/templates/list",
        ({ params }, context) =>
          answer(
            context,
            methods.list(
              params,
              (some) => some.resourceTemplates,
              ({ name }) => name,
              (resourceTemplates) => ({ resourceTemplates })
            )
          )
      )
      server.setRequestHandler(
        "resources/read",
        ({ params }, context) =>
          answer(context, (caller) => methods.read(params.uri, readFlowOf(connection, server, context, caller))(caller))
      )
    }
    if (capabilities.resources?.subscribe === true) {
      server.setRequestHandler(
        "resources/subscribe",
        ({ params }, context) => answer(context, methods.subscribe(params.uri, connection, true))
      )
      server.setRequestHandler(
        "resources/unsubscribe",
        ({ params }, context) => answer(context, methods.subscribe(params.uri, connection, false))
      )
    }
    if (capabilities.prompts !== undefined) {
      server.setRequestHandler(
        "prompts/list",
        ({ params }, context) =>
          answer(context, methods.list(params, ({ prompts }) => prompts, nameOf, (prompts) => ({ prompts })))
      )
      server.setRequestHandler(
        "prompts/get",
        ({ params }, context) =>
          answer(
            context,
            (caller) =>
              methods.render(
                params.name,
                params.arguments ?? {},
                readerOf(connection, server),
                readFlowOf(connection, server, context, caller)
              )(caller)
          )
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
): ElicitationFlow => {
  const { envelope, inputResponses = {}, requestState } = context.mcpReq
  const client = clientIn(connection, server, context)
  if (envelope !== undefined) {
    return { _tag: "Rounds", client, state: requestState<string>(), responses: inputResponses }
  }
  return Object.values(client.abilities).includes(true)
    ? { _tag: "Push", client, ask: connection.ask(server, context, caller) }
    : { _tag: "None", client }
}

const clientIn = (connection: Connection, server: Sdk.Server, { mcpReq }: Sdk.ServerContext): Client => ({
  abilities: mcpReq.envelope === undefined
    ? connection.abilities(server)
    : Abilities.fromCapabilities(capabilitiesIn(mcpReq)),
  revision: readerOf(connection, server).revision
})

const capabilitiesIn = ({ envelope }: Sdk.ServerContext["mcpReq"]): unknown => {
  const { [capabilitiesKey]: capabilities } = { ...Object(envelope) }
  return capabilities
}

/** Whether a request of 2026-07-28 says that its client knows tasks. */
const hasExtension = ({ mcpReq }: Sdk.ServerContext): boolean => {
  const capabilities = capabilitiesIn(mcpReq)
  const extensions = Predicate.hasProperty(capabilities, "extensions") ? capabilities.extensions : undefined
  return Predicate.hasProperty(extensions, TaskView.extension)
}

/** The two wires of tasks have nothing in common. */
const taskCapabilities = (era: Connection["era"]): Sdk.ServerCapabilities =>
  era === "modern"
    ? { extensions: { [TaskView.extension]: {} } }
    : { tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } } }

const levelIn = (envelope: object): unknown => Object.entries(envelope).find(([key]) => key === levelKey)?.[1]

const levelKey = "io.modelcontextprotocol/logLevel"
const capabilitiesKey = "io.modelcontextprotocol/clientCapabilities"

/** The way to ask while a prompt or a resource is read. */
const readFlowOf = (
  connection: Connection,
  server: Sdk.Server,
  context: Sdk.ServerContext,
  caller: Caller.Caller
): ReadFlow => {
  const flow = elicitationOf(connection, server, context, caller)
  return flow._tag === "Push"
    ? { _tag: "Push", client: flow.client, put: connection.put(server, context, caller) }
    : flow
}

type Method<A> = (caller: Caller.Caller) => Effect.Effect<A, McpError.McpError | RunError>

/** Each method of the protocol as an effect on the runtime. */
const makeMethods = ({ catalog, runtime }: Options) => {
  const list = <Item, A>(
    params: { readonly cursor?: string | undefined } | undefined,
    itemsOf: (catalog: Catalog) => ReadonlyArray<Item>,
    keyOf: (item: Item) => string,
    resultOf: (items: Array<Item>) => A
  ): Method<A & { nextCursor?: string }> =>
  (caller) =>
    Effect.flatMap(
      visibleTo(runtime, catalog, caller),
      (some) => pageOf(itemsOf(some), keyOf, params?.cursor, caller, resultOf)
    )

  const pageOf = <Item, A>(
    all: ReadonlyArray<Item>,
    keyOf: (item: Item) => string,
    cursor: string | undefined,
    { traceId }: Caller.Caller,
    resultOf: (items: Array<Item>) => A
  ): Effect.Effect<A & { nextCursor?: string }, McpError.McpError> => {
    const page = Pages.page(all, keyOf, cursor)
    if (page === undefined) return Effect.fail(McpError.invalidCursor(cursor ?? "", traceId))
    const { items, nextCursor } = page
    return Effect.succeed({ ...resultOf(items), ...(nextCursor === undefined ? {} : { nextCursor }) })
  }

  /** The resources without parameters, and those of templates that their handlers list. */
  const resources =
    (params: { readonly cursor?: string | undefined } | undefined): Method<Sdk.ListResourcesResult> => (caller) =>
      Effect.flatMap(
        Effect.all([visibleTo(runtime, catalog, caller), runtime.instances(caller)]),
        ([some, instances]) => {
          const listed = instances.map((instance) => instanceOf(some, instance))
          const all = [...some.resources, ...listed].toSorted((a, b) => a.uri < b.uri ? -1 : 1)
          return pageOf(all, ({ uri }) => uri, params?.cursor, caller, (resources) => ({ resources }))
        }
      )

  const call = (
    params: Sdk.CallToolRequest["params"],
    context: Sdk.ServerContext,
    { elicitation, era, logLevel, ...client }:
      & Pick<ToolCall.ToolCall, "path" | "reader" | "register" | "isCancelled">
      & {
        readonly elicitation: (caller: Caller.Caller) => ElicitationFlow
        readonly logLevel: Connection["logLevel"]
        readonly era: Connection["era"]
      }
  ): Method<Sdk.CallToolResult | Sdk.InputRequiredResult> =>
    Effect.fnUntraced(function*(caller: Caller.Caller) {
      const { mcpReq } = context
      if (catalog.runTools.has(params.name)) {
        return yield* RunTools.call(runtime, params.name, params.arguments ?? {}, { caller, ...client })
      }
      const callable = catalog.callables.get(params.name)
      const flow = elicitation(caller)
      const level = mcpReq.envelope === undefined ? yield* logLevel : Report.levelOf(levelIn(mcpReq.envelope))
      const missing = (callable?.requires ?? []).filter((name) => !flow.client.abilities[name])
      if (missing.length > 0) return yield* McpError.missingAbilities(missing, caller.traceId)
      const task = era === "legacy" ? legacyTask(params) : hasExtension(context) ? "maybe" : "none"
      if (task === "none" && callable?.task === "required") {
        return yield* era === "modern"
          ? McpError.missingTasks(caller.traceId)
          : McpError.wrongTask(params.name, caller.traceId)
      }
      if (task === "legacy" && callable !== undefined && !callable.durable) {
        return yield* McpError.wrongTask(params.name, caller.traceId)
      }
      return yield* ToolCall.run(runtime, catalog, {
        caller,
        task,
        resume: textOf(mcpReq._meta, Meta.resume),
        name: params.name,
        arguments: params.arguments ?? {},
        idempotencyKey: textOf(mcpReq._meta, Meta.idempotencyKey),
        threadId: textOf(mcpReq._meta, Meta.threadId),
        timeout: mcpReq._meta?.[Meta.timeout],
        report: Report.make(mcpReq, { name: params.name, level }),
        elicitation: flow,
        ...client
      })
    })

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
            contents: [{ uri, mimeType, ...body, _meta: { [Meta.untrusted]: true } }],
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

  /** The values of an enumeration, or those that the handler offers. */
  const complete = ({ argument, context, ref }: Sdk.CompleteRequest["params"]): Method<Sdk.CompleteResult> =>
    Effect.fnUntraced(function*(caller: Caller.Caller) {
      const [kind, owner] = ref.type === "ref/prompt" ? ["prompt" as const, ref.name] : ["resource" as const, ref.uri]
      const { completions } = yield* visibleTo(runtime, catalog, caller)
      const declared = completions.get(completionKey(owner, argument.name))
      const values = declared?.filter((value) => value.startsWith(argument.value)) ?? (yield* runtime.complete(caller, {
        kind,
        identifier: kind === "prompt" ? owner : catalog.templates.get(owner) ?? owner,
        argument: argument.name,
        value: argument.value,
        known: context?.arguments ?? {}
      }))
      return { completion: { values: values.slice(0, 100), total: values.length, hasMore: values.length > 100 } }
    })

  return { list, resources, subscribe, call, read, render, complete }
}

/** A client of 2025-11-25 asks for a task. */
const legacyTask = (params: object): "legacy" | "none" =>
  Predicate.hasProperty(params, "task") && Predicate.isObject(params.task) ? "legacy" : "none"

const nameOf = ({ name }: { readonly name: string }) => name

const textOf = (meta: Sdk.RequestMeta | undefined, key: string): string | undefined => {
  const value = meta?.[key]
  return typeof value === "string" ? value : undefined
}
