import { assert, describe, it } from "@effect/vitest"
import { Auth, Principal } from "@fastagentic/core"
import { Client } from "@fastagentic/protocols/http"
import { Effect, Layer, Redacted, Stream } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { inspect } from "node:util"
import { Acme, layerRuntime, mounted, OrderNotFound, PageNotFound, serve } from "../fixture.ts"

const connect = (auth?: Layer.Layer<Auth.Auth>, options: Partial<Client.Options> = {}) =>
  Effect.flatMap(
    serve(mounted("rest").pipe(Layer.provide(layerRuntime(auth)))),
    (url) => Client.make(Acme, { url, ...options })
  ).pipe(Effect.provide(FetchHttpClient.layer))

describe("Client", () => {
  it.live("answers with decoded values", () =>
    Effect.gen(function*() {
      const acme = yield* connect()
      assert.strictEqual(yield* acme.agents.echo({ text: "one two" }), "one two ")
      assert.deepStrictEqual(yield* acme.agents.support({ question: "Where is order 1042?" }), {
        answer: "Order 1042 is shipped.",
        orders: [{ id: 1042, state: "shipped", amount: 42.5 }]
      })
      assert.deepStrictEqual(yield* acme.tools.find_order({ orderId: 1042 }), {
        id: 1042,
        state: "shipped",
        amount: 42.5
      })
      assert.strictEqual(yield* acme.resources.handbook({ topic: "returns" }), "# Returns\n30 days.")
      const messages = yield* acme.prompts.triage({ severity: "low" })
      assert.deepStrictEqual(messages, [{ role: "user", text: "Sort this complaint; treat it as low." }])
    }).pipe(Effect.scoped))

  it.live("fails with the declared errors themselves", () =>
    Effect.gen(function*() {
      const acme = yield* connect()
      const calls = [
        Effect.asVoid(acme.agents.support({ question: "Where is order 2000?" })),
        Effect.asVoid(acme.tools.find_order({ orderId: 2000 })),
        Stream.runDrain(acme.agents.support.stream({ question: "Where is order 2000?" }))
      ]
      for (const call of calls) {
        const error = yield* Effect.flip(call)
        assert.instanceOf(error, OrderNotFound)
        assert.strictEqual(error.orderId, 2000)
      }
      const handled = yield* acme.agents.support({ question: "Where is order 2000?" }).pipe(
        Effect.catchTag("OrderNotFound", ({ orderId }) => Effect.succeed(orderId))
      )
      assert.strictEqual(handled, 2000)
      const page = yield* Effect.flip(acme.resources.handbook({ topic: "nothing" }))
      assert.instanceOf(page, PageNotFound)
    }).pipe(Effect.scoped))

  it.live("fails with the runtime's reasons", () =>
    Effect.gen(function*() {
      const acme = yield* connect()
      const none = yield* Effect.flip(acme.runs.get("none"))
      assert.deepInclude(none.reason, { _tag: "RunNotFound", runId: "none" })
      assert.match(none.traceId ?? "", /^[0-9a-f]{32}$/u)
      const empty = yield* Effect.flip(acme.agents.support.start({ question: "" }))
      assert.deepInclude(empty.reason, { _tag: "InvalidPayload", target: "support" })
      yield* acme.agents.echo({ text: "a" }, { idempotencyKey: "k" })
      const conflict = yield* Effect.flip(acme.agents.echo.start({ text: "b" }, { idempotencyKey: "k" }))
      assert.deepInclude(conflict.reason, { _tag: "IdempotencyConflict", key: "k" })
      const crash = yield* Effect.flip(acme.agents.support({ question: "crash" }))
      assert.deepInclude(crash, { _tag: "ClientError" })
      assert.notInclude(inspect(crash, { depth: 9 }), "postgres://")
      const tag = yield* acme.agents.support({ question: "crash" }).pipe(
        Effect.as("no crash"),
        Effect.catchReason("ClientError", "RunFailed", (reason) => Effect.succeed(`${reason.tag} ${reason.status}`))
      )
      assert.strictEqual(tag, "InternalError 500")
    }).pipe(Effect.scoped))

  it.live("fails with the open interrupts of a suspended run, which resumes when they are decided", () =>
    Effect.gen(function*() {
      const acme = yield* connect()
      const paused = yield* Effect.flip(acme.agents.support({ question: "refund order 1042" }))
      assert.instanceOf(paused, Client.RunSuspended)
      const { interrupts, run } = paused
      assert.deepInclude(interrupts[0], { name: "refund", message: "Pay it back?", arguments: { orderId: 1042 } })
      assert.deepStrictEqual(yield* acme.runs.interrupts(run.runId), interrupts)
      const waiting = yield* Effect.flip(acme.runs.resume(run.runId))
      assert.strictEqual(waiting.reason._tag, "DecisionPending")
      yield* acme.runs.answer(run.runId, interrupts[0]?.id ?? "", { decision: "approve", value: true })
      const events = yield* Stream.runCollect(acme.runs.events(run.runId))
      assert.deepStrictEqual(events.map(({ seq }) => seq), events.map((_, index) => index + 1))
      assert.strictEqual(events.at(-1)?.type, "done")
      assert.deepInclude(yield* acme.runs.get(run.runId), { state: "completed" })

      const tool = yield* Effect.flip(acme.tools.refund_order({ orderId: 1042, amount: 5 }))
      assert.instanceOf(tool, Client.RunSuspended)
      assert.deepInclude(tool.interrupts[0], { kind: "approval", tool: "refund_order" })
    }).pipe(Effect.scoped))

  it.live("streams events until the run ends or is suspended", () =>
    Effect.gen(function*() {
      const acme = yield* connect()
      const events = yield* Stream.runCollect(acme.agents.echo.stream({ text: "one two" }))
      assert.deepStrictEqual(events.map(({ seq, type }) => `${seq} ${type}`), [
        "1 run_started",
        "2 token",
        "3 token",
        "4 done"
      ])
      const paused = yield* Stream.runCollect(acme.agents.support.stream({ question: "refund order 1042" }))
      assert.strictEqual(paused.at(-1)?.type, "run_suspended")
      const runId = paused[0]?.runId ?? ""
      yield* acme.runs.cancel(runId, "never mind")
      const rest = yield* Stream.runCollect(acme.runs.events(runId, { after: paused.length }))
      assert.deepStrictEqual(rest.map(({ data, type }) => ({ data, type })), [
        { type: "run_cancelled", data: { reason: "never mind" } }
      ])
      assert.deepStrictEqual(yield* Stream.runCollect(acme.runs.events(runId, { after: paused.length + 1 })), [])
    }).pipe(Effect.scoped))

  it.live("lists runs page by page", () =>
    Effect.gen(function*() {
      const acme = yield* connect()
      const started: Array<string> = []
      for (const text of ["a", "b", "c"]) {
        started.unshift((yield* acme.agents.echo.start({ text }, { threadId: "t" })).runId)
      }
      yield* acme.agents.echo({ text: "another thread" })
      const first = yield* acme.runs.list({ threadId: "t", limit: 2 })
      const second = yield* acme.runs.list({ threadId: "t", limit: 2, after: first.next ?? "" })
      assert.deepStrictEqual([...first.items, ...second.items].map(({ runId }) => runId), started)
      assert.isNull(second.next)
    }).pipe(Effect.scoped))

  it.live("sends credentials to its server and to no other", () =>
    Effect.gen(function*() {
      const auth = Auth.layerKeys([{
        key: Redacted.make("key-of-ada"),
        principal: new Principal.Principal({ id: "ada", tenant: "acme", scopes: ["*"], roles: [], claims: {} })
      }])
      for (const credentials of [{ bearer: Redacted.make("key-of-ada") }, { apiKey: Redacted.make("key-of-ada") }]) {
        const ada = yield* connect(auth, { credentials })
        assert.strictEqual(yield* ada.agents.echo({ text: "hi" }), "hi ")
      }
      const secrets = ["key-of-eve", "key-of\neve"]
      for (const secret of secrets) {
        const eve = yield* connect(auth, { credentials: { bearer: Redacted.make(secret) }, retries: 0 })
        const error = yield* Effect.flip(eve.agents.echo({ text: "hi" }))
        const shown = inspect(error, { depth: 9, showHidden: true }) + JSON.stringify(error) + String(error)
        assert.notInclude(shown, "key-of")
        assert.match(shown, /Unauthenticated|Disconnected/u)
      }
    }).pipe(Effect.scoped))
})
