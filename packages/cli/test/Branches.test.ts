import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { Agent, App, Auth, Budget, RateLimit, Run, Server, Sqlite } from "fastagentic"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ModelLoop } from "../src/effect-ai.ts"
import { ScriptedModel } from "../src/testing.ts"
import { urlOf } from "./serving.ts"

const Refund = Tool.make("refund", {
  parameters: Schema.Struct({ order: Schema.Int }),
  success: Schema.String,
  needsApproval: true
})
const Tools = Toolkit.make(Refund)

/** Asks a person, and works beside. */
class Beside extends Agent.make("beside", { description: "Asks and works", payload: {} }) {}
/** Two conversations side by side: one asks to refund, the other only talks. */
class Pair extends Agent.make("pair", { description: "Two loops", payload: {} }) {}
/** One message with two calls that need approval. */
class Desk extends Agent.make("desk", { description: "Refunds two orders", payload: {} }) {}

class Shop extends App.make("shop", { version: "1", agents: [Beside, Pair, Desk], tools: Tools }) {}

interface World {
  readonly calls: Array<string>
}

const handlers = ({ calls }: World, resumed: boolean) => {
  const loop = (prompt: string, turns: ReadonlyArray<ScriptedModel.Turn>) =>
    ModelLoop.run({ prompt, toolkit: Tools }).pipe(
      Effect.map(({ text }) => text),
      Effect.provide(ScriptedModel.layer(turns)),
      Effect.orDie
    )
  const question = Effect.orDie(Run.interrupt("question", { schema: Schema.String }))
  const work = Run.step("inner", Effect.sync(() => (calls.push("work"), "worked")))
  return Layer.mergeAll(
    Beside.toLayer(() => Effect.map(Run.all({ a: question, b: work }), ({ a, b }) => `${a} ${b}`)),
    Pair.toLayer(() =>
      Effect.map(
        Effect.all([
          loop("refund", [
            ScriptedModel.calls([{ name: "refund", params: { order: 1 } }], { inputTokens: 10, outputTokens: 1 }),
            ScriptedModel.text("Refunded.", { inputTokens: 20, outputTokens: 2 })
          ]),
          loop("talk", [ScriptedModel.text("Talked.", { inputTokens: 100, outputTokens: 5 })])
        ], { concurrency: "unbounded" }),
        (texts) => texts.join(" ")
      )
    ),
    Desk.toLayer(() =>
      loop("refund both", [
        // A model that answers from a script knows nothing of what it answered before the restart.
        ...(resumed ? [] : [ScriptedModel.calls([
          { name: "refund", params: { order: 1 } },
          { name: "refund", params: { order: 2 } }
        ])]),
        ScriptedModel.text("Both are refunded.")
      ])
    )
  ).pipe(
    Layer.provideMerge(Tools.toLayer({
      refund: ({ order }) => Effect.sync(() => (calls.push(`refund ${order}`), `refunded ${order}`))
    }))
  )
}

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "branches-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const RunBody = Schema.Struct({
  runId: Schema.String,
  state: Schema.String,
  output: Schema.optionalKey(Schema.Json),
  usage: Schema.optionalKey(Schema.Struct({ inputTokens: Schema.Int, outputTokens: Schema.Int }))
})
const Interrupts = Schema.Struct({
  items: Schema.Array(
    Schema.Struct({ id: Schema.String, state: Schema.String, arguments: Schema.optionalKey(Schema.Json) })
  )
})

/** A server with a database in this folder. */
const serving = Effect.fnUntraced(function*(filename: string, world: World, resumed = false) {
  const services = Layer.mergeAll(
    Layer.orDie(Sqlite.layer({ filename })),
    Auth.layerNone,
    RateLimit.layerUnlimited,
    Budget.layerUnlimited
  )
  const context = yield* Layer.build(Layer.fresh(
    Server.layer(Shop, { port: 0, grace: "200 millis" }).pipe(
      Layer.provide(handlers(world, resumed)),
      Layer.provideMerge(services)
    )
  ))
  const url = urlOf(context)
  const call = (method: "GET" | "POST", path: string, body?: unknown, headers: Record<string, string> = {}) =>
    Effect.promise(async () => {
      const response = await fetch(url + path, {
        method,
        headers: { "content-type": "application/json", ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) })
      })
      const answered: unknown = await response.json()
      return { status: response.status, body: answered }
    })
  const run = (answered: { readonly body: unknown }) => Effect.orDie(Schema.decodeUnknownEffect(RunBody)(answered.body))
  const open = (runId: string) =>
    Effect.flatMap(
      call("GET", `/runs/${runId}/interrupts`),
      ({ body }) =>
        Effect.map(Effect.orDie(Schema.decodeUnknownEffect(Interrupts)(body)), ({ items }) =>
          items.filter(({ state }) => state === "open"))
    )
  const ended = (runId: string): Effect.Effect<typeof RunBody.Type> =>
    Effect.flatMap(
      Effect.flatMap(call("GET", `/runs/${runId}`), run),
      (found) =>
        ["completed", "failed"].includes(found.state)
          ? Effect.succeed(found)
          : Effect.delay(ended(runId), "20 millis")
    )
  return { call, run, open, ended }
})

const onDisk = <A, E>(use: (filename: string, world: World) => Effect.Effect<A, E, never>) =>
  Effect.scoped(Effect.flatMap(folder, (path) => use(join(path, "shop.db"), { calls: [] })))

describe("Branches of a run over REST, on SQLite", () => {
  it.live("a question leaves the work beside it alone, in memory and over a restart", () =>
    onDisk(Effect.fnUntraced(function*(filename, world) {
      const runId = yield* Effect.scoped(Effect.gen(function*() {
        const { call, ended, open, run } = yield* serving(filename, world)
        const first = yield* call("POST", "/agents/beside", {})
        assert.strictEqual(first.status, 202)
        const { runId: warm } = yield* run(first)
        const [asked] = yield* open(warm)
        yield* call("POST", `/runs/${warm}/interrupts/${asked?.id}`, { decision: "approve", value: "yes" })
        assert.strictEqual((yield* ended(warm)).output, "yes worked")
        assert.deepStrictEqual(world.calls, ["work"])
        return (yield* run(yield* call("POST", "/agents/beside", {}))).runId
      }))
      yield* Effect.scoped(Effect.gen(function*() {
        const { call, ended, open } = yield* serving(filename, world)
        const [asked] = yield* open(runId)
        yield* call("POST", `/runs/${runId}/interrupts/${asked?.id}`, { decision: "approve", value: "late" })
        assert.strictEqual((yield* ended(runId)).output, "late worked")
        assert.deepStrictEqual(world.calls, ["work", "work"])
      }))
    })))

  it.live("of two model loops one waits for an approval, and the other calls its model once", () =>
    onDisk(Effect.fnUntraced(function*(filename, world) {
      yield* Effect.scoped(Effect.gen(function*() {
        const { call, ended, open, run } = yield* serving(filename, world)
        const started = yield* call("POST", "/agents/pair", {})
        assert.strictEqual(started.status, 202)
        const { runId, usage: before } = yield* run(started)
        assert.deepInclude(before, { inputTokens: 110, outputTokens: 6 })
        const [asked] = yield* open(runId)
        yield* call("POST", `/runs/${runId}/interrupts/${asked?.id}`, { decision: "approve" })
        const { output, usage } = yield* ended(runId)
        assert.deepStrictEqual([output, world.calls], ["Refunded. Talked.", ["refund 1"]])
        assert.deepInclude(usage, { inputTokens: 130, outputTokens: 8 })
      }))
    })))

  it.live("two calls of one message are asked for at once and decided in one request, each done once", () =>
    onDisk(Effect.fnUntraced(function*(filename, world) {
      yield* Effect.scoped(Effect.gen(function*() {
        const { call, ended, open, run } = yield* serving(filename, world)
        const { runId } = yield* run(yield* call("POST", "/agents/desk", {}))
        const asked = yield* open(runId)
        assert.deepStrictEqual(asked.map((one) => one.arguments), [{ order: 1 }, { order: 2 }])
        const wrong = yield* call("POST", `/runs/${runId}/interrupts`, [
          { id: asked[0]?.id, decision: "approve" },
          { id: "nobody's", decision: "approve" }
        ])
        assert.strictEqual(wrong.status, 404)
        assert.strictEqual((yield* open(runId)).length, 2)
        yield* call("POST", `/runs/${runId}/interrupts`, asked.map(({ id }) => ({ id, decision: "approve" })))
        assert.strictEqual((yield* ended(runId)).output, "Both are refunded.")
        assert.deepStrictEqual(world.calls.toSorted(), ["refund 1", "refund 2"])
      }))
    })))

  it.live("a list of decisions under a key is repeated, and the key decides nothing else", () =>
    onDisk(Effect.fnUntraced(function*(filename, world) {
      yield* Effect.scoped(Effect.gen(function*() {
        const { call, ended, open, run } = yield* serving(filename, world)
        const { runId } = yield* run(yield* call("POST", "/agents/desk", {}))
        const [one, two] = yield* open(runId)
        const key = { "idempotency-key": "k" }
        const decide = (list: ReadonlyArray<string | undefined>, decision = "approve") =>
          call("POST", `/runs/${runId}/interrupts`, list.map((id) => ({ id, decision })), key)
        const conflicts = Effect.fnUntraced(function*(answered: ReturnType<typeof decide>) {
          const { body, status } = yield* answered
          assert.deepStrictEqual([status, Object(body).title], [409, "IdempotencyConflict"])
        })
        assert.include([200, 202], (yield* decide([one?.id])).status)
        assert.include([200, 202], (yield* decide([one?.id])).status)
        yield* conflicts(decide([two?.id]))
        yield* conflicts(decide([one?.id, two?.id]))
        yield* conflicts(decide([one?.id], "deny"))
        yield* conflicts(call("POST", `/runs/${runId}/interrupts/${two?.id}`, { decision: "approve" }, key))
        assert.deepStrictEqual((yield* open(runId)).map(({ id }) => id), [two?.id])
        yield* call("POST", `/runs/${runId}/interrupts/${two?.id}`, { decision: "approve" }, { "idempotency-key": "l" })
        assert.strictEqual((yield* ended(runId)).output, "Both are refunded.")
        assert.include([200, 202], (yield* decide([one?.id])).status)
        assert.deepStrictEqual(world.calls, ["refund 1", "refund 2"])
      }))
    })))

  it.live("one of two calls may be decided over a restart, and the other after it", () =>
    onDisk(Effect.fnUntraced(function*(filename, world) {
      const runId = yield* Effect.scoped(Effect.gen(function*() {
        const { call, open, run } = yield* serving(filename, world)
        const { runId } = yield* run(yield* call("POST", "/agents/desk", {}))
        const asked = yield* open(runId)
        yield* call("POST", `/runs/${runId}/interrupts/${asked[1]?.id}`, { decision: "approve" })
        while (world.calls.length === 0) yield* Effect.sleep("5 millis")
        return runId
      }))
      assert.deepStrictEqual(world.calls, ["refund 2"])
      yield* Effect.scoped(Effect.gen(function*() {
        const { call, ended, open } = yield* serving(filename, world, true)
        const asked = yield* open(runId)
        assert.deepStrictEqual(asked.map((one) => one.arguments), [{ order: 1 }])
        yield* call("POST", `/runs/${runId}/interrupts/${asked[0]?.id}`, { decision: "approve" })
        assert.strictEqual((yield* ended(runId)).output, "Both are refunded.")
        assert.deepStrictEqual(world.calls, ["refund 2", "refund 1"])
      }))
    })))
})
