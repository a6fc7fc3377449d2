import { assert, describe, it } from "@effect/vitest"
import { Python } from "@fastagentic/adapters/python"
import { Effect, Schema } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { suite } from "../../src/adapter-contract.ts"
import { temporaryFolder } from "../process.ts"
import { pythonWith } from "./environments.ts"
import { describeWith } from "./interpreters.ts"
import { Journal, serve } from "./pythonServing.ts"
import { performing } from "./sharedProcesses.ts"

describeWith("LangGraph for Python", pythonWith("langgraph"), (interpreter) => {
  suite("LangGraph for Python", {
    capabilities: Python.graph,
    denial: "run",
    edits: false,
    perform: performing(interpreter, "graph_play.py:graph")
  })

  suite("LangChain for Python", {
    capabilities: Python.graph,
    edits: true,
    perform: performing(interpreter, "graph_play.py:agent")
  })

  describe("a graph of LangGraph for Python", () => {
    const file = "graphs.py"

    it.live(
      "has nodes side by side, also without async, whose models are asked in places of their own",
      () =>
        Effect.gen(function*() {
          const server = yield* serve(interpreter, file, ["fan"])
          const runId = yield* server.start("fan", { topics: ["a", "b", "c"], said: [] })
          const { output, state } = yield* server.ended(runId)
          assert.strictEqual(state, "completed", JSON.stringify(yield* server.request("GET", `/runs/${runId}/events`)))
          const { said } = Object(output)
          assert.deepStrictEqual([...said].sort(), ["about a", "about b", "about c"])
          const body = yield* server.request("GET", `/runs/${runId}/events?limit=1000`)
          const { items } = yield* Effect.orDie(Schema.decodeUnknownEffect(Journal)(body))
          assert.strictEqual(items.filter(({ type }) => type === "llm_end").length, 3)
          assert.strictEqual(items.filter(({ type }) => type === "node_enter").length, 4)
          assert.strictEqual(items.filter(({ type }) => type === "node_exit").length, 4)
        }).pipe(Effect.scoped),
      60_000
    )

    it.live(
      "a subgraph that asks twice gets each answer, also when its process is killed in between",
      () =>
        Effect.gen(function*() {
          const server = yield* serve(interpreter, file, ["asking"])
          const runId = yield* server.start("asking", { said: [] })
          const [first] = yield* server.open(runId)
          yield* server.request("POST", `/runs/${runId}/interrupts/${first?.id}`, { decision: "approve", value: "Ann" })
          let second = first
          for (let tries = 0; tries < 200 && second?.id === first?.id; tries++) {
            yield* Effect.sleep("50 millis")
            second = (yield* server.open(runId)).at(-1)
          }
          assert.deepInclude(second, { arguments: "age?" })
          const pid = yield* server.ended(yield* server.start("asking", { said: ["pid"] }))
          process.kill(Number(Object(pid.output).said.at(-1)), "SIGKILL")
          yield* Effect.sleep("100 millis")
          yield* server.request("POST", `/runs/${runId}/interrupts/${second?.id}`, { decision: "approve", value: 7 })
          assert.deepStrictEqual((yield* server.ended(runId)).output, { said: ["Ann is 7"] })
        }).pipe(Effect.scoped),
      60_000
    )

    it.live(
      "runs whose process is killed resume, and no answer that was stored is asked for again",
      () =>
        Effect.gen(function*() {
          const world = join(temporaryFolder(), "world")
          const server = yield* serve(interpreter, file, ["patient"], { env: { WORLD: world } })
          const runs = yield* Effect.forEach(
            Array.from({ length: 20 }),
            () => server.start("patient", { said: [] }),
            { concurrency: "unbounded" }
          )
          const lines = () => existsSync(world) ? readFileSync(world, "utf8").trim().split("\n") : []
          for (let tries = 0; tries < 400 && lines().length < 40; tries++) yield* Effect.sleep("20 millis")
          process.kill(Number(lines()[0]?.split(" ")[1]), "SIGKILL")
          for (const runId of runs) {
            const { output, state } = yield* server.ended(runId, 60)
            assert.deepStrictEqual({ state, output }, {
              state: "completed",
              output: { said: ["slow 1", "slow 2", "slow 3", "slow 4"] }
            })
            const { events } = yield* server.journal(runId)
            assert.strictEqual(events.filter(({ type }) => type === "llm_end").length, 4)
          }
          // At the kill each run had two answers on their way at most.
          assert.isAtMost(lines().length, 20 * 4 + 20 * 2)
        }).pipe(Effect.scoped),
      120_000
    )

    it.live(
      "gives its tools what the graph adds to the arguments, and fails with a tool that fails",
      () =>
        Effect.gen(function*() {
          const server = yield* serve(interpreter, file, ["injected", "failing"])
          const { output } = yield* server.ended(yield* server.start("injected", { prompt: "count" }))
          assert.strictEqual(output, "order 3 of 2 messages, call c")
          const { error, state } = yield* server.ended(yield* server.start("failing", { prompt: "fail" }))
          assert.strictEqual(state, "failed")
          assert.notInclude(JSON.stringify(error), "hunter2")
        }).pipe(Effect.scoped),
      60_000
    )

    it.live("reads and continues the conversation of its thread", () =>
      Effect.gen(function*() {
        const server = yield* serve(interpreter, file, ["memory"])
        const say = Effect.fnUntraced(function*(prompt: string) {
          const body = yield* server.request("POST", "/agents/memory/runs", { prompt }, undefined, "t-1")
          return (yield* server.ended(String(Object(body).runId))).output
        })
        assert.strictEqual(yield* say("one"), "heard one")
        assert.strictEqual(yield* say("two"), "heard one heard one two")
      }).pipe(Effect.scoped), 60_000)
  })
})
