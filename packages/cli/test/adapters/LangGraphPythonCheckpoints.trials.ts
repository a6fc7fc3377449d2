// The checkpoints of graphs of LangGraph for Python, whose process is killed: what a node did that is no step is not done again.
import { assert, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { appendFileSync, existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { temporaryFolder } from "../process.ts"
import { pythonWith } from "./environments.ts"
import { describeWith } from "./interpreters.ts"
import { Journal, serve } from "./pythonServing.ts"

/** A file in which nodes leave marks, and its readers. */
const world = () => {
  const file = join(temporaryFolder(), "world")
  const lines = () => existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : []
  const marks = () => lines().map((line) => line.split(" ")[0] ?? "").filter((word) => word !== "go")
  return {
    env: { WORLD: file },
    count: () => Object.fromEntries(marks().map((word) => [word, marks().filter((other) => other === word).length])),
    go: () => appendFileSync(file, "go\n"),
    kill: () => process.kill(Number(lines().at(-1)?.split(" ")[1]), "SIGKILL"),
    until: Effect.fnUntraced(function*(word: string, times = 1) {
      for (let tries = 0; tries < 1_000; tries++) {
        if (marks().filter((other) => other === word).length >= times) break
        yield* Effect.sleep("20 millis")
      }
    })
  }
}

const eventsOf = Effect.fnUntraced(function*(server: Effect.Success<ReturnType<typeof serve>>, runId: string) {
  const body = yield* server.request("GET", `/runs/${runId}/events?limit=1000`)
  return (yield* Effect.orDie(Schema.decodeUnknownEffect(Journal)(body))).items
})

describeWith("Checkpoints of LangGraph for Python", pythonWith("langgraph"), (interpreter) => {
  for (const name of ["kept", "still"]) {
    it.live(
      `a graph whose process is killed goes on where it was, also inside of another graph (${name})`,
      () =>
        Effect.gen(function*() {
          const { count, env, go, kill, until } = world()
          const server = yield* serve(interpreter, "graphs.py", [name], { env })
          const runId = yield* server.start(name, { said: [] })
          yield* until("held")
          yield* until("left")
          yield* Effect.sleep("1 second")
          kill()
          yield* until("held", 2)
          go()
          const { output, state } = yield* server.ended(runId, 60)
          assert.deepStrictEqual({ state, said: [...Object(output).said].sort() }, {
            state: "completed",
            said: ["about first", "about held", "about last", "about left", "about one"]
          })
          assert.deepStrictEqual(count(), { one: 1, left: 1, first: 1, held: 2, last: 1 })
          const events = yield* eventsOf(server, runId)
          assert.strictEqual(events.filter(({ type }) => type === "llm_end").length, 5)
        }).pipe(Effect.scoped),
      120_000
    )
  }

  it.live("a graph that has asked goes on with the answer after two kills", () =>
    Effect.gen(function*() {
      const { count, env, go, kill, until } = world()
      const server = yield* serve(interpreter, "graphs.py", ["careful"], { env })
      const runId = yield* server.start("careful", { said: [] })
      const [question] = yield* server.open(runId)
      kill()
      yield* Effect.sleep("200 millis")
      yield* server.request("POST", `/runs/${runId}/interrupts/${question?.id}`, { decision: "approve", value: "yes" })
      yield* until("held")
      yield* Effect.sleep("1 second")
      kill()
      yield* until("held", 2)
      go()
      assert.deepStrictEqual((yield* server.ended(runId, 60)).output, {
        said: ["about one", "about sure", "yes", "about then", "about held"]
      })
      assert.deepStrictEqual(count(), { one: 1, sure: 2, held: 2 })
    }).pipe(Effect.scoped), 120_000)

  it.live(
    "questions side by side are asked at once and answered in any order, after a kill too",
    () =>
      Effect.gen(function*() {
        const { env, go, kill, until } = world()
        const server = yield* serve(interpreter, "graphs.py", ["two_questions"], { env })
        const runId = yield* server.start("two_questions", { said: [] })
        yield* until("both")
        yield* until("other")
        let open = yield* server.open(runId)
        for (let tries = 0; tries < 100 && open.length < 2; tries++) {
          yield* Effect.sleep("50 millis")
          open = yield* server.open(runId)
        }
        assert.deepStrictEqual(open.map(({ arguments: asked }) => asked).toSorted(), ["left?", "right?"])
        kill()
        yield* Effect.sleep("200 millis")
        for (const one of open.toReversed()) {
          const answer = { decision: "approve", value: `to ${String(one.arguments)}` }
          yield* server.request("POST", `/runs/${runId}/interrupts/${one.id}`, answer)
        }
        yield* until("held")
        go()
        const { output } = yield* server.ended(runId, 60)
        assert.deepStrictEqual([...Object(output).said].toSorted(), ["about held", "to left?", "to right?"])
        const events = yield* eventsOf(server, runId)
        assert.strictEqual(events.filter(({ type }) => type === "interrupt").length, 2)
      }).pipe(Effect.scoped),
    120_000
  )

  for (
    const [name, decision, end] of [
      ["two_questions", { decision: "deny", reason: "no" }, "InterruptDenied"]
    ] as const
  ) {
    it.live(`a denial of one of two open questions waits for no other (${name})`, () =>
      Effect.gen(function*() {
        const { env } = world()
        const server = yield* serve(interpreter, "graphs.py", [name], { env })
        const runId = yield* server.start(name, { said: [] })
        let open = yield* server.open(runId)
        for (let tries = 0; tries < 100 && open.length < 2; tries++) {
          yield* Effect.sleep("50 millis")
          open = yield* server.open(runId)
        }
        assert.lengthOf(open, 2)
        yield* server.request("POST", `/runs/${runId}/interrupts/${open[0]?.id}`, decision)
        const { error, state } = yield* server.ended(runId, 10)
        assert.deepStrictEqual({ state, tag: error?.tag }, { state: "failed", tag: end })
      }).pipe(Effect.scoped), 60_000)
  }

  it.live("a retry of a graph that has failed runs only the node that failed", () =>
    Effect.gen(function*() {
      const { count, env, go } = world()
      const server = yield* serve(interpreter, "graphs.py", ["failing_once"], { env })
      const runId = yield* server.start("failing_once", { said: [] })
      assert.strictEqual((yield* server.ended(runId, 60)).state, "failed")
      go()
      const retried = yield* server.request("POST", `/runs/${runId}/retry`, {})
      const { output, state } = yield* server.ended(String(Object(retried).runId), 60)
      assert.strictEqual(state, "completed")
      assert.deepStrictEqual([...Object(output).said].toSorted(), ["about fails", "about left", "about one"])
      assert.deepStrictEqual(count(), { one: 1, left: 1, fails: 2 })
    }).pipe(Effect.scoped), 120_000)

  it.live("a fork after a checkpoint continues from there", () =>
    Effect.gen(function*() {
      const { count, env, go } = world()
      const server = yield* serve(interpreter, "graphs.py", ["kept"], { env })
      go()
      const runId = yield* server.start("kept", { said: [] })
      const { output } = yield* server.ended(runId, 60)
      const events = yield* eventsOf(server, runId)
      const at = events.findIndex(({ data, type }) => type === "node_exit" && Object(data).name === "one")
      const checkpoint = events.slice(at).filter(({ data }) =>
        String(Object(data).checkpointId).startsWith("langgraph ")
      )[1]
      const forked = yield* server.request("POST", `/runs/${runId}/fork`, { after: checkpoint?.seq })
      const other = yield* server.ended(String(Object(forked).runId), 60)
      assert.deepStrictEqual([...Object(other.output).said].sort(), [...Object(output).said].sort())
      assert.deepInclude(count(), { one: 1, last: 2 })
    }).pipe(Effect.scoped), 120_000)
})
