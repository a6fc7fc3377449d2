// Records, writes and reads that the tests of the contract of a run store share.
import { assert } from "@effect/vitest"
import { Effect, type Schema } from "effect"
import * as Event from "../../../../run/Event.ts"
import type { Interrupt, Resolution } from "../../../../run/Interrupt.ts"
import { type RunRecord } from "../../../../run/RunRecord.ts"
import { type Admit, type Changes, type Commit, RunStore, type Written } from "../../../../store/RunStore.ts"

export type Store = RunStore["Service"]

export const started = Date.now()
const uniquely = globalThis.crypto.randomUUID().slice(0, 8)
let counter = 0

/** Sorts by creation, as every run id does. */
export const nextId = () => `${started}-${uniquely}-${String(++counter).padStart(6, "0")}`

/**
 * Makes the record of a running run with an id of its own.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeRun = (overrides: Partial<RunRecord> = {}): RunRecord => {
  const runId = nextId()
  return {
    runId,
    kind: "agent",
    agent: "support",
    state: "running",
    attempt: 1,
    seq: 0,
    emitted: 0,
    crashes: 0,
    priority: 0,
    durable: true,
    tenant: `tenant-${runId}`,
    owner: "alice",
    grants: { scopes: ["orders:read"], roles: ["support"], claims: { team: "north" } },
    payload: { question: "where?" },
    traceId: "0af7651916cd43dd8448eb211c80319c",
    fingerprint: "f1",
    createdAt: started,
    updatedAt: started,
    ...overrides
  }
}

/** A record with a value for every field: a field that is new does not compile until it has one. */
export const makeComplete = (): Required<RunRecord> => ({
  ...makeRun(),
  wakeAt: started + 5,
  deadline: started + 6,
  waitsFor: "timer",
  priority: 3,
  crashes: 2,
  emitted: 4,
  output: { answer: 42 },
  error: { tag: "Declined", message: "no", status: 402, declared: true, value: { code: 7 } },
  usage: { inputTokens: 3, outputTokens: 4 },
  threadId: "thread",
  parentRunId: "parent",
  rootRunId: "root",
  forkedFrom: { runId: "origin", seq: 3 },
  causes: ["ann", "bob"],
  retriedAs: "replacement",
  idempotencyKey: nextId(),
  finishedAt: started + 9
})

/** A change of every field that a commit may change: a field that is new does not compile until it has one. */
export const makeChanges = (): Required<Changes> => ({
  state: "suspended",
  wakeAt: started + 7,
  waitsFor: "child",
  attempt: 2,
  emitted: 9,
  crashes: 1,
  fingerprint: "f2",
  grants: { scopes: ["orders:read"], roles: [], claims: {} },
  causes: ["carl"],
  retriedAs: "another",
  payload: { question: "when?" },
  output: null,
  error: { tag: "Declined", message: "no", status: 402, declared: true },
  usage: { inputTokens: 5, outputTokens: 6 },
  finishedAt: started + 8
})

export const admit = (run: RunRecord, ...events: ReadonlyArray<Event.Event>): Admit => ({ _tag: "Admit", run, events })

export const commit = (run: RunRecord, parts: Partial<Commit> = {}): Commit => ({
  _tag: "Commit",
  runId: run.runId,
  attempt: run.attempt,
  from: ["running"],
  ts: started + 1,
  events: [],
  ...parts
})

export const makeInterrupt = (run: RunRecord, overrides: Partial<Interrupt> = {}): Interrupt => ({
  id: "i1",
  runId: run.runId,
  name: "refund",
  kind: "approval",
  default: { refund: false },
  approvers: { scopes: ["refunds:approve"], notRequester: true },
  risk: "high",
  url: "https://example.com/page",
  rule: "refunds over 100",
  createdAt: started,
  state: "open",
  ...overrides
})

export const resolution: Resolution = { decision: "approve", by: "bob", at: started + 5 }

export const tokens = (count: number) => Array.from({ length: count }, (_, index) => Event.token(`t${index}`))

export const tagsOf = (written: ReadonlyArray<Written>) => written.map((one) => one._tag)

export const write = (store: Store, one: Admit | Commit) => Effect.map(store.write([one]), ([written]) => written)

/** Everything a store knows about a run. */
export const snapshot = (store: Store, run: RunRecord) =>
  Effect.all({
    record: store.get(run.runId),
    events: store.events(run.runId, 0, 10_000),
    steps: store.steps(run.runId),
    interrupts: store.interrupts(run.runId)
  })

/** Events of many pages: never an empty page before the end, never a gap, never far beyond the limit. */
export const readAll = Effect.fnUntraced(function*(store: Store, runId: string, limit: number, largestWrite: number) {
  const events: Array<Event.RunEvent> = []
  while (true) {
    const page = yield* store.events(runId, events.length, limit)
    if (page.length === 0) return events
    assert.isAtMost(page.length, limit + largestWrite - 1)
    events.push(...page)
    assert.deepStrictEqual(events.map((event) => event.seq), events.map((_, index) => index + 1))
  }
})

export const withoutWake = ({ wakeAt: _wakeAt, waitsFor: _waitsFor, ...run }: RunRecord) => run

export const ids = (runs: ReadonlyArray<Pick<RunRecord, "runId">>) => runs.map((run) => run.runId)

export const oddValues: Readonly<Record<string, Schema.Json>> = {
  "null": null,
  "empty": { string: "", array: [], object: {} },
  "unicode": "żółw 🐢 \u0000 \u2028 \uD800 \" \\ '; DROP TABLE runs; --",
  "numbers": [
    Number.MAX_SAFE_INTEGER,
    Number.MIN_SAFE_INTEGER,
    Number.MAX_VALUE,
    Number.MIN_VALUE,
    0.1 + 0.2,
    -1.5,
    1e21
  ],
  "keys": { "": 1, "a.b": 2, "żółw": 3, "constructor": 4, "toString": null, "0": "zero" },
  "nested": Array.from({ length: 100 }).reduce<Schema.Json>((inner, _, depth) => ({ depth, inner: [inner] }), true),
  "large": { text: "0123456789abcdef".repeat(64 * 1024) }
}

export const options = { excludeTestServices: true, timeout: "60 seconds" } as const
