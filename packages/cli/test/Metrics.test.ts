import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Schedule } from "effect"
import * as Model from "effect/ai/Model"
import * as Toolkit from "effect/ai/Toolkit"
import * as HttpServer from "effect/http/HttpServer"
import { Agent, App, Audit, Auth, Budget, BudgetStore, Prices, RateLimit, Run, Server, Sqlite } from "fastagentic"
import { ModelLoop, ScriptedModel } from "fastagentic/effect-ai"
import { join } from "node:path"
import { temporaryFolder } from "./process.ts"

class Asker extends Agent.make("asker", { description: "Asks a model", payload: {} }) {}

class Slow extends Agent.make("slow", { description: "Takes its time", payload: {}, concurrency: { total: 1 } }) {}

class Desk extends App.make("measured", { version: "1", agents: [Asker, Slow] }) {}

const DeskLayer = Layer.merge(
  Asker.toLayer(() =>
    ModelLoop.run({ prompt: "?", toolkit: Toolkit.empty }).pipe(Effect.map(({ text }) => text), Effect.orDie)
  ).pipe(
    Layer.provide(Model.make(
      "lab",
      "big-1",
      ScriptedModel.layer([ScriptedModel.text("yes", { inputTokens: 20, outputTokens: 3 })])
    ))
  ),
  Slow.toLayer(() => Effect.andThen(Run.step("once", Effect.succeed(1)), Effect.never))
)

const rules = [{ name: "asks", by: ["endpoint"], endpoints: ["agent/asker"], limit: 1, window: "1 day" }] as const

const limits = Budget.layer.pipe(
  Layer.provide(Layer.mergeAll(
    Prices.layer({ "big-1": { input: 1_000_000, output: 2_000_000 } }),
    Budget.limits([{ name: "daily", per: "user", period: "day", hard: 1_000 }]),
    BudgetStore.BudgetStore.layerMemory
  ))
)

const start = Effect.map(
  Layer.build(
    Server.layer(Desk, { port: 0, grace: "200 millis" }).pipe(
      Layer.provide([
        DeskLayer,
        Auth.layerNone,
        Sqlite.layer({ filename: join(temporaryFolder(), "desk.db") }),
        Audit.layerMemory,
        limits,
        RateLimit.layer([...rules])
      ])
    )
  ),
  (context) => {
    const { address } = Context.get(context, HttpServer.HttpServer)
    return `http://127.0.0.1:${"port" in address ? address.port : 0}`
  }
)

const post = (url: string) =>
  Effect.promise(async () => {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}"
    })
    return { status: response.status, body: await response.json() }
  })

describe("GET /metrics", () => {
  it.live("runs, tokens, cost, refusals, queues, streams and commits are counted", () =>
    Effect.gen(function*() {
      const url = yield* start
      assert.strictEqual((yield* post(`${url}/agents/asker`)).status, 200)
      assert.strictEqual((yield* post(`${url}/agents/asker`)).status, 429)
      assert.strictEqual((yield* post(`${url}/agents/nobody`)).status, 404)
      const runs = yield* Effect.all(Array.from({ length: 3 }, () => post(`${url}/agents/slow/runs`)))
      const leave = new AbortController()
      const stream = yield* Effect.promise(() =>
        fetch(`${url}/runs/${runs[0]?.body.runId}/events`, {
          headers: { accept: "text/event-stream" },
          signal: leave.signal
        })
      )
      assert.strictEqual(stream.status, 200)
      const said = Effect.promise(() => fetch(`${url}/metrics`).then((response) => response.text()))
      const line = (text: string, name: string, ...labels: ReadonlyArray<string>) =>
        text.split("\n").find((one) =>
          one.startsWith(`${name}{`) && labels.every((label) => one.includes(label)) && one.includes("app=\"measured\"")
        )?.split(" ").at(-1)
      const becomes = (value: string, name: string, ...labels: ReadonlyArray<string>) =>
        said.pipe(
          Effect.flatMap((text) =>
            line(text, name, ...labels) === value ? Effect.succeed(text) : Effect.fail("not yet")
          ),
          Effect.retry(Schedule.spaced("100 millis")),
          Effect.timeout("20 seconds")
        )
      const text = yield* becomes("2", "fastagentic_runs_waiting", "durable=\"true\"")
      const agent = "agent=\"asker\""
      assert.strictEqual(line(text, "fastagentic_runs_started_total", agent), "1")
      assert.strictEqual(line(text, "fastagentic_runs_finished_total", agent, "state=\"completed\""), "1")
      assert.strictEqual(line(text, "fastagentic_run_duration_seconds_count", agent), "1")
      assert.strictEqual(line(text, "fastagentic_runs_active"), "1")
      assert.strictEqual(line(text, "fastagentic_tokens_total", agent, "type=\"input\"", "model=\"scripted\""), "20")
      assert.strictEqual(line(text, "fastagentic_tokens_total", agent, "type=\"output\""), "3")
      assert.strictEqual(line(text, "fastagentic_cost_usd_total", agent), "26")
      const refused = "fastagentic_calls_refused_total"
      assert.strictEqual(line(text, refused, "protocol=\"rest\"", "reason=\"RateLimited\"", "rule=\"asks\""), "1")
      assert.strictEqual(line(text, "fastagentic_streams_open", "protocol=\"rest\""), "1")
      assert.isAbove(Number(line(text, "fastagentic_store_commit_duration_seconds_count")), 0)
      assert.isAbove(Number(line(text, "fastagentic_store_commit_writes_sum")), 0)
      leave.abort()
      yield* becomes("0", "fastagentic_streams_open", "protocol=\"rest\"")
    }), 60_000)
})
