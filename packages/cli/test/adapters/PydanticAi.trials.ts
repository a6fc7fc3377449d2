import { assert, describe, it } from "@effect/vitest"
import { Python } from "@fastagentic/adapters/python"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { suite } from "../../src/adapter-contract.ts"
import { temporaryFolder } from "../process.ts"
import { pythonWith } from "./environments.ts"
import { describeWith } from "./interpreters.ts"
import { serve } from "./pythonServing.ts"
import { performing } from "./sharedProcesses.ts"

describeWith("PydanticAI", pythonWith("pydantic-ai"), (interpreter) => {
  suite("PydanticAI", {
    capabilities: Python.framework,
    perform: performing(interpreter, "pydantic_play.py:agent")
  })

  const file = "assistant.py"

  describe("an agent of PydanticAI", () => {
    it.live("reads and continues the conversation of its thread", () =>
      Effect.gen(function*() {
        const server = yield* serve(interpreter, file, ["memory"])
        const threadId = "t-1"
        const say = Effect.fnUntraced(function*(prompt: string) {
          const body = yield* server.request("POST", "/agents/memory/runs", { prompt }, undefined, threadId)
          return (yield* server.ended(String(Object(body).runId))).output
        })
        assert.strictEqual(yield* say("one"), "You said one; I said 0 things.")
        assert.strictEqual(yield* say("two"), "You said one, two; I said 1 things.")
        assert.strictEqual(yield* say("three"), "You said one, two, three; I said 2 things.")
      }).pipe(Effect.scoped), 60_000)

    it.live("has the schemas of its output and dependencies, and its tools get those", () =>
      Effect.gen(function*() {
        const server = yield* serve(interpreter, file, ["typed"])
        const agents = Object(yield* server.request("GET", "/agents")).items
        assert.deepStrictEqual(Object.keys(agents[0].success.properties), ["city", "degrees"])
        assert.deepStrictEqual(agents[0].payload.required, ["prompt", "deps"])
        const runId = yield* server.start("typed", { prompt: "hi", deps: { name: "Tower" } })
        const { output, state } = yield* server.ended(runId)
        assert.deepStrictEqual({ state, output }, { state: "completed", output: { city: "Ulm", degrees: 7 } })
        assert.include(JSON.stringify(yield* server.request("GET", `/runs/${runId}/events`)), "Tower")
      }).pipe(Effect.scoped), 60_000)

    it.live(
      "a tool that asks for its own approval is called again once it has it, with the arguments of the approver",
      () =>
        Effect.gen(function*() {
          const server = yield* serve(interpreter, file, ["careful"])
          const runId = yield* server.start("careful", { prompt: "pay" })
          const [one] = yield* server.open(runId)
          assert.deepInclude(one, { kind: "approval", tool: "transfer", arguments: { amount: 5 } })
          yield* server.request("POST", `/runs/${runId}/interrupts/${one?.id}`, {
            decision: "edit",
            value: { amount: 4 }
          })
          assert.strictEqual((yield* server.ended(runId)).output, "paid 4 (1) after 1")
          const denied = yield* server.start("careful", { prompt: "pay" })
          const [two] = yield* server.open(denied)
          yield* server.request("POST", `/runs/${denied}/interrupts/${two?.id}`, { decision: "deny", reason: "no" })
          const { output } = yield* server.ended(denied)
          assert.include(output, "denied")
          assert.notInclude(output, "paid")
        }).pipe(Effect.scoped),
      60_000
    )

    it.live(
      "runs whose process is killed in the middle of answers resume, and no tool whose result is stored works again",
      () =>
        Effect.gen(function*() {
          const world = join(temporaryFolder(), "world")
          const server = yield* serve(interpreter, file, ["patient"], { env: { WORLD: world } })
          const first = yield* server.start("patient", { prompt: "go" })
          yield* server.ended(first)
          const runs = yield* Effect.forEach(
            Array.from({ length: 25 }),
            () => server.start("patient", { prompt: "go" }),
            { concurrency: "unbounded" }
          )
          yield* Effect.sleep("700 millis")
          const { events } = yield* server.journal(first)
          const pid = events.flatMap((event) => event.type === "tool_result" ? [Number(event.data.result)] : [])[0]
          process.kill(pid ?? 0, "SIGKILL")
          const stored: Array<string> = []
          for (const runId of [first, ...runs]) {
            const { output, state } = yield* server.ended(runId, 60)
            assert.deepStrictEqual({ state, output }, { state: "completed", output: "still at work " })
            const { events, text } = yield* server.journal(runId)
            assert.strictEqual(text, "still at work ".repeat(4))
            const results = events.flatMap((event) => event.type === "tool_result" ? [Number(event.data.result)] : [])
            assert.lengthOf(results, 3)
            // A result is the process that gave it.
            results.forEach((by, line) => {
              if (by === pid) stored.push(`${runId} ${line}`)
            })
          }
          const lines = readFileSync(world, "utf8").trim().split("\n")
          // A tool that the kill cut off between its work and its commit works again, one for each run at most.
          const times = new Map<string, number>()
          for (const line of lines) times.set(line, (times.get(line) ?? 0) + 1)
          for (const line of stored) assert.strictEqual(times.get(line), 1, line)
          assert.isAtMost(Math.max(...times.values()), 2)
          assert.isAtMost(lines.length - new Set(lines).size, runs.length)
          assert.strictEqual(new Set(lines).size, 26 * 3)
        }).pipe(Effect.scoped),
      120_000
    )

    it.live("a call that somebody else makes waits for its result", () =>
      Effect.gen(function*() {
        const server = yield* serve(interpreter, file, ["delegating"])
        const runId = yield* server.start("delegating", { prompt: "measure" })
        const [one] = yield* server.open(runId)
        assert.deepInclude(one, { kind: "input", arguments: { amount: 5 } })
        yield* server.request("POST", `/runs/${runId}/interrupts/${one?.id}`, { decision: "approve", value: "7 cm" })
        assert.strictEqual((yield* server.ended(runId)).output, "7 cm after 1")
      }).pipe(Effect.scoped), 60_000)

    it.live("a tool that wants a retry gets one, and one that fails ends the run", () =>
      Effect.gen(function*() {
        const server = yield* serve(interpreter, file, ["retrying", "failing"])
        const { output } = yield* server.ended(yield* server.start("retrying", { prompt: "guess" }))
        assert.strictEqual(output, "guessed in 2 after 2")
        const { error, state } = yield* server.ended(yield* server.start("failing", { prompt: "fail" }))
        assert.strictEqual(state, "failed")
        assert.notInclude(JSON.stringify(error), "hunter2")
      }).pipe(Effect.scoped), 60_000)
  })
})
