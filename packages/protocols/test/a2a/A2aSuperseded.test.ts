import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Content, Event, type RunRecord, RunStore, Runtime } from "@fastagentic/core"
import { Context, Effect, Layer, Schema } from "effect"
import { TaskView } from "../../src/a2a/A2aTask.ts"
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

describe("A view of a run whose attempt was superseded", () => {
  it("takes back the pieces of artifacts and the messages that do not count any more", () => {
    // cast: a view reads these fields alone.
    const run = { runId: "r", agent: "talk", createdAt: 0, payload: {} } as unknown as RunRecord.RunRecord
    const view = new TaskView(run, undefined, { urlOf: (id) => id, fileIdOf: () => undefined })
    const text = (text: string) => Content.text(text)
    const events = Event.stamp([
      Event.make("run_started", { agent: "talk" }),
      Event.content(text("kept"), { name: "report" }),
      Event.content(text("lost"), { name: "report" }),
      Event.content(text("lost"), { name: "chart" }),
      Event.message("lost"),
      Event.message("lost", { last: true }),
      Event.make("superseded", { place: "", from: 3, to: 6 }),
      Event.content(text("said"), { name: "report" }),
      Event.make("done", { output: null })
    ], { runId: "r", attempt: 1, ts: 0, lastSeq: 0 })
    const updates = view.apply(events.slice(0, 7), undefined)
    assert.deepStrictEqual(
      updates.slice(-3).map((update) => "artifactUpdate" in update ? update.artifactUpdate.artifact : update),
      [
        { artifactId: "report", name: "report", parts: [{ text: "kept" }] },
        { artifactId: "chart", name: "chart", parts: [{ text: "" }] },
        {
          statusUpdate: {
            taskId: "r",
            contextId: "r",
            status: { state: "TASK_STATE_WORKING", timestamp: "1970-01-01T00:00:00.000Z" }
          }
        }
      ]
    )
    view.apply(events.slice(7), "completed")
    const { artifacts, history = [], status } = view.task()
    assert.deepStrictEqual(artifacts, [{
      artifactId: "report",
      name: "report",
      parts: [{ text: "kept" }, { text: "said" }]
    }])
    assert.deepStrictEqual([history.length, status.message], [1, undefined])
  })
})

describe("A view of a run whose tokens cut a character in two", () => {
  const viewOf = () =>
    // cast: a view reads these fields alone.
    new TaskView(
      { runId: "r", agent: "talk", createdAt: 0, payload: {} } as unknown as RunRecord.RunRecord,
      undefined,
      {
        urlOf: (id) => id,
        fileIdOf: () => undefined
      }
    )
  const events = Event.stamp(
    [Event.token("a\ud83d"), Event.token("\ude00b"), Event.token("\ud83d"), Event.make("done", { output: null })],
    { runId: "r", attempt: 1, ts: 0, lastSeq: 1 }
  )

  it("ends no update within it, wherever a page ends, and keeps a half that stays one", () => {
    const view = viewOf()
    const texts = events.flatMap((event) => view.apply([event], undefined)).flatMap((update) =>
      "artifactUpdate" in update ? update.artifactUpdate.artifact.parts.map(({ text }) => text) : []
    )
    assert.deepStrictEqual(texts, ["a", "\u{1f600}b", "\ud83d", ""])
    const whole = viewOf()
    whole.apply(events, undefined)
    assert.deepStrictEqual(whole.task().artifacts, view.task().artifacts)
  })
})
