import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Event, Run, RunError, RunStore, Runtime } from "@fastagentic/core"
import { Context, Effect, Layer, Schema } from "effect"
import { answer, caller, isWhole, journal, layerRuntime, settle, start, summaryOf } from "../support.ts"

const Work = Agent.make("work", { description: "Works in steps", payload: {}, success: Schema.Array(Schema.String) })
const Break = Agent.make("break", { description: "Breaks once", payload: {} })
const Wait = Agent.make("wait", { description: "Waits", payload: {} })

const Acme = App.make("acme", { version: "1", agents: [Work, Break, Wait] })

const layerIn = (calls: Array<string>, store?: Layer.Layer<RunStore.RunStore>) => {
  const act = (name: string) => Effect.sync(() => `${name} ${calls.push(name)}`)
  return layerRuntime(
    Acme,
    Layer.mergeAll(
      Work.toLayer(Effect.fn(function*() {
        const first = yield* Run.step("first", act("first"))
        yield* Run.emit(Event.token(first))
        const said = yield* Effect.orDie(Run.interrupt("ask", { schema: Schema.String }))
        const second = yield* Run.step("second", act("second"))
        const third = yield* Run.step("third", act("third"))
        return [first, said, second, third]
      })),
      Break.toLayer(Effect.fn(function*() {
        yield* Run.step("first", act("first"))
        if (calls.push("break") < 3) return yield* Effect.die("broken")
        return "mended"
      })),
      Wait.toLayer(() => Effect.never)
    ),
    store
  )
}

const inWorld = <A, E>(test: (calls: Array<string>) => Effect.Effect<A, E, Runtime.Runtime>) =>
  Effect.suspend(() => {
    const calls: Array<string> = []
    return Effect.provide(test(calls), layerIn(calls))
  })

const worked = Effect.fnUntraced(function*() {
  const { runId } = yield* settle("work")
  return yield* answer(runId, { decision: "approve", value: "yes" })
})

describe("A fork", () => {
  it.live("goes on from a checkpoint: what was committed by then does not run again", () =>
    inWorld(Effect.fnUntraced(function*(calls) {
      const runtime = yield* Runtime.Runtime
      const origin = yield* worked()
      assert.deepStrictEqual(origin.output, ["first 1", "yes", "second 2", "third 3"])
      const checkpoints = yield* runtime.checkpoints(caller, origin.runId)
      assert.deepStrictEqual(checkpoints.map(({ name }) => name), ["first", "second", "third"])
      const after = checkpoints[1]?.seq ?? -1
      const { attached, run } = yield* runtime.fork(caller, origin.runId, { after })
      assert.isFalse(attached)
      assert.notStrictEqual(run.runId, origin.runId)
      const done = yield* runtime.await(caller, run.runId)
      assert.deepStrictEqual(done.output, ["first 1", "yes", "second 2", "third 4"])
      assert.deepStrictEqual(done.forkedFrom, { runId: origin.runId, seq: after })
      const events = yield* journal(run.runId)
      assert.isTrue(isWhole(events))
      assert.deepInclude(events[0]?.data, { agent: "work", forkedFrom: { runId: origin.runId, seq: after } })
      assert.deepStrictEqual(calls, ["first", "second", "third", "third"])
      assert.deepStrictEqual((yield* runtime.get(caller, origin.runId)).output, origin.output)
    })))

  it.live("asks again what was decided after it", () =>
    inWorld(Effect.fnUntraced(function*() {
      const runtime = yield* Runtime.Runtime
      const origin = yield* worked()
      const { run } = yield* runtime.fork(caller, origin.runId, { after: 2 })
      assert.strictEqual((yield* runtime.await(caller, run.runId)).state, "suspended")
      const done = yield* answer(run.runId, { decision: "approve", value: "no" })
      assert.deepStrictEqual(done.output, ["first 1", "no", "second 4", "third 5"])
      assert.deepStrictEqual(summaryOf(yield* journal(run.runId)).slice(0, 2), ["run_started", "token first 1"])
    })))

  it.live("of a fork keeps what was decided before both", () =>
    inWorld(Effect.fnUntraced(function*(calls) {
      const runtime = yield* Runtime.Runtime
      const origin = yield* worked()
      const first = yield* runtime.fork(caller, origin.runId, {})
      yield* runtime.await(caller, first.run.runId)
      const second = yield* runtime.fork(caller, first.run.runId, {})
      const done = yield* runtime.await(caller, second.run.runId)
      assert.deepInclude(done, { state: "completed", output: origin.output ?? null })
      assert.deepStrictEqual(calls, ["first", "second", "third"])
    })))

  it.live("is one for a key, and is nowhere outside of the journal", () =>
    inWorld(Effect.fnUntraced(function*() {
      const runtime = yield* Runtime.Runtime
      const origin = yield* worked()
      const forking = runtime.fork(caller, origin.runId, { idempotencyKey: "k" })
      const forks = yield* Effect.all(Array.from({ length: 100 }, () => forking), { concurrency: "unbounded" })
      assert.strictEqual(new Set(forks.map(({ run }) => run.runId)).size, 1)
      assert.strictEqual(forks.filter(({ attached }) => !attached).length, 1)
      for (const after of [-1, 1.5, origin.seq + 1]) {
        const refused = yield* Effect.flip(runtime.fork(caller, origin.runId, { after }))
        assert.strictEqual(refused.reason._tag, "InvalidCursor")
      }
    })))
})

describe("A retry", () => {
  it.live("goes on from the last commit, once however often it is asked for", () =>
    inWorld(Effect.fnUntraced(function*(calls) {
      const runtime = yield* Runtime.Runtime
      const failed = yield* settle("break")
      assert.strictEqual(failed.state, "failed")
      const retry = runtime.retry(caller, failed.runId)
      const retries = yield* Effect.all(Array.from({ length: 100 }, () => retry), { concurrency: "unbounded" })
      const [first] = new Set(retries.map(({ run }) => run.runId))
      assert.strictEqual(new Set(retries.map(({ run }) => run.runId)).size, 1)
      const done = yield* runtime.await(caller, first ?? "")
      assert.strictEqual(done.output, "mended")
      assert.deepStrictEqual(done.forkedFrom, { runId: failed.runId, seq: failed.seq })
      assert.deepStrictEqual(calls, ["first", "break", "break"])
    })))

  it.live("is what the record of the failed run and its idempotency key lead to", () =>
    inWorld(Effect.fnUntraced(function*() {
      const runtime = yield* Runtime.Runtime
      const started = yield* start("break", {}, "agent", "order 7")
      assert.strictEqual((yield* runtime.await(caller, started.runId)).state, "failed")
      assert.deepInclude(yield* start("break", {}, "agent", "order 7"), { runId: started.runId, state: "failed" })
      const { run } = yield* runtime.retry(caller, started.runId)
      assert.deepInclude(yield* runtime.get(caller, started.runId), { state: "failed", retriedAs: run.runId })
      assert.strictEqual((yield* runtime.await(caller, run.runId)).output, "mended")
      const again = yield* runtime.start(caller, {
        kind: "agent",
        identifier: "break",
        payload: {},
        idempotencyKey: "order 7"
      })
      assert.deepInclude(again.run, { runId: run.runId, state: "completed" })
      assert.isTrue(again.attached)
    })))

  it.live("is for what has failed", () =>
    inWorld(Effect.fnUntraced(function*() {
      const runtime = yield* Runtime.Runtime
      const done = yield* worked()
      assert.strictEqual((yield* Effect.flip(runtime.retry(caller, done.runId))).reason._tag, "RunFinished")
      const { runId } = yield* settle("work")
      assert.deepInclude(yield* runtime.retry(caller, runId), { attached: true })
    })))
})

const runId = "0191b2f0-0000-7000-8000-000000000001"

describe("A run that nobody drives", () => {
  const orphan = (crashes: number) =>
    Effect.gen(function*() {
      const store = Context.get(yield* Layer.build(RunStore.RunStore.layerMemory), RunStore.RunStore)
      const run = yield* Effect.provide(settle("break"), layerIn([], Layer.succeed(RunStore.RunStore, store)))
      yield* store.write([{
        _tag: "Admit",
        run: { ...omitEnd(run), runId, agent: "work", state: "running", attempt: 7, seq: 0, emitted: 0, crashes },
        events: [Event.make("run_started", { agent: "work" })]
      }])
      return store
    })

  it.live("is held back when its owners were lost too often, until somebody resumes it", () =>
    Effect.gen(function*() {
      const store = yield* orphan(3)
      const calls: Array<string> = []
      yield* Effect.gen(function*() {
        const runtime = yield* Runtime.Runtime
        assert.deepInclude(yield* runtime.get(caller, runId), { state: "suspended", waitsFor: "repair", attempt: 8 })
        assert.deepStrictEqual(calls, [])
        yield* runtime.resume(caller, runId)
        assert.deepInclude(yield* runtime.await(caller, runId), { state: "suspended", waitsFor: "interrupt" })
        assert.deepStrictEqual(calls, ["first"])
      }).pipe(Effect.provide(layerIn(calls, Layer.succeed(RunStore.RunStore, store))))
    }))

  it.live("is counted as lost, until it commits a step", () =>
    Effect.gen(function*() {
      const store = yield* orphan(2)
      yield* Effect.gen(function*() {
        const runtime = yield* Runtime.Runtime
        const run = yield* runtime.await(caller, runId)
        assert.deepInclude(run, { state: "suspended", waitsFor: "interrupt", crashes: 0, attempt: 8 })
      }).pipe(Effect.provide(layerIn([], Layer.succeed(RunStore.RunStore, store))))
    }))

  it.live("fails when what it would go on from is damaged, and the others go on", () =>
    Effect.gen(function*() {
      const store = yield* orphan(0)
      const damaged: RunStore.RunStore["Service"] = {
        ...store,
        steps: (id) => Effect.fail(new RunError.JournalDamaged({ runId: id, what: "step" }))
      }
      yield* Effect.gen(function*() {
        const runtime = yield* Runtime.Runtime
        const run = yield* runtime.await(caller, runId)
        assert.strictEqual(run.state, "failed")
        assert.deepInclude(run.error, { tag: "JournalDamaged", declared: false })
        assert.strictEqual((yield* settle("work")).state, "suspended")
      }).pipe(Effect.provide(layerIn([], Layer.succeed(RunStore.RunStore, damaged))))
    }))
})

const omitEnd = ({ error: _error, finishedAt: _at, output: _output, ...run }: Runtime.Started["run"]) => run
