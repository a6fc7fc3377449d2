import { assert, describe, it } from "@effect/vitest"
import { Python } from "@fastagentic/adapters/python"
import { Effect } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { suite } from "../../src/adapter-contract.ts"
import { temporaryFolder } from "../process.ts"
import { pythonWith } from "./environments.ts"
import { describeWith } from "./interpreters.ts"
import { serve } from "./pythonServing.ts"
import { performing } from "./sharedProcesses.ts"

describeWith("CrewAI", pythonWith("crewai"), (interpreter) => {
  suite("CrewAI", {
    capabilities: Python.crew,
    edits: false,
    perform: performing(interpreter, "crew_play.py:crew")
  })

  describe("a crew of CrewAI", () => {
    const file = "crews.py"

    it.live("has the payload of its placeholders, and the schema of its last task", () =>
      Effect.gen(function*() {
        const server = yield* serve(interpreter, file, ["Typed"])
        const [typed] = Object(yield* server.request("GET", "/agents")).items
        assert.deepStrictEqual(Object.keys(typed.success.properties), ["name", "degrees"])
        assert.strictEqual(typed.description, "Finds a city.")
        assert.deepStrictEqual(typed.payload.required, ["name"])
        const { output } = yield* server.ended(yield* server.start("Typed", { name: "Ulm" }))
        assert.deepStrictEqual(output, { name: "Ulm", degrees: 7 })
      }).pipe(Effect.scoped), 180_000)

    it.live(
      "runs whose process is killed resume, and no answer or result that was stored is made again",
      () =>
        Effect.gen(function*() {
          const world = join(temporaryFolder(), "world")
          const server = yield* serve(interpreter, file, ["patient"], { env: { WORLD: world } })
          const runs = yield* Effect.forEach(Array.from({ length: 8 }), () => server.start("patient"), {
            concurrency: "unbounded"
          })
          const lines = () => existsSync(world) ? readFileSync(world, "utf8").trim().split("\n") : []
          for (let tries = 0; tries < 2_000 && lines().length < 16; tries++) yield* Effect.sleep("20 millis")
          process.kill(Number(lines()[0]?.split(" ")[1]), "SIGKILL")
          for (const runId of runs) {
            const { output, state } = yield* server.ended(runId, 100)
            assert.deepStrictEqual({ state, output }, { state: "completed", output: "ready" })
            const { events } = yield* server.journal(runId)
            assert.strictEqual(events.filter(({ type }) => type === "llm_end").length, 3)
            assert.strictEqual(events.filter(({ type }) => type === "tool_result").length, 2)
          }
          // At the kill each run had one answer or result on its way at most.
          assert.isAtMost(lines().length, 8 * 5 + 8)
        }).pipe(Effect.scoped),
      180_000
    )
  })

  it.live("the crew of the template finds the order of a question", () =>
    Effect.gen(function*() {
      const source = fileURLToPath(new URL("../../templates/crewai/src/support.py", import.meta.url))
      const server = yield* serve(interpreter, source, ["crew"])
      const { output } = yield* server.ended(yield* server.start("crew", { question: "Where is order 1042?" }), 100)
      assert.strictEqual(output, "Your order is shipped, number 1042.")
    }).pipe(Effect.scoped), 180_000)

  describe("a flow of CrewAI", () => {
    const file = "crews.py"

    it.live(
      "asks humans, also over the end of its process, and hosts the crews that its methods start",
      () =>
        Effect.gen(function*() {
          const world = join(temporaryFolder(), "world")
          const server = yield* serve(interpreter, file, ["Travel"], { env: { WORLD: world } })
          const lines = () => readFileSync(world, "utf8").trim().split("\n")
          const [travel] = Object(yield* server.request("GET", "/agents")).items
          assert.deepStrictEqual(Object.keys(travel.payload.properties), ["to", "parts"])
          assert.strictEqual(travel.description, "Plans a trip.")
          const asked = Effect.fnUntraced(function*(runId: string, before?: string) {
            for (let tries = 0; tries < 1_000; tries++) {
              const one = (yield* server.open(runId)).at(-1)
              if (one !== undefined && one.id !== before) return one
              yield* Effect.sleep("50 millis")
            }
            return yield* Effect.die("no question came")
          })
          const decide = (runId: string, id: string, decision: object) =>
            server.request("POST", `/runs/${runId}/interrupts/${id}`, decision)
          const runId = yield* server.start("Travel", { to: "Ulm" })
          const name = yield* asked(runId)
          yield* decide(runId, name.id, { decision: "approve", value: "Ann" })
          const first = yield* asked(runId, name.id)
          assert.deepInclude(first, { arguments: { output: "draft 0" } })
          yield* decide(runId, first.id, { decision: "approve", value: "shorter" })
          const second = yield* asked(runId, first.id)
          assert.deepInclude(second, { arguments: { output: "draft 1" } })
          yield* decide(runId, second.id, { decision: "approve" })
          const good = yield* asked(runId, second.id)
          assert.deepInclude(good, { arguments: { output: "a trip to Ulm", outcomes: ["book", "drop"] } })
          process.kill(Number(lines()[0]?.split(" ")[1]), "SIGKILL")
          const refused = yield* server.start("Travel", { to: "Bonn" })
          const who = yield* asked(refused)
          yield* decide(refused, who.id, { decision: "deny" })
          yield* decide(refused, (yield* asked(refused, who.id)).id, { decision: "deny", reason: "no" })
          assert.deepInclude((yield* server.ended(refused, 100)).error, { tag: "InterruptDenied" })
          yield* decide(runId, good.id, { decision: "approve", value: "fine" })
          const { error, output, state } = yield* server.ended(runId, 100)
          assert.deepStrictEqual({ state, error }, { state: "completed", error: undefined })
          assert.deepInclude(Object(output), {
            plan: "a trip to Ulm",
            feedback: "fine",
            parts: [
              "ideas",
              "a and b",
              "a and b",
              "Error executing tool: no order 3 | {'order': 4, 'sum': 5}",
              "five",
              "draft 1"
            ]
          })
          const { events } = yield* server.journal(runId)
          const results = events.filter(({ type }) => type === "tool_result")
          assert.strictEqual(results.length, 3)
          assert.notInclude(JSON.stringify(results), "no order 3")
          assert.strictEqual(events.filter(({ type }) => type === "llm_end").length, 15)
          assert.strictEqual(lines().filter((line) => line.startsWith(runId)).length, 15)
        }).pipe(Effect.scoped),
      300_000
    )

    it.live("is refused as an instance", () =>
      Effect.gen(function*() {
        const options = {
          entrypoint: "flow_instance.py:instance",
          interpreter,
          cwd: join(import.meta.dirname, "python")
        }
        const { message } = yield* Effect.flip(Python.discover(options))
        assert.include(message, "name its class Once")
      }).pipe(Effect.scoped), 180_000)
  })
})
