/**
 * The journal of a run that has ended, in less room: deltas that follow one another are one text, and what is read of them
 * is what was written, number by number.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"
import { RunEvent } from "./Event.ts"

/**
 * An event as it is kept, without its run and its number.
 *
 * @category models
 * @since 0.1.0
 */
export interface Entry {
  readonly ts: number
  readonly attempt: number
  /** The length of the delta of each event that is packed here, and its milliseconds after the one before. */
  readonly cuts?: ReadonlyArray<number>
  readonly [field: string]: unknown
}

/**
 * How many events a store keeps together.
 *
 * @category constants
 * @since 0.1.0
 */
export const chunkSize = 256

/** The events whose `data.delta` is a piece of a text. */
const deltas: ReadonlyArray<unknown> = ["token", "reasoning_delta", "tool_call_delta"]

/**
 * Deltas of the same message, attempt and path that follow one another become one entry. Other events stay as they are.
 *
 * @category combinators
 * @since 0.1.0
 */
export const pack = (events: ReadonlyArray<Entry>): ReadonlyArray<Entry> => {
  const entries: Array<Entry> = []
  let open: { readonly kind: string; readonly events: Array<Entry> } | undefined
  const close = () => {
    if (open !== undefined) entries.push(...merged(open.events))
    open = undefined
  }
  // A handler may have put other fields beside the data.
  for (const { cuts: _cuts, ...event } of events) {
    const kind = kindOf(event)
    if (kind !== open?.kind) close()
    if (kind === undefined) entries.push(event)
    else (open ??= { kind, events: [] }).events.push(event)
  }
  close()
  return entries
}

/**
 * The events of these entries, numbered from `first`: for a decoder, since what is stored may be damaged. Throws when
 * entries do not fit together.
 *
 * @category combinators
 * @since 0.1.0
 */
export const unpack = (
  entries: ReadonlyArray<unknown>,
  { first, runId }: { readonly runId: string; readonly first: number }
): ReadonlyArray<object & { readonly seq: number }> => {
  const events = entries.flatMap((entry) => isMerged(entry) ? split(entry) : [Object(entry)])
  return events.map((event, index) => ({ ...event, runId, seq: first + index }))
}

/**
 * The same for what cannot be damaged.
 *
 * @category combinators
 * @since 0.1.0
 */
export const decode = (entries: ReadonlyArray<Entry>, at: { readonly runId: string; readonly first: number }) =>
  decodeEvents(unpack(entries, at))

const decodeEvents = Schema.decodeUnknownSync(Schema.Array(RunEvent))

/** Events of one kind can become one; undefined for what stays alone. */
const kindOf = (event: Entry) => {
  if (!deltas.includes(event["type"])) return undefined
  const { data, ts: _ts, ...rest } = event
  const { delta, ...others } = Object(data)
  return typeof delta === "string" ? JSON.stringify([rest, others]) : undefined
}

const merged = (events: ReadonlyArray<Entry>): ReadonlyArray<Entry> => {
  const [event] = events
  if (event === undefined || events.length === 1) return events
  const texts = events.map(({ data }) => String(Object(data).delta))
  const cuts = events.flatMap(({ ts }, index) => [texts[index]?.length ?? 0, ts - (events[index - 1]?.ts ?? event.ts)])
  return [{ ...event, data: { ...Object(event["data"]), delta: texts.join("") }, cuts }]
}

const isMerged = Schema.is(Schema.Struct({
  ts: Schema.Int,
  data: Schema.Struct({ delta: Schema.String }),
  cuts: Schema.Array(Schema.Int)
}))

const split = (
  entry: { readonly ts: number; readonly data: { readonly delta: string }; readonly cuts: ReadonlyArray<number> }
) => {
  const { cuts, data, ts, ...rest } = entry
  const events: Array<object> = []
  let [at, time] = [0, ts]
  for (let one = 0; one < cuts.length; one += 2) {
    const end = at + (cuts[one] ?? 0)
    time += cuts[one + 1] ?? 0
    events.push({ ...rest, ts: time, data: { ...data, delta: data.delta.slice(at, end) } })
    at = end
  }
  if (at !== data.delta.length) throw new Error(`deltas of ${at} characters in a text of ${data.delta.length}`)
  return events
}
