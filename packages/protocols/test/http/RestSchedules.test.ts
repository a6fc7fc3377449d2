import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Auth, Budget, Principal, RateLimit, Runtime, Schedule } from "@fastagentic/core"
import { Effect, Layer, Redacted, Schema } from "effect"
import { mounted, serve } from "../fixture.ts"
import { layerStores } from "../stores.ts"
import { as, get, json, post, Problem, Run, RunPage } from "./rest.ts"

class Report extends Agent.make("report", {
  description: "Reports",
  payload: { of: Schema.String },
  scopes: ["reports:write"]
}) {}

const reporter = { principal: "reports", tenant: "acme", scopes: ["reports:write"] }

class Acme extends App.make("acme", {
  version: "1.0.0",
  agents: [Report],
  schedules: [
    Schedule.make("often", { agent: Report, cron: "* * * * * *", payload: { of: "a second" }, as: reporter }),
    Schedule.make("yearly", { agent: Report, cron: "0 0 1 1 *", payload: { of: "a year" }, as: reporter })
  ]
}) {}

const person = (id: string, tenant: string, scopes: ReadonlyArray<string>) => ({
  key: Redacted.make(`key-of-${id}`),
  principal: new Principal.Principal({ id, tenant, scopes, roles: [], claims: {} })
})

const by = (id: string) => ({ "x-api-key": `key-of-${id}` })

const start = serve(
  mounted("rest").pipe(
    Layer.provide(Runtime.layer(Acme, { grace: "100 millis" })),
    Layer.provide(Report.toLayer(({ of }) => Effect.succeed(`of ${of}`))),
    Layer.provide(Layer.mergeAll(
      layerStores,
      Auth.layerKeys([
        person("olga", "acme", ["schedules:manage", "runs:act:tenant"]),
        person("ann", "acme", ["reports:write"]),
        person("dan", "other", ["*"])
      ]),
      RateLimit.layerUnlimited,
      Budget.layerUnlimited
    ))
  )
)

const Page = Schema.Struct({ items: Schema.Array(Schema.Record(Schema.String, Schema.Json)), next: Schema.Null })

const refused = Effect.fnUntraced(function*(response: Response, status: number, title: string) {
  const problem = yield* as(Problem)(response)
  assert.deepStrictEqual([response.status, problem.title], [status, title])
})

describe("Schedules over REST", () => {
  it.live("are listed with their next time, and start runs at it", () =>
    Effect.gen(function*() {
      const url = yield* start
      const { items } = yield* as(Page)(yield* get(`${url}/schedules`, by("olga")))
      assert.deepStrictEqual(items.map(({ id }) => id), ["often", "yearly"])
      const { next, ...yearly } = items[1] ?? {}
      assert.deepStrictEqual(yearly, {
        id: "yearly",
        agent: "report",
        cron: "0 0 1 1 *",
        timeZone: "UTC",
        missed: "skip",
        overlap: "allow",
        owner: "reports",
        declared: true,
        paused: false
      })
      assert.match(new Date(Number(next)).toISOString(), /^\d{4}-01-01T00:00:00\.000Z$/u)
      let runs: ReadonlyArray<{ readonly output?: unknown }> = []
      while (runs.length < 2) {
        yield* Effect.sleep("100 millis")
        runs = (yield* as(RunPage)(yield* get(`${url}/runs?state=completed&fields=output`, by("olga")))).items
      }
      assert.strictEqual(runs[0]?.output, "of a second")
    }).pipe(Effect.scoped))

  it.live("run now, once per key, and pause and resume", () =>
    Effect.gen(function*() {
      const url = yield* start
      const key = { ...by("olga"), "idempotency-key": "now" }
      const first = yield* post(`${url}/schedules/yearly/run`, undefined, key)
      assert.strictEqual(first.status, 202)
      const { runId } = yield* as(Run)(first)
      assert.strictEqual(first.headers.get("location"), `/runs/${runId}`)
      const again = yield* as(Run)(yield* post(`${url}/schedules/yearly/run`, undefined, key))
      assert.strictEqual(again.runId, runId)
      const done = yield* as(Run)(yield* get(`${url}/runs/${runId}`, by("olga")))
      assert.strictEqual(done.output, "of a year")
      const paused = yield* json(yield* post(`${url}/schedules/yearly/pause`, undefined, by("olga")))
      assert.deepInclude(paused, { id: "yearly", paused: true })
      const { items } = yield* as(Page)(yield* get(`${url}/schedules`, by("olga")))
      assert.isTrue(items[1]?.["paused"])
      const going = yield* json(yield* post(`${url}/schedules/yearly/resume`, undefined, by("olga")))
      assert.isFalse(going["paused"])
      assert.isNumber(going["next"])
    }).pipe(Effect.scoped))

  it.live("need their scope, and belong to a tenant", () =>
    Effect.gen(function*() {
      const url = yield* start
      yield* refused(yield* get(`${url}/schedules`), 401, "Unauthenticated")
      yield* refused(yield* get(`${url}/schedules`, by("ann")), 403, "Forbidden")
      assert.deepStrictEqual((yield* as(Page)(yield* get(`${url}/schedules`, by("dan")))).items, [])
      for (const action of ["run", "pause", "resume"]) {
        yield* refused(yield* post(`${url}/schedules/yearly/${action}`), 401, "Unauthenticated")
        yield* refused(yield* post(`${url}/schedules/yearly/${action}`, undefined, by("ann")), 403, "Forbidden")
        yield* refused(yield* post(`${url}/schedules/yearly/${action}`, undefined, by("dan")), 404, "NotDeclared")
        yield* refused(yield* post(`${url}/schedules/none/${action}`, undefined, by("olga")), 404, "NotDeclared")
      }
    }).pipe(Effect.scoped))
})
