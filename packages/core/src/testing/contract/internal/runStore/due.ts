// Runs that wait: whose turn it is, and until when, as every run store keeps them. RunStoreContract.ts calls it.
import { assert, layer } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { type RunRecord } from "../../../../run/RunRecord.ts"
import { type Limits, RunStore, type Write } from "../../../../store/RunStore.ts"
import { admit, commit, makeRun, nextId, options, started, withoutWake } from "./samples.ts"

export const dueSuite = (store: Layer.Layer<RunStore, unknown>) => {
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

  layer(store, options)("an expected number", (it) => {
    it.effect("lets a commit through while the last event has it, and refuses it alone otherwise", () =>
      Effect.gen(function*() {
        const store = yield* RunStore
        const [run, other] = [makeRun(), makeRun()]
        yield* store.write([admit(run), admit(other)])
        const seqOf = Effect.map(store.get(run.runId), (stored) => stored?.seq ?? 0)
        const event = { events: [{ type: "log", data: { level: "info", message: "m" } }] } as const
        const rests = (ifSeq: number) => commit(run, { ifSeq, set: { state: "suspended", waitsFor: "signal" } })
        const tagsOf = (...writes: ReadonlyArray<Write>) =>
          Effect.map(store.write(writes), (written) => written.map(({ _tag }) => _tag))
        const seq = yield* seqOf
        assert.deepStrictEqual(yield* tagsOf(rests(seq + 1), commit(other, event)), ["Refused", "Committed"])
        // Another node writes an event.
        yield* store.write([commit(run, event)])
        assert.strictEqual(yield* seqOf, seq + 1)
        assert.deepStrictEqual(yield* tagsOf(rests(seq)), ["Refused"])
        assert.strictEqual((yield* store.get(run.runId))?.state, "running")
        assert.deepStrictEqual(yield* tagsOf(rests(seq + 1), commit(other, event)), ["Committed", "Committed"])
        assert.strictEqual((yield* store.get(run.runId))?.state, "suspended")
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
}
