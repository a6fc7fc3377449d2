import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Auth, Caller, Event, Principal, RateLimit, Run } from "@fastagentic/core"
import { AppTest, Client } from "@fastagentic/protocols/http"
import { Cause, Clock, Effect, Exit, Fiber, Layer, Random, Redacted, Schema, Stream } from "effect"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { TestClock } from "effect/testing"
import { Acme, Handlers, OrderNotFound } from "../fixture.ts"

const Slow = Agent.make("slow", { description: "Thinks for two hours", payload: {} })
const Talk = Agent.make("talk", { description: "Asks a model", payload: { text: Schema.String } })
const Night = App.make("night", { version: "1.0.0", agents: [Slow, Talk] })

const SlowLayer = Slow.toLayer(Effect.fn(function*() {
  yield* Run.emit(Event.token("Let me think. "))
  yield* Effect.sleep("2 hours")
  return "42"
}))

const TalkLayer = Talk.toLayer(({ text }) =>
  LanguageModel.generateText({ prompt: text }).pipe(Effect.map((answer) => answer.text), Effect.orDie)
)

/** A model with scripted answers. */
const scripted = (...lines: ReadonlyArray<string>) =>
  Layer.effect(
    LanguageModel.LanguageModel,
    Effect.suspend(() => {
      const left = [...lines]
      return LanguageModel.make({
        generateText: () => Effect.sync(() => [{ type: "text", text: left.shift() ?? "" }]),
        streamText: () => Stream.empty
      })
    })
  )

const night = Night.provide(Layer.merge(SlowLayer, TalkLayer).pipe(Layer.provide(scripted("Hello.", "Good night."))))

const capabilities = { "io.modelcontextprotocol/clientCapabilities": {} }

describe("AppTest", () => {
  it.effect("ends a run of two hours when the test clock is adjusted", () =>
    Effect.gen(function*() {
      const app = yield* AppTest.client(night)
      const answer = yield* Effect.forkChild(app.agents.slow())
      const events = yield* Effect.forkChild(Stream.runCollect(app.agents.slow.stream()))
      yield* TestClock.adjust("1 hour")
      assert.isUndefined(answer.pollUnsafe())
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* Fiber.join(answer), "42")
      const seen = yield* Fiber.join(events)
      assert.deepStrictEqual(seen.map(({ type }) => type), ["run_started", "token", "done"])
      assert.strictEqual((seen[2]?.ts ?? 0) - (seen[0]?.ts ?? 0), 2 * 3_600_000)
    }))

  it.effect("answers with a scripted model", () =>
    Effect.gen(function*() {
      const app = yield* AppTest.client(night)
      assert.strictEqual(yield* app.agents.talk({ text: "hi" }), "Hello.")
      assert.strictEqual(yield* app.agents.talk({ text: "bye" }), "Good night.")
    }))

  it.effect("has the routes, errors and documents of a real server", () =>
    Effect.gen(function*() {
      const app = yield* AppTest.client(Acme)
      const health = yield* app.http.get("/health")
      assert.deepStrictEqual(yield* health.json, { status: "ok" })
      const missing = yield* app.http.get("/nothing")
      assert.strictEqual(missing.status, 404)
      assert.strictEqual(missing.headers["content-type"], "application/problem+json")
      const error = yield* Effect.flip(app.agents.support({ question: "Where is order 999999?" }))
      assert.instanceOf(error, OrderNotFound)
      assert.strictEqual(yield* app.resources.handbook({ topic: "returns" }), "# Returns\n30 days.")
    }).pipe(Effect.provide(Handlers)))

  it.effect("gives the runtime and the audit log behind the routes", () =>
    Effect.gen(function*() {
      const app = yield* AppTest.client(Acme.provide(Handlers))
      const run = yield* app.agents.echo.start({ text: "a b" })
      const ended = yield* app.runtime.await(Caller.make("local"), run.runId)
      assert.strictEqual(ended.output, "a b ")
      const trail = yield* app.audit.page({ tenant: "local", after: 0, limit: 10 })
      assert.isTrue(trail.some(({ action, runId }) => action === "start" && runId === run.runId))
    }))

  it.effect("replaces each service", () =>
    Effect.gen(function*() {
      const principal = new Principal.Principal({ id: "ada", tenant: "acme", scopes: ["*"], roles: [], claims: {} })
      const options = {
        auth: Auth.layerKeys([{ key: Redacted.make("ada"), principal }]),
        rateLimit: RateLimit.layer([{ name: "each", by: ["user", "endpoint"], limit: 1, window: "1 minute" }])
      }
      const stranger = yield* AppTest.client(Acme.provide(Handlers), options)
      const refused = yield* Effect.flip(stranger.agents.echo.start({ text: "" }))
      assert.strictEqual(refused.reason._tag, "Unauthenticated")
      const ada = yield* AppTest.client(Acme.provide(Handlers), {
        ...options,
        credentials: { apiKey: Redacted.make("ada") }
      })
      yield* ada.agents.echo({ text: "one" })
      const limited = yield* Effect.flip(ada.agents.echo.start({ text: "two" }))
      assert.deepInclude(limited.reason, { _tag: "RateLimited", limit: 1 })
      yield* TestClock.adjust("1 minute")
      yield* ada.agents.echo({ text: "three" })
    }))

  it.effect("is available as a layer", () =>
    Effect.gen(function*() {
      const app = yield* Client.make(Acme, { url: AppTest.url })
      assert.deepStrictEqual(yield* app.prompts.triage({ severity: "high" }), [
        { role: "user", text: "Sort this complaint; treat it as high." }
      ])
    }).pipe(Effect.provide(AppTest.layer(Acme.provide(Handlers)))))

  it.effect("reaches MCP and A2A", () =>
    Effect.gen(function*() {
      const app = yield* AppTest.client(Acme.provide(Handlers))
      const send = (path: string, body: unknown, headers: Record<string, string> = {}) =>
        HttpClientRequest.post(path, { headers: { accept: "application/json, text/event-stream", ...headers } }).pipe(
          HttpClientRequest.bodyJsonUnsafe(body),
          app.http.execute,
          Effect.flatMap((answer) => answer.text)
        )
      const version = { "io.modelcontextprotocol/protocolVersion": "2026-07-28", ...capabilities }
      const params = { name: "echo", arguments: { text: "over MCP" }, _meta: version }
      const mcp = { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "echo" }
      assert.include(yield* send("/mcp", { jsonrpc: "2.0", id: 1, method: "tools/call", params }, mcp), "over MCP")
      const message = { messageId: "1", role: "ROLE_USER", parts: [{ data: { text: "over A2A" } }] }
      const rpc = { jsonrpc: "2.0", id: 1, method: "SendMessage", params: { message } }
      assert.include(yield* send("/a2a/echo", rpc, { "a2a-version": "1.0" }), "over A2A")
    }))

  it.effect("restarts the app as a deploy does: runs that wait or sleep continue", () =>
    Effect.gen(function*() {
      const starts: Array<string> = []
      const handler = Effect.gen(function*() {
        starts.push("start")
        const step = yield* Run.step("think", Effect.sync(() => `thought ${starts.length}`))
        const answer = yield* Effect.orDie(Run.interrupt("go on", { schema: Schema.String }))
        yield* Run.sleep("2 hours")
        return `${step} ${answer}`
      })
      const before = yield* AppTest.client(
        Night.provide(Layer.merge(Slow.toLayer(() => handler), TalkLayer).pipe(Layer.provide(scripted())))
      )
      const run = yield* before.agents.slow.start()
      yield* Effect.repeat(before.runs.get(run.runId), { until: ({ state }) => state === "suspended" })
      const after = yield* before.restart
      const [question] = yield* after.runs.interrupts(run.runId)
      yield* after.runs.answer(run.runId, question?.id ?? "", { decision: "approve", value: "yes" })
      yield* Effect.repeat(after.runs.get(run.runId), { until: ({ waitsFor }) => waitsFor === "timer" })
      const last = yield* after.restart
      yield* TestClock.adjust("2 hours")
      const ended = yield* Effect.repeat(last.runs.get(run.runId), { until: ({ state }) => state === "completed" })
      assert.strictEqual(ended.output, "thought 1 yes")
      assert.isAbove(starts.length, 1)
    }))

  it("is there for tests with promises", async () => {
    await using app = await AppTest.start(Acme.provide(Handlers))
    assert.strictEqual(await app.run(({ agents }) => agents.echo({ text: "typed" })), "typed ")
    const failed = await app.run(({ agents }) => agents.support({ question: "Where is order 999999?" }))
      .catch((error: unknown) => error)
    assert.instanceOf(failed, OrderNotFound)
    const headers = { "content-type": "application/json" }
    const body = JSON.stringify({ text: "by fetch" })
    const answer = await app.fetch("/agents/echo", { method: "POST", headers, body })
    assert.deepStrictEqual([answer.status, await answer.json()], [200, "by fetch "])
    const stream = await app.fetch("/agents/echo/stream", { method: "POST", headers, body })
    assert.include(await stream.text(), "event: done")
    assert.strictEqual((await app.fetch("/runs?limit=1")).status, 200)
    await app.restart()
    const { items } = await (await app.fetch("/runs?agent=support&limit=5")).json()
    assert.deepStrictEqual(items.map(({ state }: { readonly state: string }) => state), ["failed"])
  })

  const strictly = (handler: Effect.Effect<string, never, Run.CurrentRun>) =>
    Effect.gen(function*() {
      const app = yield* AppTest.client(
        Night.provide(
          Layer.merge(Slow.toLayer(() => handler), TalkLayer).pipe(
            Layer.provide(scripted())
          )
        ),
        { strict: true }
      )
      const run = yield* Effect.forkChild(Effect.exit(app.agents.slow()))
      yield* TestClock.adjust("3 hours")
      yield* Fiber.join(run)
    }).pipe(
      Effect.scoped,
      Effect.exit,
      Effect.map((exit) => Exit.isSuccess(exit) ? "the same" : String(Cause.squash(exit.cause)))
    )

  it.effect("runs handlers twice in strict mode, and passes what does the same", () =>
    Effect.gen(function*() {
      const same = strictly(Effect.gen(function*() {
        yield* Run.emit(Event.token(`It is ${yield* Clock.currentTimeMillis}. `))
        yield* Effect.sleep("2 hours")
        const thought = yield* Run.step("think", Effect.sync(() => String(Math.random())))
        const both = yield* Run.all({ a: Effect.succeed("a"), b: Effect.succeed("b") })
        return `${thought} ${both.a} ${yield* Random.nextInt}`
      }))
      assert.strictEqual(yield* same, "the same")
      const waits = Effect.andThen(
        Run.step("plan", Effect.succeed(1)),
        Run.interrupt("sure", { schema: Schema.String })
      )
      assert.strictEqual(yield* strictly(Effect.orDie(waits)), "the same")
    }))

  it.effect("fails a test in strict mode whose handler says, asks for or answers something else", () =>
    Effect.gen(function*() {
      const fresh = Effect.sync(() => String(Math.random()))
      const says = strictly(Effect.as(Effect.flatMap(fresh, (text) => Run.emit(Event.token(text))), "said"))
      assert.match(yield* says, /slow \S+ diverges: emits token with other data than the journal has there/u)
      const asks = strictly(Effect.flatMap(fresh, (name) => Run.step(name, Effect.succeed("done"))))
      assert.match(yield* asks, /diverges: wants step "0\.\d+" where step "0\.\d+" is recorded/u)
      assert.match(yield* strictly(fresh), /diverges: answers something else after its start than is recorded/u)
    }))
})
