// Limits of concurrent runs, as every run store keeps them. RunStoreContract.ts calls it.
import { assert, layer } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { type RunRecord } from "../../../../run/RunRecord.ts"
import { type Limits, RunStore } from "../../../../store/RunStore.ts"
import { admit, commit, makeRun, nextId, options, tagsOf } from "./samples.ts"

export const limitsSuite = (store: Layer.Layer<RunStore, unknown>) => {
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
}
