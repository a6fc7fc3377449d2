/**
 * Exports traces, metrics and logs to a collector over OTLP/HTTP, configured by the `OTEL_*` variables.
 *
 * @since 0.1.0
 */
import { type Config, Context, Effect, Layer, Logger, Tracer } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as OtlpExporter from "effect/observability/OtlpExporter"
import * as OtlpMetrics from "effect/observability/OtlpMetrics"
import * as OtlpResource from "effect/observability/OtlpResource"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import { type Settings, settingsOf } from "./internal/environment.ts"
import * as Exporter from "./internal/exporter.ts"
import * as LineLogger from "./internal/logger.ts"
import { describe, type Description } from "./internal/resource.ts"
import * as Sampler from "./internal/sampler.ts"
import * as Targets from "./internal/targets.ts"

/** @category options @since 0.1.0 */
export interface Options {
  /** The service name, unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` is set. */
  readonly serviceName: string
  readonly serviceVersion?: string | undefined
}

/**
 * Exports to `OTEL_EXPORTER_OTLP_ENDPOINT`, or to a signal's own endpoint; does nothing without one.
 *
 * **Details**
 *
 * Nothing ever waits for the collector: spans and log lines wait in a bounded queue, those that find no room or no
 * collector are lost and counted in `fastagentic_telemetry_lost_total`, and stopping takes three seconds at most. Spans
 * carry the kind of a failure, never its message.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (options: Options): Layer.Layer<never, Config.ConfigError> =>
  Layer.unwrap(Effect.gen(function*() {
    const traces = yield* settingsOf("TRACES")
    const metrics = yield* settingsOf("METRICS")
    const logs = yield* settingsOf("LOGS")
    const resource = yield* describe(options)
    return Layer.mergeAll(
      traces === undefined ? Layer.empty : layerTracer(traces, resource),
      logs === undefined ? Layer.empty : layerLogger(logs, resource),
      metrics === undefined ? Layer.empty : layerMetrics(metrics, resource)
    )
  })).pipe(Layer.provide(FetchHttpClient.layer))

const serializationOf = ({ json }: Settings) =>
  Effect.map(
    Layer.build(json ? OtlpSerialization.layerJson : OtlpSerialization.layerProtobuf),
    Context.get(OtlpSerialization.OtlpSerialization)
  )

const layerTracer = (settings: Settings, description: Description) =>
  Layer.effect(
    Tracer.Tracer,
    Effect.gen(function*() {
      const client = yield* HttpClient.HttpClient
      const resource = yield* OtlpResource.fromConfig(description)
      const target = { settings, resource, client, agentsOnly: false, view: undefined }
      return yield* Targets.make([target], yield* Sampler.fromConfig)
    })
  )

const layerLogger = (settings: Settings, description: Description) =>
  Logger.layer([
    Effect.gen(function*() {
      const serialization = yield* serializationOf(settings)
      const resource = yield* OtlpResource.fromConfig(description)
      const exporter = yield* Exporter.make<LineLogger.LogRecord>(settings, (records) =>
        serialization.logs({
          resourceLogs: [{ resource, scopeLogs: [{ scope: Targets.scope, logRecords: [...records] }] }]
        }))
      return LineLogger.make(exporter)
    })
  ], { mergeWithExisting: true })

/** Metrics are cumulative: the next export contains the data of a failed one. */
const layerMetrics = (settings: Settings, description: Description) =>
  Layer.effectDiscard(OtlpMetrics.make({
    url: settings.url,
    headers: settings.headers,
    resource: description,
    compression: settings.gzip ? "gzip" : "none",
    exportInterval: settings.delayMillis,
    shutdownTimeout: "3 seconds"
  })).pipe(
    Layer.provide(OtlpExporter.layerFlusher),
    Layer.provide(settings.json ? OtlpSerialization.layerJson : OtlpSerialization.layerProtobuf),
    Layer.provide(Layer.effect(HttpClient.HttpClient, counting(settings)))
  )

const counting = Effect.fnUntraced(function*(settings: Settings) {
  const { timeoutMillis } = settings
  const client = yield* HttpClient.HttpClient
  const services = yield* Effect.context<never>()
  const { lost, sent } = Exporter.countersOf(settings)
  lost.updateUnsafe(0, services)
  return HttpClient.make((request) =>
    client.execute(request).pipe(
      Effect.timeout(timeoutMillis),
      Effect.tap(({ status }) => Effect.sync(() => (status < 300 ? sent : lost).updateUnsafe(1, services))),
      Effect.catchCause(() =>
        Effect.sync(() => {
          lost.updateUnsafe(1, services)
          return HttpClientResponse.fromWeb(request, new Response(null, { status: 204 }))
        })
      )
    )
  )
})
