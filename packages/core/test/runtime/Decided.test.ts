import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Run, RunNotifier, RunStore, Runtime } from "@fastagentic/core"
import { Context, Effect, Fiber, Layer, Schema, Stream } from "effect"
import { caller, layerRuntime } from "../support.ts"

const Greet = Agent.make("greet", { description: "Greets", payload: {} })
const Acme = App.make("acme", { version: "1", agents: [Greet] })

const greet = Greet.toLayer(() =>
  Effect.gen(function*() {
    const name = yield* Effect.orDie(Run.interrupt("name", { schema: Schema.String }))
    yield* Effect.sleep("50 millis")
    return `Hello, ${name}!`
  })
)

/** No notice comes: a node learns of the other one's changes when it looks, once a second. */
const silent = Layer.succeed(RunNotifier.RunNotifier, {
  changes: Stream.concat(Stream.succeed<RunNotifier.Notice>({ _tag: "Missed" }), Stream.never)
})

const node = (store: RunStore.RunStore["Service"]) =>
  Effect.map(
    Layer.build(
      Layer.fresh(layerRuntime(Acme, greet, Layer.succeed(RunStore.RunStore, store))).pipe(Layer.provide(silent))
    ),
    Context.get(Runtime.Runtime)
  )

/** A run whose question was decided on one node, while another one still takes it to be open. */
const decided = Effect.gen(function*() {
  const store = Context.get(yield* Layer.build(RunStore.RunStore.layerMemory), RunStore.RunStore)
  const one = yield* node(store)
  const two = yield* node(store)
  const { run: { runId }, settled } = yield* one.start(caller, { kind: "agent", identifier: "greet", payload: {} })
  const asked = yield* settled
  assert.strictEqual(asked.waitsFor, "interrupt")
  const early = yield* two.open(caller, runId)
  // Somebody follows the run on the other node, which so keeps its record at hand.
  const watching = yield* Effect.forkChild(Stream.runDrain(yield* early.follow({ after: 0, until: "final" })))
  yield* Effect.sleep("20 millis")
  const [question] = yield* early.interrupts
  const answered = yield* one.answer(caller, runId, question?.id ?? "", { decision: "approve", value: "Ann" })
  return { early, late: yield* two.open(caller, runId), asked, answered, watching }
})

describe("A run that was just decided on another node", () => {
  it.live("is followed until somebody is needed again, from before its decision and from after it", () =>
    Effect.gen(function*() {
      const { answered, asked, early, late, watching } = yield* decided
      const types = yield* Effect.forEach(
        [[early, asked.seq], [late, answered.seq]] as const,
        ([handle, after]) =>
          Effect.flatMap(
            handle.follow({ after, until: "somebody" }),
            (pages) =>
              Effect.map(Stream.runCollect(pages), (all) => all.flatMap(({ events }) => events.map(({ type }) => type)))
          ),
        { concurrency: 2 }
      )
      assert.strictEqual(types[0]?.[0], "interrupt_resolved")
      assert.deepStrictEqual(types.map((all) => all.at(-1)), ["done", "done"])
      yield* Fiber.join(watching)
    }))

  it.live("is awaited until its end or its next pause", () =>
    Effect.gen(function*() {
      const { early, watching } = yield* decided
      assert.strictEqual((yield* early.settled).output, "Hello, Ann!")
      yield* Fiber.join(watching)
    }))
})
