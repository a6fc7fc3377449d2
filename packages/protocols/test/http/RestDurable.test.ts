import { assert, describe, it } from "@effect/vitest"
import { Client } from "@fastagentic/protocols/http"
import { Deferred, Effect, Schema, Stream } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { serveWorks, Works } from "../durable.ts"
import { mounted } from "../fixture.ts"
import { as, get, json, post, Problem, Run, RunPage, until } from "./rest.ts"
import { connect, runIdIn } from "./socket.ts"

const start = serveWorks(mounted("rest"))

const startWithClient = Effect.gen(function*() {
  const started = yield* start
  const client = yield* Client.make(Works, { url: started.url }).pipe(Effect.provide(FetchHttpClient.layer))
  return { ...started, client }
})

const Waiting = Schema.Struct({
  ...Run.fields,
  priority: Schema.Int,
  wakeAt: Schema.optionalKey(Schema.Int),
  waitsFor: Schema.optionalKey(Schema.String),
  parentRunId: Schema.optionalKey(Schema.String),
  rootRunId: Schema.optionalKey(Schema.String),
  forkedFrom: Schema.optionalKey(Schema.Struct({ runId: Schema.String, seq: Schema.Int }))
})

const Checkpoints = Schema.Struct({ items: Schema.Array(Schema.Struct({ name: Schema.String, seq: Schema.Int })) })

const refused = Effect.fnUntraced(function*(response: Response, status: number, title: string) {
  const problem = yield* as(Problem)(response)
  assert.deepStrictEqual([response.status, problem.status, problem.title], [status, status, title])
  return problem
})

/** A run that failed after its first step. */
const broken = Effect.fnUntraced(function*(url: string) {
  const failed = yield* post(`${url}/agents/flaky`, { name: "a" })
  assert.strictEqual(failed.status, 500)
  return failed.headers.get("x-run-id") ?? ""
})

describe("Delayed and queued starts over REST", () => {
  it.live("admits a run now and starts it at the given time, in either notation", () =>
    Effect.gen(function*() {
      const { url } = yield* start
      yield* Effect.forEach([String, (millis: number) => new Date(millis).toISOString()], (toText) =>
        Effect.gen(function*() {
          const at = Date.now() + 1_000
          const response = yield* post(`${url}/agents/nap/runs?startAt=${toText(at)}`, { millis: 0 })
          assert.strictEqual(response.status, 202)
          const run = yield* as(Waiting)(response)
          assert.strictEqual(response.headers.get("location"), `/runs/${run.runId}`)
          assert.deepStrictEqual([run.state, run.wakeAt, run.priority], ["queued", at, 0])
          assert.deepStrictEqual((yield* until(url, run.runId, "completed")).output, { slept: 0 })
          assert.isAtLeast(Date.now(), at)
        }), { concurrency: "unbounded" })
      const earlier = yield* post(`${url}/agents/nap/runs?startAt=1`, { millis: 0 })
      yield* until(url, (yield* as(Run)(earlier)).runId, "completed")
    }).pipe(Effect.scoped))

  it.live("refuses an invalid time or priority, and a start time on a call that waits", () =>
    Effect.gen(function*() {
      const { url } = yield* start
      const wrong = [
        "startAt=tomorrow",
        "startAt=2026-01-01T00:00:00",
        "startAt=2026-02-30T25:00:00Z",
        "startAt=2026-02-30T12:00:00Z",
        "startAt=-1"
      ]
      for (const query of [...wrong, "priority=high", "priority=1.5", "priority=1001", "at=1"]) {
        yield* refused(yield* post(`${url}/agents/nap/runs?${query}`, { millis: 0 }), 400, "InvalidPayload")
      }
      for (const path of ["", "/stream"]) {
        yield* refused(yield* post(`${url}/agents/nap${path}?startAt=1`, { millis: 0 }), 400, "InvalidPayload")
      }
      assert.deepStrictEqual((yield* as(RunPage)(yield* get(`${url}/runs`))).items, [])
    }).pipe(Effect.scoped))

  it.live("starts the run with the higher priority first", () =>
    Effect.gen(function*() {
      const { url, world } = yield* start
      const ids: Array<string> = []
      for (const [name, priority] of [["first", 0], ["low", -5], ["middle", 0], ["high", 5]] as const) {
        const run = yield* as(Waiting)(yield* post(`${url}/agents/line/runs?priority=${priority}`, { name }))
        assert.strictEqual(run.priority, priority)
        ids.push(run.runId)
      }
      yield* Deferred.succeed(world.gate, undefined)
      for (const id of ids) yield* until(url, id, "completed")
      assert.deepStrictEqual(world.started, ["first", "high", "middle", "low"])
    }).pipe(Effect.scoped))
})

describe("Waiting runs over REST", () => {
  it.live("answer 202 with the reason and the end of their sleep", () =>
    Effect.gen(function*() {
      const { url } = yield* start
      const response = yield* post(`${url}/agents/nap`, { millis: 300 })
      assert.strictEqual(response.status, 202)
      const run = yield* as(Waiting)(response)
      assert.deepStrictEqual([run.state, run.waitsFor], ["suspended", "timer"])
      assert.isAbove(run.wakeAt ?? 0, 0)
      assert.notProperty(yield* json(yield* get(`${url}/runs/${run.runId}`)), "crashes")
      yield* until(url, run.runId, "completed")
    }).pipe(Effect.scoped))

  it.live("name their parent and are listed by it", () =>
    Effect.gen(function*() {
      const { url } = yield* start
      const { runId } = yield* as(Run)(yield* post(`${url}/agents/boss/runs`, { millis: 100 }))
      assert.strictEqual((yield* until(url, runId, "completed")).output, "somebody slept 100")
      const Page = Schema.Struct({ items: Schema.Array(Waiting) })
      const { items } = yield* as(Page)(yield* get(`${url}/runs?parentRunId=${runId}`))
      assert.deepStrictEqual(items.map(({ parentRunId, rootRunId }) => [parentRunId, rootRunId]), [[runId, runId]])
    }).pipe(Effect.scoped))

  it.live("make a start on their thread 409, which names the run", () =>
    Effect.gen(function*() {
      const { url } = yield* start
      const thread = { "x-thread-id": "t" }
      const { runId } = yield* as(Run)(yield* post(`${url}/agents/single/runs`, {}, thread))
      const problem = yield* refused(yield* post(`${url}/agents/single`, {}, thread), 409, "ThreadBusy")
      assert.deepStrictEqual(problem.error, { _tag: "ThreadBusy", threadId: "t", runId })
    }).pipe(Effect.scoped))
})

describe("Forks over REST", () => {
  it.live("a retry continues after the last step, and repeated requests return the same retry", () =>
    Effect.gen(function*() {
      const { url, world } = yield* start
      const runId = yield* broken(url)
      world.broken = false
      const asked = yield* Effect.forEach(
        Array.from({ length: 10 }),
        () => post(`${url}/runs/${runId}/retry`),
        { concurrency: 10 }
      )
      const runs = yield* Effect.forEach(asked, as(Waiting))
      assert.deepStrictEqual(asked.map(({ status }) => status), Array.from({ length: 10 }, () => 202))
      const ids = new Set(runs.map((run) => run.runId))
      assert.strictEqual(ids.size, 1)
      const [retried = ""] = ids
      assert.strictEqual(asked[0]?.headers.get("location"), `/runs/${retried}`)
      assert.strictEqual(runs[0]?.forkedFrom?.runId, runId)
      assert.strictEqual((yield* until(url, retried, "completed")).output, "a 1")
      assert.strictEqual(world.steps, 1)
      yield* refused(yield* post(`${url}/runs/${retried}/retry`), 409, "RunFinished")
    }).pipe(Effect.scoped))

  it.live("a fork continues after the event that it names", () =>
    Effect.gen(function*() {
      const { url, world } = yield* start
      const runId = yield* broken(url)
      world.broken = false
      const { items } = yield* as(Checkpoints)(yield* get(`${url}/runs/${runId}/checkpoints`))
      assert.deepStrictEqual(items.map(({ name }) => name), ["count"])
      const outputs: Array<unknown> = []
      for (const after of [0, items[0]?.seq, undefined]) {
        const body = after === undefined ? {} : { after }
        const forked = yield* as(Waiting)(yield* post(`${url}/runs/${runId}/fork`, body))
        outputs.push((yield* until(url, forked.runId, "completed")).output)
      }
      assert.deepStrictEqual(outputs, ["a 2", "a 1", "a 1"])
      const key = { "idempotency-key": "k" }
      const [one, two] = yield* Effect.forEach(
        [1, 2],
        () => Effect.flatMap(post(`${url}/runs/${runId}/fork`, {}, key), as(Run)),
        { concurrency: 2 }
      )
      assert.strictEqual(one?.runId, two?.runId)
    }).pipe(Effect.scoped))

  it.live("a key is of one fork: with another event, of another run or for a start it is refused", () =>
    Effect.gen(function*() {
      const { url, world } = yield* start
      const [runId, other] = [yield* broken(url), yield* broken(url)]
      world.broken = false
      const key = { "idempotency-key": "k" }
      const fork = (origin: string, body: object) => post(`${url}/runs/${origin}/fork`, body, key)
      const [first, again] = [yield* fork(runId, { after: 0 }), yield* fork(runId, { after: 0 })]
      const { runId: forked } = yield* as(Run)(first)
      assert.strictEqual((yield* as(Run)(again)).runId, forked)
      yield* refused(yield* fork(runId, { after: 1 }), 409, "IdempotencyConflict")
      yield* refused(yield* fork(other, { after: 0 }), 409, "IdempotencyConflict")
      yield* refused(yield* post(`${url}/agents/flaky/runs`, { name: "a" }, key), 409, "IdempotencyConflict")
      // Without an event the fork is of the last one, whichever that was.
      assert.strictEqual((yield* as(Run)(yield* fork(runId, {}))).runId, forked)
    }).pipe(Effect.scoped))

  it.live("a run that cannot be forked is refused", () =>
    Effect.gen(function*() {
      const { url } = yield* start
      const runId = yield* broken(url)
      yield* refused(yield* post(`${url}/runs/${runId}/fork`, { after: 999 }), 400, "InvalidCursor")
      for (const body of [{ after: -1 }, { after: "x" }, { from: 1 }]) {
        yield* refused(yield* post(`${url}/runs/${runId}/fork`, body), 400, "BadBody")
      }
      for (const action of ["fork", "retry"]) {
        yield* refused(yield* post(`${url}/runs/none/${action}`), 404, "RunNotFound")
      }
      yield* refused(yield* get(`${url}/runs/none/checkpoints`), 404, "RunNotFound")
    }).pipe(Effect.scoped))
})

describe("Durable runs over WebSocket", () => {
  it.live("start later, sleep and resume on one stream", () =>
    Effect.gen(function*() {
      const { url } = yield* start
      const socket = yield* connect(url)
      const startAt = new Date(Date.now() + 1_000).toISOString()
      socket.send({ id: "a", op: "start", agent: "nap", payload: { millis: 100 }, startAt, priority: 3 })
      assert.deepInclude(Object((yield* socket.frame("result", "a"))["run"]), { state: "queued", priority: 3 })
      assert.strictEqual((yield* socket.frame("end", "a"))["state"], "completed")
      const types = socket.frames.flatMap(({ event }) => event === undefined ? [] : [Object(event).type])
      assert.deepStrictEqual(types, ["run_queued", "run_started", "run_suspended", "run_started", "done"])
      socket.send({ id: "b", op: "start", agent: "nap", payload: { millis: 1 }, startAt: "soon" })
      assert.strictEqual(Object((yield* socket.frame("error", "b"))["problem"]).title, "BadBody")
    }).pipe(Effect.scoped))

  it.live("lists checkpoints, forks and retries", () =>
    Effect.gen(function*() {
      const { url, world } = yield* start
      const runId = yield* broken(url)
      world.broken = false
      const socket = yield* connect(url)
      socket.send({ id: "list", op: "checkpoints", runId })
      const listed = yield* socket.frame("checkpoints", "list")
      assert.deepStrictEqual(Object(listed["items"]).map(({ name }: { name: string }) => name), ["count"])
      socket.send({ id: "fork", op: "fork", runId, after: 0 })
      yield* socket.frame("end", "fork")
      socket.send({ id: "retry", op: "retry", runId })
      yield* socket.frame("end", "retry")
      socket.send({ id: "again", op: "retry", runId, follow: false })
      const ids = ["retry", "again"].map((id) =>
        runIdIn(socket.frames.find((one) => one.type === "result" && one.id === id) ?? { type: "" })
      )
      const again = runIdIn(yield* socket.frame("result", "again"))
      assert.strictEqual(ids[0], again)
      assert.strictEqual(world.steps, 2)
      socket.send({ id: "not", op: "retry", runId: again })
      assert.strictEqual(Object((yield* socket.frame("error", "not"))["problem"]).title, "RunFinished")
    }).pipe(Effect.scoped))

  it.live("resumes a run; a sleeping run sleeps again until its time", () =>
    Effect.gen(function*() {
      const { url } = yield* start
      const { runId } = yield* as(Run)(yield* post(`${url}/agents/nap`, { millis: 3_600_000 }))
      const socket = yield* connect(url)
      socket.send({ id: "resume", op: "resume", runId })
      assert.deepInclude(Object((yield* socket.frame("result", "resume"))["run"]), { runId })
      yield* until(url, runId, "suspended")
      socket.send({ id: "none", op: "resume", runId: "none" })
      assert.strictEqual(Object((yield* socket.frame("error", "none"))["problem"]).title, "RunNotFound")
    }).pipe(Effect.scoped))
})

describe("The typed client", () => {
  it.live("starts later, forks and retries", () =>
    Effect.gen(function*() {
      const { client, url, world } = yield* startWithClient
      const at = Date.now() + 1_000
      const later = yield* client.agents.nap.start({ millis: 0 }, { startAt: new Date(at), priority: 2 })
      assert.deepStrictEqual([later.wakeAt, later.priority], [at, 2])
      yield* until(url, later.runId, "completed")
      const runId = yield* broken(url)
      world.broken = false
      assert.deepStrictEqual((yield* client.runs.checkpoints(runId)).map(({ name }) => name), ["count"])
      const retried = yield* client.runs.retry(runId)
      assert.strictEqual((yield* client.runs.retry(runId)).runId, retried.runId)
      const forked = yield* client.runs.fork(runId, { after: 0 })
      assert.deepStrictEqual(forked.forkedFrom, { runId, seq: 0 })
      const none = yield* Effect.flip(client.runs.fork(runId, { after: 999 }))
      assert.strictEqual(none.reason._tag, "InvalidCursor")
    }).pipe(Effect.scoped))

  it.live("a stream ends when its run sleeps, and a call fails with the reason", () =>
    Effect.gen(function*() {
      const { client } = yield* startWithClient
      const events = yield* Stream.runCollect(client.agents.nap.stream({ millis: 3_600_000 }))
      assert.deepStrictEqual(events.map(({ type }) => type), ["run_started", "run_suspended"])
      const paused = yield* Effect.flip(client.agents.nap({ millis: 3_600_000 }))
      assert.instanceOf(paused, Client.RunSuspended)
      assert.deepStrictEqual([paused.run.waitsFor, paused.interrupts], ["timer", []])
    }).pipe(Effect.scoped))

  it.live("a start on a busy thread fails with a typed reason", () =>
    Effect.gen(function*() {
      const { client } = yield* startWithClient
      yield* client.agents.single.start({}, { threadId: "t" })
      const busy = yield* Effect.flip(client.agents.single({}, { threadId: "t" }))
      assert.deepInclude(Object(busy), { _tag: "ClientError" })
      assert.strictEqual(Object(busy).reason._tag, "ThreadBusy")
    }).pipe(Effect.scoped))
})
