import { Schema } from "effect"
import { once } from "node:events"
import { createServer } from "node:http"

/** OTLP/JSON as its protobuf schema maps it: ids in hex, 64 bit integers as text, enums as numbers. */
const Value = Schema.Struct({
  stringValue: Schema.optionalKey(Schema.String),
  boolValue: Schema.optionalKey(Schema.Boolean),
  intValue: Schema.optionalKey(Schema.Union([Schema.Int, Schema.String])),
  doubleValue: Schema.optionalKey(Schema.Finite),
  arrayValue: Schema.optionalKey(Schema.Unknown)
})
const Attributes = Schema.Array(Schema.Struct({ key: Schema.String, value: Value }))
const Nanos = Schema.String.check(Schema.isPattern(/^\d{19}$/u))
const TraceId = Schema.String.check(Schema.isPattern(/^[0-9a-f]{32}$/u))
const SpanId = Schema.String.check(Schema.isPattern(/^[0-9a-f]{16}$/u))
const Resource = Schema.Struct({ attributes: Attributes })
const Scope = Schema.Struct({ name: Schema.String, version: Schema.optionalKey(Schema.String) })

const Span = Schema.Struct({
  traceId: TraceId,
  spanId: SpanId,
  parentSpanId: Schema.optionalKey(SpanId),
  name: Schema.NonEmptyString,
  kind: Schema.Literals([1, 2, 3, 4, 5]),
  startTimeUnixNano: Nanos,
  endTimeUnixNano: Nanos,
  attributes: Attributes,
  links: Schema.Array(Schema.Struct({ traceId: TraceId, spanId: SpanId })),
  status: Schema.Struct({ code: Schema.Literals([0, 1, 2]), message: Schema.optionalKey(Schema.String) })
})

const Traces = Schema.Struct({
  resourceSpans: Schema.Array(Schema.Struct({
    resource: Resource,
    scopeSpans: Schema.Array(Schema.Struct({ scope: Scope, spans: Schema.Array(Span) }))
  }))
})

const Logs = Schema.Struct({
  resourceLogs: Schema.Array(Schema.Struct({
    resource: Resource,
    scopeLogs: Schema.Array(Schema.Struct({
      logRecords: Schema.Array(Schema.Struct({
        timeUnixNano: Nanos,
        severityNumber: Schema.Int,
        body: Value,
        attributes: Attributes,
        traceId: Schema.optionalKey(TraceId),
        spanId: Schema.optionalKey(SpanId)
      }))
    }))
  }))
})

const attributesOf = (attributes: typeof Attributes.Type): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))

export interface Seen extends Omit<typeof Span.Type, "attributes"> {
  readonly attributes: Record<string, unknown>
  readonly resource: Record<string, unknown>
}

/** A collector on a port, which answers, or hangs. */
export const collect = async (how: "answers" | "hangs" = "answers") => {
  const spans: Array<Seen> = []
  const lines: Array<
    { readonly body: unknown; readonly attributes: Record<string, unknown>; readonly traceId?: string }
  > = []
  const metrics: Array<string> = []
  const raw: Array<string> = []
  const problems: Array<unknown> = []
  const headers: Array<string | undefined> = []
  let requests = 0
  const take = (path: string, text: string) => {
    raw.push(text)
    const body: unknown = JSON.parse(text)
    if (path === "/v1/traces") {
      for (const { resource, scopeSpans } of Schema.decodeUnknownSync(Traces)(body).resourceSpans) {
        for (const span of scopeSpans.flatMap(({ spans }) => spans)) {
          spans.push({
            ...span,
            attributes: attributesOf(span.attributes),
            resource: attributesOf(resource.attributes)
          })
        }
      }
    } else if (path === "/v1/logs") {
      for (const { scopeLogs } of Schema.decodeUnknownSync(Logs)(body).resourceLogs) {
        for (const line of scopeLogs.flatMap(({ logRecords }) => logRecords)) {
          lines.push({ ...line, body: Object.values(line.body)[0], attributes: attributesOf(line.attributes) })
        }
      }
    } else metrics.push(text)
  }
  const server = createServer((request, response) => {
    requests++
    let text = ""
    request.setEncoding("utf8").on("data", (part: string) => text += part).on("end", () => {
      if (how === "hangs") return
      try {
        headers.push(String(request.headers["x-team"]))
        take(request.url ?? "", text)
      } catch (error) {
        problems.push(error)
      }
      response.setHeader("content-type", "application/json").end("{}")
    })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  const url = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
  const close = () => {
    server.closeAllConnections()
    server.close()
  }
  return { url, spans, lines, metrics, raw, problems, headers, requests: () => requests, close }
}
