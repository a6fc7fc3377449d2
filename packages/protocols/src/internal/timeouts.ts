// How callers give the time that a run may take: a query, a header, a field of a frame, metadata. All read it alike.
import { InvalidPayload, RunError } from "@fastagentic/core/run/RunError"
import { Effect, Schema } from "effect"

const units = new Map([["ms", 1], ["s", 1_000], ["m", 60_000], ["h", 3_600_000], ["d", 86_400_000]])
const longest = 365 * 86_400_000
const pattern = /^(\d{1,10})(ms|s|m|h|d)?$/u
const expected = "milliseconds, or a number with ms, s, m, h or d such as 30s; at most 365d"

const read = (value: string | number): number => {
  const [, count = "", unit = "ms"] = pattern.exec(String(value)) ?? []
  return count === "" ? Number.NaN : Number(count) * (units.get(unit) ?? Number.NaN)
}

const isTimeout = (value: string | number) => {
  const millis = read(value)
  return millis >= 1 && millis <= longest
}

/** A time as text, or as a number of milliseconds. */
export const Timeout = Schema.Union([Schema.Int, Schema.String]).check(Schema.makeFilter(isTimeout, { expected }))

/** The milliseconds of a valid time. */
export const millisOf = (timeout: typeof Timeout.Type | undefined): number | undefined =>
  timeout === undefined ? undefined : read(timeout)

/** The milliseconds of a value that a protocol carries as it comes; an empty one is none. */
export const timeoutIn = (field: string, value: unknown): Effect.Effect<number | undefined, RunError> => {
  if (value === undefined || value === "") return Effect.undefined
  if ((typeof value === "string" || typeof value === "number") && isTimeout(value)) return Effect.succeed(read(value))
  const issues = [{ path: [field], message: `Expected ${expected}` }]
  return Effect.fail(new RunError({ reason: new InvalidPayload({ target: "timeout", issues }) }))
}
