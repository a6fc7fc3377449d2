/**
 * Whether spans carry prompts, answers, arguments and results. They do not unless the app says so.
 *
 * @since 0.1.0
 */
import { Context, Layer } from "effect"

/** @category services @since 0.1.0 */
export const TelemetryContent = Context.Reference<boolean>(
  "@fastagentic/core/telemetry/TelemetryContent/TelemetryContent",
  { defaultValue: () => false }
)

/**
 * Spans of runs carry content. Each value passes the local guards of its run and `Redaction` first, and a value that a
 * guard refuses is left out.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never> = Layer.succeed(TelemetryContent, true)
