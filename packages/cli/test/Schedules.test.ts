import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schema } from "effect"
import { Agent, App, Auth, Principal, Schedule } from "fastagentic"
import { join } from "node:path"
import { temporaryFolder } from "./process.ts"
import { onSqlite } from "./serving.ts"

class Report extends Agent.make("report", {
  description: "Reports",
  payload: { of: Schema.String },
  scopes: ["reports:write"]
}) {}
class Wipe extends Agent.make("wipe", { description: "Wipes", payload: {}, scopes: ["data:wipe"] }) {}

class Acme extends App.make("acme", {
  version: "1",
  agents: [Report, Wipe],
  schedules: [
    Schedule.make("yearly", {
      agent: Report,
      cron: "0 0 1 1 *",
      payload: { of: "a year" },
      as: { principal: "reports", tenant: "acme", scopes: ["reports:write"] }
    })
  ]
}) {}

const person = (id: string, tenant: string, scopes: ReadonlyArray<string>) => ({
  key: Redacted.make(`key-of-${id}`),
  principal: new Principal.Principal({ id, tenant, scopes, roles: [], claims: {} })
})

const people = Auth.layerKeys([
  person("olga", "acme", ["schedules:manage", "reports:write", "extra"]),
  person("otto", "acme", ["schedules:manage", "reports:write"]),
  person("ann", "acme", ["reports:write"]),
  person("meg", "acme", ["schedules:manage"]),
  person("dan", "other", ["*"])
])

const handlers = Layer.mergeAll(
  Report.toLayer(({ of }) => Effect.succeed(`of ${of}`)),
  Wipe.toLayer(() => Effect.succeed("wiped"))
)

const serve = (filename: string) => onSqlite(Acme, handlers, filename, { auth: people })

const Body = Schema.Record(Schema.String, Schema.Json)

const send = (method: string, url: string, who: string, body?: unknown) =>
  Effect.promise(async () => {
    const response = await fetch(url, {
      method,
      headers: { "x-api-key": `key-of-${who}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    const text = await response.text()
    return { status: response.status, body: Schema.decodeUnknownSync(Body)(text === "" ? {} : JSON.parse(text)) }
  })

const Items = Schema.Struct({ items: Schema.Array(Body) })

const itemsOf = (url: string, who: string) =>
  Effect.map(send("GET", url, who), ({ body }) => Schema.decodeUnknownSync(Items)(body).items)

const everySecond = { agent: "report", cron: "* * * * * *", payload: { of: "a second" }, scopes: ["reports:write"] }

const statuses = <A, E>(calls: ReadonlyArray<Effect.Effect<{ readonly status: number } & A, E>>) =>
  Effect.map(Effect.all(calls), (answers) => answers.map(({ status }) => status))

describe("schedules that callers make, over a socket on SQLite", () => {
  it.live(
    "start runs for their maker with the scopes that are named, over a restart, until they are removed",
    () =>
      Effect.gen(function*() {
        const filename = join(temporaryFolder(), "acme.db")
        const first = yield* serve(filename)
        const made = yield* send("POST", `${first.url}/schedules/often`, "olga", everySecond)
        assert.strictEqual(made.status, 201)
        assert.deepInclude(made.body, {
          id: "often",
          agent: "report",
          cron: "* * * * * *",
          timeZone: "UTC",
          missed: "skip",
          overlap: "allow",
          owner: "olga",
          declared: false,
          paused: false,
          payload: { of: "a second" },
          scopes: ["reports:write"]
        })
        const runsOf = (url: string) => itemsOf(`${url}/runs?limit=200&fields=output`, "olga")
        const more = Effect.fnUntraced(function*(url: string, count: number) {
          while ((yield* runsOf(url)).length < count) yield* Effect.sleep("50 millis")
        })
        yield* more(first.url, 2)
        yield* first.stop
        const second = yield* serve(filename)
        const before = (yield* runsOf(second.url)).length
        yield* more(second.url, before + 2)
        for (const run of yield* runsOf(second.url)) {
          assert.deepInclude(run, { agent: "report", output: "of a second" })
        }
        const listed = yield* itemsOf(`${second.url}/schedules`, "otto")
        assert.deepStrictEqual(listed.map(({ declared, id }) => [id, declared]), [["yearly", true], ["often", false]])
        assert.isString(listed[1]?.["lastRunId"])
        assert.strictEqual((yield* send("DELETE", `${second.url}/schedules/often`, "otto")).status, 204)
        const after = (yield* runsOf(second.url)).length
        yield* Effect.sleep("2500 millis")
        assert.strictEqual((yield* runsOf(second.url)).length, after)
        assert.strictEqual((yield* send("GET", `${second.url}/schedules/often`, "otto")).status, 404)
      }).pipe(Effect.scoped),
    30_000
  )

  it.live("never have more rights than the caller who wrote them last", () =>
    Effect.gen(function*() {
      const { url } = yield* serve(join(temporaryFolder(), "acme.db"))
      const at = `${url}/schedules/one`
      const once = { agent: "report", cron: "0 0 1 1 *", payload: { of: "x" } }
      // Neither an agent nor a scope that the caller may not use.
      assert.deepStrictEqual(
        yield* statuses([
          send("POST", at, "ann", once),
          send("POST", at, "meg", once),
          send("POST", at, "olga", { agent: "wipe", cron: "0 0 1 1 *", payload: {} }),
          send("POST", at, "olga", { ...once, scopes: ["data:wipe"] }),
          send("PUT", at, "olga", { ...once, scopes: ["*"] }),
          send("GET", at, "olga")
        ]),
        [403, 403, 403, 403, 403, 404]
      )
      assert.deepStrictEqual((yield* send("POST", at, "olga", once)).body["scopes"], [
        "schedules:manage",
        "reports:write",
        "extra"
      ])
      // Another caller takes the schedule over with the rights of that caller.
      const taken = yield* send("PUT", at, "otto", { ...once, payload: { of: "y" } })
      assert.strictEqual(taken.status, 200)
      assert.deepInclude(taken.body, { owner: "otto", scopes: ["schedules:manage", "reports:write"] })
      const { body: run } = yield* send("POST", `${at}/run`, "olga")
      const ran = `${url}/runs/${String(run["runId"])}`
      assert.deepStrictEqual(yield* statuses([send("GET", ran, "otto"), send("GET", ran, "olga")]), [200, 404])
    }).pipe(Effect.scoped))

  it.live("are made once, replaced by PUT, and belong to their tenant", () =>
    Effect.gen(function*() {
      const { url } = yield* serve(join(temporaryFolder(), "acme.db"))
      const once = { agent: "report", cron: "0 0 1 1 *", payload: { of: "x" } }
      const at = `${url}/schedules/one`
      assert.deepStrictEqual(
        yield* statuses([
          send("POST", at, "olga", once),
          send("POST", at, "olga", once),
          send("POST", at, "olga", { ...once, overlap: "skip" }),
          send("PUT", at, "olga", { ...once, overlap: "skip" }),
          send("PUT", `${url}/schedules/two`, "olga", once),
          send("POST", `${url}/schedules/yearly`, "olga", once),
          send("PUT", `${url}/schedules/yearly`, "olga", once),
          send("DELETE", `${url}/schedules/yearly`, "olga"),
          send("GET", at, "dan"),
          send("DELETE", at, "dan"),
          send("POST", `${at}/run`, "dan"),
          send("POST", at, "dan", once),
          send("DELETE", at, "dan"),
          send("DELETE", at, "olga"),
          send("DELETE", at, "olga")
        ]),
        [201, 200, 409, 200, 201, 409, 409, 409, 404, 404, 404, 201, 204, 204, 404]
      )
    }).pipe(Effect.scoped))

  it.live("are refused when they can never start a run, and the list goes on answering", () =>
    Effect.gen(function*() {
      const { url } = yield* serve(join(temporaryFolder(), "acme.db"))
      const once = { agent: "report", cron: "0 0 1 1 *", payload: { of: "x" } }
      const at = `${url}/schedules/one`
      const wrong = [
        { ...once, cron: "0 0 30 2 *" },
        { ...once, cron: "never" },
        { ...once, timeZone: "Mars/Olympus" },
        { ...once, agent: "nobody" },
        { ...once, payload: { of: 1 } },
        { ...once, overlap: "sometimes" },
        { ...once, principal: "reports" }
      ]
      for (const body of wrong) {
        assert.deepStrictEqual(
          yield* statuses([send("POST", at, "olga", body), send("PUT", at, "olga", body)]),
          [400, 400],
          JSON.stringify(body)
        )
      }
      assert.strictEqual((yield* send("POST", `${url}/schedules/a%20b`, "olga", once)).status, 400)
      assert.strictEqual((yield* itemsOf(`${url}/schedules`, "olga")).length, 1)
      assert.strictEqual((yield* send("PATCH", at, "olga", once)).status, 405)
    }).pipe(Effect.scoped))

  it.live("pause and resume, and keep their pause when they are replaced", () =>
    Effect.gen(function*() {
      const { url } = yield* serve(join(temporaryFolder(), "acme.db"))
      const at = `${url}/schedules/often`
      yield* send("POST", at, "olga", everySecond)
      assert.isTrue((yield* send("POST", `${at}/pause`, "otto")).body["paused"])
      const count = Effect.map(itemsOf(`${url}/runs?limit=200&fields=output`, "olga"), ({ length }) => length)
      yield* Effect.sleep("1100 millis")
      const before = yield* count
      assert.isTrue((yield* send("PUT", at, "olga", { ...everySecond, missed: "all" })).body["paused"])
      yield* Effect.sleep("2500 millis")
      assert.strictEqual(yield* count, before)
      assert.isFalse((yield* send("POST", `${at}/resume`, "otto")).body["paused"])
      yield* Effect.sleep("2500 millis")
      const made = (yield* count) - before
      assert.isAtLeast(made, 1)
      assert.isAtMost(made, 4)
    }).pipe(Effect.scoped), 20_000)
})
