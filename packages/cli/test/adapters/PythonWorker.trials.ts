import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
import { Auth, Principal } from "fastagentic"
import { join } from "node:path"
import { temporaryFolder } from "../process.ts"
import { describeWith, python } from "./interpreters.ts"
import { Journal, serve } from "./pythonServing.ts"

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const gone = Effect.fnUntraced(function*(pid: number) {
  for (let tries = 0; tries < 200 && isAlive(pid); tries++) yield* Effect.sleep("50 millis")
  return !isAlive(pid)
})

describeWith("the process of a Python agent", python, (interpreter) =>
  describe("the process of a Python agent", () => {
    it.live(
      "runs resume from their last commit when their process is killed, each step done once",
      () =>
        Effect.gen(function*() {
          const server = yield* serve(interpreter, "hostile.py", ["work", "pid"])
          const warm = yield* server.ended(yield* server.start("work", { steps: 1, seconds: 0 }))
          const [pid] = Array.isArray(warm.output) ? warm.output : []
          const runs = yield* Effect.forEach(
            Array.from({ length: 200 }),
            () => server.start("work", { steps: 4, seconds: 0.5 }),
            { concurrency: 20 }
          )
          yield* Effect.sleep("700 millis")
          process.kill(Number(pid), "SIGKILL")
          const ends = yield* Effect.forEach(runs, (runId) => server.ended(runId, 60), { concurrency: 20 })
          assert.deepStrictEqual(new Set(ends.map(({ state }) => state)), new Set(["completed"]))
          const pids = ends.map(({ output }) => Array.isArray(output) ? output.map(Number) : [])
          assert.isTrue(pids.every((done) => done.length === 4))
          const survived = pids.filter((done) => done.includes(Number(pid)))
          assert.isAbove(survived.length, 0, "no run had a step in the process that was killed")
          assert.isTrue(pids.every((done) => new Set(done).size <= 2), "a run was in more than two processes")
        }).pipe(Effect.scoped),
      120_000
    )

    it.live("prints go to the log and never into frames, however many", () =>
      Effect.gen(function*() {
        const server = yield* serve(interpreter, "hostile.py", ["loud", "reads"])
        const loud = yield* server.start("loud", { seconds: 1 })
        assert.strictEqual((yield* server.ended(yield* server.start("reads"))).output, "")
        assert.strictEqual((yield* server.ended(loud)).output, "quiet")
      }).pipe(Effect.scoped), 60_000)

    it.live("a run that stops the loop loses its process, and fails after the third", () =>
      Effect.gen(function*() {
        const server = yield* serve(interpreter, "hostile.py", ["hang"], { unresponsive: "600 millis" })
        const { error, state } = yield* server.ended(yield* server.start("hang"), 40)
        assert.strictEqual(state, "failed")
        assert.notInclude(JSON.stringify(error), "hostile.py", "an internal failure says nothing of itself")
      }).pipe(Effect.scoped), 60_000)

    it.live("a cancelled run whose code ignores it loses its process", () =>
      Effect.gen(function*() {
        const server = yield* serve(interpreter, "hostile.py", ["hang", "spin", "trap"])
        const cancelled = Effect.fnUntraced(function*(name: string) {
          const runId = yield* server.start(name)
          yield* Effect.sleep("500 millis")
          yield* server.request("POST", `/runs/${runId}/cancel`, {})
          assert.strictEqual((yield* server.ended(runId, 15)).state, "cancelled", name)
        })
        yield* Effect.forEach(["hang", "spin", "trap"], cancelled, { concurrency: "unbounded" })
      }).pipe(Effect.scoped), 60_000)

    it.live(
      "a process that holds too much memory gets no new runs, and one that holds far too much is ended",
      () =>
        Effect.gen(function*() {
          const server = yield* serve(interpreter, "hostile.py", ["leak"], {
            maxMemory: 150 * 2 ** 20,
            unresponsive: "1 second"
          })
          const first = yield* server.ended(yield* server.start("leak", { megabytes: 160 }))
          assert.strictEqual(first.state, "completed")
          const second = yield* server.ended(yield* server.start("leak", { megabytes: 1 }))
          assert.strictEqual(second.state, "completed")
          assert.notStrictEqual(second.output, first.output)
          const greedy = yield* server.ended(yield* server.start("leak", { megabytes: 700 }))
          assert.strictEqual(greedy.state, "failed")
        }).pipe(Effect.scoped),
      60_000
    )

    it.live("processes that an agent has started end with the server", () =>
      Effect.gen(function*() {
        const server = yield* serve(interpreter, "hostile.py", ["forks"])
        const { output, state } = yield* server.ended(yield* server.start("forks"))
        assert.strictEqual(state, "completed")
        const pids = Array.isArray(output) ? output.map(Number) : []
        assert.strictEqual(pids.filter(isAlive).length, 3)
        yield* server.stop
        for (const pid of pids) assert.isTrue(yield* gone(pid), `${pid} is alive`)
      }).pipe(Effect.scoped), 60_000)

    it.live("a run that ends its process each time fails; an agent that exits fails alone", () =>
      Effect.gen(function*() {
        const server = yield* serve(interpreter, "hostile.py", ["die", "leave"])
        assert.strictEqual((yield* server.ended(yield* server.start("die"))).state, "failed")
        assert.strictEqual((yield* server.ended(yield* server.start("leave"))).state, "failed")
      }).pipe(Effect.scoped), 60_000)

    it.live("an error that cannot be described fails its run, in a step or outside, and its process lives", () =>
      Effect.gen(function*() {
        const server = yield* serve(interpreter, "hostile.py", ["breaks", "pid"])
        const before = (yield* server.ended(yield* server.start("pid"))).output
        for (const kind of ["words", "exits", "huge", "sealed", "bare"]) {
          for (const step of [true, false]) {
            const { error, state } = yield* server.ended(yield* server.start("breaks", { kind, step }), 10)
            assert.strictEqual(state, "failed", `${kind} ${step}`)
            assert.isDefined(error, `${kind} ${step}`)
          }
        }
        assert.strictEqual((yield* server.ended(yield* server.start("pid"))).output, before)
      }).pipe(Effect.scoped), 120_000)

    for (const when of ["works beside it", "rests"]) {
      it.live(`a question of a run that ${when} stays open when its process ends, and gets its answer`, () =>
        Effect.gen(function*() {
          const server = yield* serve(interpreter, "hostile.py", ["asks"])
          const runId = yield* server.start("asks")
          const [one] = yield* server.open(runId)
          if (when === "rests") {
            yield* Effect.sleep("300 millis")
          }
          process.kill(Number(one?.message), "SIGKILL")
          yield* Effect.sleep("500 millis")
          yield* server.request("POST", `/runs/${runId}/interrupts/${one?.id}`, { decision: "approve", value: "yes" })
          const { output, state } = yield* server.ended(runId)
          assert.deepStrictEqual({ state, output }, { state: "completed", output: "yes" })
        }).pipe(Effect.scoped), 60_000)
    }

    it.live("a fork keeps the steps before it, and a retry those that were stored", () =>
      Effect.gen(function*() {
        const marker = join(temporaryFolder(), "marker")
        const server = yield* serve(interpreter, "hostile.py", ["forking"], { env: { MARKER: marker } })
        const failed = yield* server.start("forking")
        assert.strictEqual((yield* server.ended(failed)).state, "failed")
        const retried = Object(yield* server.request("POST", `/runs/${failed}/retry`, {})).runId
        const before = yield* server.journal(failed)
        const { output } = yield* server.ended(String(retried ?? failed))
        const numbers = Array.isArray(output) ? output : []
        assert.lengthOf(numbers, 2, JSON.stringify(before.events))
        const whole = yield* server.start("forking")
        const original = Object((yield* server.ended(whole)).output)
        const { events } = yield* server.journal(whole)
        const checkpoint = events.find(({ type }) =>
          type === "checkpoint"
        )
        const fork = Object(yield* server.request("POST", `/runs/${whole}/fork`, { after: checkpoint?.seq }))
        const other = Object((yield* server.ended(String(fork.runId))).output)
        assert.strictEqual(other[0], original[0])
        assert.notStrictEqual(other[1], original[1])
      }).pipe(Effect.scoped), 60_000)

    it.live("a run that ends its process takes no other run along", () =>
      Effect.gen(function*() {
        const server = yield* serve(interpreter, "hostile.py", ["dies_or_waits"])
        const start = (dies: boolean) =>
          server.start("dies_or_waits", { dies, seconds: 1 })
        const [poison, ...others] = yield* Effect.forEach([true, false, false, false], start, {
          concurrency: "unbounded"
        })
        assert.strictEqual((yield* server.ended(poison ?? "")).state, "failed")
        for (const runId of others) {
          assert.strictEqual((yield* server.ended(runId)).output, "survived")
        }
      }).pipe(Effect.scoped), 60_000)

    it.live("tenants have processes of their own, and wait for each other when there are too few", () =>
      Effect.gen(function*() {
        const keys = ["ann", "bob", "cat"].map((id) => ({
          key: Redacted.make(`key-of-${id}`),
          principal: new Principal.Principal({ id, tenant: `tenant-of-${id}`, scopes: ["*"], roles: [], claims: {} })
        }))
        const server = yield* serve(interpreter, "hostile.py", ["work"], { processes: 2 }, Auth.layerKeys(keys))
        const names = ["ann", "bob", "cat", "ann", "bob", "cat"]
        const found = yield* Effect.forEach(names, (name) =>
          Effect.gen(function*() {
            const runId = yield* server.start("work", { steps: 1, seconds: 0.3 }, `key-of-${name}`)
            const { output, state } = yield* server.ended(runId, 30, `key-of-${name}`)
            assert.strictEqual(state, "completed", name)
            return { name, pid: JSON.stringify(output) }
          }), { concurrency: "unbounded" })
        const owners = new Map(found.map(({ name, pid }) => [pid, name]))
        for (const { name, pid } of found) {
          assert.strictEqual(owners.get(pid), name, "a process had two tenants")
        }
        assert.isAtLeast(owners.size, 3)
      }).pipe(Effect.scoped), 60_000)

    it.live(
      "a value that is larger than a frame fails its run, and an event of the runtime is refused",
      () =>
        Effect.gen(function*() {
          const server = yield* serve(interpreter, "hostile.py", ["large", "typed"])
          assert.strictEqual((yield* server.ended(yield* server.start("large", { megabytes: 9 }))).state, "failed")
          assert.strictEqual((yield* server.ended(yield* server.start("large", { megabytes: 2 }))).output, 2 * 2 ** 20)
          assert.strictEqual((yield* server.ended(yield* server.start("typed"))).state, "failed")
        }).pipe(Effect.scoped),
      60_000
    )

    it.live("steps that are asked for in one turn of the loop are all done", () =>
      Effect.gen(function*() {
        const server = yield* serve(interpreter, "hostile.py", ["together"])
        const runs = yield* Effect.forEach(
          Array.from({ length: 20 }),
          () =>
            server.start("together", { count: 8 }),
          { concurrency: "unbounded" }
        )
        for (const runId of runs) {
          assert.deepStrictEqual((yield* server.ended(runId, 15)).output, [0, 1, 2, 3, 4, 5, 6, 7])
        }
      }).pipe(Effect.scoped), 60_000)

    it.live("code without async has steps, pauses and questions", () =>
      Effect.gen(function*() {
        const server = yield* serve(interpreter, "hostile.py", ["steps"])
        const runId = yield* server.start("steps")
        const [one] = yield* server.open(runId)
        yield* server.request("POST", `/runs/${runId}/interrupts/${one?.id}`, { decision: "approve", value: true })
        assert.strictEqual((yield* server.ended(runId)).output, "yes")
      }).pipe(Effect.scoped), 60_000)

    it.live("tokens of one run arrive all and in order, thousands in a second", () =>
      Effect.gen(function*() {
        const server = yield* serve(interpreter, "hostile.py", ["tokens", "blocking_tokens"])
        for (const [name, count] of [["tokens", 20_000], ["blocking_tokens", 20_000]] as const) {
          const runId = yield* server.start(name, { count })
          const from = performance.now()
          assert.strictEqual((yield* server.ended(runId)).state, "completed")
          const rate = Math.round(count / (performance.now() - from) * 1_000)
          yield* Effect.log(`${name}: ${rate} events a second`)
          let [seen, after] = ["", 0]
          for (;;) {
            const body = yield* server.request("GET", `/runs/${runId}/events?limit=1000&after=${after}`)
            const { items } = yield* Effect.orDie(Schema.decodeUnknownEffect(Journal)(body))
            if (items.length === 0) {
              break
            }
            for (const event of items) {
              after = event.seq
              if (event.type === "token") {
                seen += event.data.delta
              }
            }
          }
          assert.strictEqual(
            seen,
            Array.from({ length: count }, (_, number) =>
              `${number} `).join("")
          )
          assert.isAbove(rate, 1_000)
        }
      }).pipe(Effect.scoped), 60_000)
  }))
