/**
 * Formats log lines for machines.
 *
 * @since 0.1.0
 */
import { Logger, References } from "effect"

/** logfmt, with the trace and the span of the line. @category loggers @since 0.1.0 */
export const logger: Logger.Logger<unknown, string> = Logger.make((options) => {
  const line = Logger.formatLogFmt.log(options)
  const { span, tracer } = options.fiber.cache
  if (tracer === undefined || span === undefined) return line
  const { traceId } = options.fiber.getRef(References.CurrentLogAnnotations)
  return `${line}${traceId === undefined ? ` traceId=${span.traceId}` : ""} spanId=${span.spanId}`
})
