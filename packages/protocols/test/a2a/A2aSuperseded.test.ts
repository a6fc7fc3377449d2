import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Audit, Auth, Budget, Event, RateLimit, Run, RunStore, Runtime } from "@fastagentic/core"
import { Context, Effect, Layer, Schema } from "effect"
import { mounted, serve } from "../fixture.ts"
import { layerStores } from "../stores.ts"
import { collect, connect, getTask, sendStream } from "./support.ts"

class Talk extends Agent.make("talk", {
  description: "Talks",
  payload: { text: Schema.String },
  success: Schema.Struct({ words: Schema.Int })
}) {}
class Acme extends App.make("acme", { version: "1.0.0", agents: [Talk] }) {}

describe("An A2A task whose run began again on another process", () => {
  it.live("shows the text of the last attempt only, to who reads the task and to who follows it", () =>
    Effect.gen(function*() {
      const stores = yield* Layer.build(layerStores)
      let attempts = 0
      const talk = Effect.suspend(() => {
        const [word, pause] = ++attempts === 1 ? ["first", 200] : ["second", 1]
        return Effect.as(
          Effect.forEach(
            [0, 1, 2, 3, 4, 5],
            (index) => Effect.andThen(Run.emit(Event.token(`${word}${index} `)), Effect.sleep(pause)),
            { discard: true }
          ),
          { words: 6 }
        )
      })
      const server = serve(
        mounted("a2a").pipe(
          Layer.provide(Runtime.layer(Acme, { grace: 0 })),
          Layer.provide(Talk.toLayer(() => talk)),
          Layer.provide(Layer.mergeAll(
            Layer.succeed(RunStore.RunStore, Context.get(stores, RunStore.RunStore)),
            Layer.succeed(Audit.Audit, Context.get(stores, Audit.Audit)),
            Auth.layerNone,
            RateLimit.layerUnlimited,
            Budget.layerUnlimited
          ))
        )
      )
      const taskId = yield* Effect.scoped(Effect.gen(function*() {
        const client = yield* connect(yield* server)
        yield* Effect.forkScoped(Effect.ignoreCause(collect(sendStream(client, "talk"))))
        const store = Context.get(stores, RunStore.RunStore)
        const said = Effect.gen(function*() {
          while (true) {
            yield* Effect.sleep("5 millis")
            const [run] = yield* store.scan({ states: ["running"], limit: 1 })
            const events = run === undefined ? [] : yield* store.events(run.runId, 0, 100)
            if (events.some(({ type }) => type === "token")) return run
          }
        })
        const run = yield* said
        return run?.runId ?? ""
      }))
      const client = yield* connect(yield* server)
      while ((yield* getTask(client, taskId)).status.state !== "TASK_STATE_COMPLETED") yield* Effect.sleep("20 millis")
      const task = yield* getTask(client, taskId)
      const text = task.artifacts?.flatMap(({ parts }) => parts).map((part) => "text" in part ? part.text : "")
      assert.deepStrictEqual([attempts, text?.[0]], [2, "second0 second1 second2 second3 second4 second5 "])
    }).pipe(Effect.scoped))
})
