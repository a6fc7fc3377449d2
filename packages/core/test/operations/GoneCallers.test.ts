import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Audit, Run, RunStore, Runtime } from "@fastagentic/core"
import { Context, Effect, Fiber, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { caller, layerRuntime, settle } from "../support.ts"

const Ask = Agent.make("ask", { description: "Asks", payload: {}, success: Schema.String })
const Hear = Agent.make("hear", {
  description: "Receives",
  payload: {},
  success: Schema.String,
  signals: { say: Schema.String }
})
const Fails = Agent.make("fails", { description: "Fails", payload: {} })
const Acme = App.make("acme", { version: "1", agents: [Ask, Hear, Fails] })

const handlers = Layer.mergeAll(
  Ask.toLayer(() => Effect.orDie(Run.interrupt("ask", { schema: Schema.String }))),
  Hear.toLayer(() => Run.receive(Hear, "say")),
  Fails.toLayer(() => Effect.die("broken"))
)

/** Starts a run that waits; its caller is interrupted as soon as the store has committed what the caller asked for. */
const gone = Effect.fnUntraced(function*(
  agent: string,
  idle: "1 second" | "10 seconds",
  act: (runtime: Runtime.Runtime["Service"], runId: string, id: string) => Effect.Effect<unknown, unknown>
) {
  const inner = yield* Effect.provide(RunStore.RunStore, RunStore.RunStore.layerMemory)
  let actor: Fiber.Fiber<unknown, unknown> | undefined
  let isInterrupted = false
  const store: RunStore.RunStore["Service"] = {
    ...inner,
    write: (writes) =>
      Effect.tap(inner.write(writes), () =>
        Effect.sync(() => {
          isInterrupted ||= actor !== undefined
          actor?.interruptUnsafe()
        }))
  }
  const context = yield* Layer.build(layerRuntime(Acme, handlers, Layer.succeed(RunStore.RunStore, store)))
  const runtime = Context.get(context, Runtime.Runtime)
  const { runId } = yield* Effect.provideContext(settle(agent), context)
  yield* TestClock.adjust(idle)
  const [asked] = yield* runtime.interrupts(caller, runId)
  actor = yield* Effect.forkChild(act(runtime, runId, asked?.id ?? ""))
  yield* Fiber.await(actor)
  assert.isTrue(isInterrupted)
  const run = yield* runtime.await(caller, runId)
  const entries = yield* Context.get(context, Audit.Audit).page({ tenant: run.tenant, limit: 10 })
  return { run, audited: entries.map(({ action }) => action) }
})

describe.each(
  [["in memory", "1 second"], ["only in its store", "10 seconds"]] as const
)("A caller that disconnects when its change of a run %s is committed", (_, idle) => {
  it.effect("has decided: the run resumes at once, and the decision is audited", () =>
    Effect.gen(function*() {
      const { audited, run } = yield* gone("ask", idle, (runtime, runId, id) =>
        runtime.answer(caller, runId, id, { decision: "approve", value: "yes" }))
      assert.deepInclude(run, { state: "completed", output: "yes" })
      assert.include(audited, "approve")
    }))

  it.effect("has decided with a list: the run resumes at once, and the decision is audited", () =>
    Effect.gen(function*() {
      const { audited, run } = yield* gone(
        "ask",
        idle,
        (runtime, runId, id) => runtime.answerAll(caller, runId, [{ id, decision: "approve", value: "yes" }])
      )
      assert.deepInclude(run, { state: "completed", output: "yes" })
      assert.include(audited, "approve")
    }))

  it.effect("has sent a signal: the run receives it at once, and the signal is audited", () =>
    Effect.gen(function*() {
      const { audited, run } = yield* gone("hear", idle, (runtime, runId) =>
        runtime.signal(caller, runId, { signal: "say", payload: "hello" }))
      assert.deepInclude(run, { state: "completed", output: "hello" })
      assert.include(audited, "signal")
    }))

  it.effect("has cancelled it", () =>
    Effect.gen(function*() {
      const { audited, run } = yield* gone("ask", idle, (runtime, runId) => runtime.cancel(caller, runId))
      assert.strictEqual(run.state, "cancelled")
      assert.include(audited, "cancel")
    }))

  it.effect("has forked it: the fork is audited", () =>
    Effect.gen(function*() {
      const { audited } = yield* gone("ask", idle, (runtime, runId) => runtime.fork(caller, runId, {}))
      assert.include(audited, "fork")
    }))

  it.effect("has retried it: the retry is audited, and the run knows it", () =>
    Effect.gen(function*() {
      const { audited, run } = yield* gone("fails", idle, (runtime, runId) => runtime.retry(caller, runId))
      assert.include(audited, "retry")
      assert.isString(run.retriedAs)
    }))
})
