// A tracer that sends each ended span to one or several destinations, each with its queue. Otlp and Observability make it.
import { Effect, Scope } from "effect"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import type { Resource } from "effect/observability/OtlpResource"
import manifest from "../../../package.json" with { type: "json" }
import { AgentPlaces } from "./agentPlaces.ts"
import type { Settings } from "./environment.ts"
import * as Exporter from "./exporter.ts"
import type { Sampler } from "./sampler.ts"
import * as SpanTracer from "./tracer.ts"
import { encodeTraces } from "./traces.ts"

/** One destination of spans. */
export interface Target {
  readonly settings: Settings
  readonly resource: Resource
  readonly client: HttpClient.HttpClient
  /** Whether it takes the spans of agents only. */
  readonly agentsOnly: boolean
  readonly view: ((span: SpanTracer.EndedSpan) => SpanTracer.View) | undefined
}

export const scope = { name: "fastagentic", version: manifest.version }

/** The tracer; when its scope closes all destinations are flushed at the same time. */
export const make = Effect.fnUntraced(function*(targets: ReadonlyArray<Target>, sampler: Sampler) {
  const flushing = yield* Scope.fork(yield* Effect.scope, "parallel")
  const exporters = yield* Effect.forEach(targets, exporterOf).pipe(Scope.provide(flushing))
  const places = targets.some(({ view }) => view !== undefined) ? new AgentPlaces() : undefined
  const [first] = exporters
  const exporter = exporters.length === 1 && first !== undefined
    ? first
    : { push: (span: SpanTracer.EndedSpan) => exporters.forEach((one) => one.push(span)) }
  return SpanTracer.make(exporter, sampler, places)
})

const exporterOf = Effect.fnUntraced(function*({ agentsOnly, client, resource, settings, view }: Target) {
  const exporter = yield* Exporter.make<SpanTracer.EndedSpan>(settings, (spans) => {
    const dataOf = <Time>(timeOf: (at: bigint) => Time) => ({
      resourceSpans: [{
        resource,
        scopeSpans: [{ scope, spans: spans.map((span) => SpanTracer.encode(span, timeOf, view?.(span))) }]
      }]
    })
    return settings.json
      ? HttpBody.jsonUnsafe(dataOf(String))
      : HttpBody.uint8Array(encodeTraces(dataOf((at) => at)), "application/x-protobuf")
  }, ({ size }) => size).pipe(Effect.provideService(HttpClient.HttpClient, client))
  return agentsOnly
    ? { push: (span) => span.place === undefined ? undefined : exporter.push(span) } satisfies typeof exporter
    : exporter
})
