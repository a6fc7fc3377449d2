import { assert, describe, layer } from "@effect/vitest"
import { Agent, App, Auth, Budget, Content, Event, RateLimit, Run, Runtime } from "@fastagentic/core"
import { GrpcServer } from "@fastagentic/protocols/a2a"
import { Context, Effect, Layer, Schema } from "effect"
import { mounted, serve } from "../fixture.ts"
import { layerStores } from "../stores.ts"
import { grpcWires } from "./grpcWires.ts"
import { message } from "./requirements.ts"
import { type Json, list, object, wires } from "./wires.ts"

const bytes = new Uint8Array([137, 80, 78, 71])
const chart = Content.image({ bytes }, "image/png", { name: "sales.png" })

/** Says what it does, makes two named works and one without a name, and says how it has ended. */
class Writer extends Agent.make("writer", { description: "Writes a report", payload: { topic: Schema.String } }) {}

/** Answers with a message alone, unless it fails or asks. */
class Faq extends Agent.make("faq", {
  description: "Answers a question",
  payload: { question: Schema.String },
  presentation: { direct: true }
}) {}

class Studio extends App.make("studio", { version: "1.0.0", agents: [Writer, Faq] }) {}

const handlers = Layer.mergeAll(
  Writer.toLayer(Effect.fn(function*({ topic }) {
    yield* Run.emit(Event.message(`Reading about ${topic}`))
    yield* Run.emit(Event.content(chart, { name: "chart", last: true }))
    yield* Run.emit(Event.message([Content.text("Writing"), Content.data({ pages: 2 })]))
    yield* Run.emit(Event.content(Content.text("Page 1"), { name: "report" }))
    yield* Run.emit(Event.content(Content.text("Page 2"), { name: "report", last: true }))
    yield* Run.emit(Event.content(Content.link("https://example.com/source"), { name: "output" }))
    yield* Run.emit(Event.content(Content.link("https://example.com/more")))
    yield* Run.emit(Event.message("The report is ready", { last: true }))
    if (topic === "nothing") return yield* Effect.die("nothing to write")
    return "written"
  })),
  Faq.toLayer(Effect.fn(function*({ question }) {
    yield* Run.emit(Event.token("At nine, "))
    yield* Run.emit(Event.message("Looking"))
    if (question === "fail") return yield* Effect.die("broken")
    if (question === "ask") return yield* Effect.orDie(Run.interrupt("who", { schema: Schema.String, message: "Who?" }))
    yield* Run.emit(Event.token("as always."))
    return "At nine, as always."
  }))
)

class Url extends Context.Service<Url, string>()("@fastagentic/protocols/test/a2a/A2aArtifacts.test/Url") {}

const server = Layer.effect(
  Url,
  serve(
    mounted("a2a").pipe(
      Layer.provide(GrpcServer.GrpcServer.layer({ port: 0 })),
      Layer.provide(
        Runtime.layer(Studio).pipe(
          Layer.provide(handlers),
          Layer.provideMerge(
            Layer.mergeAll(layerStores, Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited)
          )
        )
      )
    )
  )
)

const to = (skillId: string, text: string, more: Json = {}) => ({
  message: message(text),
  metadata: { skillId },
  ...more
})
const keysOf = (part: unknown) => Object.keys(object(part)).filter((key) => key !== "kind")[0]
const textsOf = (of: unknown) => list(object(of)["parts"]).map((part) => object(part)["text"])
const artifactsOf = (task: Json) =>
  list(task["artifacts"]).map(object).map(({ artifactId, name, parts }) => [artifactId, name, list(parts).map(keysOf)])

/** The artifacts of a client that applies the updates as the specification says. */
const applied = (updates: ReadonlyArray<Json>) => {
  const artifacts = new Map<unknown, Json>()
  for (const { artifactUpdate } of updates) {
    if (artifactUpdate === undefined) continue
    const { append, artifact } = object(artifactUpdate)
    const { artifactId, parts, ...rest } = object(artifact)
    const known = append === true ? list(artifacts.get(artifactId)?.["parts"]) : []
    artifacts.set(artifactId, { artifactId, ...rest, parts: [...known, ...list(parts)] })
  }
  return { artifacts: [...artifacts.values()] }
}

describe("What an agent says over A2A", () => {
  layer(server, { excludeTestServices: true })((it) => {
    for (const wire of [...wires, ...grpcWires]) {
      it.effect(`is artifacts of their names, and the text of the status, over ${wire.name}`, () =>
        Effect.gen(function*() {
          const url = `${yield* Url}/a2a`
          const sent = object((yield* wire.call(url, "send", to("writer", "sales"))).result)
          const task = object((yield* wire.call(url, "get", { id: sent["id"] })).result)
          assert.deepStrictEqual(artifactsOf(task), [
            ["chart", "chart", ["raw"]],
            ["report", "report", ["text", "text"]],
            ["content/output", "output", ["url"]],
            ["content", undefined, ["url"]],
            ["output", undefined, ["text"]]
          ])
          const [image] = list(object(list(task["artifacts"])[0])["parts"]).map(object)
          assert.deepInclude(image, { filename: "sales.png", mediaType: "image/png" })
          const status = object(task["status"])
          assert.deepStrictEqual([status["state"], textsOf(status["message"])], [
            "TASK_STATE_COMPLETED",
            ["The report is ready"]
          ])
          assert.deepStrictEqual(list(task["history"]).map((one) => textsOf(one)[0]), [
            "sales",
            "Reading about sales",
            "Writing"
          ])
          assert.deepStrictEqual(sent, task)
        }))

      it.effect(`streams pieces that a client puts together to the same artifacts, over ${wire.name}`, () =>
        Effect.gen(function*() {
          const url = `${yield* Url}/a2a`
          const { events } = yield* wire.stream(url, "send", to("writer", "sales"))
          const updates = (yield* events.rest).map(({ data }) => data)
          const { id } = object(object(updates[0])["task"])
          const task = object((yield* wire.call(url, "get", { id })).result)
          assert.deepStrictEqual(artifactsOf(applied(updates)), artifactsOf(task))
          const pieces = updates.flatMap(({ artifactUpdate }) =>
            artifactUpdate === undefined ? [] : [object(artifactUpdate)]
          )
          assert.deepStrictEqual(
            pieces.map(({ append, artifact, lastChunk }) => [
              object(artifact)["artifactId"],
              append === true,
              lastChunk === true
            ]),
            [
              ["chart", false, true],
              ["report", false, false],
              ["report", true, true],
              ["content/output", false, false],
              ["content", false, false],
              ["output", false, true]
            ]
          )
          const statuses = updates.flatMap(({ statusUpdate }) =>
            statusUpdate === undefined ? [] : [object(object(statusUpdate)["status"])]
          )
          assert.deepStrictEqual(statuses.map(({ message, state }) => [state, textsOf(message)[0]]), [
            ["TASK_STATE_WORKING", undefined],
            ["TASK_STATE_WORKING", "Reading about sales"],
            ["TASK_STATE_WORKING", "Writing"],
            ["TASK_STATE_COMPLETED", "The report is ready"]
          ])
        }))

      it.effect(`is in the history of a task that fails, over ${wire.name}`, () =>
        Effect.gen(function*() {
          const url = `${yield* Url}/a2a`
          const task = object((yield* wire.call(url, "send", to("writer", "nothing"))).result)
          assert.strictEqual(object(task["status"])["state"], "TASK_STATE_FAILED")
          assert.deepStrictEqual(list(task["history"]).map((one) => textsOf(one)[0]), [
            "nothing",
            "Reading about nothing",
            "Writing",
            "The report is ready"
          ])
        }))

      it.effect(`is a message alone where the declaration says so, also when it is sent twice, over ${wire.name}`, () =>
        Effect.gen(function*() {
          const url = `${yield* Url}/a2a`
          const request = to("faq", "When?", { configuration: { returnImmediately: true } })
          const answer = object((yield* wire.call(url, "send", request)).result)
          const { message: said, ...rest } = answer
          assert.deepStrictEqual([rest, textsOf(said)], [{}, ["At nine, as always."]])
          assert.deepInclude(object(said), { role: "ROLE_AGENT" })
          assert.notProperty(said, "taskId")
          assert.deepStrictEqual((yield* wire.call(url, "send", request)).result, answer)
          const { events } = yield* wire.stream(url, "send", request)
          assert.deepStrictEqual((yield* events.rest).map(({ data }) => data), [{ message: said }])
        }))

      it.effect(`is a task of a direct agent that fails or asks, over ${wire.name}`, () =>
        Effect.gen(function*() {
          const url = `${yield* Url}/a2a`
          const failed = object((yield* wire.call(url, "send", to("faq", "fail"))).result)
          assert.strictEqual(object(failed["status"])["state"], "TASK_STATE_FAILED")
          const { events } = yield* wire.stream(url, "send", to("faq", "ask"))
          const updates = (yield* events.rest).map(({ data }) => data)
          const asking = object(object(updates[0])["task"])
          assert.strictEqual(updates.length, 1)
          assert.strictEqual(object(asking["status"])["state"], "TASK_STATE_INPUT_REQUIRED")
          const answered = yield* wire.call(url, "send", { message: message("Ann", { taskId: asking["id"] }) })
          assert.strictEqual(object(object(answered.result)["status"])["state"], "TASK_STATE_COMPLETED")
        }))
    }
  })
})
