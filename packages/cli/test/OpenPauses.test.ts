import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Schema } from "effect"
import { Agent, App, Run } from "fastagentic"
import { join } from "node:path"
import { temporaryFolder } from "./process.ts"
import { onSqlite } from "./serving.ts"

const Desk = Agent.make("desk", { description: "Asks while it works", payload: {}, success: Schema.Json })
const Shop = App.make("shop", { version: "1", agents: [Desk] })

const Open = Schema.Struct({
  items: Schema.Array(Schema.Struct({ id: Schema.String, runId: Schema.String, name: Schema.String }))
})
const decodeOpen = Schema.decodeUnknownSync(Open)
const decodeRun = Schema.decodeUnknownSync(
  Schema.Struct({
    runId: Schema.String,
    state: Schema.String,
    attempt: Schema.Int,
    output: Schema.optionalKey(Schema.Json)
  })
)

const call = (url: string, body?: unknown) =>
  Effect.promise(async () => {
    const response = await fetch(url, {
      method: body === undefined ? "GET" : "POST",
      headers: { "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    const answer: unknown = await response.json()
    return answer
  })

const eventually = <A>(look: Effect.Effect<A>, is: (found: A) => boolean) =>
  Effect.gen(function*() {
    for (let turn = 0; turn < 500; turn++) {
      const found = yield* look
      if (is(found)) return found
      yield* Effect.sleep("10 millis")
    }
    return yield* Effect.die(new Error("it never came"))
  })

describe("Questions of a run that works on, over a socket on SQLite", () => {
  it.live("are all listed and decided in any order, and a decision wakes its branch without a replay", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let entered = 0
      const woken: Array<string> = []
      const ask = (name: string) =>
        Run.interrupt(name, { schema: Schema.String }).pipe(
          Effect.orDie,
          Effect.tap(() => Effect.sync(() => woken.push(name))),
          Effect.flatMap((answer) => Run.step(`after ${name}`, Effect.succeed(answer)))
        )
      const handler = Effect.suspend(() => {
        entered++
        const work = Run.step("work", Effect.as(Deferred.await(gate), "worked"))
        return Effect.all([ask("one"), ask("two"), ask("three"), work], { concurrency: "unbounded" })
      })
      const filename = join(temporaryFolder(), "shop.db")
      const { url } = yield* onSqlite(Shop, Desk.toLayer(() => handler), filename)
      const { runId } = decodeRun(yield* call(`${url}/agents/desk/runs`, {}))
      const open = yield* eventually(
        Effect.map(call(`${url}/interrupts`), decodeOpen),
        ({ items }) => items.length === 3
      )
      assert.deepStrictEqual(open.items.map(({ name }) => name), ["one", "two", "three"])
      assert.deepStrictEqual([...new Set(open.items.map((one) => one.runId))], [runId])
      const run = Effect.map(call(`${url}/runs/${runId}`), decodeRun)
      assert.deepInclude(yield* run, { state: "running", attempt: 1 })
      const idOf = (name: string) => open.items.find((one) => one.name === name)?.id
      // The third is answered first, while the step is still under way.
      yield* call(`${url}/runs/${runId}/interrupts/${idOf("three")}`, { decision: "approve", value: "c" })
      yield* eventually(Effect.sync(() => woken.length), (count) => count === 1)
      assert.deepStrictEqual(woken, ["three"])
      const left = decodeOpen(yield* call(`${url}/interrupts`))
      assert.deepStrictEqual(left.items.map(({ name }) => name), ["one", "two"])
      yield* call(`${url}/runs/${runId}/interrupts`, [
        { id: idOf("two"), decision: "approve", value: "b" },
        { id: idOf("one"), decision: "approve", value: "a" }
      ])
      yield* eventually(Effect.sync(() => woken.length), (count) => count === 3)
      assert.deepInclude(yield* run, { state: "running", attempt: 1 })
      yield* Deferred.succeed(gate, undefined)
      const done = yield* eventually(run, ({ state }) => state === "completed")
      assert.deepStrictEqual(done.output, ["a", "b", "c", "worked"])
      assert.strictEqual(done.attempt, 1)
      assert.strictEqual(entered, 1)
      assert.deepStrictEqual(decodeOpen(yield* call(`${url}/interrupts`)).items, [])
    }).pipe(Effect.scoped))
})
