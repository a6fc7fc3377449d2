import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Event, OpenLimits, Run, RunNotifier, RunStore, Runtime } from "@fastagentic/core"
import { Context, Deferred, Effect, Fiber, Layer, PubSub, Stream } from "effect"
import { caller, isWhole, layerRuntime } from "../support.ts"

const Talk = Agent.make("talk", { description: "Talks", payload: {} })
const Acme = App.make("acme", { version: "1", agents: [Talk] })

const batches = 40
const followers = 2_000

describe("Followers on another node", () => {
  it.live("share one look at the store for each batch, however many they are", () =>
    Effect.gen(function*() {
      const store = Context.get(yield* Layer.build(RunStore.RunStore.layerMemory), RunStore.RunStore)
      const notices = yield* PubSub.unbounded<RunNotifier.Notice>()
      const gate = yield* Deferred.make<void>()
      const talk = Talk.toLayer(Effect.fn(function*() {
        yield* Deferred.await(gate)
        for (let batch = 1; batch <= batches; batch++) {
          for (let piece = 1; piece <= 5; piece++) yield* Run.emit(Event.token(`${batch}.${piece} `))
          yield* Effect.sleep("10 millis")
        }
        return "said"
      }))
      const telling: RunStore.RunStore["Service"] = {
        ...store,
        write: (writes) =>
          Effect.tap(store.write(writes), (written) =>
            Effect.forEach(writes.entries(), ([index, write]) => {
              const [answer] = written.slice(index)
              if (write._tag !== "Commit" || answer?._tag !== "Committed") return Effect.void
              const seq = answer.events.at(-1)?.seq ?? 0
              return PubSub.publish(notices, { _tag: "Changed", runId: write.runId, seq })
            }))
      }
      let [reads, looks] = [0, 0]
      const counting: RunStore.RunStore["Service"] = {
        ...store,
        // A store in memory has one node: the other would take the run after five seconds.
        unfinished: Effect.succeed([]),
        get: (runId) => Effect.suspend(() => (looks++, store.get(runId))),
        events: (runId, after, limit) => Effect.suspend(() => (reads++, store.events(runId, after, limit)))
      }
      const owner = Context.get(
        yield* Layer.build(layerRuntime(Acme, talk, Layer.succeed(RunStore.RunStore, telling))),
        Runtime.Runtime
      )
      const changes = Stream.concat(
        Stream.succeed<RunNotifier.Notice>({ _tag: "Missed" }),
        Stream.fromPubSub(notices)
      )
      const other = Context.get(
        yield* Layer.build(
          layerRuntime(Acme, talk, Layer.succeed(RunStore.RunStore, counting)).pipe(
            Layer.provide(Layer.succeed(RunNotifier.RunNotifier, { changes })),
            Layer.provide(
              Layer.succeed(OpenLimits.OpenLimits, { runs: 10, streams: followers, sockets: 10, notes: 10 })
            )
          )
        ),
        Runtime.Runtime
      )
      const { run } = yield* owner.start(caller, { kind: "agent", identifier: "talk", payload: {} })
      const following = yield* Effect.forEach(Array.from({ length: followers }), () =>
        Effect.flatMap(
          other.follow(caller, run.runId, { after: 0, until: "final" }),
          (pages) => Effect.forkChild(Stream.runCollect(pages))
        ))
      yield* Effect.sleep("200 millis")
      ;[reads, looks] = [0, 0]
      yield* Deferred.succeed(gate, undefined)
      const all = (yield* Effect.forEach(following, Fiber.join)).map((pages) => pages.flatMap(({ events }) => events))
      assert.strictEqual(new Set(all.map((events) => JSON.stringify(events))).size, 1)
      assert.isTrue(isWhole(all[0] ?? []))
      assert.strictEqual(all[0]?.filter(({ type }) => type === "token").length, 5 * batches)
      // Two looks for each notice, and those of each second, which are a handful.
      assert.isAtMost(reads, 3 * batches)
      assert.isAtMost(looks, 6 * batches)
    }))
})
