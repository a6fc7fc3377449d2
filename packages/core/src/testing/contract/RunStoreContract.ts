// Contract of a `RunStore`. A test file of the implementation calls `suite` once. The store may be shared with other
// suites: every test has run ids and tenants of its own.
import { assert, describe, layer } from "@effect/vitest"
import { Effect, type Layer, type Schema } from "effect"
import * as Event from "../../run/Event.ts"
import type { Interrupt, Resolution } from "../../run/Interrupt.ts"
import { filterFields, type RunRecord } from "../../run/RunRecord.ts"
import {
  type Admit,
  type Changes,
  type Commit,
  type Compacted,
  type Fact,
  type FactQuery,
  type Limits,
  type PendingQuery,
  type Query,
  RunStore,
  type ScanQuery,
  type Written
} from "../../store/RunStore.ts"
import { history } from "./internal/runStoreHistory.ts"

type Store = RunStore["Service"]

const started = Date.now()
const uniquely = globalThis.crypto.randomUUID().slice(0, 8)
let counter = 0

/** Sorts by creation, as every run id does. */
const nextId = () => `${started}-${uniquely}-${String(++counter).padStart(6, "0")}`

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
const makeComplete = (): Required<RunRecord> => ({
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
const makeChanges = (): Required<Changes> => ({
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

const admit = (run: RunRecord, ...events: ReadonlyArray<Event.Event>): Admit => ({ _tag: "Admit", run, events })

const commit = (run: RunRecord, parts: Partial<Commit> = {}): Commit => ({
  _tag: "Commit",
  runId: run.runId,
  attempt: run.attempt,
  from: ["running"],
  ts: started + 1,
  events: [],
  ...parts
})

const makeInterrupt = (run: RunRecord, overrides: Partial<Interrupt> = {}): Interrupt => ({
  id: "i1",
  runId: run.runId,
  name: "refund",
  kind: "approval",
  default: { refund: false },
  approvers: { scopes: ["refunds:approve"], notRequester: true },
  risk: "high",
  rule: "refunds over 100",
  createdAt: started,
  state: "open",
  ...overrides
})

const resolution: Resolution = { decision: "approve", by: "bob", at: started + 5 }

const tokens = (count: number) => Array.from({ length: count }, (_, index) => Event.token(`t${index}`))

const tagsOf = (written: ReadonlyArray<Written>) => written.map((one) => one._tag)

const write = (store: Store, one: Admit | Commit) => Effect.map(store.write([one]), ([written]) => written)

/** Everything a store knows about a run. */
const snapshot = (store: Store, run: RunRecord) =>
  Effect.all({
    record: store.get(run.runId),
    events: store.events(run.runId, 0, 10_000),
    steps: store.steps(run.runId),
    interrupts: store.interrupts(run.runId)
  })

/** Events of many pages: never an empty page before the end, never a gap, never far beyond the limit. */
const readAll = Effect.fnUntraced(function*(store: Store, runId: string, limit: number, largestWrite: number) {
  const events: Array<Event.RunEvent> = []
  while (true) {
    const page = yield* store.events(runId, events.length, limit)
    if (page.length === 0) return events
    assert.isAtMost(page.length, limit + largestWrite - 1)
    events.push(...page)
    assert.deepStrictEqual(events.map((event) => event.seq), events.map((_, index) => index + 1))
  }
})

const withoutWake = ({ wakeAt: _wakeAt, waitsFor: _waitsFor, ...run }: RunRecord) => run

const ids = (runs: ReadonlyArray<Pick<RunRecord, "runId">>) => runs.map((run) => run.runId)

const oddValues: Readonly<Record<string, Schema.Json>> = {
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

const options = { excludeTestServices: true, timeout: "60 seconds" } as const

/**
 * Declares the tests that every run store passes, in a store that earlier suites may have used.
 *
 * @category contracts
 * @since 0.1.0
 */
export const suite = (name: string, store: Layer.Layer<RunStore, unknown>) =>
  describe(name, () => {
    layer(store, options)("admit", (it) => {
      it.effect("numbers the first events from 1", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeRun({ attempt: 3, threadId: "thread", parentRunId: "parent", idempotencyKey: "key" })
          const events = [Event.token("a"), Event.log("info", "b")]
          const written = yield* write(store, admit(run, ...events))
          const stamped = Event.stamp(events, { runId: run.runId, attempt: 3, ts: run.createdAt, lastSeq: 0 })
          assert.deepStrictEqual(written, { _tag: "Admitted", run: { ...run, seq: 2 }, events: stamped })
          assert.deepStrictEqual(yield* store.get(run.runId), { ...run, seq: 2 })
          assert.deepStrictEqual(yield* store.events(run.runId, 0, 10), stamped)
          assert.deepStrictEqual(yield* store.steps(run.runId), [])
          assert.deepStrictEqual(yield* store.interrupts(run.runId), [])
        }))

      it.effect("keeps every field of a record, and adds none", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const bare = makeRun({ durable: false, kind: "tool", state: "queued", payload: null })
          const full = makeRun({
            output: { a: [1, null] },
            error: { tag: "T", message: "m", status: 500, declared: true, value: { b: null } },
            usage: { inputTokens: 1, outputTokens: 2, reasoningTokens: 3, costUsd: 0.25 },
            threadId: "thread",
            parentRunId: "parent",
            idempotencyKey: "key",
            state: "failed",
            finishedAt: started + 7
          })
          yield* store.write([admit(bare), admit(full)])
          assert.deepStrictEqual(yield* store.get(bare.runId), bare)
          assert.deepStrictEqual(yield* store.get(full.runId), full)
        }))

      it.effect("of a run id that is taken is refused", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeRun()
          yield* write(store, admit(run, Event.token("mine")))
          const before = yield* snapshot(store, run)
          const again = makeRun({ runId: run.runId, tenant: run.tenant, owner: "eve", idempotencyKey: "key" })
          const other = makeRun({ tenant: run.tenant, owner: "eve", idempotencyKey: "key" })
          assert.deepStrictEqual(
            tagsOf(yield* store.write([admit(again, Event.token("theirs")), admit(other)])),
            ["Refused", "Admitted"]
          )
          assert.deepStrictEqual(yield* snapshot(store, run), before)
        }))

      it.effect("unknown runs are undefined and empty", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeRun()
          const nothing = { record: undefined, events: [], steps: [], interrupts: [] }
          assert.deepStrictEqual(yield* snapshot(store, run), nothing)
          assert.deepStrictEqual(yield* write(store, commit(run, { events: tokens(1) })), { _tag: "Refused" })
          assert.deepStrictEqual(yield* snapshot(store, run), nothing)
          assert.deepStrictEqual(yield* store.write([]), [])
        }))
    })

    layer(store, options)("idempotency", (it) => {
      it.effect("attaches to the run that holds the key, as it is now", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeRun({ idempotencyKey: "key" })
          const repeat = makeRun({ tenant: run.tenant, idempotencyKey: "key", payload: "other" })
          yield* write(store, admit(run, Event.token("a")))
          yield* write(store, commit(run, { events: tokens(2), set: { state: "completed", output: "done" } }))
          const held = { ...run, seq: 3, state: "completed", output: "done", updatedAt: started + 1 } as const
          const written = yield* write(store, admit(repeat, Event.token("never")))
          assert.deepStrictEqual(written, { _tag: "Attached", run: held })
          assert.isUndefined(yield* store.get(repeat.runId))
          assert.deepStrictEqual(yield* store.events(repeat.runId, 0, 10), [])
        }))

      it.effect("a key belongs to a tenant, owner, kind and agent", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeRun({ idempotencyKey: "key" })
          const { tenant } = run
          const written = yield* store.write([
            admit(run),
            admit(makeRun({ idempotencyKey: "key" })),
            admit(makeRun({ idempotencyKey: "key", tenant, owner: "bob" })),
            admit(makeRun({ idempotencyKey: "key", tenant, kind: "tool" })),
            admit(makeRun({ idempotencyKey: "key", tenant, agent: "other" })),
            admit(makeRun({ idempotencyKey: "KEY", tenant })),
            admit(makeRun({ tenant })),
            admit(makeRun({ tenant })),
            admit(makeRun({ idempotencyKey: "key", tenant }))
          ])
          assert.deepStrictEqual(tagsOf(written), [...Array.from({ length: 8 }, () => "Admitted"), "Attached"])
        }))

      it.effect("of 100 racers with one key one is admitted", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const tenant = makeRun().tenant
          const racers = Array.from({ length: 100 }, () => makeRun({ tenant, idempotencyKey: "key" }))
          const written = yield* Effect.forEach(racers, (run) => write(store, admit(run, ...tokens(2))), {
            concurrency: "unbounded"
          })
          const admitted = written.filter((one) => one?._tag === "Admitted")
          const attached = written.filter((one) => one?._tag === "Attached")
          assert.deepStrictEqual([admitted.length, attached.length], [1, 99])
          const winner = admitted[0]?.run.runId
          assert.isTrue(attached.every((one) => one.run.runId === winner))
          assert.deepStrictEqual(ids(yield* store.list({ tenant, limit: 100 })), [winner])
        }))

      it.effect("of 100 racers in one batch the first is admitted", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const tenant = makeRun().tenant
          const racers = Array.from({ length: 100 }, () => makeRun({ tenant, idempotencyKey: "key" }))
          const written = yield* store.write(racers.map((run) => admit(run)))
          assert.deepStrictEqual(tagsOf(written), ["Admitted", ...Array.from({ length: 99 }, () => "Attached")])
          assert.deepStrictEqual(ids(yield* store.list({ tenant, limit: 100 })), [racers[0]?.runId])
        }))
    })

    layer(store, options)("commit", (it) => {
      it.effect("appends without a gap and changes only what is set", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeRun({ emitted: 4 })
          yield* write(store, admit(run, Event.token("a")))
          const written = yield* write(store, commit(run, { events: tokens(2) }))
          const stamped = Event.stamp(tokens(2), { runId: run.runId, attempt: 1, ts: started + 1, lastSeq: 1 })
          assert.deepStrictEqual(written, { _tag: "Committed", events: stamped })
          assert.deepStrictEqual(yield* store.get(run.runId), { ...run, seq: 3, updatedAt: started + 1 })
          const usage = { inputTokens: 7, outputTokens: 8 }
          const error = { tag: "E", message: "no", status: 500, declared: false }
          const set = { state: "failed", emitted: 6, error, usage, finishedAt: started + 2, output: null } as const
          yield* write(store, commit(run, { ts: started + 2, set }))
          const changed = { ...run, ...set, seq: 3, updatedAt: started + 2 }
          assert.deepStrictEqual(yield* store.get(run.runId), changed)
          assert.strictEqual((yield* store.events(run.runId, 0, 10)).length, 3)
        }))

      it.effect("needs the attempt and one of the states", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeRun({ attempt: 2, state: "suspended" })
          yield* write(store, admit(run))
          const attempts = yield* store.write([
            commit(run, { from: ["running", "queued"] }),
            commit(run, { from: [] }),
            commit(run, { from: ["suspended"], attempt: 1 }),
            commit(run, { from: ["suspended"], attempt: 3 }),
            commit(run, { from: ["running", "suspended"], set: { state: "running" } }),
            commit(run, { from: ["suspended"] }),
            commit(run, {
              from: ["queued", "running", "suspended", "completed", "failed", "cancelled", "rejected"],
              set: { state: "cancelled" }
            })
          ])
          const refused = ["Refused", "Refused", "Refused", "Refused"]
          assert.deepStrictEqual(tagsOf(attempts), [...refused, "Committed", "Refused", "Committed"])
          assert.strictEqual((yield* store.get(run.runId))?.state, "cancelled")
        }))

      it.effect("a refused one writes nothing at all", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeRun()
          const open = makeInterrupt(run)
          yield* store.write([
            admit(run, Event.token("a")),
            commit(run, { events: tokens(3), steps: [{ name: "plan", value: 1 }], open: [open] })
          ])
          const before = yield* snapshot(store, run)
          const everything: Partial<Commit> = {
            ts: started + 9,
            events: tokens(5),
            set: { state: "completed", emitted: 9, output: "x", finishedAt: started + 9, attempt: 7 },
            steps: [{ name: "plan", value: 2 }, { name: "act", value: 3 }],
            open: [makeInterrupt(run, { id: "i2" }), { ...open, message: "changed" }],
            resolve: { id: "i1", resolution }
          }
          const written = yield* store.write([
            commit(run, { ...everything, attempt: 2 }),
            commit(run, { ...everything, from: ["suspended"] }),
            commit(run, { ...everything, resolve: { id: "unknown", resolution } }),
            commit(run, { ...everything, resolve: { id: "i2", resolution } })
          ])
          assert.deepStrictEqual(tagsOf(written), ["Refused", "Refused", "Refused", "Refused"])
          assert.deepStrictEqual(yield* snapshot(store, run), before)
        }))

      it.effect("a refused one does not disturb the others of its batch", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const one = makeRun()
          const other = makeRun({ tenant: one.tenant })
          const late = makeRun({ tenant: one.tenant })
          yield* store.write([admit(one), admit(other, Event.token("a"))])
          const refused = commit(other, { attempt: 9, events: tokens(2), steps: [{ name: "s", value: 0 }] })
          const written = yield* store.write([
            commit(one, { events: tokens(2), steps: [{ name: "s", value: 1 }] }),
            refused,
            commit(other, { events: tokens(1) }),
            refused,
            commit(one, { resolve: { id: "nothing", resolution }, events: tokens(9) }),
            admit(late, Event.token("late")),
            commit(one, { events: tokens(3), set: { state: "completed" } }),
            commit(one, { events: tokens(1) })
          ])
          const tags = ["Committed", "Refused", "Committed", "Refused", "Refused", "Admitted", "Committed", "Refused"]
          assert.deepStrictEqual(tagsOf(written), tags)
          assert.deepStrictEqual((yield* readAll(store, one.runId, 2, 3)).length, 5)
          assert.deepStrictEqual((yield* readAll(store, other.runId, 2, 3)).length, 2)
          assert.deepStrictEqual((yield* readAll(store, late.runId, 2, 3)).length, 1)
          assert.deepStrictEqual(yield* store.steps(one.runId), [{ name: "s", value: 1, seq: 2 }])
          assert.deepStrictEqual(yield* store.steps(other.runId), [])
        }))

      it.effect("a new attempt shuts the old one out and is on its events", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeRun()
          yield* store.write([
            admit(run, Event.token("a")),
            commit(run, { events: tokens(1), set: { attempt: 2 } }),
            commit(run, { events: tokens(1) }),
            commit({ ...run, attempt: 2 }, { events: tokens(1) })
          ])
          const events = yield* store.events(run.runId, 0, 10)
          assert.deepStrictEqual(events.map((event) => [event.seq, event.attempt]), [[1, 1], [2, 2], [3, 2]])
          assert.strictEqual((yield* store.get(run.runId))?.attempt, 2)
        }))

      it.effect("of 50 owners of one attempt one gets the next", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeRun({ state: "queued" })
          yield* write(store, admit(run))
          const claim = commit(run, { from: ["queued", "running"], set: { attempt: 2, state: "running" } })
          const written = yield* Effect.forEach(
            Array.from({ length: 50 }, () => claim),
            (claim) => write(store, { ...claim, events: tokens(1) }),
            { concurrency: "unbounded" }
          )
          assert.strictEqual(written.filter((one) => one?._tag === "Committed").length, 1)
          assert.strictEqual((yield* store.get(run.runId))?.seq, 1)
        }))

      it.effect("of many fibers leave journals without gap or duplicate", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const runs = Array.from({ length: 5 }, () => makeRun())
          yield* store.write(runs.map((run) => admit(run)))
          yield* Effect.forEach(
            Array.from({ length: 100 }, (_, index) => index),
            (index) =>
              store.write(runs.map((run) => commit(run, { events: [Event.token(`${index}`), ...tokens(index % 3)] }))),
            { concurrency: "unbounded", discard: true }
          )
          for (const run of runs) {
            const events = yield* readAll(store, run.runId, 17, 3)
            assert.strictEqual(events.length, (yield* store.get(run.runId))?.seq)
            const written = new Set(events.map((event) => event.type === "token" ? event.data.delta : ""))
            assert.isTrue(Array.from({ length: 100 }, (_, index) => `${index}`).every((index) => written.has(index)))
          }
        }))
    })

    layer(store, options)("interrupts", (it) => {
      it.effect("are opened and resolved, oldest first", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeRun()
          const first = makeInterrupt(run, {
            id: "z",
            message: "may I?",
            tool: "refund",
            toolCallId: "c1",
            arguments: { amount: 5 },
            expiresAt: started + 1_000
          })
          const second = makeInterrupt(run, {
            id: "a",
            kind: "input",
            name: "date",
            responseSchema: { type: "string" },
            createdAt: started + 1
          })
          yield* store.write([
            admit(run),
            commit(run, { events: tokens(1), open: [first], set: { state: "suspended" } }),
            commit(run, { from: ["suspended"], open: [second] })
          ])
          assert.deepStrictEqual(yield* store.interrupts(run.runId), [first, second])
          const answer: Resolution = { decision: "edit", value: { a: null }, reason: "why", by: "bob", at: started + 5 }
          const resolve = { id: "a", resolution: answer }
          yield* write(store, commit(run, { from: ["suspended"], resolve, set: { state: "running" } }))
          const resolved = { ...second, state: "resolved", resolution: answer } as const
          assert.deepStrictEqual(yield* store.interrupts(run.runId), [first, resolved])
          assert.strictEqual((yield* store.get(run.runId))?.state, "running")
        }))

      it.effect("belong to their run", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const one = makeRun()
          const other = makeRun()
          yield* store.write([admit(one), admit(other), commit(one, { open: [makeInterrupt(one)] })])
          const stolen = yield* write(store, commit(other, { resolve: { id: "i1", resolution } }))
          assert.deepStrictEqual(stolen, { _tag: "Refused" })
          assert.deepStrictEqual(yield* store.interrupts(one.runId), [makeInterrupt(one)])
          assert.deepStrictEqual(yield* store.interrupts(other.runId), [])
        }))

      it.effect("one opened and resolved in a row", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeRun()
          const written = yield* store.write([
            admit(run),
            commit(run, { open: [makeInterrupt(run)] }),
            commit(run, { resolve: { id: "i1", resolution } }),
            commit(run, { resolve: { id: "i1", resolution: { ...resolution, by: "eve" } } })
          ])
          assert.deepStrictEqual(tagsOf(written), ["Admitted", "Committed", "Committed", "Refused"])
          const [interrupt] = yield* store.interrupts(run.runId)
          assert.deepStrictEqual(interrupt, { ...makeInterrupt(run), state: "resolved", resolution })
        }))

      it.effect("keep a message and give it to a receive in one commit, or do neither", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeRun()
          const receive: Interrupt = {
            id: "r1",
            runId: run.runId,
            name: "signal steer",
            kind: "input",
            signal: "steer",
            createdAt: started,
            state: "open"
          }
          const message: Interrupt = {
            ...receive,
            id: "signal/steer/żółw 🐢 '",
            name: "signal/steer/żółw 🐢 '",
            createdAt: started + 1,
            state: "resolved",
            resolution: { ...resolution, value: { to: ["left", 1.5, null] } }
          }
          const taken = { ...resolution, value: { to: ["left", 1.5, null] }, reason: message.id }
          const deliver = commit(run, {
            from: ["suspended"],
            open: [message],
            resolve: { id: receive.id, resolution: taken },
            set: { state: "running", attempt: 2 }
          })
          yield* store.write([admit(run), commit(run, { open: [receive], set: { state: "suspended" } })])
          const pending = store.pending({ tenant: run.tenant, decides: () => true, requester: "eve", limit: 10 })
          assert.deepStrictEqual(yield* pending, [])
          const other = yield* write(store, { ...deliver, resolve: { id: "none", resolution: taken } })
          assert.deepStrictEqual(other, { _tag: "Refused" })
          assert.deepStrictEqual(yield* store.interrupts(run.runId), [receive])
          assert.deepStrictEqual(tagsOf(yield* store.write([deliver, deliver])), ["Committed", "Refused"])
          const resolved = { ...receive, state: "resolved", resolution: taken } as const
          assert.deepStrictEqual(yield* store.interrupts(run.runId), [resolved, message])
        }))

      it.effect("of 50 racing decisions one wins", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeRun()
          yield* store.write([
            admit(run),
            commit(run, { open: [makeInterrupt(run), makeInterrupt(run, { id: "i2" })], set: { state: "suspended" } })
          ])
          // The state stays: only the interrupt itself can tell who was first.
          const written = yield* Effect.forEach(
            Array.from({ length: 50 }, (_, index) => `user-${index}`),
            (by) =>
              write(
                store,
                commit(run, {
                  from: ["suspended"],
                  events: [Event.log("info", by)],
                  resolve: { id: "i1", resolution: { ...resolution, by } }
                })
              ),
            { concurrency: "unbounded" }
          )
          assert.strictEqual(written.filter((one) => one?._tag === "Committed").length, 1)
          const [resolved] = yield* store.interrupts(run.runId)
          const events = yield* store.events(run.runId, 0, 10)
          assert.deepStrictEqual(
            events.map((event) => event.data),
            [{ level: "info", message: resolved?.resolution?.by ?? "nobody" }]
          )
        }))
    })

    layer(store, options)("steps", (it) => {
      it.effect("come back, the last value of a name", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeRun()
          const other = makeRun()
          yield* store.write([
            admit(run),
            admit(other),
            commit(run, { events: tokens(2), steps: [{ name: "b", value: [1] }, { name: "a", value: null }] }),
            commit(run, { events: tokens(1), steps: [{ name: "b", value: "again" }, { name: "c#2", value: {} }] }),
            commit(other, { steps: [{ name: "b", value: "other" }] })
          ])
          const byName = [...yield* store.steps(run.runId)].sort((x, y) => x.name < y.name ? -1 : 1)
          assert.deepStrictEqual(byName, [
            { name: "a", value: null, seq: 2 },
            { name: "b", value: "again", seq: 3 },
            { name: "c#2", value: {}, seq: 3 }
          ])
          assert.deepStrictEqual(yield* store.steps(other.runId), [{ name: "b", value: "other", seq: 0 }])
        }))
    })

    layer(store, options)("events", (it) => {
      it.effect("are read in pages of any size", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeRun()
          yield* write(store, admit(run, Event.token("first")))
          for (const count of [3, 1, 0, 8, 2, 1, 5]) yield* write(store, commit(run, { events: tokens(count) }))
          const all = yield* store.events(run.runId, 0, 1_000)
          assert.strictEqual(all.length, 21)
          for (const limit of [1, 2, 3, 7, 20, 21, 22]) {
            assert.deepStrictEqual(yield* readAll(store, run.runId, limit, 8), all)
          }
          for (let after = 0; after <= 22; after++) {
            const [next] = yield* store.events(run.runId, after, 1)
            assert.deepStrictEqual(next, all[after])
          }
        }))

      it.effect("keep type, data, path, time and attempt", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeRun()
          const events: ReadonlyArray<Event.Event> = [
            Event.make("run_started", { agent: "support", resumed: true }),
            Event.make("tool_call", { toolCallId: "c", name: "find", arguments: { id: null } }, ["graph", "node"]),
            Event.make("usage", { inputTokens: 1, outputTokens: 2, costUsd: 0.5, model: "m" }, []),
            Event.make("message", { messageId: "m", role: "assistant", parts: [{ type: "text", text: "hi" }] }),
            Event.make("raw", { source: "sdk", event: [1, { two: null }] })
          ]
          yield* store.write([admit(run), commit(run, { ts: started + 3, events, set: { attempt: 4 } })])
          const stamped = Event.stamp(events, { runId: run.runId, attempt: 4, ts: started + 3, lastSeq: 0 })
          assert.deepStrictEqual(yield* store.events(run.runId, 0, 10), stamped)
        }))
    })

    layer(store, options)("list", (it) => {
      it.effect("newest first in pages, over runs of the same time", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const { tenant } = makeRun()
          const runs: Array<RunRecord> = []
          for (let index = 0; index < 25; index++) {
            runs.push(makeRun({ tenant }))
            yield* store.write([admit(makeRun()), ...runs.slice(-1).map((run) => admit(run))])
          }
          const expected = ids(runs).reverse()
          for (const limit of [1, 7, 25, 100]) {
            const seen: Array<string> = []
            let page = yield* store.list({ tenant, limit })
            while (page.length > 0) {
              assert.isAtMost(page.length, limit)
              seen.push(...ids(page))
              page = yield* store.list({ tenant, limit, before: seen[seen.length - 1] ?? "" })
            }
            assert.deepStrictEqual(seen, expected)
          }
        }))

      it.effect("filters by everything at once", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const { tenant } = makeRun()
          const target = makeRun({ tenant, owner: "o", agent: "a", kind: "tool", state: "suspended", threadId: "t" })
          const others = [
            { ...target, owner: "x" },
            { ...target, agent: "x" },
            { ...target, kind: "agent" } as const,
            { ...target, state: "running" } as const,
            { ...target, threadId: "x" }
          ].map((run) => ({ ...run, runId: nextId() }))
          yield* store.write([target, ...others].map((run) => admit(run)))
          const filter = { owner: "o", agent: "a", kind: "tool", state: "suspended", threadId: "t" } as const
          assert.deepStrictEqual(yield* store.list({ tenant, ...filter, limit: 10 }), [target])
          for (const [index, field] of (["owner", "agent", "kind", "state", "threadId"] as const).entries()) {
            const { [field]: _, ...rest } = filter
            const found = yield* store.list({ tenant, ...rest, limit: 10 })
            assert.deepStrictEqual(ids(found), [others[index]?.runId, target.runId])
            const only: Query = { tenant, [field]: target[field], limit: 10 }
            assert.strictEqual((yield* store.list(only)).length, 5, field)
          }
        }))

      it.effect("shows a run as it is now", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeRun()
          yield* store.write([admit(run), commit(run, { events: tokens(2), set: { state: "completed", output: 1 } })])
          assert.deepStrictEqual(yield* store.list({ tenant: run.tenant, state: "running", limit: 5 }), [])
          const listed = yield* store.list({ tenant: run.tenant, state: "completed", limit: 5 })
          assert.deepStrictEqual(listed, [{ ...run, seq: 2, state: "completed", output: 1, updatedAt: started + 1 }])
        }))

      it.effect("never mixes tenants", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const mine = makeRun()
          const theirs = makeRun({ threadId: "t" })
          const newest = makeRun()
          yield* store.write([admit(mine), admit(theirs), admit(newest)])
          const { tenant } = mine
          assert.deepStrictEqual(ids(yield* store.list({ tenant, limit: 10 })), [mine.runId])
          assert.deepStrictEqual(ids(yield* store.list({ tenant, limit: 10, before: newest.runId })), [mine.runId])
          assert.deepStrictEqual(yield* store.list({ tenant, limit: 10, threadId: "t" }), [])
          assert.deepStrictEqual(yield* store.list({ tenant: "", limit: 10 }), [])
          assert.deepStrictEqual(yield* store.list({ tenant: `${tenant}%`, limit: 10 }), [])
        }))
    })

    layer(store, options)("summaries", (it) => {
      it.effect("have every field but those that may be large", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeComplete()
          yield* store.write([admit(run)])
          const { output: _output, payload: _payload, ...summary } = run
          const { runId, tenant } = run
          assert.deepStrictEqual(yield* store.summaries({ tenant, limit: 5 }), [summary])
          assert.deepStrictEqual(yield* store.summaries({ tenant, runIds: [runId, "none"], limit: 5 }), [summary])
          assert.deepStrictEqual(yield* store.summaries({ tenant: "another", runIds: [runId], limit: 5 }), [])
          assert.deepStrictEqual(yield* store.summaries({ tenant, owner: "x", runIds: [runId], limit: 5 }), [])
          assert.deepStrictEqual(yield* store.summaries({ tenant, runIds: [], limit: 5 }), [])
        }))

      it.effect("are listed by each filter, for a tenant and for one owner", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const { tenant } = makeRun()
          const target = makeRun({
            tenant,
            owner: "o",
            agent: "a",
            kind: "tool",
            state: "suspended",
            waitsFor: "timer",
            threadId: "t",
            parentRunId: "p"
          })
          const others = Array.from({ length: 4 }, () => makeRun({ tenant, owner: "o", state: "completed" }))
          yield* store.write([target, ...others].map((run) => admit(run)))
          for (const field of filterFields) {
            for (const owner of [{}, { owner: "o" }]) {
              const query = { tenant, ...owner, [field]: target[field], limit: 5 }
              assert.deepStrictEqual(ids(yield* store.summaries(query)), [target.runId], field)
              assert.deepStrictEqual(yield* store.summaries({ ...query, [field]: "none" }), [], field)
            }
          }
        }))
    })

    layer(store, options)("pending interrupts", (it) => {
      const ask = (run: RunRecord, scopes: ReadonlyArray<string> = []): PendingQuery => ({
        tenant: run.tenant,
        decides: (needed: ReadonlyArray<string>) => needed.every((scope) => scopes.includes(scope)),
        requester: "carol",
        limit: 10
      })
      const open = (run: RunRecord, ...interrupts: ReadonlyArray<Interrupt>) => [
        admit(run),
        commit(run, { open: interrupts, set: { state: "suspended", waitsFor: "interrupt" } })
      ]
      const approvers = (scopes: ReadonlyArray<string>, notRequester = false) => ({
        approvers: { scopes, notRequester }
      })
      const question = (run: RunRecord): Interrupt => {
        const { approvers: _approvers, ...rest } = makeInterrupt(run)
        return rest
      }

      it.effect("are found by those who hold the scopes of their approvers, newest run first, in pages", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const first = makeRun()
          const { tenant } = first
          const second = makeRun({ tenant })
          const third = makeRun({ tenant })
          yield* store.write([
            ...open(
              first,
              makeInterrupt(first, approvers(["a"])),
              makeInterrupt(first, { id: "i2", ...approvers(["a", "b"]) })
            ),
            ...open(second, makeInterrupt(second, approvers(["b", "ż"]))),
            ...open(third, makeInterrupt(third, approvers([])))
          ])
          assert.deepStrictEqual(yield* store.pending(ask(first)), [third.runId])
          assert.deepStrictEqual(yield* store.pending(ask(first, ["a"])), [third.runId, first.runId])
          const all = ["a", "b", "ż"]
          const runIds = [third.runId, second.runId, first.runId]
          assert.deepStrictEqual(yield* store.pending(ask(first, all)), runIds)
          const query = { ...ask(first, all), limit: 2 }
          assert.deepStrictEqual(yield* store.pending(query), runIds.slice(0, 2))
          assert.deepStrictEqual(yield* store.pending({ ...query, before: second.runId }), runIds.slice(2))
          assert.deepStrictEqual(yield* store.pending(ask(makeRun(), all)), [])
        }))

      it.effect("without approvers are found by those who see the run", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeRun()
          const other = makeRun({ tenant: run.tenant, owner: "bob" })
          yield* store.write([...open(run, question(run)), ...open(other, question(other))])
          assert.deepStrictEqual(yield* store.pending(ask(run)), [other.runId, run.runId])
          assert.deepStrictEqual(yield* store.pending({ ...ask(run), owner: "alice" }), [run.runId])
          assert.deepStrictEqual(yield* store.pending({ ...ask(run), owner: "carol" }), [])
        }))

      it.effect("that exclude their requester are not found by the owner of the run", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeRun()
          yield* store.write(open(run, makeInterrupt(run, approvers(["a"], true))))
          assert.deepStrictEqual(yield* store.pending({ ...ask(run, ["a"]), requester: "alice" }), [])
          assert.deepStrictEqual(yield* store.pending(ask(run, ["a"])), [run.runId])
        }))

      it.effect("are not found once they are resolved, withdrawn or their run has ended", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeRun()
          const { tenant } = run
          const [withdrawn, ended, endedAtOnce] = [makeRun({ tenant }), makeRun({ tenant }), makeRun({ tenant })]
          const two = [makeInterrupt(run, approvers([])), makeInterrupt(run, { id: "i2", ...approvers([]) })]
          const one = makeInterrupt(withdrawn, approvers([]))
          const from = ["suspended"] as const
          yield* store.write([
            ...open(run, ...two),
            ...open(withdrawn, one),
            ...open(ended, makeInterrupt(ended, approvers([]))),
            admit(endedAtOnce),
            commit(endedAtOnce, { open: [makeInterrupt(endedAtOnce, approvers([]))], set: { state: "cancelled" } })
          ])
          assert.deepStrictEqual(yield* store.pending(ask(run)), [ended.runId, withdrawn.runId, run.runId])
          yield* store.write([commit(withdrawn, { from, open: [{ ...one, state: "resolved", resolution }] })])
          yield* store.write([commit(ended, { from, set: { state: "cancelled", finishedAt: started } })])
          yield* store.write([commit(run, { from, resolve: { id: "i1", resolution } })])
          assert.deepStrictEqual(yield* store.pending(ask(run)), [run.runId])
          yield* store.write([commit(run, { from, resolve: { id: "i2", resolution }, set: { state: "running" } })])
          assert.deepStrictEqual(yield* store.pending(ask(run)), [])
        }))

      it.effect("of a fork and of a running run are found too", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeRun()
          const fork = makeRun({ tenant: run.tenant, state: "queued" })
          yield* store.write([
            admit(run),
            commit(run, { open: [makeInterrupt(run, approvers([]))] }),
            { ...admit(fork), interrupts: [makeInterrupt(fork, approvers([]))] }
          ])
          assert.deepStrictEqual(yield* store.pending(ask(run)), [fork.runId, run.runId])
        }))
    })

    layer(store, options)("unfinished", (it) => {
      it.effect("are running runs of all tenants, oldest first", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const running = makeRun({ idempotencyKey: "key", payload: { a: 1 } })
          const finished = makeRun()
          const queued = makeRun({ state: "queued" })
          const suspended = makeRun({ state: "suspended" })
          const resumed = makeRun({ state: "suspended" })
          yield* store.write([resumed, finished, queued, suspended, running].map((run) => admit(run)))
          yield* store.write([
            commit(finished, { set: { state: "completed" } }),
            commit(resumed, { from: ["suspended"], set: { state: "running" } })
          ])
          const mine = new Set(ids([running, finished, queued, suspended, resumed]))
          const found = (yield* store.unfinished).filter((run) => mine.has(run.runId))
          assert.deepStrictEqual(found, [running, { ...resumed, state: "running", updatedAt: started + 1 }])
        }))
    })

    layer(store, options)("scan", (it) => {
      it.effect("finds runs of all tenants by state, newest first, without those of some definitions", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const agent = `agent-${nextId()}`
          const make = (overrides: Partial<RunRecord>) => makeRun({ agent, state: "suspended", ...overrides })
          const known = make({ fingerprint: "known" })
          const kept = make({ fingerprint: "known", waitsFor: "migration" })
          const old = make({ fingerprint: "old@1", waitsFor: "timer", wakeAt: 5 })
          const queued = make({ fingerprint: "old@1", state: "queued" })
          const other = makeRun({ state: "suspended", fingerprint: "old@1" })
          yield* store.write([known, kept, old, queued, other].map((run) => admit(run)))
          const scan = (query: Partial<ScanQuery>) =>
            Effect.map(store.scan({ states: ["suspended"], agent, limit: 10, ...query }), ids)
          assert.deepStrictEqual(yield* scan({}), ids([old, kept, known]))
          assert.deepStrictEqual(yield* scan({ except: ["known", "x"] }), ids([old, kept]))
          assert.deepStrictEqual(yield* scan({ except: ["old@1"], limit: 1 }), ids([kept]))
          assert.deepStrictEqual(yield* scan({ before: kept.runId }), ids([known]))
          assert.deepStrictEqual(yield* scan({ states: ["queued", "suspended"], limit: 2 }), ids([queued, old]))
          assert.deepStrictEqual(yield* scan({ states: [] }), [])
          const { tenant } = kept
          assert.deepStrictEqual(ids(yield* store.list({ tenant, waitsFor: "migration", limit: 10 })), [kept.runId])
          assert.deepStrictEqual(yield* store.list({ tenant, waitsFor: "timer", limit: 10 }), [])
        }))
    })

    layer(store, options)("waiting", (it) => {
      it.effect("a change of state says anew what a run waits for", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeRun({ state: "queued", wakeAt: 5, priority: 3 })
          yield* store.write([
            admit(run),
            commit(run, { from: ["queued"], set: { wakeAt: 9 } })
          ])
          assert.deepInclude(yield* store.get(run.runId), { state: "queued", wakeAt: 9, priority: 3 })
          yield* store.write([commit(run, { from: ["queued"], set: { state: "running", crashes: 2 } })])
          const running = yield* store.get(run.runId)
          assert.deepStrictEqual(running, { ...withoutWake(run), state: "running", crashes: 2, updatedAt: started + 1 })
          const set = { state: "suspended", waitsFor: "timer", wakeAt: 77, crashes: 0 } as const
          yield* store.write([commit(run, { set })])
          assert.deepInclude(yield* store.get(run.runId), set)
        }))

      it.effect("what is due of a tenant comes by priority, then by age", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const [agent, tenant] = [`agent-${nextId()}`, `tenant-${nextId()}`]
          const make = (wakeAt: number | undefined, priority: number, overrides: Partial<RunRecord> = {}) =>
            makeRun({
              agent,
              tenant,
              state: "queued",
              priority,
              ...(wakeAt === undefined ? {} : { wakeAt }),
              ...overrides
            })
          const [late, low, high, first] = [make(101, 9), make(100, 0), make(50, 7), make(1, 0)]
          const timer = make(100, 7, { state: "suspended", waitsFor: "timer" })
          const others = [
            make(undefined, 9),
            make(1, 9, { agent: "another" }),
            make(1, 9, { state: "running" }),
            make(1, 9, { state: "completed", finishedAt: 1 })
          ]
          yield* store.write([late, low, high, first, timer, ...others].map((run) => admit(run)))
          const due = (limit: number, ...agents: ReadonlyArray<string>) => store.due({ now: 100, agents, limit })
          assert.deepStrictEqual(yield* due(10, agent), [high, timer, low, first])
          assert.deepStrictEqual(yield* due(2, "nobody", agent), [high, timer])
          assert.deepStrictEqual(yield* due(10), [])
          const count = (...agents: ReadonlyArray<string>) => store.countDue({ now: 100, agents })
          assert.deepStrictEqual(yield* Effect.all([count(agent), count("nobody", agent), count()]), [4, 4, 0])
          yield* store.write([commit(high, { from: ["queued"], set: { state: "running" } })])
          assert.deepStrictEqual(yield* due(2, agent), [timer, low])
          assert.strictEqual(yield* count(agent), 3)
        }))
    })

    layer(store, options)("lines", (it) => {
      it.effect("go by turns of their tenants, whatever the priority and the number of the others' runs", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const agent = `agent-${nextId()}`
          const [a, b, c] = [`tenant-${nextId()}`, `tenant-${nextId()}`, `tenant-${nextId()}`]
          const make = (tenant: string, priority: number, overrides: Partial<RunRecord> = {}) =>
            makeRun({ agent, tenant, priority, state: "queued", wakeAt: 1, ...overrides })
          const flood = Array.from({ length: 1_100 }, () => make(a, 1_000))
          const [b1, b2, c1] = [make(b, 0), make(b, 5), make(c, -7)]
          yield* store.write([...flood, b1, b2, c1].map((run) => admit(run)))
          const due = (limit: number, within?: Limits) =>
            store.due({ now: 1, agents: [agent], limit, ...(within === undefined ? {} : { within }) })
          const [first, second, ...others] = flood
          assert.isDefined(first && second)
          if (!first || !second) return
          const expected = [first, b2, c1, second, b1, ...others]
          assert.deepStrictEqual(yield* due(7), expected.slice(0, 7))
          assert.deepStrictEqual(yield* due(3, { agent: 2, tenant: 1 }), expected.slice(0, 3))
          assert.lengthOf(yield* due(2_000), 1_103)
          // A tenant without room takes no turn.
          yield* store.write([commit(c1, { from: ["queued"], set: { state: "running" } })])
          const c2 = make(c, 9)
          yield* store.write([admit(c2)])
          assert.deepStrictEqual(yield* due(4, { tenant: 1 }), [first, b2, second, b1])
          assert.deepStrictEqual(yield* due(4), [first, b2, c2, second])
        }))

      it.effect("go by turns over several agents", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const [one, other] = [`agent-${nextId()}`, `agent-${nextId()}`]
          const [a, b] = [`tenant-${nextId()}`, `tenant-${nextId()}`]
          const make = (agent: string, tenant: string, priority: number) =>
            makeRun({ agent, tenant, priority, state: "suspended", waitsFor: "timer", wakeAt: 1 })
          const [a1, a2, a3] = [make(one, a, 3), make(other, a, 2), make(one, a, 1)]
          const b1 = make(other, b, -1)
          yield* store.write([a1, a2, a3, b1].map((run) => admit(run)))
          assert.deepStrictEqual(yield* store.due({ now: 1, agents: [one, other], limit: 3 }), [a1, b1, a2])
        }))
    })

    layer(store, options)("deadlines", (it) => {
      it.effect("find runs that wait beyond theirs, the earliest first, and no other run", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const make = (deadline: number, overrides: Partial<RunRecord> = {}) =>
            makeRun({ state: "suspended", deadline, ...overrides })
          const [third, first, second] = [make(30), make(10), make(20, { state: "queued", wakeAt: 5_000 })]
          const others = [
            make(101),
            make(10, { state: "running" }),
            make(10, { state: "completed", finishedAt: 9 }),
            makeRun({ state: "suspended" })
          ]
          const all = [third, first, second, ...others]
          yield* store.write(all.map((run) => admit(run)))
          const ids = new Set(all.map(({ runId }) => runId))
          const overdue = (limit: number) =>
            Effect.map(
              store.overdue({ now: 100, limit: 1_000 }),
              (runs) => runs.filter(({ runId }) => ids.has(runId)).slice(0, limit)
            )
          assert.deepStrictEqual(yield* overdue(10), [first, second, third])
          assert.isAtMost((yield* store.overdue({ now: 100, limit: 2 })).length, 2)
          // A run leaves and comes back with its state.
          yield* store.write([
            commit(first, { from: ["suspended"], set: { state: "running", attempt: 2 } }),
            commit(second, { from: ["queued"], set: { state: "cancelled", finishedAt: 50 } })
          ])
          assert.deepStrictEqual((yield* overdue(10)).map(({ runId }) => runId), [third.runId])
          yield* store.write([commit({ ...first, attempt: 2 }, { set: { state: "suspended" } })])
          assert.deepStrictEqual((yield* overdue(10)).map(({ runId }) => runId), [first.runId, third.runId])
          assert.deepInclude(yield* store.get(first.runId), { state: "suspended", deadline: 10 })
          // The runs of this test end, so that no other reader of the store finds them.
          yield* store.write([first, third].map((run) =>
            commit({ ...run, attempt: run === first ? 2 : run.attempt }, {
              from: ["suspended"],
              set: { state: "failed", finishedAt: 100 }
            })
          ))
        }))
    })

    layer(store, options)("limits", (it) => {
      const start = (run: RunRecord, within: Limits) =>
        commit(run, { from: ["queued"], within, set: { state: "running" } })

      it.effect("hold for an agent and for its tenants", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const agent = `agent-${nextId()}`
          const [a, b] = [`tenant-${nextId()}`, `tenant-${nextId()}`]
          const queued = [a, a, a, b, b].map((tenant) => makeRun({ agent, tenant, state: "queued", wakeAt: 1 }))
          const [a1, a2, a3, b1, b2] = queued
          assert.isDefined(a1 && a2 && a3 && b1 && b2)
          if (!a1 || !a2 || !a3 || !b1 || !b2) return
          const within = { agent: 3, tenant: 2 }
          yield* store.write(queued.map((run) => admit(run)))
          const tags = tagsOf(yield* store.write([a1, a2, a3, b1, b2].map((run) => start(run, within))))
          assert.deepStrictEqual(tags, ["Committed", "Committed", "Refused", "Committed", "Refused"])
          // A run that pauses makes room; a refused run has changed nothing.
          yield* store.write([commit(a1, { set: { state: "suspended" } })])
          assert.deepStrictEqual(yield* store.get(b2.runId), b2)
          assert.deepStrictEqual(tagsOf(yield* store.write([start(b2, within)])), ["Committed"])
        }))

      it.effect("leave out of what is due what has no room, and nothing that stands behind it", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const agent = `agent-${nextId()}`
          const [a, b] = [`tenant-${nextId()}`, `tenant-${nextId()}`]
          const make = (tenant: string, overrides: Partial<RunRecord> = {}) =>
            makeRun({ agent, tenant, state: "queued", wakeAt: 1, ...overrides })
          const running = makeRun({ agent, tenant: a })
          const line = Array.from({ length: 700 }, () => make(a))
          const [asks, naps] = [
            make(a, { state: "suspended", waitsFor: "interrupt" }),
            make(a, { state: "suspended", waitsFor: "timer" })
          ]
          const others = [make(b), make(b)]
          yield* store.write([running, ...line, asks, naps, ...others].map((run) => admit(run)))
          const due = (within: Limits, limit = 5) => store.due({ now: 1, agents: [agent], within, limit })
          const [b1, b2] = others
          const [first, second, ...rest] = line
          assert.isDefined(first && second && b1 && b2)
          if (!first || !second || !b1 || !b2) return
          const turns = [first, b1, second, b2, ...rest.slice(0, 1)]
          assert.deepStrictEqual(yield* due({}), turns)
          assert.deepStrictEqual(yield* due({ agent: 2, tenant: 2 }), turns)
          assert.deepStrictEqual(yield* due({ tenant: 1 }), [asks, ...others])
          assert.deepStrictEqual(yield* due({ agent: 1 }), [asks])
          yield* store.write([commit(running, { set: { state: "completed", finishedAt: 1 } })])
          assert.deepStrictEqual(
            yield* due({ agent: 1, tenant: 1 }, 703),
            [first, b1, second, b2, ...rest, asks, naps].slice(0, 703)
          )
        }))

      it.effect("leave of what is due in a thread what has its turn, whatever the priority", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const [agent, tenant] = [`agent-${nextId()}`, `tenant-${nextId()}`]
          const make = (overrides: Partial<RunRecord> = {}) =>
            makeRun({ agent, tenant, threadId: "t", state: "queued", wakeAt: 1, ...overrides })
          const line = [make(), make({ priority: 5 }), ...Array.from({ length: 600 }, () => make({ priority: 1 }))]
          const [first, second] = line
          const free = makeRun({ agent, tenant, state: "queued", wakeAt: 1 })
          const other = make({ threadId: "u" })
          const stranger = make({ owner: "bob" })
          yield* store.write([...line, free, other, stranger].map((run) => admit(run)))
          const due = store.due({ now: 1, agents: [agent], within: { thread: true }, limit: 5 })
          assert.isDefined(first && second)
          if (!first || !second) return
          assert.deepStrictEqual(yield* due, [first, free, other, stranger])
          yield* store.write([commit(first, { from: ["queued"], set: { state: "running" } })])
          assert.deepStrictEqual(yield* due, [free, other, stranger])
          yield* store.write([commit(first, { set: { state: "suspended", waitsFor: "timer", wakeAt: 1 } })])
          assert.deepStrictEqual(
            (yield* due).map(({ runId }) => runId),
            [first, free, other, stranger].map(({ runId }) => runId)
          )
          yield* store.write([commit(first, { from: ["suspended"], set: { state: "cancelled", finishedAt: 1 } })])
          assert.deepStrictEqual(yield* due, [second, free, other, stranger])
        }))

      it.effect("hold for a thread, in the order of its runs", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const tenant = `tenant-${nextId()}`
          const inThread = { tenant, threadId: "t", state: "queued", wakeAt: 1 } as const
          const [first, second, third] = [makeRun(inThread), makeRun(inThread), makeRun(inThread)]
          const stranger = makeRun({ ...inThread, owner: "bob" })
          yield* store.write([first, second, third, stranger].map((run) => admit(run)))
          const within = { thread: true }
          const tags = tagsOf(yield* store.write([second, first, third, stranger].map((run) => start(run, within))))
          assert.deepStrictEqual(tags, ["Refused", "Committed", "Refused", "Committed"])
          yield* store.write([commit(first, { set: { state: "suspended" } })])
          assert.deepStrictEqual(tagsOf(yield* store.write([start(second, within)])), ["Refused"])
          yield* store.write([commit(first, { from: ["suspended"], set: { state: "cancelled" } })])
          assert.deepStrictEqual(
            tagsOf(yield* store.write([start(third, within), start(second, within)])),
            ["Refused", "Committed"]
          )
        }))

      it.effect("a run that wants its thread alone is refused while another has not ended", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const tenant = `tenant-${nextId()}`
          for (const state of ["queued", "running", "suspended"] as const) {
            const there = makeRun({ tenant, threadId: state, state })
            const next = makeRun({ tenant, threadId: state })
            yield* store.write([admit(there)])
            assert.deepStrictEqual(yield* store.write([{ ...admit(next), alone: true }]), [{
              _tag: "Busy",
              run: there
            }])
            assert.isUndefined(yield* store.get(next.runId))
            const elsewhere = makeRun({ tenant, threadId: state, owner: "bob" })
            assert.deepStrictEqual(tagsOf(yield* store.write([{ ...admit(elsewhere), alone: true }])), ["Admitted"])
            yield* store.write([commit(there, { from: [state], set: { state: "completed" } })])
            assert.deepStrictEqual(tagsOf(yield* store.write([{ ...admit(next), alone: true }])), ["Admitted"])
          }
        }))

      it.effect("of many at once exactly as many win as there is room for", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const agent = `agent-${nextId()}`
          const runs = Array.from({ length: 30 }, () => makeRun({ agent, state: "queued", wakeAt: 1 }))
          yield* store.write(runs.map((run) => admit(run)))
          const written = yield* Effect.forEach(runs, (run) => store.write([start(run, { agent: 7 })]), {
            concurrency: "unbounded"
          })
          assert.strictEqual(tagsOf(written.flat()).filter((tag) => tag === "Committed").length, 7)
        }))
    })

    layer(store, options)("forks", (it) => {
      it.effect("are admitted with what they go on from", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeRun({ forkedFrom: { runId: "origin", seq: 12 } })
          const answered = makeInterrupt(run, { state: "resolved", resolution })
          yield* store.write([{
            ...admit(run, Event.token("a"), Event.token("b")),
            steps: [{ name: "s", value: { n: 1 } }],
            interrupts: [answered]
          }])
          assert.deepStrictEqual(yield* store.get(run.runId), { ...run, seq: 2 })
          assert.deepStrictEqual(yield* store.steps(run.runId), [{ name: "s", value: { n: 1 }, seq: 2 }])
          assert.deepStrictEqual(yield* store.interrupts(run.runId), [answered])
        }))
    })

    layer(store, options)("retries", (it) => {
      it.effect("of a run that has ended are recorded without an event, also once its journal is compacted", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeRun({ state: "failed", finishedAt: started })
          yield* store.write([admit(run, Event.token("a"), Event.token("b"))])
          const record = (retriedAs: string) =>
            store.write([{
              _tag: "Commit",
              runId: run.runId,
              attempt: run.attempt,
              from: ["completed", "failed", "cancelled", "rejected"],
              ts: run.updatedAt,
              events: [],
              set: { retriedAs }
            }])
          assert.deepStrictEqual(tagsOf(yield* record("one")), ["Committed"])
          assert.deepStrictEqual(yield* store.get(run.runId), { ...run, seq: 2, retriedAs: "one" })
          yield* store.compact({ finishedBefore: Infinity, limit: 1_000 })
          assert.deepStrictEqual(tagsOf(yield* record("two")), ["Committed"])
          assert.strictEqual((yield* store.get(run.runId))?.retriedAs, "two")
          assert.lengthOf(yield* store.events(run.runId, 0, 10), 2)
        }))
    })

    layer(store, options)("removing", (it) => {
      it.effect("takes what ended before a time, with all that belongs to it", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const { tenant } = makeRun()
          const ended = (finishedAt: number, overrides: Partial<RunRecord> = {}) =>
            makeRun({ tenant, state: "completed", finishedAt, ...overrides })
          const old = ended(10, { idempotencyKey: "key", threadId: "t" })
          const failed = ended(11, { state: "failed" })
          const recent = ended(20)
          const running = makeRun({ tenant })
          const theirs = ended(1, { tenant: `tenant-${nextId()}` })
          yield* store.write(
            [old, failed, recent, running, theirs].map((run) => ({
              ...admit(run, Event.token("x")),
              steps: [{ name: "s", value: 1 }]
            }))
          )
          const query = { tenant, states: ["completed", "failed", "running"], finishedBefore: 20, limit: 10 } as const
          assert.deepStrictEqual(ids(yield* store.remove({ ...query, dryRun: true })), ids([old, failed]))
          assert.deepStrictEqual(ids(yield* store.remove({ ...query, states: ["completed"] })), ids([old]))
          assert.deepStrictEqual(yield* snapshot(store, old), {
            record: undefined,
            events: [],
            steps: [],
            interrupts: []
          })
          assert.deepStrictEqual(yield* store.list({ tenant, threadId: "t", limit: 10 }), [])
          assert.deepStrictEqual(yield* store.remove({ ...query, runIds: [running.runId] }), [])
          assert.deepStrictEqual(
            ids(yield* store.remove({ ...query, runIds: [failed.runId], limit: 1 })),
            ids([failed])
          )
          assert.deepStrictEqual(ids(yield* store.list({ tenant, limit: 10 })), ids([running, recent]))
          // The key is free again.
          const again = makeRun({ tenant, idempotencyKey: "key" })
          assert.deepStrictEqual(tagsOf(yield* store.write([admit(again)])), ["Admitted"])
        }))

      it.effect("takes a run only once the run that started it is gone, and leaves tenants out", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const { tenant } = makeRun()
          const ended = { tenant, state: "completed", finishedAt: 10 } as const
          const parent = makeRun({ ...ended, finishedAt: 12 })
          const child = makeRun({ ...ended, parentRunId: parent.runId })
          const grandchild = makeRun({ ...ended, parentRunId: child.runId })
          const waiting = makeRun({ tenant, state: "suspended", waitsFor: "child" })
          const awaited = makeRun({ ...ended, finishedAt: 1, parentRunId: waiting.runId })
          const runs = [parent, child, grandchild, waiting, awaited]
          yield* store.write(runs.map((run) => admit(run)))
          const query = { tenant, states: ["completed"], finishedBefore: 11, limit: 10 } as const
          assert.deepStrictEqual(yield* store.remove(query), [])
          const all = { ...query, finishedBefore: 20 }
          assert.deepStrictEqual(yield* store.remove({ ...all, exceptTenants: ["other", tenant] }), [])
          assert.deepStrictEqual(
            ids(yield* store.remove({ ...all, limit: 1, exceptTenants: ["other"] })),
            ids([parent])
          )
          assert.deepStrictEqual(ids(yield* store.remove(all)), ids([child]))
          assert.deepStrictEqual(ids(yield* store.remove(all)), ids([grandchild]))
          assert.deepStrictEqual(yield* store.remove(all), [])
          assert.deepStrictEqual(yield* store.get(awaited.runId), awaited)
          // The named runs are removed.
          const named = { ...all, runIds: [awaited.runId, waiting.runId] }
          assert.deepStrictEqual(ids(yield* store.remove(named)), ids([awaited]))
        }))
    })

    layer(store, options)("facts for the audit log", (it) => {
      const odd = "żółw 🐢 ' {} , \\ \n %"
      const denial: Resolution = { decision: "deny", by: "bob", at: started + 5 }
      const factAt = (at: number): Fact => ({ id: nextId(), at, body: JSON.stringify({ at, odd }) })
      /** Of these facts those that wait, in their order. */
      const waiting = (store: Store, facts: ReadonlyArray<Fact>, query: Partial<FactQuery> = {}) =>
        Effect.map(
          store.facts({ before: Number.MAX_SAFE_INTEGER, limit: 100_000, ...query }),
          (found) => found.filter(({ id }) => facts.some((fact) => fact.id === id))
        )

      it.effect("wait with the change that they record, until they are removed", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeRun()
          const asked = makeInterrupt(run)
          const facts = [factAt(3), factAt(1), factAt(2), factAt(4), factAt(9)]
          const [first, second, third, fourth, fifth] = facts
          const some = (...given: ReadonlyArray<Fact | undefined>) => given.filter((fact) => fact !== undefined)
          yield* store.write([
            { ...admit(run, Event.token("a")), facts: some(first, second) },
            commit(run, { open: [asked], facts: some(third) }),
            commit(run, { ts: started + 2, resolve: { id: asked.id, resolution: denial }, facts: some(fourth) })
          ])
          yield* store.write([commit(run, { ts: started + 3, set: { state: "completed" }, facts: some(fifth) })])
          assert.deepStrictEqual(yield* waiting(store, facts), some(second, third, first, fourth, fifth))
          assert.deepStrictEqual(yield* waiting(store, facts, { before: 3 }), some(second, third))
          const oldest = yield* store.facts({ before: 2, limit: 1 })
          assert.lengthOf(oldest, 1)
          yield* store.removeFacts(some(second, fifth).map(({ id }) => id))
          yield* store.removeFacts([fifth?.id ?? "", "there is none"])
          yield* store.removeFacts([])
          assert.deepStrictEqual(yield* waiting(store, facts), some(third, first, fourth))
          yield* store.removeFacts(facts.map(({ id }) => id))
          assert.deepStrictEqual(yield* waiting(store, facts), [])
        }))

      it.effect("of a write that is refused or attached are not kept", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeRun({ idempotencyKey: nextId(), threadId: "t" })
          const asked = makeInterrupt(run)
          yield* store.write([admit(run), commit(run, { open: [asked] })])
          const facts = Array.from({ length: 6 }, (_, at) => factAt(at))
          const noted = (at: number) => ({ facts: facts.slice(at, at + 1) })
          const again = { ...run, runId: nextId() }
          const { idempotencyKey: _key, ...busy } = { ...run, runId: nextId() }
          const resolve = { id: asked.id, resolution: denial }
          const writes = [
            { ...admit(again), ...noted(0) },
            { ...admit(busy), alone: true, ...noted(1) },
            commit(run, { attempt: 7, ...noted(2) }),
            commit(run, { from: ["suspended"], ...noted(3) }),
            commit(run, { resolve: { ...resolve, id: "another" }, ...noted(4) })
          ]
          assert.deepStrictEqual(tagsOf(yield* store.write(writes)), [
            "Attached",
            "Busy",
            "Refused",
            "Refused",
            "Refused"
          ])
          assert.deepStrictEqual(yield* waiting(store, facts), [])
          // Of many decisions one is written, and with it one fact.
          const racing = Array.from({ length: 20 }, (_, at) => factAt(at))
          const written = yield* Effect.forEach(
            racing,
            (fact) => write(store, commit(run, { resolve, facts: [fact] })),
            { concurrency: "unbounded" }
          )
          const winner = written.findIndex((one) => one?._tag === "Committed")
          assert.deepStrictEqual(yield* waiting(store, racing), racing.slice(winner, winner + 1))
          yield* store.removeFacts(racing.map(({ id }) => id))
        }))

      it.effect("stay when their run is removed", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeRun({ state: "completed", finishedAt: 10 })
          const fact = factAt(1)
          yield* store.write([{ ...admit(run), facts: [fact] }])
          const query = { tenant: run.tenant, states: ["completed"], finishedBefore: 20, limit: 10 } as const
          assert.lengthOf(yield* store.remove(query), 1)
          assert.deepStrictEqual(yield* waiting(store, [fact]), [fact])
          yield* store.removeFacts([fact.id])
        }))
    })

    layer(store, options)("bind", (it) => {
      it.effect("the first of many apps has the store, and keeps it", () =>
        Effect.gen(function*() {
          const { bind } = yield* RunStore
          const apps = Array.from({ length: 20 }, (_, index) => `app ${index} '"`)
          const bound = new Set(yield* Effect.forEach(apps, bind, { concurrency: "unbounded" }))
          assert.strictEqual(bound.size, 1)
          assert.include(apps, [...bound][0])
          assert.deepStrictEqual(yield* bind("another"), [...bound][0])
        }))
    })

    layer(store, options)("identity", (it) => {
      it.effect("is the same each time, and a name", () =>
        Effect.gen(function*() {
          const { identity } = yield* RunStore
          const all = yield* Effect.all([identity, identity, identity], { concurrency: "unbounded" })
          assert.strictEqual(new Set(all).size, 1)
          assert.match(all[0], /^[0-9a-f-]{32,36}$/u)
        }))
    })

    layer(store, options)("compacting", (it) => {
      const streamed = Effect.fnUntraced(function*(store: Store, overrides: Partial<RunRecord> = {}) {
        const run = makeRun(overrides)
        const path = ["inner"]
        const texts = ["a", "", "żółw 🐢", "\uD83D", "\uDC22", "\u0000\"\\", "x".repeat(300)]
        const batches: ReadonlyArray<ReadonlyArray<Event.Event>> = [
          [Event.make("message_start", { messageId: "m", role: "assistant" })],
          ...texts.map((text) => [Event.token(text, "m")]),
          [Event.token("b", "m"), Event.token("c", "n"), Event.token("d")],
          [Event.make("token", { delta: "e", messageId: "m", blockId: "1" }, path), Event.log("info", "between")],
          [Event.make("reasoning_delta", { delta: "f" }), Event.make("reasoning_delta", { delta: "g" })],
          [Event.make("tool_call_delta", { toolCallId: "1", delta: "{" })],
          [Event.make("tool_call_delta", { toolCallId: "1", delta: "}" })],
          ...Array.from({ length: 400 }, (_, index) => [Event.token(`t${index}`, "m")])
        ]
        yield* store.write([admit(run, Event.token("0", "m"))])
        // Clocks go back, and a run has several attempts.
        yield* store.write(batches.map((events, index) => commit(run, { events, ts: started + (index % 7) - 3 })))
        yield* store.write([
          commit(run, { set: { attempt: run.attempt + 1 } }),
          commit(run, {
            attempt: run.attempt + 1,
            events: [Event.token("h"), Event.make("done", { output: "done" })],
            set: { state: "completed", finishedAt: 5 }
          })
        ])
        return run
      })

      const query = { finishedBefore: 10, limit: 100 }

      const compactAll = Effect.fnUntraced(function*(store: Store) {
        const found: Array<Compacted> = []
        while (true) {
          const page = yield* store.compact(query)
          if (page.length === 0) return found
          found.push(...page)
        }
      })

      const sums = (found: ReadonlyArray<Compacted>, { runId }: RunRecord) =>
        found.filter((one) => one.runId === runId).reduce(
          (sum, { after, before }) => ({ before: sum.before + before, after: sum.after + after }),
          { before: 0, after: 0 }
        )

      it.effect("keeps every event as it was, under its number, in fewer rows", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          yield* compactAll(store)
          const run = yield* streamed(store)
          const open = makeRun({ state: "suspended" })
          const recent = makeRun({ state: "completed", finishedAt: 10 })
          yield* store.write([admit(open, ...tokens(5)), admit(recent, ...tokens(5))])
          const before = yield* snapshot(store, run)
          const foreseen = sums(yield* store.compact({ ...query, dryRun: true }), run)
          assert.deepStrictEqual(yield* snapshot(store, run), before)
          const found = yield* compactAll(store)
          assert.deepStrictEqual(new Set(found.map(({ runId }) => runId)), new Set([run.runId]))
          assert.deepStrictEqual(sums(found, run), foreseen)
          assert.isAbove(foreseen.before, 400)
          assert.isBelow(foreseen.after, 40)
          assert.deepStrictEqual(yield* compactAll(store), [])
          assert.deepStrictEqual(yield* snapshot(store, run), before)
          // From anywhere inside, in pages of any size.
          const last = before.events.length
          for (let after = 0; after <= last; after += 13) {
            assert.deepStrictEqual(yield* store.events(run.runId, after, 10_000), before.events.slice(after))
          }
          for (const limit of [1, 7, 255, 256, 257, 10_000]) {
            assert.deepStrictEqual(yield* readAll(store, run.runId, limit, 256), before.events)
          }
          assert.deepStrictEqual(yield* store.events(run.runId, last, 10), [])
          assert.strictEqual(
            yield* write(store, commit(run, { events: tokens(1) })).pipe(Effect.map((w) => w?._tag)),
            "Refused"
          )
        }), 30_000)

      it.effect("is done once by many at a time, while others read", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const runs = yield* Effect.forEach(Array.from({ length: 5 }), () => streamed(store))
          const before = yield* Effect.forEach(runs, (run) => snapshot(store, run))
          const reading = Effect.forEach(runs, (run, index) =>
            Effect.forEach(Array.from({ length: 5 }), () =>
              Effect.map(
                readAll(store, run.runId, 50, 256),
                (events) => assert.deepStrictEqual(events, before[index]?.events)
              ), { discard: true }), {
            concurrency: "unbounded",
            discard: true
          })
          yield* Effect.all([reading, ...Array.from({ length: 8 }, () => compactAll(store))], {
            concurrency: "unbounded"
          })
          assert.deepStrictEqual(yield* compactAll(store), [])
          assert.deepStrictEqual(yield* Effect.forEach(runs, (run) => snapshot(store, run)), before)
        }), 60_000)

      it.effect("a compacted run goes as any other", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = yield* streamed(store)
          yield* compactAll(store)
          const removal = { tenant: run.tenant, states: ["completed"], finishedBefore: 10, limit: 10 } as const
          assert.deepStrictEqual(ids(yield* store.remove(removal)), [run.runId])
          assert.deepStrictEqual(yield* store.events(run.runId, 0, 10), [])
          assert.deepStrictEqual(yield* store.events(run.runId, 300, 10), [])
        }))
    })

    layer(store, options)("JSON", (it) => {
      for (const [kind, value] of Object.entries(oddValues)) {
        it.effect(`comes back as it went in: ${kind}`, () =>
          Effect.gen(function*() {
            const store = yield* RunStore
            const run = makeRun({ payload: value })
            const step = { name: `step ${kind}`, value }
            const open = makeInterrupt(run, { arguments: value, responseSchema: value })
            const error = { tag: "E", message: kind, status: 500, declared: true, value }
            const answer = { ...resolution, value }
            const events = [Event.custom(kind, value), Event.make("done", { output: value })]
            yield* store.write([
              admit(run, Event.custom(kind, value)),
              commit(run, { events, steps: [step], open: [open], set: { output: value, error } }),
              commit(run, { ts: started + 2, resolve: { id: open.id, resolution: answer } })
            ])
            const record = { ...run, seq: 3, output: value, error, updatedAt: started + 2 }
            const { events: journal, ...rest } = yield* snapshot(store, run)
            assert.deepStrictEqual(rest, {
              record,
              steps: [{ ...step, seq: 3 }],
              interrupts: [{ ...open, state: "resolved", resolution: answer }]
            })
            assert.deepStrictEqual(journal.map((event) => event.data), [
              { name: kind, value },
              { name: kind, value },
              { output: value }
            ])
          }))
      }

      it.effect("names may be any text", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const odd = "żółw 🐢 ' \" % _ \\ ; --"
          const run = makeRun({
            tenant: `${nextId()} ${odd}`,
            owner: odd,
            agent: odd,
            threadId: odd,
            parentRunId: odd,
            rootRunId: odd,
            forkedFrom: { runId: odd, seq: 1 },
            idempotencyKey: odd,
            traceId: odd,
            fingerprint: odd
          })
          yield* store.write([admit(run), commit(run, { ts: run.updatedAt, steps: [{ name: odd, value: 1 }] })])
          const { agent, owner, tenant, threadId } = run
          const query: Query = { tenant, owner, agent, threadId: threadId ?? "", parentRunId: odd, limit: 5 }
          assert.deepStrictEqual(yield* store.list(query), [run])
          assert.deepStrictEqual(yield* store.steps(run.runId), [{ name: odd, value: 1, seq: 0 }])
          const repeat = yield* write(store, admit({ ...run, runId: nextId() }))
          assert.deepStrictEqual(repeat, { _tag: "Attached", run })
        }))
    })

    layer(store, options)("fields of a record", (it) => {
      it.effect("an admitted record keeps every field", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeComplete()
          yield* store.write([admit(run)])
          assert.deepStrictEqual(yield* store.get(run.runId), run)
        }))

      it.effect("a commit changes every field that it may change, and one without changes keeps them", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = makeRun()
          const set = makeChanges()
          yield* store.write([admit(run), commit(run, { set })])
          const changed = { ...run, ...set, updatedAt: started + 1 }
          assert.deepStrictEqual(yield* store.get(run.runId), changed)
          yield* store.write([commit(changed, { from: ["suspended"], ts: started + 2 })])
          assert.deepStrictEqual(yield* store.get(run.runId), { ...changed, updatedAt: started + 2 })
          yield* store.write([commit(changed, { from: ["suspended"], set: { crashes: 4 }, ts: started + 3 })])
          assert.deepStrictEqual(yield* store.get(run.runId), { ...changed, crashes: 4, updatedAt: started + 3 })
        }))

      it.effect("a change of state clears what the run waits for and keeps every other field", () =>
        Effect.gen(function*() {
          const store = yield* RunStore
          const run = { ...makeComplete(), state: "suspended" as const }
          yield* store.write([admit(run), commit(run, { from: ["suspended"], set: { state: "running" } })])
          const { wakeAt: _wakeAt, waitsFor: _waitsFor, ...rest } = run
          assert.deepStrictEqual(yield* store.get(run.runId), { ...rest, state: "running", updatedAt: started + 1 })
        }))
    })

    layer(store, options)("history", (it) => {
      it.effect("a random one ends as in memory", () => history(nextId(), makeRun), 60_000)
    })
  })
