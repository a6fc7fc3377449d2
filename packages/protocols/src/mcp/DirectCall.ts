// Recognizes a plain `tools/call` of 2026-07-28: one that the SDK would accept, and that gets nothing but its result. Endpoint
// answers it without the SDK, whose server, transport and web request for one answer cost more than the call itself. A message
// that is unusual in any way is the SDK's, which knows every rule of the wire.
import { Predicate } from "effect"

export interface DirectCall {
  readonly id: string | number
  readonly name: string
  readonly arguments: { readonly [name: string]: unknown }
  readonly meta: { readonly [key: string]: unknown }
}

type Fields = { readonly [key: string]: unknown }
type Headers = { readonly [name: string]: string | undefined }

const revision = "2026-07-28"

const isFields = (value: unknown): value is Fields => Predicate.isObject(value) && !Array.isArray(value)

/** The call of a message, if it is a plain one and its headers repeat it as they should. */
export const callOf = (headers: Headers, body: unknown): DirectCall | undefined => {
  if (headers["mcp-protocol-version"] !== revision || headers["mcp-method"] !== "tools/call") return undefined
  if (headers["content-type"] !== "application/json" || headers["mcp-session-id"] !== undefined) return undefined
  if (!isFields(body) || body["jsonrpc"] !== "2.0" || body["method"] !== "tools/call") return undefined
  const { id, params } = body
  if (!isId(id) || !isFields(params) || !hasOnly(body, messageKeys) || !hasOnly(params, paramKeys)) return undefined
  const { _meta: meta, arguments: args = {}, name } = params
  if (typeof name !== "string" || headers["mcp-name"] !== name || !plainName.test(name)) return undefined
  if (!isFields(args) || !isFields(meta) || !isEnvelope(meta)) return undefined
  return { id, name, arguments: args, meta }
}

const messageKeys = new Set(["jsonrpc", "id", "method", "params"])
const paramKeys = new Set(["name", "arguments", "_meta"])

const hasOnly = (fields: Fields, keys: ReadonlySet<string>) => {
  for (const key in fields) if (!keys.has(key)) return false
  return true
}

const isId = (id: unknown): id is string | number => typeof id === "string" || Number.isSafeInteger(id)

/** A name whose header needs no decoding. */
const plainName = /^[A-Za-z0-9_-]+$/u

/** A request for progress or logs is answered with a stream. */
const isEnvelope = (meta: Fields) =>
  meta[`${prefix}protocolVersion`] === revision &&
  meta["progressToken"] === undefined &&
  meta[`${prefix}logLevel`] === undefined &&
  isClient(meta[`${prefix}clientInfo`]) &&
  hasObjects(meta[`${prefix}clientCapabilities`])

const prefix = "io.modelcontextprotocol/"

const isClient = (info: unknown) => {
  if (info === undefined) return true
  if (!isFields(info) || typeof info["name"] !== "string" || typeof info["version"] !== "string") return false
  for (const key in info) if (key !== "name" && key !== "version" && key !== "title") return false
  return info["title"] === undefined || typeof info["title"] === "string"
}

/** Capabilities that are objects of objects, as all but a few are. */
const hasObjects = (capabilities: unknown) => {
  if (!isFields(capabilities)) return false
  for (const key in capabilities) {
    const capability = capabilities[key]
    if (!isFields(capability)) return false
    for (const option in capability) if (!isFields(capability[option])) return false
  }
  return true
}
