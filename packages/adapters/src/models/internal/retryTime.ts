// Reads when a provider wants to be asked again.
import { Duration } from "effect"

type Headers = Readonly<Record<string, string | undefined>>

const units: { readonly [unit: string]: number } = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** A time in words of a number and a unit, such as `6m0s` or `120ms`. */
const span = (text: string): number | undefined => {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/gu)]
  if (parts.length === 0 || parts.map(([part]) => part).join("") !== text) return undefined
  return parts.reduce((sum, [, count = "0", unit = ""]) => sum + Number(count) * (units[unit] ?? 0), 0)
}

/** Seconds, a time span, a date, or a moment in seconds or milliseconds since 1970. */
const delay = (text: string, now: number): number | undefined => {
  const number = text.trim() === "" ? Number.NaN : Number(text)
  if (Number.isFinite(number)) return number > 1e12 ? number - now : number > 1e9 ? number * 1000 - now : number * 1000
  const date = Date.parse(text)
  return span(text.trim()) ?? (Number.isNaN(date) ? undefined : date - now)
}

const resets = /^(?:x-)?(?:anthropic-)?ratelimit(?:-[a-z-]+)?-reset(?:-[a-z-]+)?$/u
const emptied = (headers: Headers, name: string) => headers[name.replace("reset", "remaining")] === "0"

/** The longest wait among the counters that are empty, or among all when none says so. */
const resetIn = (headers: Headers, now: number): number | undefined => {
  const names = Object.keys(headers).filter((name) => resets.test(name))
  const empty = names.filter((name) => emptied(headers, name))
  const waits = (empty.length === 0 ? names : empty).flatMap((name) => delay(headers[name] ?? "", now) ?? [])
  return waits.length === 0 ? undefined : Math.max(...waits)
}

/** The time to wait, from the headers of an answer and the words in its body. */
export const retryTime = (headers: Headers, inBody: number | undefined, now: number): Duration.Duration | undefined => {
  const millis = headers["retry-after-ms"]
  const after = headers["retry-after"]
  const wait = (millis === undefined ? undefined : delay(`${Number(millis) / 1000}`, now)) ??
    (after === undefined ? undefined : delay(after, now)) ?? inBody ?? resetIn(headers, now)
  return wait === undefined || !Number.isFinite(wait) ? undefined : Duration.millis(Math.max(0, Math.round(wait)))
}
