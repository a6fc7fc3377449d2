// A logger that exports each line with its span.
import * as TelemetryRedaction from "@fastagentic/core/telemetry/TelemetryRedaction"
import { Cause, Logger, References } from "effect"
import type { LogsData } from "effect/observability/OtlpLogger"
import * as OtlpResource from "effect/observability/OtlpResource"
import type { Exporter } from "./exporter.ts"

export type LogRecord = NonNullable<LogsData["resourceLogs"][number]["scopeLogs"][number]["logRecords"]>[number]

const severities: Readonly<Record<string, LogRecord["severityNumber"]>> = {
  Trace: 1,
  Debug: 5,
  Info: 9,
  Warn: 13,
  Error: 17,
  Fatal: 21
}

/**
 * Exports each line with the span it was logged in. Of a failure it exports the kind and the source positions; the
 * message of a failure may contain a secret or a payload, and stays on stderr.
 */
export const make = (exporter: Exporter<LogRecord>): Logger.Logger<unknown, void> =>
  Logger.make(({ cause, date, fiber, logLevel, message }) => {
    const at = String(BigInt(date.getTime()) * 1_000_000n)
    const attributes: Record<string, unknown> = { ...fiber.getRef(References.CurrentLogAnnotations) }
    const [error] = Cause.prettyErrors(cause)
    if (error !== undefined) {
      attributes["exception.type"] = TelemetryRedaction.kindOf(Cause.squash(cause))
      attributes["exception.stacktrace"] = placesIn(error.stack)
    }
    const { span } = fiber.cache
    const parts = Array.isArray(message) ? message : [message]
    exporter.push({
      severityNumber: severities[logLevel] ?? 0,
      severityText: logLevel,
      timeUnixNano: at,
      observedTimeUnixNano: at,
      attributes: OtlpResource.entriesToAttributes(Object.entries(attributes)),
      body: OtlpResource.unknownToAttributeValue(parts.length === 1 ? redacted(parts[0]) : parts.map(redacted)),
      droppedAttributesCount: 0,
      ...(span === undefined ? {} : { traceId: span.traceId.padStart(32, "0"), spanId: span.spanId })
    })
  })

const redacted = (part: unknown) => part instanceof Error ? TelemetryRedaction.kindOf(part) : part

const placesIn = (stack = "") => stack.split("\n").filter((line) => /^ {4}at .*:\d+:\d+\)?$/u.test(line)).join("\n")
