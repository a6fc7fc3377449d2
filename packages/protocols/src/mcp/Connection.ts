// A connection of a client as the methods see it, and what a message says of its client: McpServer makes one for each HTTP
// request or stdio connection.
import * as Caller from "@fastagentic/core/door/Caller"
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import type { Credentials } from "@fastagentic/core/run/Credentials"
import type { RunError } from "@fastagentic/core/run/RunError"
import * as Tracing from "@fastagentic/core/telemetry/Tracing"
import type * as Sdk from "@modelcontextprotocol/server"
import { type Context, Effect, Predicate } from "effect"
import * as Abilities from "./Abilities.ts"
import type { Raw, ReadFlow } from "./AskedReads.ts"
import type { Ask, Client, Question } from "./ClientQuestion.ts"
import type { ElicitationFlow } from "./ElicitationFlow.ts"
import type { InFlightCall } from "./InFlightCalls.ts"
import type { Catalog } from "./McpCatalog.ts"
import type * as McpContent from "./McpContent.ts"
import * as McpError from "./McpError.ts"
import type * as Report from "./Report.ts"
import * as TaskView from "./TaskView.ts"

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
  readonly register: (
    requestId: Sdk.RequestId,
    call: InFlightCall,
    seq: number
  ) => Effect.Effect<() => void, RunError>
  /** The abilities that a client of 2025 has declared. */
  readonly abilities: (server: Sdk.Server) => Abilities.Abilities
  /** The level from which a client of 2025 wants logs. */
  readonly logLevel: Effect.Effect<Report.Level | undefined, RunError>
  readonly setLogLevel: (level: Report.Level) => Effect.Effect<void, RunError>
  /** Begins or ends the subscription of a client of 2025. */
  readonly subscribe: (uri: string, wanted: boolean) => Effect.Effect<void, RunError>
  /** Asks a client of 2025 while its call waits. */
  readonly ask: (server: Sdk.Server, context: Sdk.ServerContext, caller: Caller.Caller) => Ask
  /** Says to a client of 2025 that a page which it has opened is done. */
  readonly complete: (server: Sdk.Server, context: Sdk.ServerContext) => (question: Question) => Effect.Effect<void>
  /** Sends a request to a client of 2025 while its prompt or resource is read. */
  readonly put: (
    server: Sdk.Server,
    context: Sdk.ServerContext,
    caller: Caller.Caller
  ) => (question: Question) => Effect.Effect<Raw>
  /** Whether an abort cancels the run, or only ends the connection. */
  readonly isCancelled: (signal: AbortSignal) => boolean
}

/** The registration of a call that only its own request can cancel. */
export const notRegistered = Effect.succeed(() => {})

/** The parts that all connections of an app share. */
export interface Options {
  readonly runtime: Runtime["Service"]
  readonly catalog: Catalog
  /** The loggers, tracers and references of the handlers. */
  readonly services: Context.Context<never>
}

/** A method of the protocol, for a caller who is authenticated. */
export type Method<A> = (caller: Caller.Caller) => Effect.Effect<A, McpError.McpError | RunError>

/** The parts of a message that methods read, whether the SDK has received it or not. */
export interface Message {
  readonly mcpReq:
    & Pick<Sdk.ServerContext["mcpReq"], "id" | "method" | "_meta" | "notify">
    & { readonly envelope?: object }
}

/** Answers a message for its caller, once that is authenticated. */
export type Answer = <A>(context: Sdk.ServerContext, method: Method<A>) => Promise<A>

/** The SDK knows the revision of a client on a connection that lives on, and of 2026-07-28; other requests name it. */
export const readerOf = ({ revision = "2025-03-26", url }: Connection, server: Sdk.Server): McpContent.Reader => ({
  revision: server.getNegotiatedProtocolVersion() ?? revision,
  url
})

/** The trace of a message is the parent of its span; the trace of the transport is linked. */
export const spanOf = (
  { traceparent }: Pick<Connection, "traceparent">,
  { mcpReq }: Message,
  { span }: Caller.Caller
) => {
  const transport = Tracing.fromTraceparent(traceparent)
  return {
    kind: "server",
    ...(span === undefined ? {} : { parent: span }),
    links: transport === undefined || transport.spanId === span?.spanId ? [] : [{ span: transport, attributes: {} }],
    attributes: { "mcp.method.name": mcpReq.method, "jsonrpc.request.id": String(mcpReq.id) }
  } as const
}

/** The trace comes from the request's own `_meta`, or else from the transport. */
export const callerOf = (
  connection: Pick<Connection, "authenticated" | "credentials" | "onLimits" | "traceparent">,
  { mcpReq }: Message
) => {
  const own = mcpReq._meta?.["traceparent"]
  const caller = Caller.make("mcp", {
    credentials: connection.credentials,
    onLimits: connection.onLimits,
    traceparent: typeof own === "string" && Caller.traceIdOf(own) !== undefined ? own : connection.traceparent
  })
  return { ...caller, authenticated: connection.authenticated }
}

/** A message within its own span; failures of every kind are errors of the protocol. */
export const answering = ({ authenticate }: Runtime["Service"]) =>
<A>(
  caller: Caller.Caller,
  method: Method<A>,
  name: string,
  details: () => ReturnType<typeof spanOf>
): Effect.Effect<A, McpError.McpError> => {
  const answered = (caller: Caller.Caller) =>
    Effect.catchCause(
      Effect.flatMap(authenticate(caller), method),
      (cause) => Effect.flatMap(McpError.fromCause(cause, caller.traceId), Effect.fail)
    )
  return Tracing.within(
    Effect.flatMap(
      Tracing.current,
      (span) => answered(span === undefined ? caller : { ...caller, traceId: span.traceId, span })
    ),
    name,
    details
  )
}

/** A request of 2026-07-28 carries its client's capabilities; before, the transport knows them. */
export const elicitationOf = (
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
    ? {
      _tag: "Push",
      client,
      ask: connection.ask(server, context, caller),
      complete: connection.complete(server, context)
    }
    : { _tag: "None", client }
}

/** The way to ask while a prompt or a resource is read. */
export const readFlowOf = (
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

export const clientIn = (connection: Connection, server: Sdk.Server, message: Message): Client => {
  const { revision } = readerOf(connection, server)
  return message.mcpReq.envelope === undefined
    ? { abilities: connection.abilities(server), revision }
    : modernClientOf(message, revision)
}

/** The client of a message of 2026-07-28. */
export const modernClientOf = ({ mcpReq }: Message, revision: string): Client => ({
  abilities: Abilities.fromCapabilities(capabilitiesIn(mcpReq)),
  revision
})

const capabilitiesIn = ({ envelope }: Message["mcpReq"]): unknown => {
  const { [capabilitiesKey]: capabilities } = { ...Object(envelope) }
  return capabilities
}

const capabilitiesKey = "io.modelcontextprotocol/clientCapabilities"

/** Whether a request of 2026-07-28 says that its client knows tasks. */
export const hasExtension = ({ mcpReq }: Message): boolean => {
  const capabilities = capabilitiesIn(mcpReq)
  const extensions = Predicate.hasProperty(capabilities, "extensions") ? capabilities.extensions : undefined
  return Predicate.hasProperty(extensions, TaskView.extension)
}
