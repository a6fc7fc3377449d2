import { assert, describe, it } from "@effect/vitest"
import { Agent, App, RunStore, Runtime } from "@fastagentic/core"
import { Context, Effect, Layer, Schema } from "effect"
import { makeTalker, serveOn, wordsOf } from "../restarting.ts"
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
      const { state, talk } = makeTalker(200, { words: 6 })
      const runtime = Runtime.layer(Acme, { grace: 0 }).pipe(Layer.provide(Talk.toLayer(() => talk)))
      const server = serveOn("a2a", stores, runtime)
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
      assert.deepStrictEqual([state.attempts, text?.[0]], [2, wordsOf("second")])
    }).pipe(Effect.scoped))
})
