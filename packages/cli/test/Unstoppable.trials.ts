// Ends of runs whose code cannot be interrupted, through a socket on SQLite.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { Agent, App, Event, Hook, Run } from "fastagentic"
import { join } from "node:path"
import { temporaryFolder } from "./process.ts"
import { onSqlite } from "./serving.ts"

const regionMillis = 7_000
const payload = {}
class Stuck extends Agent.make("stuck", { description: "Cannot be interrupted", payload }) {}
class Hangs extends Agent.make("hangs", { description: "Has a finalizer that hangs", payload }) {}
class Undoes extends Agent.make("undoes", { description: "Has an undo", payload }) {}
class One extends Agent.make("one", {
  description: "Cannot be interrupted, one at a time",
  payload,
  concurrency: { total: 1 }
}) {}
class Turns extends Agent.make("turns", { description: "Cannot be interrupted", payload, threads: "enqueue" }) {}
class Softens extends Hook.make("acme/softens") {}
class Late extends Agent.make("late", { description: "Cannot be interrupted", payload }).hook(Softens) {}
class Waits extends Agent.make("waits", { description: "Waits", payload }).hook(Softens) {}
class Acme extends App.make("acme", { version: "1", agents: [Stuck, Hangs, Undoes, One, Turns, Late, Waits] }) {}

const region = Effect.sleep(regionMillis)
const left: Array<string> = []
const undone: Array<number> = []
const asked: Array<string> = []
const inside = { now: 0, most: 0, runs: 0 }

/** Only the first run cannot be interrupted. */
const working = (name: string) =>
  Effect.suspend(() => {
    inside.most = Math.max(inside.most, ++inside.now)
    const left = Effect.sync(() => void inside.now--)
    return inside.runs++ === 0
      ? Effect.uninterruptible(Effect.tap(Effect.as(region, name), left))
      : Effect.as(left, name)
  })

const handlers = Layer.mergeAll(
  Stuck.toLayer(() =>
    Effect.uninterruptible(Effect.gen(function*() {
      yield* Run.step("before", Effect.succeed(1))
      yield* region
      left.push("stuck")
      yield* Run.emit(Event.token("too late"))
      yield* Effect.exit(Effect.orDie(Run.delegate(Waits, {})))
      yield* Run.step("after", Effect.sync(() => left.push("after")))
      return "done"
    }))
  ),
  One.toLayer(() => working("one")),
  Turns.toLayer(() => working("turns")),
  Late.toLayer(() => Effect.uninterruptible(Effect.as(region, "late"))),
  Waits.toLayer(() => Effect.orDie(Run.interrupt("ok", { schema: Schema.String }))),
  Softens.toLayer({
    error: (failure, { agent }) => {
      asked.push(agent)
      return Effect.succeed({ ...failure, message: "it took too long" })
    }
  }),
  Hangs.toLayer(() => Effect.ensuring(Effect.never, region)),
  Undoes.toLayer(() =>
    Effect.gen(function*() {
      yield* Run.compensate("undo", Effect.sync(() => undone.push(Date.now())))
      yield* Run.step("work", Effect.as(Effect.uninterruptible(region), "worked"))
      return "done"
    })
  )
)

const Body = Schema.Record(Schema.String, Schema.Json)
const send = (method: string, url: string, headers: Record<string, string> = {}) =>
  Effect.promise(async () => {
    const response = await fetch(url, { method, ...(method === "GET" ? {} : json(headers)) })
    return { status: response.status, body: Schema.decodeUnknownSync(Body)(await response.json()) }
  })
const json = (headers: Record<string, string>) => ({
  headers: { "content-type": "application/json", ...headers },
  body: "{}"
})

const journal = (url: string, runId: string) =>
  Effect.promise(async () => {
    const text = await (await fetch(`${url}/runs/${runId}/events`)).text()
    return [...text.matchAll(/^event: (\S+)$/gmu)].map(([, type]) => type)
  })

const serve = onSqlite(Acme, handlers, join(temporaryFolder(), "acme.db"))

const start = Effect.fnUntraced(
  function*(url: string, agent: string, query = "", headers: Record<string, string> = {}) {
    const { body } = yield* send("POST", `${url}/agents/${agent}/runs${query}`, headers)
    yield* Effect.sleep("300 millis")
    return String(body["runId"])
  }
)

const isEnded = (types: ReadonlyArray<string | undefined>, end: string) => {
  assert.strictEqual(types.at(-1), end)
  assert.deepStrictEqual(types.filter((type) => ["done", "error", "run_cancelled"].includes(type ?? "")), [end])
  assert.notInclude(types, "token")
}

describe("A run whose code cannot be interrupted", () => {
  it.live(
    "ends within the bound when it is cancelled or at its deadline, and commits nothing after it",
    () =>
      Effect.gen(function*() {
        const { url } = yield* serve
        left.length = 0
        const cancelled = yield* start(url, "stuck")
        const hanging = yield* start(url, "hangs")
        const cut = yield* start(url, "stuck", "?timeout=1s")
        const begun = Date.now()
        const answers = yield* Effect.all([
          send("POST", `${url}/runs/${cancelled}/cancel`),
          send("POST", `${url}/runs/${hanging}/cancel`)
        ], { concurrency: 2 })
        assert.isBelow(Date.now() - begun, 4_500)
        assert.deepStrictEqual(answers.map(({ body }) => body["state"]), ["cancelled", "cancelled"])
        yield* Effect.sleep(Math.max(0, begun + 5_500 - Date.now()))
        assert.deepStrictEqual(left, [])
        const failed = (yield* send("GET", `${url}/runs/${cut}`)).body
        assert.strictEqual(failed["state"], "failed")
        assert.deepInclude(failed["error"], { tag: "DeadlineExceeded", status: 504 })
        const ended = [(yield* send("GET", `${url}/runs/${cancelled}`)).body, failed]
        yield* Effect.sleep(regionMillis - 4_000)
        assert.deepStrictEqual(left, ["stuck", "stuck"])
        const after = yield* Effect.forEach([cancelled, cut], (id) => send("GET", `${url}/runs/${id}`))
        assert.deepStrictEqual(after.map(({ body }) => body), ended)
        const children = (yield* send("GET", `${url}/runs?agent=waits`)).body
        assert.deepStrictEqual(children["items"], [])
        isEnded(yield* journal(url, cancelled), "run_cancelled")
        isEnded(yield* journal(url, hanging), "run_cancelled")
        isEnded(yield* journal(url, cut), "error")
      }).pipe(Effect.scoped),
    30_000
  )

  it.live("waits for its undos after a cancel until its code has ended", () =>
    Effect.gen(function*() {
      const { url } = yield* serve
      const begun = Date.now()
      const runId = yield* start(url, "undoes")
      const { body } = yield* send("POST", `${url}/runs/${runId}/cancel`)
      assert.isBelow(Date.now() - begun, 5_000)
      assert.deepInclude(body, { state: "suspended", waitsFor: "undo" })
      assert.deepStrictEqual(undone, [])
      yield* Effect.sleep(begun + regionMillis + 3_000 - Date.now())
      assert.strictEqual((yield* send("GET", `${url}/runs/${runId}`)).body["state"], "cancelled")
      assert.isAtLeast((undone[0] ?? 0) - begun, regionMillis)
      assert.strictEqual(undone.length, 1)
      isEnded(yield* journal(url, runId), "run_cancelled")
    }).pipe(Effect.scoped), 30_000)

  const keepsIts = (what: string, agent: string, headers: Record<string, string>) =>
    it.live(
      `keeps its ${what} until its code has ended`,
      () =>
        Effect.gen(function*() {
          const { url } = yield* serve
          Object.assign(inside, { now: 0, most: 0, runs: 0 })
          const begun = Date.now()
          const stuck = yield* start(url, agent, "", headers)
          const next = yield* start(url, agent, "", headers)
          const { body } = yield* send("POST", `${url}/runs/${stuck}/cancel`)
          assert.strictEqual(body["state"], "cancelled")
          yield* Effect.sleep("1500 millis")
          assert.deepStrictEqual(inside, { now: 1, most: 1, runs: 1 })
          assert.strictEqual((yield* send("GET", `${url}/runs/${next}`)).body["state"], "queued")
          yield* Effect.sleep(begun + regionMillis + 1_500 - Date.now())
          assert.strictEqual((yield* send("GET", `${url}/runs/${next}`)).body["state"], "completed")
          assert.deepStrictEqual(inside, { now: 0, most: 1, runs: 2 })
        }).pipe(Effect.scoped),
      30_000
    )

  keepsIts("place in the concurrency of its agent", "one", {})
  keepsIts("thread", "turns", { "x-thread-id": "talk" })

  it.live(
    "asks the error hooks at its deadline, as does a run that waits",
    () =>
      Effect.gen(function*() {
        const { url } = yield* serve
        asked.length = 0
        const late = yield* start(url, "late", "?timeout=1s")
        const waits = yield* start(url, "waits", "?timeout=1s")
        yield* Effect.sleep("5500 millis")
        for (const runId of [late, waits]) {
          const { body } = yield* send("GET", `${url}/runs/${runId}`)
          assert.strictEqual(body["state"], "failed")
          assert.deepInclude(body["error"], { tag: "DeadlineExceeded", message: "it took too long" })
          const types = yield* journal(url, runId)
          assert.strictEqual(types.at(-1), "error")
        }
        assert.deepStrictEqual(asked.toSorted(), ["late", "waits"])
      }).pipe(Effect.scoped),
    30_000
  )
})
