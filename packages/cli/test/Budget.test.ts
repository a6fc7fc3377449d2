import { assert, describe, it } from "@effect/vitest"
import { GenaiPrices } from "@fastagentic/adapters/prices"
import {
  Agent,
  App,
  Audit,
  Auth,
  Budget,
  BudgetStore,
  Event,
  Prices,
  Principal,
  RateLimit,
  Run,
  RunStore
} from "@fastagentic/core"
import { Effect, Layer, Redacted } from "effect"
import * as AiError from "effect/ai/AiError"
import * as Model from "effect/ai/Model"
import * as Toolkit from "effect/ai/Toolkit"
import * as HttpServer from "effect/http/HttpServer"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { ModelLoop } from "../src/effect-ai.ts"
import { Server } from "../src/index.ts"
import { ScriptedModel } from "../src/testing.ts"
import { command, fixture, temporaryFolder } from "./process.ts"

class Talker extends Agent.make("talker", { description: "Talks", payload: {} }) {}

class Boss extends Agent.make("boss", { description: "Lets others talk, twice", payload: {} }) {}

const BossLayer = Boss.toLayer(() => {
  const talk = Effect.orDie(Run.delegate(Talker, {}))
  return Effect.map(Effect.all([talk, talk]), (texts) => texts.map((text) => text.length).join(" "))
})

class Talk extends App.make("talk", { version: "1", agents: [Talker, Boss] }) {}

type Script = ReadonlyArray<ScriptedModel.Turn>

const scripted = (name: string, turns: Script) => Model.make("lab", name, ScriptedModel.layer(turns))

/** A dollar for a million tokens of input, ten for as many of output: an answer of 1,000 tokens is a cent. */
const table = { big: { input: 1, output: 10 }, small: { input: 0.1, output: 1 } }

const person = (id: string, tenant: string, scopes: ReadonlyArray<string> = []) => ({
  key: Redacted.make(`key-of-${id}`),
  principal: new Principal.Principal({ id, tenant, scopes, roles: [], claims: { key: `k-${id}` } })
})

const people = Auth.layerKeys([
  person("ann", "acme"),
  person("ben", "acme", ["usage:tenant"]),
  person("fin", "acme", ["budgets:raise"]),
  person("all", "acme", ["*"]),
  person("dan", "other", ["*"])
])

/** The app on a port, with a big model that follows a script and a small one to fall back to. */
const serve = Effect.fnUntraced(function*(options: {
  readonly limits: ReadonlyArray<Budget.Limit>
  readonly big?: Script
  readonly small?: Script
  readonly maxOutputTokens?: number
  readonly prices?: Layer.Layer<Prices.Prices, GenaiPrices.PriceFileInvalid>
}) {
  const models = { small: scripted("small", options.small ?? []) }
  const talker = Talker.toLayer(() =>
    ModelLoop.run({ prompt: "Talk.", toolkit: Toolkit.empty, models }).pipe(
      Effect.map(({ text }) => text),
      Effect.catchTag("AiError", Effect.die),
      Effect.orDie
    )
  ).pipe(Layer.provide(scripted("big", options.big ?? [])))
  const budget = Budget.layer.pipe(
    Layer.provideMerge(Layer.mergeAll(
      BudgetStore.BudgetStore.layerMemory,
      options.prices ?? Prices.layer(table),
      Budget.limits(options.limits, { maxOutputTokens: options.maxOutputTokens ?? 1_000 })
    ))
  )
  const context = yield* Layer.build(
    Server.layer(Talk, { port: 0, grace: "200 millis" }).pipe(
      Layer.provide([talker, BossLayer]),
      Layer.provideMerge(budget),
      Layer.provide(Layer.mergeAll(RunStore.RunStore.layerMemory, people, RateLimit.layerUnlimited, Audit.layerMemory))
    )
  )
  const { address } = yield* Effect.provideContext(HttpServer.HttpServer, context)
  const url = "port" in address ? `http://127.0.0.1:${address.port}` : ""
  const ask = (path: string, init: RequestInit = {}, by = "ann") =>
    Effect.promise(async () => {
      const headers = { "x-api-key": `key-of-${by}`, "content-type": "application/json", ...init.headers }
      const response = await fetch(`${url}${path}`, { ...init, headers })
      const text = await response.text()
      return {
        status: response.status,
        text,
        json: text.startsWith("{") ? JSON.parse(text) : undefined,
        headers: response.headers
      }
    })
  const post = (path: string, body: unknown = {}, by?: string) =>
    ask(path, { method: "POST", body: JSON.stringify(body) }, by)
  const journal = (runId: string) =>
    Effect.map(
      ask(`/runs/${runId}/events`, { headers: { accept: "application/json" } }),
      ({ json }): ReadonlyArray<Event.RunEvent> => json.items
    )
  const counters = Effect.provideContext(
    BudgetStore.BudgetStore.use((store) =>
      store.usage({ tenant: "acme", from: "2000-01-01", to: "2999-12-31", by: [] })
    ),
    context
  )
  return { ask, post, journal, counters }
})

type Served = Effect.Success<ReturnType<typeof serve>>

const talk = Effect.fnUntraced(function*({ journal, post }: Served, by?: string) {
  const answer = yield* post("/agents/talker", {}, by)
  const runId = answer.headers.get("x-run-id") ?? ""
  return { ...answer, runId, events: by === undefined ? yield* journal(runId) : [] }
})

const of = <T extends Event.Type>(events: ReadonlyArray<Event.RunEvent>, type: T) =>
  events.filter((event): event is Extract<Event.RunEvent, { readonly type: T }> => event.type === type)

const standing = ({ ask }: Served) =>
  Effect.map(ask("/usage"), ({ json }) => {
    const [{ reservedUsd, settledUsd }] = json.budgets
    return [settledUsd, reservedUsd]
  })

const says = (inputTokens: number, outputTokens: number) =>
  ScriptedModel.text(["word ".repeat(outputTokens)], { inputTokens, outputTokens })

const daily = (limit: Partial<Budget.Limit>): Budget.Limit => ({
  name: "daily",
  per: "user",
  period: "day",
  hard: 1,
  ...limit
})

describe("a budget", () => {
  it.live("a call's real cost is counted and journaled", () =>
    Effect.gen(function*() {
      const served = yield* serve({ limits: [daily({})], big: [says(1_000, 100)] })
      const { events, status } = yield* talk(served)
      assert.strictEqual(status, 200)
      assert.deepInclude(of(events, "usage")[0]?.data, { inputTokens: 1_000, outputTokens: 100, costUsd: 0.002 })
      assert.deepStrictEqual(of(events, "done")[0]?.data.usage, {
        inputTokens: 1_000,
        outputTokens: 100,
        costUsd: 0.002
      })
      assert.deepStrictEqual(yield* standing(served), [0.002, 0])
    }).pipe(Effect.scoped))

  it.live("an answer is clamped to the rest of the budget, and an exhausted budget answers 402", () =>
    Effect.gen(function*() {
      const served = yield* serve({ limits: [daily({ hard: 0.01 })], big: [says(1, 5_000), says(1, 1)] })
      const cut = yield* talk(served)
      assert.strictEqual(cut.status, 200)
      const [clamp] = of(cut.events, "budget")
      assert.deepInclude(clamp?.data, { budget: "daily", decision: "clamp", model: "big" })
      const paid = clamp?.data.maxOutputTokens ?? 0
      assert.isBelow(paid, 1_000)
      assert.deepInclude(of(cut.events, "llm_end")[0]?.data, { finishReason: "length" })
      assert.strictEqual(of(cut.events, "usage")[0]?.data.outputTokens, paid)
      const [settled, reserved] = yield* standing(served)
      assert.isAtMost(settled, 0.01)
      assert.strictEqual(reserved, 0)

      const refused = yield* talk(served)
      assert.strictEqual(refused.status, 402)
      assert.deepInclude(refused.json, {
        error: { _tag: "BudgetExceeded", rule: "budget: daily" },
        detail: "The budget \"daily\" is used up. Wait for its next period, or ask for a higher one."
      })
      assert.deepInclude(of(refused.events, "budget").at(-1)?.data, { decision: "refuse" })
      assert.deepStrictEqual(of(refused.events, "llm_start"), [])
      // Another user has a separate daily limit.
      assert.strictEqual((yield* talk(served, "ben")).status, 200)
    }).pipe(Effect.scoped))

  it.live("an exhausted budget is the same error over MCP and A2A", () =>
    Effect.gen(function*() {
      const served = yield* serve({ limits: [daily({ hard: 0.000_001 })], big: [] })
      const call = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "talker", arguments: {} } }
      const headers = {
        accept: "application/json, text/event-stream",
        "mcp-protocol-version": "2025-11-25"
      }
      const mcp = yield* served.ask("/mcp", { method: "POST", body: JSON.stringify(call), headers })
      assert.include(mcp.text, "BudgetExceeded")
      assert.include(mcp.text, "\"isError\":true")
      const message = { messageId: "m1", role: "ROLE_USER", parts: [{ data: {} }] }
      const send = { jsonrpc: "2.0", id: 1, method: "SendMessage", params: { message } }
      const a2a = yield* served.ask("/a2a", {
        method: "POST",
        body: JSON.stringify(send),
        headers: { "a2a-version": "1.0" }
      })
      assert.include(a2a.text, "The budget \\\"daily\\\" is used up.")
      assert.include(a2a.text, "TASK_STATE_FAILED")
    }).pipe(Effect.scoped))

  it.live("the cheaper model is used from the soft limit on", () =>
    Effect.gen(function*() {
      const limit = daily({ soft: 0.001, atSoft: { big: "small" } })
      const served = yield* serve({ limits: [limit], big: [says(1, 200)], small: [says(100, 10)] })
      assert.deepStrictEqual(of((yield* talk(served)).events, "budget"), [])
      const { events, status } = yield* talk(served)
      assert.strictEqual(status, 200)
      assert.deepInclude(of(events, "budget")[0]?.data, {
        budget: "daily",
        decision: "downgrade",
        model: "big",
        to: "small"
      })
      assert.deepInclude(of(events, "llm_start")[0]?.data, { model: "small" })
      assert.strictEqual(of(events, "usage")[0]?.data.costUsd, 0.000_02)
    }).pipe(Effect.scoped))

  it.live("the soft limit is journaled without a cheaper model, and the cheaper model is used when only it is affordable", () =>
    Effect.gen(function*() {
      const softOnly = yield* serve({ limits: [daily({ soft: 0 })], big: [says(1, 1)] })
      assert.deepInclude(of((yield* talk(softOnly)).events, "budget")[0]?.data, { decision: "soft", model: "big" })
      const poor = yield* serve({
        limits: [daily({ hard: 0.002, atSoft: { big: "small" } })],
        small: [says(1, 1)]
      })
      const { events, status } = yield* talk(poor)
      assert.strictEqual(status, 200)
      assert.deepInclude(of(events, "budget")[0]?.data, { decision: "downgrade", to: "small" })
    }).pipe(Effect.scoped))

  it.live("a suspended run continues after an approval, which covers this run once more", () =>
    Effect.gen(function*() {
      const limit = daily({ hard: 0.01, atHard: "suspend" })
      const served = yield* serve({ limits: [limit], big: [says(1, 1_000), says(1, 500)] })
      yield* talk(served)
      const paused = yield* talk(served)
      assert.strictEqual(paused.status, 202)
      const [interrupt] = paused.json.interrupts
      assert.deepInclude(interrupt, { kind: "approval", arguments: { budget: "daily", model: "big", hardUsd: 0.01 } })
      const path = `/runs/${paused.runId}/interrupts/${interrupt.id}`
      assert.strictEqual((yield* served.post(path, { decision: "approve" })).status, 403)
      assert.strictEqual((yield* served.post(path, { decision: "approve" }, "ben")).status, 404)
      yield* served.post(path, { decision: "approve" }, "fin")
      const events = yield* ended(served, paused.runId)
      assert.strictEqual(events.at(-1)?.type, "done")
      const [settled, reserved] = yield* standing(served)
      assert.isAbove(settled, 0.01)
      assert.isAtMost(settled, 0.02)
      assert.strictEqual(reserved, 0)
      // The approval was for that run alone.
      const next = yield* talk(served)
      assert.strictEqual(next.status, 202)
      yield* served.post(`/runs/${next.runId}/interrupts/${next.json.interrupts[0].id}`, { decision: "deny" }, "fin")
      const refused = yield* ended(served, next.runId)
      assert.deepInclude(of(refused, "error")[0]?.data, { tag: "BudgetExceeded", status: 402 })
    }).pipe(Effect.scoped))

  it.live("a limit is raised by nobody who caused the run, and by the requester where it says so", () =>
    Effect.gen(function*() {
      const limit = daily({ hard: 0.01, per: "tenant", atHard: "suspend" })
      const served = yield* serve({ limits: [limit], big: [says(1, 1_000), says(1, 500)] })
      yield* talk(served)
      const answer = yield* served.post("/agents/talker", {}, "all")
      const runId = answer.headers.get("x-run-id") ?? ""
      const path = `/runs/${runId}/interrupts/${answer.json.interrupts[0].id}`
      const own = yield* served.post(path, { decision: "approve" }, "all")
      assert.deepInclude(own.json.error, { _tag: "Forbidden", rule: "not the requester" })

      const mine = { ...limit, raise: { scopes: [], requester: true } }
      const lenient = yield* serve({ limits: [mine], big: [says(1, 1_000), says(1, 500)] })
      yield* talk(lenient)
      const paused = yield* talk(lenient)
      const interrupt = `/runs/${paused.runId}/interrupts/${paused.json.interrupts[0].id}`
      assert.strictEqual((yield* lenient.post(interrupt, { decision: "approve" })).status, 202)
      assert.strictEqual((yield* ended(lenient, paused.runId)).at(-1)?.type, "done")
    }).pipe(Effect.scoped))

  it.live("a tree limit covers a run and its delegated runs", () =>
    Effect.gen(function*() {
      const tree: Budget.Limit = { name: "tree", per: "tree", period: "total", hard: 0.01 }
      const served = yield* serve({ limits: [tree], big: [says(1, 600), says(1, 600), says(1, 600)] })
      const { status, text } = yield* served.post("/agents/boss")
      assert.strictEqual(status, 200)
      const [first = 0, second = 0] = text.replaceAll("\"", "").split(" ").map(Number)
      assert.strictEqual(first, 5 * 600)
      // The rest of a cent.
      assert.isBelow(second, 4 * 400)
      assert.isAbove(second, 4 * 256)
      const another = yield* talk(served)
      assert.isAbove(of(another.events, "budget")[0]?.data.maxOutputTokens ?? 1_000, 900)
    }).pipe(Effect.scoped))

  it.live("a call that fails before its answer costs nothing, and an interrupted one costs the received part", () =>
    Effect.gen(function*() {
      const reason = new AiError.UnknownError({ description: "no" })
      const served = yield* serve({
        limits: [daily({})],
        big: [ScriptedModel.fail(reason), ScriptedModel.hang({ after: "some words " }), ScriptedModel.hang()]
      })
      assert.strictEqual((yield* talk(served)).status, 502)
      assert.deepStrictEqual(yield* standing(served), [0, 0])
      for (const isHeard of [true, false]) {
        const [before = 0] = yield* standing(served)
        const { runId } = (yield* served.post("/agents/talker/runs")).json
        while ((yield* standing(served))[1] === 0) yield* Effect.sleep("10 millis")
        if (isHeard) {
          while (of(yield* served.journal(runId), "token").length < 2) yield* Effect.sleep("10 millis")
        }
        yield* served.post(`/runs/${runId}/cancel`)
        const [settled = 0, reserved] = yield* standing(served)
        assert.strictEqual(reserved, 0)
        assert.strictEqual(settled > before, isHeard)
      }
    }).pipe(Effect.scoped))

  it.live("is not credited by a provider that reports impossible numbers", () =>
    Effect.gen(function*() {
      const lie = (inputTokens: number, outputTokens: number) =>
        ScriptedModel.text(["word"], { inputTokens, outputTokens })
      const served = yield* serve({
        limits: [daily({ hard: 0.0215 })],
        big: [lie(10, -1_000_000), lie(1e12, 10), says(1, 10)]
      })
      assert.strictEqual((yield* talk(served)).status, 200)
      const once = yield* standing(served)
      assert.isAbove(once[0], 0.01)
      assert.strictEqual((yield* talk(served)).status, 200)
      const twice = yield* standing(served)
      assert.strictEqual(twice[0], 2 * once[0])
      assert.strictEqual((yield* talk(served)).status, 402)
      const { json } = yield* served.ask("/usage")
      assert.isTrue(json.items.every((row: { inputTokens: number; outputTokens: number }) =>
        row.outputTokens >= 0 && row.inputTokens < 1e6
      ))
    }).pipe(Effect.scoped))

  it.live("a model without a price is refused under a limit", () =>
    Effect.gen(function*() {
      const unknown = yield* serve({ limits: [daily({})], prices: GenaiPrices.layer(), big: [says(1, 1)] })
      const { json, status } = yield* talk(unknown)
      assert.strictEqual(status, 500)
      assert.deepInclude(json, { error: { _tag: "PriceUnknown" } })
      const free = yield* serve({ limits: [], prices: GenaiPrices.layer(), big: [says(1, 1)] })
      assert.strictEqual((yield* talk(free)).status, 200)
      assert.deepInclude((yield* free.ask("/usage")).json.items[0], { model: "big", calls: 1, unpriced: 1, costUsd: 0 })
    }).pipe(Effect.scoped))
})

const ended = Effect.fnUntraced(function*({ journal }: Served, runId: string) {
  let events = yield* journal(runId)
  while (!events.some(Event.isTerminal)) {
    yield* Effect.sleep("10 millis")
    events = yield* journal(runId)
  }
  return events
})

describe("GET /usage", () => {
  it.live("usage is the caller's own, and the tenant's with the scope", () =>
    Effect.gen(function*() {
      const served = yield* serve({ limits: [], big: [says(100, 10), says(100, 10), says(100, 10)] })
      yield* talk(served, "ann")
      yield* talk(served, "ben")
      yield* talk(served, "dan")
      const own = (yield* served.ask("/usage?by=agent,model")).json
      const one = { unpriced: 0, cacheReadTokens: 0, cacheWriteTokens: 0 }
      const counted = { calls: 1, inputTokens: 100, outputTokens: 10, costUsd: 0.0002 }
      assert.deepStrictEqual(own, {
        items: [{ agent: "talker", model: "big", ...one, ...counted }],
        totalUsd: 0.0002,
        budgets: []
      })
      const refused = yield* served.ask("/usage?of=tenant")
      assert.strictEqual(refused.status, 403)
      assert.deepInclude(refused.json.error, { _tag: "Forbidden", missing: ["usage:tenant"] })
      const tenant = (yield* served.ask("/usage?of=tenant&by=user", {}, "ben")).json
      assert.deepStrictEqual(tenant.items.map(({ user }: { user: string }) => user), ["ann", "ben"])
      assert.strictEqual(tenant.totalUsd, 0.0004)
      const none = (yield* served.ask("/usage?from=2020-01-01&to=2020-02-01")).json
      assert.deepStrictEqual(none, { items: [], totalUsd: 0, budgets: [] })
      assert.strictEqual((yield* served.ask("/usage?by=planet")).status, 400)
      assert.strictEqual((yield* served.ask("/usage?model=%00")).status, 400)
      assert.strictEqual((yield* served.ask("/usage", {}, "nobody")).status, 401)
      const document = (yield* served.ask("/openapi.json")).json
      assert.property(document.paths, "/usage")
    }).pipe(Effect.scoped))
})

describe("fastagentic run", () => {
  it("the server does not start with an unreadable price file", async () => {
    const cwd = temporaryFolder()
    writeFileSync(join(cwd, "prices.json"), "{")
    const args = ["run", fixture("budgeted.ts"), "--mode", "http", "--port", "0", "--store", "memory"]
    const { code, stderr } = await command(args, { cwd, env: { FASTAGENTIC_PRICES: "prices.json" } })
    assert.strictEqual(code, 2)
    assert.include(stderr, "the price file prices.json cannot be used")
  })
})
