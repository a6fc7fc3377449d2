/** Writes to the arguments of the script, and its answers back. What is not JSON throws, for `Result.try`. */
import { type Event, stamp } from "@fastagentic/core/Event"
import type { Interrupt } from "@fastagentic/core/Interrupt"
import type { RunRecord } from "@fastagentic/core/RunRecord"
import type { Admit, Changes, Commit, Query, Write, Written } from "@fastagentic/core/RunStore"
import { Schema } from "effect"

export const json = (value: unknown): string => {
  const text: string | undefined = JSON.stringify(value)
  if (text === undefined) throw new TypeError(`${typeof value} is not JSON`)
  return text
}

const list = (values: ReadonlyArray<string>) => [`${values.length}`, ...values]

/** Every value of a hash is the JSON of the record's field of that name. */
const fields = (values: Changes | RunRecord) =>
  Object.entries(values).flatMap(([field, value]) => value === undefined ? [] : [field, json(value)])

const entries = (events: ReadonlyArray<Event>, stamp: { readonly ts: number; readonly attempt: number }) =>
  events.map((event) => json({ ...stamp, ...event }))

/** Three lines at most: JSON has no line break of its own. */
const interruptLines = ({ resolution, state, ...rest }: Interrupt) =>
  [state, json(rest), ...(resolution === undefined ? [] : [json(resolution)])].join("\n")

/** Who admits a run or gives it an attempt has it. */
export const argumentsOf = (prefix: string, node: string, write: Write): ReadonlyArray<string> =>
  write._tag === "Admit" ? admitArguments(prefix, node, write) : commitArguments(node, write)

const admitArguments = (prefix: string, node: string, { events, run }: Admit) => [
  "Admit",
  run.runId,
  run.idempotencyKey === undefined ? "" : keyOf(prefix, run),
  json(run.tenant),
  json(run.state),
  ...list(indexesOf(prefix, run)),
  ...list([...fields({ ...run, seq: events.length }), "node", json(node)]),
  ...list(entries(events, { ts: run.createdAt, attempt: run.attempt }))
]

const commitArguments = (
  node: string,
  { attempt, events, from, open = [], resolve, runId, set = {}, steps = [], ts }: Commit
) => [
  "Commit",
  runId,
  json(attempt),
  ...list(from.map(json)),
  resolve === undefined ? "" : json(resolve.id),
  resolve === undefined ? "" : json(resolve.resolution),
  set.state === undefined ? "" : json(set.state),
  ...list([...fields(set), "updatedAt", json(ts), ...(set.attempt === undefined ? [] : ["node", json(node)])]),
  ...list(open.flatMap((interrupt) => [json(interrupt.id), interruptLines(interrupt)])),
  ...list(steps.flatMap(({ name, value }) => [json(name), json(value)])),
  ...list(entries(events, { ts, attempt: set.attempt ?? attempt }))
]

// keys: a text of a user is JSON in them, so that no two can meet

const keyOf = (prefix: string, run: RunRecord) =>
  `${prefix}key:${json([run.tenant, run.owner, run.kind, run.agent, run.idempotencyKey])}`

const indexesOf = (prefix: string, { agent, owner, tenant, threadId }: RunRecord) => [
  `${prefix}tenant:${json(tenant)}`,
  `${prefix}owner:${json([tenant, owner])}`,
  `${prefix}agent:${json([tenant, agent])}`,
  ...(threadId === undefined ? [] : [`${prefix}thread:${json([tenant, threadId])}`])
]

/** The index that leaves the fewest runs to look at. */
export const indexFor = (prefix: string, { agent, owner, state, tenant, threadId }: Query): string => {
  if (threadId !== undefined) return `${prefix}thread:${json([tenant, threadId])}`
  if (state !== undefined) return `${prefix}state:${json(state)}:${json(tenant)}`
  if (owner !== undefined) return `${prefix}owner:${json([tenant, owner])}`
  if (agent !== undefined) return `${prefix}agent:${json([tenant, agent])}`
  return `${prefix}tenant:${json(tenant)}`
}

export const filtersOf = ({ before: _before, limit: _limit, ...filters }: Query): ReadonlyArray<string> =>
  list(Object.entries(filters).flatMap(([field, value]) => value === undefined ? [] : [field, json(value)]))

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
