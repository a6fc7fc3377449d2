// Ids of LangSmith, which are UUIDs, from those of OpenTelemetry, which are shorter: the same on every node.
import type { SpanFacts } from "../Destination.ts"

type Placed = Pick<SpanFacts, "spanId" | "traceId" | "startTime" | "isRoot" | "run">

/** The run's own id for its first span, otherwise a UUID of version 7 made of the span's time and ids. */
export const langSmithId = ({ isRoot, run, spanId, startTime, traceId }: Placed): string => {
  if (isRoot && run !== undefined && (run.attempt ?? 1) === 1) return run.runId
  const time = (startTime / 1_000_000n).toString(16).padStart(12, "0").slice(-12)
  const trace = traceId.padStart(32, "0")
  return `${time.slice(0, 8)}-${time.slice(8)}-7${trace.slice(0, 2)}${spanId[0] ?? "0"}-8${spanId.slice(1, 4)}-${
    spanId.slice(4).padStart(12, "0")
  }`
}

/** The place of a span in its trace: the time and the id of each span from the first. */
export const dottedOrder = (span: Placed & Pick<SpanFacts, "above">): string =>
  [span, ...span.above].reverse().map((one) => `${timeOf(one.startTime)}${langSmithId(one)}`).join(".")

/** `20261130T101112131415Z`. */
const timeOf = (nanos: bigint) => {
  const iso = new Date(Number(nanos / 1_000_000n)).toISOString()
  const micros = String(nanos / 1_000n % 1_000n).padStart(3, "0")
  return `${iso.slice(0, -1).replaceAll(/[-:.]/gu, "")}${micros}Z`
}
