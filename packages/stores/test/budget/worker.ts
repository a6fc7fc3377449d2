/**
 * A node that makes its share of 1,000 calls of a model against a budget of a dollar, and waits until every call has
 * ended and nothing is reserved: `worker.ts <store> <url> <prefix> <number of nodes> <which>`.
 */
import { Agent, App, Auth, Budget, BudgetStore, Caller, Prices, RateLimit, Run, Runtime } from "@fastagentic/core"
import { Context, Effect, Layer, Random, Redacted, Schema } from "effect"
import { Postgres } from "../../src/postgres/index.ts"
import { Redis } from "../../src/redis/index.ts"
import { Sqlite } from "../../src/sqlite/index.ts"

const [kind, url = "", prefix = "", nodes = "1", which = "0"] = process.argv.slice(2)
const calls = 1_000
const dollar = 1_000_000

class Spender extends Agent.make("spender", {
  description: "Calls a model that answers with any length, fails at times, and says what it has used",
  payload: { call: Schema.Int }
}) {}

const SpenderLayer = Spender.toLayer(() =>
  Run.step(
    "call",
    Effect.gen(function*() {
      const run = yield* Run.CurrentRun
      const request = { callId: "c", model: "m", inputTokens: 100, maxOutputTokens: 1_000, clamps: true }
      const grant = yield* Effect.orDie(run.spend({ ...request, changesTo: () => false }))
      yield* Effect.sleep(`${yield* Random.nextIntBetween(5, 200)} millis`)
      if ((yield* Random.next) < 0.1) {
        yield* grant.cancelReservation
        return "failed"
      }
      const outputTokens = yield* Random.nextIntBetween(0, grant.maxOutputTokens ?? 0)
      yield* grant.settle({ inputTokens: 100, outputTokens })
      return "answered"
    })
  )
)

class Spending extends App.make("spending", { version: "1", agents: [Spender] }) {}

const stores = (): Layer.Layer<Sqlite.Stores, unknown> => {
  const options = { url: Redacted.make(url), lease: "1 second" } as const
  if (kind === "postgres") return Postgres.layer(options)
  if (kind === "redis") return Redis.layer({ ...options, prefix })
  return Sqlite.layer({ filename: url })
}

const limit: Budget.Limit = { name: "dollar", per: "app", period: "total", hard: 1 }
const key = JSON.stringify(["dollar", "", "app", []])

const layer = Runtime.layer(Spending).pipe(
  Layer.provide([SpenderLayer, Auth.layerNone, RateLimit.layerUnlimited]),
  Layer.provide(Budget.layer),
  Layer.provide([Prices.layer({ m: { input: 1, output: 10 } }), Budget.limits([limit], { lease: "1 second" })]),
  Layer.provideMerge(stores())
)

const say = (word: string, value: unknown) =>
  Effect.sync(() => process.stdout.write(`${word} ${JSON.stringify(value)}\n`))

const program = Effect.gen(function*() {
  const context = yield* Layer.build(layer)
  const [runtime, store] = [Context.get(context, Runtime.Runtime), Context.get(context, BudgetStore.BudgetStore)]
  const caller = Caller.make("local")
  const counter = Effect.map(store.counters([key]), ([one]) => one ?? { settled: 0, reserved: 0 })
  yield* say("calling", which)

  const watch = Effect.flatMap(counter, (one) => one.settled + one.reserved > dollar ? say("over", one) : Effect.void)
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(watch, Effect.sleep("5 millis"))))

  const call = Effect.fnUntraced(function*(index: number) {
    const request = {
      kind: "agent",
      identifier: "spender",
      payload: { call: index },
      idempotencyKey: `${index}`
    } as const
    const { run } = yield* runtime.start(caller, request)
    const end = yield* runtime.await(caller, run.runId)
    return end.state === "completed" ? String(end.output) : end.error?.tag ?? end.state
  })
  const mine = Array.from({ length: calls }, (_, index) => index).filter((index) =>
    index % Number(nodes) === Number(which)
  )
  const ends = yield* Effect.forEach(mine, call, { concurrency: "unbounded" })
  for (const end of new Set(ends)) yield* say("ended", [end, ends.filter((one) => one === end).length])
  while ((yield* counter).reserved > 0) yield* Effect.sleep("100 millis")
  const { settled } = yield* counter
  const [used] = yield* store.usage({ tenant: "local", from: "2000-01-01", to: "2999-12-31", by: [] })
  yield* say("settled", { settled, used: used?.cost })
})

await Effect.runPromise(Effect.scoped(program))
