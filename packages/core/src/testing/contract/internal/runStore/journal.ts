// Steps, events and their JSON, as every run store keeps them. RunStoreContract.ts calls it.
import { assert, layer } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import * as Event from "../../../../run/Event.ts"
import { type Query, RunStore } from "../../../../store/RunStore.ts"
import {
  admit,
  commit,
  makeInterrupt,
  makeRun,
  nextId,
  oddValues,
  options,
  readAll,
  resolution,
  snapshot,
  started,
  tokens,
  write
} from "./samples.ts"

export const journalSuite = (store: Layer.Layer<RunStore, unknown>) => {
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
}
