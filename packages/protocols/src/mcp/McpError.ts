// Failures as JSON-RPC errors: a code, a message for people, and in `data` the typed error with its trace id.
import { asRule, internalMessage, type ReadFailed, Reason, type RunError } from "@fastagentic/core/run/RunError"
import { Cause, Data, Effect, Option, Schema } from "effect"

export const parseError = -32700
export const invalidRequest = -32600
/** Also the code of a missing resource, see `resourceNotFound`. */
export const invalidParams = -32602
export const methodNotFound = -32601
export const internalError = -32603
export const headerMismatch = -32020
export const missingCapability = -32021
/** 2025-11-25: a request needs a page that is not done. */
export const urlRequired = -32042

/** A JSON-RPC error, in the shape that the SDK reads from a thrown error. */
export class McpError extends Data.TaggedError("McpError")<{
  readonly code: number
  readonly message: string
  readonly data: { readonly tag: string; readonly traceId: string; readonly [key: string]: Schema.Json }
}> {}

const encode = Schema.encodeUnknownEffect(Schema.toCodecJson(Reason))

const statuses = new Map(Reason.members.map((schema) => {
  const status = Schema.resolveAnnotations(schema)?.["httpApiStatus"]
  return [schema.identifier, typeof status === "number" ? status : 500] as const
}))

/** The HTTP status of a refusal that is answered before dispatch. */
export const statusOf = ({ reason }: RunError): number => statuses.get(reason._tag) ?? 500

/** A refusal of the runtime. Codes outside of JSON-RPC's own are HTTP statuses, so that 403 is 403 on every protocol. */
export const fromRunError = Effect.fnUntraced(function*(error: RunError, traceId: string) {
  const typed = yield* encodeReason(error)
  return new McpError({ code: codeOf(error.reason), message: error.message, data: { ...typed, traceId } })
})

/** The typed error as data, under `tag`; the cause of a failed store stays on the server. */
const encodeReason = Effect.fnUntraced(function*({ reason }: RunError) {
  if (reason._tag === "StoreUnavailable") return { tag: reason._tag }
  const encoded = yield* Effect.orDie(encode(reason))
  if (typeof encoded !== "object" || encoded === null || Array.isArray(encoded)) return { tag: reason._tag }
  const fields = Object.fromEntries(Object.entries(encoded).filter(([key]) => key !== "_tag"))
  return { ...fields, ...asRule(reason), tag: reason._tag }
})

const codeOf = (reason: Reason): number => {
  switch (reason._tag) {
    case "InvalidPayload":
    case "InvalidCursor":
    case "NotDeclared":
    case "FileNotFound":
      return invalidParams
    case "StoreUnavailable":
      return internalError
    default:
      return statuses.get(reason._tag) ?? internalError
  }
}

/** No resource has this URI. */
export const resourceNotFound = (uri: string, traceId: string): McpError =>
  new McpError({
    code: invalidParams,
    message: `Resource not found: ${uri}`,
    data: { tag: "NotDeclared", uri, traceId }
  })

/** No page has given this cursor. */
export const invalidCursor = (cursor: string, traceId: string): McpError =>
  new McpError({ code: invalidParams, message: "Invalid cursor", data: { tag: "InvalidCursor", cursor, traceId } })

/** The client has not declared what a tool cannot do without. */
export const missingAbilities = (names: ReadonlyArray<string>, traceId: string): McpError =>
  new McpError({
    code: missingCapability,
    message: `This tool needs a client with: ${names.join(", ")}`,
    data: {
      tag: "MissingCapability",
      requiredCapabilities: capabilitiesOf(names),
      traceId
    }
  })

/** Forms and pages are two modes of one capability. */
const capabilitiesOf = (names: ReadonlyArray<string>): { readonly [name: string]: Schema.Json } => ({
  ...Object.fromEntries(names.filter((name) => name !== "url").map((name) => [name, {}])),
  ...(names.includes("url")
    ? { elicitation: { ...(names.includes("elicitation") ? { form: {} } : {}), url: {} } }
    : {})
})

/** The user has to be through with a page before the request can be answered; the client asks again then. */
export const pageRequired = (page: Schema.Json = {}, traceId: string): McpError =>
  new McpError({
    code: urlRequired,
    message: "This request needs a page that the user has opened and is not through with",
    data: { tag: "UrlElicitationRequired", elicitations: [page], traceId }
  })

/** The client does not know tasks, which the request needs. */
export const missingTasks = (traceId: string): McpError =>
  new McpError({
    code: missingCapability,
    message: "This request needs a client that knows tasks",
    data: {
      tag: "MissingCapability",
      requiredCapabilities: { extensions: { "io.modelcontextprotocol/tasks": {} } },
      traceId
    }
  })

/** A tool is called as a task and cannot be one, or has to be one. */
export const wrongTask = (name: string, traceId: string): McpError =>
  new McpError({
    code: methodNotFound,
    message: `The tool "${name}" cannot be called this way: see its taskSupport`,
    data: { tag: "WrongTaskSupport", name, traceId }
  })

/** The resource's own typed error; a status of 404 is the protocol's own error for a missing resource. */
export const fromReadFailed = ({ failure }: ReadFailed, uri: string, traceId: string): McpError =>
  new McpError({
    code: failure.status === 404 ? invalidParams : failure.status,
    message: failure.status === 404 ? `Resource not found: ${uri}` : failure.message,
    data: { tag: failure.tag, uri, traceId, ...(failure.value === undefined ? {} : { error: failure.value }) }
  })

/** The error of any failed request; of a defect only the trace id leaves the server. */
export const fromCause = Effect.fnUntraced(function*(cause: Cause.Cause<McpError | RunError>, traceId: string) {
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  if (error?._tag === "McpError") return error
  if (error?._tag === "RunError") return yield* fromRunError(error, traceId)
  if (!Cause.hasInterruptsOnly(cause)) {
    yield* Effect.annotateLogs(Effect.logError("An MCP request failed unexpectedly", cause), { traceId })
  }
  return new McpError({ code: internalError, message: internalMessage, data: { tag: "InternalError", traceId } })
})
