// Writes to the arguments of the script and its answers back; a value that is not JSON throws, for `Result.try`.
import { type Event, stamp } from "@fastagentic/core/run/Event"
import { audienceOf, type Interrupt } from "@fastagentic/core/run/Interrupt"
import type { RunRecord } from "@fastagentic/core/run/RunRecord"
import { waitFields } from "@fastagentic/core/store/RecordFields"
import type { Admit, Changes, Commit, Fact, Limits, Write, Written } from "@fastagentic/core/store/RunStore"
import type { Turn } from "@fastagentic/core/thread/ThreadStore"
import { Schema } from "effect"
import { json, keyOf, list, threadKeys } from "./keys.ts"

/** The fields of a hash: the JSON of the record's field of the same name. */
const fields = (values: Changes | RunRecord) =>
  Object.entries(values).flatMap(([field, value]) => value === undefined ? [] : [field, json(value)])

const entries = (events: ReadonlyArray<Event>, stamp: { readonly ts: number; readonly attempt: number }) =>
  events.map((event) => json({ ...stamp, ...event }))

/** Up to three lines, because JSON contains no line break. */
const interruptLines = ({ resolution, state, ...rest }: Interrupt) =>
  [state, json(rest), ...(resolution === undefined ? [] : [json(resolution)])].join("\n")

/** The arguments of one write. The node that admits a run or sets its attempt becomes its owner. */
export const argumentsOf = (prefix: string, node: string, write: Write): ReadonlyArray<string> =>
  write._tag === "Admit" ? admitArguments(prefix, node, write) : commitArguments(prefix, node, write)

const admitArguments = (
  prefix: string,
  node: string,
  { alone, events, facts, interrupts = [], run, steps = [] }: Admit
) => [
  "Admit",
  run.runId,
  run.idempotencyKey === undefined ? "" : keyOf(prefix, run),
  flag(alone),
  ...list([...fields({ ...run, seq: events.length }), "node", json(node)]),
  ...list(entries(events, { ts: run.createdAt, attempt: run.attempt })),
  ...list(steps.flatMap(({ name, value }) => [json(name), `${events.length}\n${json(value)}`])),
  ...list(interrupts.flatMap((interrupt) => [json(interrupt.id), interruptLines(interrupt)])),
  ...list(audiences(interrupts)),
  ...list(factsOf(facts))
]

const commitArguments = (
  prefix: string,
  node: string,
  { attempt, events, facts, from, open = [], resolve, runId, set = {}, steps = [], ts, turn, within, ifSeq }: Commit
) => [
  "Commit",
  runId,
  json(attempt),
  ifSeq === undefined ? "" : json(ifSeq),
  ...list(from.map(json)),
  resolve === undefined ? "" : json(resolve.id),
  resolve === undefined ? "" : json(resolve.resolution),
  ...limitsOf(within),
  flag([set.state, set.wakeAt, set.waitsFor, set.finishedAt].some((value) => value !== undefined)),
  ...list([...fields(set), "updatedAt", json(ts), ...(set.attempt === undefined ? [] : ["node", json(node)])]),
  ...list(set.state === undefined ? [] : waitFields.filter((field) => set[field] === undefined)),
  ...list(open.flatMap((interrupt) => [json(interrupt.id), interruptLines(interrupt)])),
  ...list([...(resolve === undefined ? [] : [json(resolve.id), ""]), ...audiences(open)]),
  ...list(steps.flatMap(({ name, value }) => [json(name), json(value)])),
  ...list(entries(events, { ts, attempt: set.attempt ?? attempt })),
  ...list(factsOf(facts)),
  ...list(turn === undefined ? [] : turnArguments(prefix, runId, ts, turn))
]

/** The keys of the thread, the time, and the messages; each is the run, the time and the message in three lines. */
const turnArguments = (prefix: string, runId: string, ts: number, turn: Turn) => [
  ...threadKeys(prefix, turn),
  json(ts),
  ...turn.messages.map((message) => `${json(runId)}\n${json(ts)}\n${json(message)}`)
]

/** The id, the time and the text of each fact. */
export const factsOf = (facts: ReadonlyArray<Fact> | undefined) =>
  facts === undefined ? [] : facts.flatMap(({ at, body, id }) => [id, `${at}`, body])

/** The audience of each interrupt, as JSON; "" for one that is not open. */
export const audiences = (interrupts: ReadonlyArray<Interrupt>) =>
  interrupts.flatMap((interrupt) => [
    json(interrupt.id),
    interrupt.state === "open" ? json(audienceOf(interrupt)) : ""
  ])

const flag = (value: boolean | undefined) => value === true ? "1" : ""

export const limitsOf = (within: Limits | undefined): ReadonlyArray<string> => {
  if (within === undefined) return list([])
  const { agent = Infinity, tenant = Infinity, thread } = within
  return list([
    Number.isFinite(agent) ? `${agent}` : "",
    Number.isFinite(tenant) ? `${tenant}` : "",
    flag(thread)
  ])
}

// answers

export const decodeAnswers = Schema.decodeUnknownSync(Schema.Array(Schema.Array(Schema.String)))

export const refused: Written = { _tag: "Refused" }

export const admitted = ({ events, run }: Admit): Written => ({
  _tag: "Admitted",
  run: { ...run, seq: events.length },
  events: stamp(events, { runId: run.runId, attempt: run.attempt, ts: run.createdAt, lastSeq: 0 })
})

export const committed = ({ attempt, events, runId, set, ts }: Commit, seq: number): Written => ({
  _tag: "Committed",
  events: stamp(events, { runId, attempt: set?.attempt ?? attempt, ts, lastSeq: seq - events.length })
})
