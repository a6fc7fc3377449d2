// Interrupts, and those that wait for a decision, as every run store keeps them. RunStoreContract.ts calls it.
import { assert, layer } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import * as Event from "../../../../run/Event.ts"
import type { Interrupt, Resolution } from "../../../../run/Interrupt.ts"
import { type RunRecord } from "../../../../run/RunRecord.ts"
import { type PendingQuery, RunStore } from "../../../../store/RunStore.ts"
import {
  admit,
  commit,
  makeInterrupt,
  makeRun,
  options,
  resolution,
  started,
  tagsOf,
  tokens,
  write
} from "./samples.ts"

export const interruptsSuite = (store: Layer.Layer<RunStore, unknown>) => {
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
}
