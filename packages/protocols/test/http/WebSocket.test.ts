import { assert, describe, it } from "@effect/vitest"
import { Auth, Principal, Runtime } from "@fastagentic/core"
import { Effect, Exit, Layer, Redacted, Scope } from "effect"
import { layerRuntime, mounted, serve } from "../fixture.ts"
import { connect, type Frame, runIdIn } from "./socket.ts"

const start = serve(mounted("rest").pipe(Layer.provide(layerRuntime())))

const problemIn = (frame: Frame) => Object(frame["problem"])

describe("WebSocket", () => {
  it.live("runs ten agents at once on one connection", () =>
    Effect.gen(function*() {
      const socket = yield* connect(yield* start)
      const ids = Array.from({ length: 10 }, (_, index) => `run-${index}`)
      for (const id of ids) socket.send({ id, op: "start", agent: "echo", payload: { text: `one two ${id}` } })
      for (const id of ids) assert.strictEqual((yield* socket.frame("end", id))["state"], "completed")
      for (const id of ids) {
        assert.deepStrictEqual(socket.seqs(id), [1, 2, 3, 4, 5])
        const done = socket.frames.findLast((frame) => frame.type === "event" && frame.id === id)
        assert.deepInclude(Object(done?.["event"]), { type: "done", data: { output: `one two ${id} ` } })
      }
      assert.strictEqual(
        new Set(ids.map((id) => runIdIn(socket.frames.find((one) => one.id === id) ?? { type: "" }))).size,
        10
      )
    }).pipe(Effect.scoped))

  it.live("calls tools, and starts without following", () =>
    Effect.gen(function*() {
      const socket = yield* connect(yield* start)
      socket.send({ id: "tool", op: "start", tool: "find_order", payload: { orderId: 1042 } })
      socket.send({ id: "quiet", op: "start", agent: "echo", payload: { text: "hush" }, follow: false })
      assert.strictEqual((yield* socket.frame("end", "tool"))["state"], "completed")
      const runId = runIdIn(yield* socket.frame("result", "quiet"))
      assert.deepStrictEqual(socket.seqs("quiet"), [])
      socket.send({ id: "later", op: "follow", runId, after: 2 })
      yield* socket.frame("end", "later")
      assert.deepStrictEqual(socket.seqs("later"), [3])
    }).pipe(Effect.scoped))

  it.live("answers an interrupt and continues to follow", () =>
    Effect.gen(function*() {
      const socket = yield* connect(yield* start)
      socket.send({ id: "a", op: "start", agent: "support", payload: { question: "refund order 1042" } })
      const asked = yield* socket.until(({ frames }) =>
        frames.map((frame) => Object(frame["event"])).find((event) => event.type === "interrupt")
      )
      const { runId } = asked
      socket.send({ id: "b", op: "answer", runId, interruptId: "another", decision: "approve", value: true })
      assert.strictEqual(problemIn(yield* socket.frame("error", "b")).title, "InterruptNotFound")
      socket.send({ id: "c", op: "answer", runId, interruptId: asked.data.id, decision: "approve", value: true })
      yield* socket.frame("result", "c")
      assert.strictEqual((yield* socket.frame("end", "a"))["state"], "completed")
      const seqs = socket.seqs("a")
      assert.deepStrictEqual(seqs, seqs.map((_, index) => index + 1))
    }).pipe(Effect.scoped))

  it.live("cancels a run, and handles other frames meanwhile", () =>
    Effect.gen(function*() {
      const socket = yield* connect(yield* start)
      socket.send({ id: "a", op: "start", agent: "support", payload: { question: "wait" } })
      const runId = runIdIn(yield* socket.frame("result", "a"))
      socket.send({ id: "b", op: "cancel", runId, reason: "enough" })
      socket.send({ id: "c", op: "ping" })
      yield* socket.frame("pong", "c")
      assert.deepInclude(Object((yield* socket.frame("result", "b"))["run"]), { runId, state: "cancelled" })
      assert.strictEqual((yield* socket.frame("end", "a"))["state"], "cancelled")
    }).pipe(Effect.scoped))

  it.live("stops following on unfollow", () =>
    Effect.gen(function*() {
      const socket = yield* connect(yield* start)
      socket.send({ id: "a", op: "start", agent: "support", payload: { question: "wait" } })
      const runId = runIdIn(yield* socket.frame("result", "a"))
      socket.send({ id: "b", op: "unfollow", runId })
      yield* socket.frame("result", "b")
      socket.send({ id: "c", op: "cancel", runId })
      yield* socket.frame("result", "c")
      socket.send({ id: "d", op: "ping" })
      yield* socket.frame("pong", "d")
      assert.isFalse(socket.frames.some((frame) => frame.id === "a" && frame.type === "end"))
    }).pipe(Effect.scoped))

  it.live("a disconnected client ends no run", () =>
    Effect.gen(function*() {
      const url = yield* start
      const runId = yield* Effect.scoped(Effect.gen(function*() {
        const socket = yield* connect(url)
        socket.send({ id: "a", op: "start", agent: "support", payload: { question: "wait" } })
        return runIdIn(yield* socket.frame("result", "a"))
      }))
      yield* Effect.sleep("100 millis")
      const socket = yield* connect(url)
      socket.send({ id: "b", op: "follow", runId })
      assert.deepInclude(Object((yield* socket.frame("result", "b"))["run"]), { state: "running" })
    }).pipe(Effect.scoped))

  it.live("answers an invalid frame with an error and stays open", () =>
    Effect.gen(function*() {
      const socket = yield* connect(yield* start)
      socket.ws.send("{")
      assert.deepInclude(problemIn(yield* socket.frame("error")), { title: "BadBody", status: 400 })
      socket.ws.send(JSON.stringify({ id: "odd", op: "dance" }))
      const odd = problemIn(yield* socket.frame("error", "odd"))
      assert.strictEqual(odd.title, "BadBody")
      assert.match(String(Object(odd.error).detail), /^.+$/u)
      socket.ws.send(Buffer.from("{}"))
      socket.ws.send(
        JSON.stringify({ id: "big", op: "start", agent: "echo", payload: { text: "x".repeat(1_048_576) } })
      )
      yield* socket.until(({ frames }) => frames.find((frame) => problemIn(frame).title === "BodyTooLarge"))
      socket.send({ id: "gone", op: "follow", runId: "none" })
      assert.deepInclude(problemIn(yield* socket.frame("error", "gone")), {
        title: "RunNotFound",
        status: 404,
        runId: "none"
      })
      socket.send({ id: "who", op: "start", agent: "nobody", payload: {} })
      assert.strictEqual(problemIn(yield* socket.frame("error", "who")).title, "NotDeclared")
      socket.send({ id: "bad", op: "start", agent: "echo", payload: { text: 1 } })
      const bad = problemIn(yield* socket.frame("error", "bad"))
      assert.deepStrictEqual(bad.error.issues.map((issue: { path: unknown }) => issue.path), [["text"]])
      socket.send({ id: "ok", op: "start", agent: "echo", payload: { text: "fine" } })
      yield* socket.frame("end", "ok")
      assert.strictEqual(socket.frames.filter((frame) => frame.type === "error").length, 7)
    }).pipe(Effect.scoped))

  it.live("refuses to follow a 65th run", () =>
    Effect.gen(function*() {
      const socket = yield* connect(yield* start)
      for (let index = 0; index <= 64; index++) {
        socket.send({ id: String(index), op: "start", agent: "support", payload: { question: "wait" } })
      }
      assert.deepInclude(problemIn(yield* socket.frame("error", "64")), { title: "TooManyRuns", status: 429 })
      assert.strictEqual(socket.frames.filter((frame) => frame.type === "result").length, 64)
      socket.send({ id: "off", op: "unfollow", runId: runIdIn(yield* socket.frame("result", "0")) })
      socket.send({ id: "on", op: "start", agent: "echo", payload: { text: "room" } })
      yield* socket.frame("end", "on")
    }).pipe(Effect.scoped))

  it.live("a repeated key attaches to the same run", () =>
    Effect.gen(function*() {
      const socket = yield* connect(yield* start)
      const frame = { op: "start", agent: "echo", payload: { text: "once" }, idempotencyKey: "k" } as const
      socket.send({ ...frame, id: "a" })
      yield* socket.frame("end", "a")
      socket.send({ ...frame, id: "b" })
      yield* socket.frame("end", "b")
      assert.strictEqual(runIdIn(yield* socket.frame("result", "b")), runIdIn(yield* socket.frame("result", "a")))
      assert.deepStrictEqual(socket.seqs("b"), socket.seqs("a"))
    }).pipe(Effect.scoped))

  it.live("refuses unknown callers and other sites before the upgrade", () =>
    Effect.gen(function*() {
      const open = yield* start
      const evil = yield* Effect.flip(connect(open, { origin: "https://evil.example" }))
      assert.strictEqual(evil.status, 403)
      assert.strictEqual((yield* Effect.flip(connect(open, { origin: "null" }))).status, 403)
      assert.strictEqual((yield* Effect.flip(connect(open, { origin: "http://localhost:5173" }))).status, 403)
      yield* connect(open, { origin: open })
      const plain = yield* Effect.promise(() => fetch(`${open}/ws`))
      assert.strictEqual(plain.status, 426)
      assert.match(plain.headers.get("x-trace-id") ?? "", /^[0-9a-f]{32}$/u)

      const auth = Auth.layerKeys([{
        key: Redacted.make("key-of-ada"),
        principal: new Principal.Principal({ id: "ada", tenant: "acme", scopes: ["*"], roles: [], claims: {} })
      }])
      const url = yield* serve(mounted("rest").pipe(Layer.provide(layerRuntime(auth))))
      assert.strictEqual((yield* Effect.flip(connect(url))).status, 401)
      assert.strictEqual((yield* Effect.flip(connect(url, { "x-api-key": "guess" }))).status, 401)
      const ada = yield* connect(url, { authorization: "Bearer key-of-ada" })
      ada.send({ id: "a", op: "start", agent: "echo", payload: { text: "hello" } })
      yield* ada.frame("end", "a")
    }).pipe(Effect.scoped))

  it.live("announces a shutdown, to followers at once and to others within a second", () =>
    Effect.gen(function*() {
      const context = yield* Layer.build(layerRuntime())
      const runtime = yield* Effect.provideContext(Runtime.Runtime, context)
      const url = yield* serve(mounted("rest").pipe(Layer.provide(Layer.succeedContext(context))))
      const [following, idle] = [yield* connect(url), yield* connect(url)]
      following.send({ id: "a", op: "start", agent: "support", payload: { question: "wait" } })
      yield* following.frame("result", "a")
      yield* runtime.drain
      for (const socket of [following, idle]) {
        assert.strictEqual((yield* socket.closing).code, 1001)
        assert.deepStrictEqual(socket.frames.at(-1), { type: "closing", retryMillis: 1000 })
      }
    }).pipe(Effect.scoped))

  it.live("announces a shutdown when the scope closes without a drain", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const socket = yield* connect(yield* Scope.provide(start, scope))
      socket.send({ id: "a", op: "ping" })
      yield* socket.frame("pong", "a")
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* socket.closing).code, 1001)
      assert.deepStrictEqual(socket.frames.at(-1), { type: "closing", retryMillis: 1000 })
    }).pipe(Effect.scoped))
})
