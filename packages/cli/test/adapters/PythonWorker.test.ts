import { assert, describe, it } from "@effect/vitest"
import { Event } from "@fastagentic/core"
import { Effect, Layer, Schema } from "effect"
import { App, type Auth } from "fastagentic"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Python } from "../../src/python.ts"
import { temporaryFolder } from "../process.ts"
import { onSqlite } from "../serving.ts"
import { describeWith, python } from "./interpreters.ts"

const cwd = fileURLToPath(new URL("python", import.meta.url))

const RunState = Schema.Struct({
  state: Schema.String,
  output: Schema.optionalKey(Schema.Json),
  error: Schema.optionalKey(Schema.Record(Schema.String, Schema.Json))
})
const Started = Schema.Struct({ runId: Schema.String })
const Journal = Schema.Struct({ items: Schema.Array(Event.RunEvent) })

/** A server of agents of `hostile.py`, on SQLite. */
const serve = Effect.fnUntraced(function*(
  interpreter: string,
  names: ReadonlyArray<string>,
  options: Partial<Python.Options> = {},
  auth?: Layer.Layer<Auth.Auth>
) {
  const found = yield* Effect.forEach(
    names,
    (name) => Python.discover({ entrypoint: `hostile.py:${name}`, interpreter, cwd, ...options }),
    { concurrency: "unbounded" }
  )
  const app = App.make("hostile", { version: "1", agents: found.map(({ agent }) => agent) })
  const handlers = found.map(({ layer }) => Layer.orDie(layer)).reduce((all, layer) => Layer.merge(all, layer))
  const filename = join(temporaryFolder(), "hostile.db")
  const { stop, url } = yield* onSqlite(app, handlers, filename, auth === undefined ? {} : { auth })
  const request = (method: "GET" | "POST", path: string, body?: unknown, token?: string) =>
    Effect.promise(async () => {
      const response = await fetch(url + path, {
        method,
        headers: {
          accept: "application/json",
          "content-type": "application/json",
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` })
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) })
      })
      const json: unknown = await response.json()
      return json
    })
  const start = (name: string, payload: object = {}, token?: string) =>
    Effect.flatMap(
      request("POST", `/agents/${name}/runs`, payload, token),
      (body) => Effect.map(Effect.orDie(Schema.decodeUnknownEffect(Started)(body)), ({ runId }) => runId)
    )
  const ended = Effect.fnUntraced(function*(runId: string, seconds = 30, token?: string) {
    const end = Date.now() + seconds * 1_000
    for (;;) {
      const body = yield* request("GET", `/runs/${runId}`, undefined, token)
      const run = yield* Effect.orDie(Schema.decodeUnknownEffect(RunState)(body))
      if (["completed", "failed", "cancelled"].includes(run.state) || Date.now() > end) return run
      yield* Effect.sleep("50 millis")
    }
  })
  return { url, stop, request, start, ended }
})

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const gone = Effect.fnUntraced(function*(pid: number) {
  for (let tries = 0; tries < 200 && isAlive(pid); tries++) yield* Effect.sleep("50 millis")
  return !isAlive(pid)
})

describeWith("the process of a Python agent", python, (interpreter) =>
  describe("the process of a Python agent", () => {
    it.live(
      "runs resume from their last commit when their process is killed, each step done once",
      () =>
        Effect.gen(function*() {
          const server = yield* serve(interpreter, ["work", "pid"])
          const warm = yield* server.ended(yield* server.start("work", { steps: 1, seconds: 0 }))
          const [pid] = Array.isArray(warm.output) ? warm.output : []
          const runs = yield* Effect.forEach(
            Array.from({ length: 200 }),
            () => server.start("work", { steps: 4, seconds: 0.5 }),
            { concurrency: 20 }
          )
          yield* Effect.sleep("700 millis")
          process.kill(Number(pid), "SIGKILL")
          const ends = yield* Effect.forEach(runs, (runId) => server.ended(runId, 60), { concurrency: 20 })
          assert.deepStrictEqual(new Set(ends.map(({ state }) => state)), new Set(["completed"]))
          const pids = ends.map(({ output }) => Array.isArray(output) ? output.map(Number) : [])
          assert.isTrue(pids.every((done) => done.length === 4))
          const survived = pids.filter((done) => done.includes(Number(pid)))
          assert.isAbove(survived.length, 0, "no run had a step in the process that was killed")
          assert.isTrue(pids.every((done) => new Set(done).size <= 2), "a run was in more than two processes")
        }).pipe(Effect.scoped),
      120_000
    )

    it.live("prints go to the log and never into frames, however many", () =>
      Effect.gen(function*() {
        const server = yield* serve(interpreter, ["loud", "reads"])
        const loud = yield* server.start("loud", { seconds: 2 })
        assert.strictEqual((yield* server.ended(yield* server.start("reads"))).output, "")
        assert.strictEqual((yield* server.ended(loud)).output, "quiet")
      }).pipe(Effect.scoped), 60_000)

    it.live("a run that stops the loop loses its process, and fails after the third", () =>
      Effect.gen(function*() {
        const server = yield* serve(interpreter, ["hang"], { unresponsive: "600 millis" })
        const { error, state } = yield* server.ended(yield* server.start("hang"), 40)
        assert.strictEqual(state, "failed")
        assert.notInclude(JSON.stringify(error), "hostile.py", "an internal failure says nothing of itself")
      }).pipe(Effect.scoped), 60_000)

    it.live("a cancelled run whose code ignores it loses its process", () =>
      Effect.gen(function*() {
        const server = yield* serve(interpreter, ["hang", "spin", "trap"])
        for (const name of ["hang", "spin", "trap"]) {
          const runId = yield* server.start(name)
          yield* Effect.sleep("500 millis")
          yield* server.request("POST", `/runs/${runId}/cancel`, {})
          assert.strictEqual((yield* server.ended(runId, 15)).state, "cancelled", name)
        }
      }).pipe(Effect.scoped), 60_000)

    it.live(
      "a process that holds too much memory gets no new runs, and one that holds far too much is ended",
      () =>
        Effect.gen(function*() {
          const server = yield* serve(interpreter, ["leak"], { maxMemory: 150 * 2 ** 20, unresponsive: "1 second" })
          const first = yield* server.ended(yield* server.start("leak", { megabytes: 160 }))
          assert.strictEqual(first.state, "completed")
          const second = yield* server.ended(yield* server.start("leak", { megabytes: 1 }))
          assert.strictEqual(second.state, "completed")
          assert.notStrictEqual(second.output, first.output)
          const greedy = yield* server.ended(yield* server.start("leak", { megabytes: 700 }))
          assert.strictEqual(greedy.state, "failed")
        }).pipe(Effect.scoped),
      60_000
    )

    it.live("processes that an agent has started end with the server", () =>
      Effect.gen(function*() {
        const server = yield* serve(interpreter, ["forks"])
        const { output, state } = yield* server.ended(yield* server.start("forks"))
        assert.strictEqual(state, "completed")
        const pids = Array.isArray(output) ? output.map(Number) : []
        assert.strictEqual(pids.filter(isAlive).length, 3)
        yield* server.stop
        for (const pid of pids) assert.isTrue(yield* gone(pid), `${pid} is alive`)
      }).pipe(Effect.scoped), 60_000)

    it.live("a run that ends its process each time fails; an agent that exits fails alone", () =>
      Effect.gen(function*() {
        const server = yield* serve(interpreter, ["die", "leave"])
        assert.strictEqual((yield* server.ended(yield* server.start("die"))).state, "failed")
        assert.strictEqual((yield* server.ended(yield* server.start("leave"))).state, "failed")
      }).pipe(Effect.scoped), 60_000)

    it.live(
      "a value that is larger than a frame fails its run, and an event of the runtime is refused",
      () =>
        Effect.gen(function*() {
          const server = yield* serve(interpreter, ["large", "typed"])
          assert.strictEqual((yield* server.ended(yield* server.start("large", { megabytes: 9 }))).state, "failed")
          assert.strictEqual((yield* server.ended(yield* server.start("large", { megabytes: 2 }))).output, 2 * 2 ** 20)
          assert.strictEqual((yield* server.ended(yield* server.start("typed"))).state, "failed")
        }).pipe(Effect.scoped),
      60_000
    )

    it.live("code without async has steps, pauses and questions", () =>
      Effect.gen(function*() {
        const server = yield* serve(interpreter, ["steps"])
        const runId = yield* server.start("steps")
        let id: string | undefined
        for (let tries = 0; tries < 200 && id === undefined; tries++) {
          yield* Effect.sleep("50 millis")
          const body = yield* server.request("GET", `/runs/${runId}/interrupts`)
          id = /"id":"([^"]+)"/u.exec(JSON.stringify(body))?.[1]
        }
        yield* server.request("POST", `/runs/${runId}/interrupts/${id}`, { decision: "approve", value: true })
        assert.strictEqual((yield* server.ended(runId)).output, "yes")
      }).pipe(Effect.scoped), 60_000)

    it.live("tokens of one run arrive all and in order, thousands in a second", () =>
      Effect.gen(function*() {
        const server = yield* serve(interpreter, ["tokens", "blocking_tokens"])
        for (const [name, count] of [["tokens", 20_000], ["blocking_tokens", 2_000]] as const) {
          const runId = yield* server.start(name, { count })
          const from = performance.now()
          assert.strictEqual((yield* server.ended(runId)).state, "completed")
          const rate = Math.round(count / (performance.now() - from) * 1_000)
          yield* Effect.log(`${name}: ${rate} events a second`)
          let [seen, after] = ["", 0]
          for (;;) {
            const body = yield* server.request("GET", `/runs/${runId}/events?limit=1000&after=${after}`)
            const { items } = yield* Effect.orDie(Schema.decodeUnknownEffect(Journal)(body))
            if (items.length === 0) break
            for (const event of items) {
              after = event.seq
              if (event.type === "token") seen += event.data.delta
            }
          }
          assert.strictEqual(seen, Array.from({ length: count }, (_, number) => `${number} `).join(""))
          assert.isAbove(rate, name === "tokens" ? 1_000 : 200)
        }
      }).pipe(Effect.scoped), 60_000)
  }))
