// Decodes the messages of opentelemetry-proto 1.x by its field numbers, and refuses anything that they do not define.

type Kind = "string" | "bytes" | "varint" | "fixed64" | "fixed32" | "double" | "bool"
type Field = readonly [name: string, kind: Kind | (() => Schema), repeated?: "many"]
type Schema = Readonly<Record<number, Field>>

const AnyValue: Schema = {
  1: ["stringValue", "string"],
  2: ["boolValue", "bool"],
  3: ["intValue", "varint"],
  4: ["doubleValue", "double"],
  5: ["arrayValue", () => ({ 1: ["values", () => AnyValue, "many"] })],
  7: ["bytesValue", "bytes"]
}
const KeyValue: Schema = { 1: ["key", "string"], 2: ["value", () => AnyValue] }
const attributes: Field = ["attributes", () => KeyValue, "many"]
const Event: Schema = { 1: ["timeUnixNano", "fixed64"], 2: ["name", "string"], 3: attributes }
const Link: Schema = { 1: ["traceId", "bytes"], 2: ["spanId", "bytes"], 3: ["traceState", "string"], 4: attributes }
const Status: Schema = { 2: ["message", "string"], 3: ["code", "varint"] }
const Span: Schema = {
  1: ["traceId", "bytes"],
  2: ["spanId", "bytes"],
  3: ["traceState", "string"],
  4: ["parentSpanId", "bytes"],
  5: ["name", "string"],
  6: ["kind", "varint"],
  7: ["startTimeUnixNano", "fixed64"],
  8: ["endTimeUnixNano", "fixed64"],
  9: attributes,
  11: ["events", () => Event, "many"],
  13: ["links", () => Link, "many"],
  15: ["status", () => Status],
  16: ["flags", "fixed32"]
}
const Scope: Schema = { 1: ["name", "string"], 2: ["version", "string"], 3: attributes }
const ScopeSpans: Schema = { 1: ["scope", () => Scope], 2: ["spans", () => Span, "many"], 3: ["schemaUrl", "string"] }
const ResourceSpans: Schema = {
  1: ["resource", () => ({ 1: attributes })],
  2: ["scopeSpans", () => ScopeSpans, "many"],
  3: ["schemaUrl", "string"]
}
const Request: Schema = { 1: ["resourceSpans", () => ResourceSpans, "many"] }

const wires: Readonly<Record<Kind, number>> = {
  string: 2,
  bytes: 2,
  varint: 0,
  bool: 0,
  fixed64: 1,
  double: 1,
  fixed32: 5
}

const decode = (bytes: Buffer, schema: Schema): Record<string, unknown> => {
  const message: Record<string, unknown> = {}
  let at = 0
  const varint = () => {
    let value = 0n
    for (let shift = 0n;; shift += 7n) {
      const byte = bytes[at++]
      if (byte === undefined || shift > 63n) throw new Error("the message ends inside a number")
      value |= BigInt(byte & 127) << shift
      if (byte < 128) return value
    }
  }
  while (at < bytes.length) {
    const tag = Number(varint())
    const field = schema[tag >>> 3]
    if (field === undefined) throw new Error(`unknown field ${tag >>> 3}`)
    const [name, kind, many] = field
    const wire = typeof kind === "function" ? 2 : wires[kind]
    if ((tag & 7) !== wire) throw new Error(`${name} has wire type ${tag & 7}`)
    let value: unknown
    if (wire === 2) {
      const length = Number(varint())
      if (at + length > bytes.length) throw new Error(`${name} is longer than its message`)
      const part = bytes.subarray(at, at += length)
      value = typeof kind === "function"
        ? decode(part, kind())
        : kind === "string"
        ? new TextDecoder("utf-8", { fatal: true }).decode(part)
        : part.toString("hex")
    } else if (wire === 0) {
      const number = varint()
      value = kind === "bool" ? number === 1n : Number(BigInt.asIntN(64, number))
    } else if (wire === 5) {
      value = bytes.readUInt32LE(at)
      at += 4
    } else {
      value = kind === "double" ? bytes.readDoubleLE(at) : bytes.readBigUInt64LE(at)
      at += 8
    }
    const known = message[name]
    message[name] = many === undefined ? value : Array.isArray(known) ? [...known, value] : [value]
  }
  return message
}

/** The body of an export of traces. */
export const decodeTraces = (body: Buffer): unknown => decode(body, Request)
