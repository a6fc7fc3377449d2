// A tracer whose sampled spans are exported when they end.
import * as TelemetryRedaction from "@fastagentic/core/telemetry/TelemetryRedaction"
import { type Context, type Exit, Option, Tracer } from "effect"
import * as Hex from "effect/encoding/Hex"
import * as OtlpResource from "effect/observability/OtlpResource"
import type { TraceData } from "effect/observability/OtlpTracer"
import type { AgentPlace, AgentPlaces } from "./agentPlaces.ts"
import type { Exporter } from "./exporter.ts"
import type { Sampler } from "./sampler.ts"

type WireSpan = TraceData["resourceSpans"][number]["scopeSpans"][number]["spans"][number]

/** A span as OTLP defines it. Its times are strings in JSON; as text they would cost more than the rest of it in protobuf. */
export interface OtlpSpan<Time = string | bigint> extends Omit<WireSpan, "startTimeUnixNano" | "endTimeUnixNano"> {
  readonly startTimeUnixNano: Time
  readonly endTimeUnixNano: Time
}

/** A tracer whose sampled spans are exported when they end; `places` is for destinations that take only those of agents. */
export const make = (exporter: Exporter<EndedSpan>, sampler: Sampler, places?: AgentPlaces): Tracer.Tracer =>
  Tracer.make({ span: (options) => new EndedSpan(options, exporter, sampler, places) })

type Options = Parameters<Tracer.Tracer["span"]>[0]

export class EndedSpan implements Tracer.Span {
  readonly _tag = "Span"
  readonly name: string
  readonly spanId = Hex.random(16)
  readonly traceId: string
  readonly parent: Option.Option<Tracer.AnySpan>
  readonly annotations: Context.Context<never>
  readonly attributes = new Map<string, unknown>()
  readonly events: Array<readonly [name: string, at: bigint, attributes: Record<string, unknown>]> = []
  readonly links: Array<Tracer.SpanLink>
  readonly sampled: boolean
  readonly kind: Tracer.SpanKind
  status: Tracer.SpanStatus
  place: AgentPlace | undefined
  /** The characters of long attributes: those of content. */
  size = 0
  private readonly exporter: Exporter<EndedSpan>
  private readonly places: AgentPlaces | undefined

  constructor(options: Options, exporter: Exporter<EndedSpan>, sampler: Sampler, places: AgentPlaces | undefined) {
    const parent = Option.getOrUndefined(options.parent)
    this.name = options.name
    this.parent = options.parent
    this.annotations = options.annotations
    this.links = options.links
    this.kind = options.kind
    this.traceId = parent === undefined ? Hex.random(32) : parent.traceId
    this.sampled = options.sampled && !TelemetryRedaction.isBackground(options) &&
      sampler(this.traceId, parent?.sampled)
    this.status = { _tag: "Started", startTime: options.startTime }
    this.exporter = exporter
    this.places = places
  }

  end(endTime: bigint, exit: Exit.Exit<unknown, unknown>) {
    if (this.status._tag === "Ended") return
    this.status = { _tag: "Ended", startTime: this.status.startTime, endTime, exit }
    if (this.sampled) this.exporter.push(this)
  }

  attribute(key: string, value: unknown) {
    if (this.sampled && this.status._tag === "Started" && TelemetryRedaction.isAllowed(key)) {
      this.attributes.set(key, value)
      if (typeof value === "string" && value.length > 1_024) this.size += value.length
      this.places?.note(this, key, value)
    }
  }

  event(name: string, startTime: bigint, attributes: Record<string, unknown> = {}) {
    if (!this.sampled || this.status._tag === "Ended" || TelemetryRedaction.isLogLine(attributes)) return
    this.events.push([name, startTime, attributes])
  }

  addLinks(links: ReadonlyArray<Tracer.SpanLink>) {
    for (const link of links) this.links.push(link)
  }
}

const kinds = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 } as const

/** A span as one destination wants it: with its attributes, and below the parent that it knows. */
export interface View {
  readonly attributes: Iterable<[string, unknown]>
  readonly parentSpanId: string | undefined
}

export const encode = <Time>(span: EndedSpan, timeOf: (at: bigint) => Time, view?: View): OtlpSpan<Time> => {
  const { status } = span
  const attributes = OtlpResource.entriesToAttributes(view?.attributes ?? span.attributes)
  const error = status._tag === "Ended" ? TelemetryRedaction.failureOf(status.exit) : undefined
  if (error !== undefined && !span.attributes.has("error.type")) {
    attributes.push({ key: "error.type", value: { stringValue: error } })
  }
  return {
    traceId: span.traceId.padStart(32, "0"),
    spanId: span.spanId,
    parentSpanId: view === undefined ? Option.getOrUndefined(span.parent)?.spanId : view.parentSpanId,
    name: span.name,
    kind: kinds[span.kind],
    startTimeUnixNano: timeOf(status.startTime),
    endTimeUnixNano: timeOf(status._tag === "Ended" ? status.endTime : status.startTime),
    attributes,
    droppedAttributesCount: 0,
    events: span.events.map(([name, at, attributes]) => ({
      name,
      timeUnixNano: String(at),
      attributes: OtlpResource.entriesToAttributes(Object.entries(attributes)),
      droppedAttributesCount: 0
    })),
    droppedEventsCount: 0,
    status: error === undefined ? { code: 0 } : { code: 2, message: error },
    links: span.links.map(({ attributes, span }) => ({
      traceId: span.traceId.padStart(32, "0"),
      spanId: span.spanId,
      attributes: OtlpResource.entriesToAttributes(Object.entries(attributes)),
      droppedAttributesCount: 0
    })),
    droppedLinksCount: 0
  }
}
