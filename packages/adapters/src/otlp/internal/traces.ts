// Encodes spans as protobuf.
import type { AnyValue, KeyValue, Resource } from "effect/observability/OtlpResource"
import { Writer } from "./protobuf.ts"
import type { OtlpSpan } from "./tracer.ts"

interface Traces {
  readonly resourceSpans: ReadonlyArray<{
    readonly resource: Resource
    readonly scopeSpans: ReadonlyArray<{
      readonly scope: { readonly name: string; readonly version?: string }
      readonly spans: ReadonlyArray<OtlpSpan>
    }>
  }>
}

/**
 * Spans as protobuf: the same bytes as effect's `OtlpSerialization`, which makes and joins an array for each field of
 * each span and so costs more than the rest of tracing a call.
 */
export const encodeTraces = ({ resourceSpans }: Traces): Uint8Array => {
  const out = new Writer()
  for (const { resource, scopeSpans } of resourceSpans) {
    const start = out.begin(1)
    within(out, 1, () => attributes(out, 1, resource.attributes))
    for (const { scope, spans } of scopeSpans) {
      within(out, 2, () => {
        within(out, 1, () => {
          out.text(1, scope.name)
          optional(out, 2, scope.version)
        })
        for (const one of spans) span(out, one)
      })
    }
    out.end(start)
  }
  return out.written
}

const span = (out: Writer, one: OtlpSpan) => {
  const start = out.begin(2)
  out.hex(1, one.traceId)
  out.hex(2, one.spanId)
  if (one.parentSpanId !== undefined) out.hex(4, one.parentSpanId)
  out.text(5, one.name)
  out.integer(6, one.kind)
  out.fixed64(7, BigInt(one.startTimeUnixNano))
  out.fixed64(8, BigInt(one.endTimeUnixNano))
  attributes(out, 9, one.attributes)
  for (const event of one.events) {
    const start = out.begin(11)
    out.fixed64(1, BigInt(event.timeUnixNano))
    out.text(2, event.name)
    attributes(out, 3, event.attributes)
    out.end(start)
  }
  for (const link of one.links) {
    const start = out.begin(13)
    out.hex(1, link.traceId)
    out.hex(2, link.spanId)
    attributes(out, 4, link.attributes)
    out.end(start)
  }
  const status = out.begin(15)
  optional(out, 2, one.status.message)
  out.integer(3, one.status.code)
  out.end(status)
  out.end(start)
}

const attributes = (out: Writer, field: number, all: ReadonlyArray<KeyValue>) => {
  for (const { key, value } of all) {
    const start = out.begin(field)
    out.text(1, key)
    anyValue(out, 2, value)
    out.end(start)
  }
}

const anyValue = (out: Writer, field: number, value: AnyValue) => {
  const start = out.begin(field)
  if (typeof value.stringValue === "string") out.text(1, value.stringValue)
  else if (typeof value.boolValue === "boolean") out.integer(2, value.boolValue ? 1 : 0)
  else if (typeof value.intValue === "number") out.integer(3, value.intValue)
  else if (typeof value.intValue === "string") out.integer(3, BigInt(value.intValue))
  else if (typeof value.doubleValue === "number") out.double(4, value.doubleValue)
  else if (value.arrayValue !== undefined) {
    const { values } = value.arrayValue
    within(out, 5, () => values.forEach((one) => anyValue(out, 1, one)))
  }
  out.end(start)
}

const optional = (out: Writer, field: number, text: string | undefined) => {
  if (text !== undefined && text !== "") out.text(field, text)
}

const within = (out: Writer, field: number, write: () => void) => {
  const start = out.begin(field)
  write()
  out.end(start)
}
