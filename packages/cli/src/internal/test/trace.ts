// The trace of a run as it is compared with a recorded one: its events without what differs each time. Ids become names,
// times and durations are left out, words that stream in pieces are one text.
import type { Event } from "@fastagentic/core"
import type { Schema } from "effect"

interface Recorded {
  readonly type: string
  readonly path?: ReadonlyArray<string>
  readonly data: Schema.Json
}

const uuid = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/gu
const trace = /\b(?:00-)?[0-9a-f]{32}(?:-[0-9a-f]{16}-[0-9a-f]{2})?\b/gu
const timed = /(?:At|Millis|Ms|Until|^ts|^traceparent)$/u

/** Makes values comparable; equal ids have equal names, in the order in which they appear. */
const comparable = (redacted: ReadonlySet<string>) => {
  const names = new Map<string, string>()
  const named = (found: string) => {
    const name = names.get(found) ?? `<id ${names.size + 1}>`
    names.set(found, name)
    return name
  }
  const of = (value: Schema.Json): Schema.Json => {
    if (typeof value === "string") return value.replaceAll(uuid, named).replaceAll(trace, "<trace>")
    if (Array.isArray(value)) return value.map(of)
    if (typeof value !== "object" || value === null) return value
    return Object.fromEntries(
      Object.entries(value).flatMap(([key, part]): ReadonlyArray<readonly [string, Schema.Json]> =>
        timed.test(key) ? [] : [[key, redacted.has(key) ? "<redacted>" : of(part)]]
      )
    )
  }
  return of
}

/** The trace of a journal. */
export const of = (
  events: ReadonlyArray<Event.RunEvent>,
  redact: ReadonlyArray<string> = []
): ReadonlyArray<Recorded> => {
  const clean = comparable(new Set(redact))
  const found: Array<Recorded> = []
  let text = ""
  const flush = () => {
    if (text !== "") found.push({ type: "token", data: { delta: text } })
    text = ""
  }
  for (const { data, path, type } of events) {
    if (type === "token" && path === undefined) text += data.delta
    else {
      flush()
      found.push({
        type,
        ...(path === undefined ? {} : { path }),
        data: clean(JSON.parse(JSON.stringify(data)))
      })
    }
  }
  flush()
  return found.map((one) => one.type === "token" ? { ...one, data: clean(one.data) } : one)
}
