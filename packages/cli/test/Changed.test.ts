import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Agent, App, Run } from "fastagentic"
import { join } from "node:path"
import { temporaryFolder } from "./process.ts"
import { onSqlite } from "./serving.ts"

const Order = Agent.make("order", { description: "Orders", payload: {}, success: Schema.Json })
const Shop = App.make("shop", { version: "1", agents: [Order] })

type Handler = Effect.Effect<Schema.Json, never, Run.CurrentRun>

const done: Array<string> = []
const step = (what: string) => Run.step(what, Effect.sync(() => (done.push(what), what)))
const ask = (name: string, schema: Schema.Codec<Schema.Json, Schema.Json> = Schema.String) =>
  Effect.orDie(Run.interrupt(name, { schema }))

const Record = Schema.Struct({
  runId: Schema.String,
  state: Schema.String,
  waitsFor: Schema.optionalKey(Schema.String),
  output: Schema.optionalKey(Schema.Json),
  interrupts: Schema.optionalKey(Schema.Array(Schema.Struct({ id: Schema.String })))
})
const decode = Schema.decodeUnknownSync(Record)
const decodeList = Schema.decodeUnknownSync(Schema.Struct({ items: Schema.Array(Record) }))

const call = (url: string, body?: unknown) =>
  Effect.promise(async () => {
    const response = await fetch(url, {
      method: body === undefined ? "GET" : "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    const answer: unknown = await response.json()
    return answer
  })

/** A server of a handler over a file, as long as it is used: its next deployment finds what it has left. */
const deployed = <A>(filename: string, handler: Handler, use: (url: string) => Effect.Effect<A>) =>
  Effect.scoped(Effect.flatMap(onSqlite(Shop, Order.toLayer(() => handler), filename), ({ url }) => use(url)))

const until = (url: string, runId: string, is: (run: typeof Record.Type) => boolean) =>
  Effect.gen(function*() {
    for (let look = 0; look < 500; look++) {
      const run = decode(yield* call(`${url}/runs/${runId}`))
      if (is(run)) return run
      yield* Effect.sleep("20 millis")
    }
    return yield* Effect.die(new Error(`${runId} does not get there`))
  })

describe("A handler that changes between two deployments, over a socket on SQLite", () => {
  it.live("holds its runs for repair with the difference named, and the right one continues by a request", () =>
    Effect.gen(function*() {
      const filename = join(temporaryFolder(), "shop.db")
      const before = Effect.gen(function*() {
        yield* step("price")
        const sure = yield* ask("sure")
        return [sure, yield* step("pay")]
      })
      const changed = Effect.gen(function*() {
        yield* step("quote")
        const sure = yield* ask("sure")
        return [sure, yield* step("charge")]
      })
      const started = decode(yield* deployed(filename, before, (url) => call(`${url}/agents/order`, {})))
      const [asked] = started.interrupts ?? []
      const { runId } = started
      yield* deployed(filename, changed, (url) =>
        Effect.gen(function*() {
          yield* call(`${url}/runs/${runId}/interrupts/${asked?.id}`, { decision: "approve", value: "yes" })
          assert.deepInclude(yield* until(url, runId, ({ waitsFor }) => waitsFor === "repair"), { state: "suspended" })
          const { items } = decodeList(yield* call(`${url}/runs?waitsFor=repair`))
          assert.deepStrictEqual(items.map((run) => run.runId), [runId])
          const { items: events } = Schema.decodeUnknownSync(Schema.Struct({ items: Schema.Array(Schema.Json) }))(
            yield* call(`${url}/runs/${runId}/events?limit=100`)
          )
          assert.include(
            JSON.stringify(events),
            "its handler wants step \\\"quote\\\" where step \\\"price\\\" is recorded"
          )
          // The same code comes to the same end.
          yield* call(`${url}/runs/${runId}/resume`, {})
          yield* until(url, runId, ({ waitsFor }) => waitsFor === "repair")
        }))
      assert.deepStrictEqual(done, ["price"])
      const run = yield* deployed(filename, before, (url) =>
        Effect.gen(function*() {
          assert.deepInclude(yield* until(url, runId, () => true), { waitsFor: "repair" })
          yield* call(`${url}/runs/${runId}/resume`, {})
          return yield* until(url, runId, ({ state }) => state !== "suspended" && state !== "running")
        }))
      assert.deepInclude(run, { state: "completed", output: ["yes", "pay"] })
      assert.deepStrictEqual(done, ["price", "pay"])
    }))

  it.live("decides a question by the schema with which it was asked, and never fails a run by its own", () =>
    Effect.gen(function*() {
      const filename = join(temporaryFolder(), "shop.db")
      const started = decode(yield* deployed(filename, ask("how many"), (url) => call(`${url}/agents/order`, {})))
      const [asked] = started.interrupts ?? []
      const { runId } = started
      yield* deployed(filename, ask("how many", Schema.Finite), (url) =>
        Effect.gen(function*() {
          const decision = `${url}/runs/${runId}/interrupts/${asked?.id}`
          assert.include(JSON.stringify(yield* call(decision, { decision: "approve", value: 3 })), "InvalidPayload")
          yield* call(decision, { decision: "approve", value: "three" })
          yield* until(url, runId, ({ waitsFor }) => waitsFor === "repair")
        }))
      const run = yield* deployed(filename, ask("how many"), (url) =>
        Effect.gen(function*() {
          yield* call(`${url}/runs/${runId}/resume`, {})
          return yield* until(url, runId, ({ state }) => state === "completed")
        }))
      assert.strictEqual(run.output, "three")
    }))
})
