/**
 * Spans for an app that already runs an OpenTelemetry SDK.
 *
 * @since 0.1.0
 */
import * as OtelTracer from "@effect/opentelemetry/OtelTracer"
import * as TelemetryRedaction from "@fastagentic/core/telemetry/TelemetryRedaction"
import { trace, type TracerProvider } from "@opentelemetry/api"
import { Effect, Layer, Tracer } from "effect"
import manifest from "../../package.json" with { type: "json" }

const layerOf = (provider: () => TracerProvider) =>
  Layer.effect(Tracer.Tracer, Effect.map(OtelTracer.make, TelemetryRedaction.discreet)).pipe(
    Layer.provide(
      Layer.sync(OtelTracer.OtelTracer, () => provider().getTracer("fastagentic", manifest.version))
    )
  )

/**
 * Sends spans to a tracer provider, whose SDK decides about sampling, queues and exporters. They reveal no more than
 * those of `fastagentic/otlp`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (provider: TracerProvider): Layer.Layer<never> => layerOf(() => provider)

/** Sends spans to the provider that is registered globally when the server starts. @category layers @since 0.1.0 */
export const layerGlobal: Layer.Layer<never> = layerOf(() => trace.getTracerProvider())
