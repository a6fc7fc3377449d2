import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import type { TraceData } from "effect/observability/OtlpTracer"
import { encodeTraces } from "../../src/otlp/internal/traces.ts"

type Span = TraceData["resourceSpans"][number]["scopeSpans"][number]["spans"][number]

const text = (key: string, stringValue: string) => ({ key, value: { stringValue } })

const span = (fields: Partial<Span>): Span => ({
  traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
  spanId: "00f067aa0ba902b7",
  parentSpanId: undefined,
  name: "admit",
  kind: 1,
  startTimeUnixNano: "1795379485000000000",
  endTimeUnixNano: "1795379485000123456",
  attributes: [],
  droppedAttributesCount: 0,
  events: [],
  droppedEventsCount: 0,
  status: { code: 0 },
  links: [],
  droppedLinksCount: 0,
  ...fields
})

const of = (spans: Array<Span>): TraceData => ({
  resourceSpans: [{
    resource: { attributes: [text("service.name", "désk")], droppedAttributesCount: 0 },
    scopeSpans: [{ scope: { name: "fastagentic", version: "0.1.0" }, spans }]
  }]
})

const values = [
  { stringValue: "" },
  { stringValue: "plain" },
  { stringValue: "x".repeat(63) },
  { stringValue: "y".repeat(70_000) },
  { stringValue: "ä".repeat(100) },
  { stringValue: "𝄞 in the middle of what is short" },
  { boolValue: true },
  { boolValue: false },
  ...[0, 1, 127, 128, 2 ** 31 - 1, 2 ** 31, 2 ** 40 + 7, Number.MAX_SAFE_INTEGER, -1, -(2 ** 40)].map((intValue) => ({
    intValue
  })),
  { intValue: "9223372036854775807" },
  { doubleValue: 0.1 },
  { doubleValue: -1e300 },
  { arrayValue: { values: [{ stringValue: "a" }, { arrayValue: { values: [{ intValue: 5 }] } }] } }
]

const attributes = values.map((value, index) => ({ key: `key.${index}`, value }))

const cases: Record<string, TraceData> = {
  "no spans": of([]),
  "one that says little": of([span({})]),
  "every kind of value": of([span({ parentSpanId: "b7ad6b7169203331", kind: 3, attributes })]),
  "events, links and a failure": of([span({
    events: [
      { name: "checkpoint", timeUnixNano: "1795379485000000001", attributes, droppedAttributesCount: 0 },
      { name: "", timeUnixNano: "1", attributes: [], droppedAttributesCount: 0 }
    ],
    links: [{
      traceId: "0af7651916cd43dd8448eb211c80319c",
      spanId: "ABCDEF0123456789",
      attributes: [text("why", "it waits")],
      droppedAttributesCount: 0
    }],
    status: { code: 2, message: "RateLimited" }
  })]),
  "more than the buffer has room for at first": of(
    Array.from(
      { length: 2_000 },
      (_, index) => span({ name: `span ${index}`, attributes: [text("n", "x".repeat(index))] })
    )
  )
}

describe("encodeTraces", () => {
  for (const [name, data] of Object.entries(cases)) {
    it.effect(`${name} has the same bytes as effect's encoding`, () =>
      Effect.gen(function*() {
        const { traces } = yield* OtlpSerialization.OtlpSerialization
        const body = traces(data)
        assert.strictEqual(body._tag, "Uint8Array")
        const expected = body._tag === "Uint8Array" ? body.body : undefined
        assert.strictEqual(Buffer.compare(encodeTraces(data), expected ?? new Uint8Array()), 0)
      }).pipe(Effect.provide(OtlpSerialization.layerProtobuf)))
  }
})
