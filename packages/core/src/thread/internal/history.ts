// The history that a run reads: Thread.messages calls it. Two steps journal its limits (from which message to which, and the
// new summary), so that a replay reads the same messages; the messages themselves stay in the thread.
import { Effect, Schema } from "effect"
import * as Run from "../../run/Run.ts"
import { type Message, type Stored, textOf } from "../Message.ts"
import type { Options, RunThread } from "../Thread.ts"

/** How many times more than the limits is read for a summary, or of the newest turn: what is older than that is left out. */
const excessFactor = 4
const pageSize = 200

/** The messages of a history, by their numbers; `excess` are those to be summarized, `textsOnly` leaves tools out. */
const Range = Schema.Struct({
  from: Schema.Int,
  to: Schema.Int,
  textsOnly: Schema.optionalKey(Schema.Boolean),
  summary: Schema.optionalKey(Schema.Int),
  excess: Schema.optionalKey(Schema.Struct({ from: Schema.Int, to: Schema.Int }))
})
type Range = typeof Range.Type

type Summary = Extract<Stored, { readonly role: "summary" }>

export const messages = Effect.fnUntraced(function*<E, R>(
  run: Run.CurrentRun["Service"],
  { last = 100, maxBytes = 262_144, summarize }: Options<E, R>
): Effect.fn.Return<ReadonlyArray<Stored>, E, R | Run.CurrentRun> {
  const { thread } = run
  const known = new Map<number, Stored>()
  const find = Effect.map(
    readBack(thread, summarize === undefined ? 1 : excessFactor, { last, maxBytes }),
    (found): Range => {
      for (const message of found.messages) known.set(message.position, message)
      if (found.summary !== undefined) known.set(found.summary.position, found.summary)
      return rangeOf(found, { last, maxBytes, summarizes: summarize !== undefined })
    }
  )
  const range = yield* Run.stepWith("thread history", Range, find)
  const [summary] = range.summary === undefined ? [] : yield* between(thread, known, range.summary, range.summary)
  const kept = (yield* between(thread, known, range.from, range.to)).filter(({ role }) => role !== "summary")
  const shown = range.textsOnly === true ? kept.flatMap(textsOf) : kept
  if (range.excess === undefined || summarize === undefined) return summary === undefined ? shown : [summary, ...shown]
  const { from, to } = range.excess
  const excess = (yield* between(thread, known, from, to)).filter(({ role }) => role !== "summary")
  const text = yield* Run.stepWith(
    "thread summary",
    Schema.String,
    summarize({ summary: summary === undefined ? undefined : textOf(summary), messages: excess })
  )
  const next = { role: "summary", content: [{ type: "text", text }], upTo: to } as const
  yield* thread.add([next])
  return [{ ...next, position: to, runId: run.record.runId, at: run.record.createdAt }, ...shown]
})

interface Found {
  /** The oldest first. */
  readonly messages: ReadonlyArray<Stored>
  readonly summary: Summary | undefined
  /** Whether there is nothing before them that is not in the summary. */
  readonly complete: boolean
}

/** Reads back to the last summary's end, or as far as the limits say. */
const readBack = Effect.fnUntraced(function*(
  thread: RunThread,
  factor: number,
  { last, maxBytes }: { readonly last: number; readonly maxBytes: number }
): Effect.fn.Return<Found> {
  const found: Array<Stored> = []
  let summary: Summary | undefined
  let size = 0
  let from: number | undefined
  while (true) {
    const limit = Math.min(pageSize, last * factor + 2)
    const page = yield* thread.read({
      order: "newest",
      limit,
      bytes: maxBytes * factor,
      ...(from === undefined ? {} : { from })
    })
    for (const message of page) {
      if (summary !== undefined && message.position <= summary.upTo) return ended(found, summary, true)
      if (message.role === "summary") {
        summary ??= message
        continue
      }
      const isEnough = found.length >= last * factor || size >= maxBytes * factor
      // The newest turn is read whole, if it is not much too large: what is said in it may fit without its tools.
      const isNewest = message.runId === found[0]?.runId
      const isTooMuch = found.length >= last * excessFactor || size >= maxBytes * excessFactor
      if (isEnough && (isTooMuch || !isNewest)) return ended(found, summary, false)
      found.push(message)
      size += sizeOf(message)
    }
    from = page.at(-1)?.position
    if (from === undefined || from === 1) return ended(found, summary, true)
  }
})

const ended = (newestFirst: Array<Stored>, summary: Summary | undefined, complete: boolean): Found => ({
  messages: newestFirst.reverse(),
  summary,
  complete
})

/** The newest whole turns that fit. */
const rangeOf = (
  { complete, messages, summary }: Found,
  { last, maxBytes, summarizes }: { readonly last: number; readonly maxBytes: number; readonly summarizes: boolean }
): Range => {
  const at = summary === undefined ? {} : { summary: summary.position }
  const first = messages[0]
  const end = messages.at(-1)
  if (first === undefined || end === undefined) return { from: 1, to: 0, ...at }
  const fits = complete && messages.length <= last && sum(messages) <= maxBytes
  if (fits) return { from: first.position, to: end.position, ...at }
  // A summary leaves room for some turns, so that not each turn needs another one.
  const share = summarizes ? 0.5 : 1
  const kept = fitting(messages, last * share, maxBytes * share, complete)
  const firstKept = kept[0]
  if (!summarizes) {
    if (firstKept !== undefined) return { from: firstKept.position, to: end.position, ...at }
    const texts = messages.filter(({ runId }) => runId === end.runId).flatMap(textsOf)
    return texts.length <= last && sum(texts) <= maxBytes
      ? { from: texts[0]?.position ?? end.position, to: end.position, textsOnly: true, ...at }
      : { from: end.position, to: end.position - 1, ...at }
  }
  const to = (firstKept?.position ?? end.position + 1) - 1
  return {
    from: to + 1,
    to: end.position,
    ...at,
    ...(to < first.position ? {} : { excess: { from: first.position, to } })
  }
}

const fitting = (messages: ReadonlyArray<Stored>, last: number, maxBytes: number, complete: boolean) => {
  let start = messages.length
  let size = 0
  for (let index = messages.length - 1; index >= 0 && messages.length - index <= last; index--) {
    const message = messages[index]
    if (message === undefined) break
    size += sizeOf(message)
    if (size > maxBytes) break
    const before = messages[index - 1]
    const beginsTurn = before === undefined ? complete : before.runId !== message.runId
    if (beginsTurn) start = index
  }
  return messages.slice(start)
}

/** A message without its tool calls; nothing of one that has no text. */
const textsOf = (message: Stored): ReadonlyArray<Stored> => {
  if (message.role === "tool" || textOf(message) === "") return []
  if (message.role !== "assistant") return [message]
  const { toolCalls: _toolCalls, ...text } = message
  return [text]
}

const between = Effect.fnUntraced(function*(
  thread: RunThread,
  known: ReadonlyMap<number, Stored>,
  from: number,
  to: number
): Effect.fn.Return<ReadonlyArray<Stored>> {
  const found: Array<Stored> = []
  for (let position = from; position <= to;) {
    const message = known.get(position)
    if (message !== undefined) {
      found.push(message)
      position++
      continue
    }
    const limit = Math.min(pageSize, to - position + 1)
    const page = yield* thread.read({ order: "oldest", from: position - 1, limit, bytes: 1_048_576 })
    // A run is cancelled before its thread is erased, so this is a retry of a run that outlived it.
    if (page.length === 0) {
      yield* Effect.logWarning("Messages that a run has read before are not in its thread any more")
      break
    }
    found.push(...page)
    position = (page.at(-1)?.position ?? position) + 1
  }
  return found
})

const sizeOf = (message: Message): number => JSON.stringify(message).length

const sum = (messages: ReadonlyArray<Message>) => messages.reduce((size, message) => size + sizeOf(message), 0)
