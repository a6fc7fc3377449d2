// Contract of a `RunEngine`. A test file of the implementation calls `suite` once.
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Ref, Schema, Stream } from "effect"
import * as Agent from "../../app/Agent.ts"
import * as App from "../../app/App.ts"
import * as Audit from "../../audit/Audit.ts"
import * as Budget from "../../budget/Budget.ts"
import * as Auth from "../../door/Auth.ts"
import * as Caller from "../../door/Caller.ts"
import * as RateLimit from "../../door/RateLimit.ts"
import * as Runtime from "../../operations/Runtime.ts"
import * as Event from "../../run/Event.ts"
import * as Run from "../../run/Run.ts"
import type * as RunRecord from "../../run/RunRecord.ts"
import type * as RunStore from "../../store/RunStore.ts"

class Walker extends Agent.make("walker", {
  description: "Walks, naps and asks as it is told",
  payload: {
    name: Schema.String,
    plan: Schema.Array(Schema.Literals(["step", "nap", "sleep", "ask", "ride", "wait"]))
  },
  success: Schema.String
}) {}

class Horse extends Agent.make("horse", { description: "Carries", payload: {}, success: Schema.String }) {}

class Walk extends App.make("walk", { version: "1", agents: [Walker, Horse] }) {}

const caller = Caller.make("local")

type Plan = typeof Walker.payloadSchema.Type["plan"]

/** Every step that was taken, as `name number`. */
type Taken = Ref.Ref<ReadonlyArray<string>>

const handlersIn = (taken: Taken) =>
  Layer.merge(
    Walker.toLayer(Effect.fn(function*({ name, plan }) {
      for (const [index, what] of plan.entries()) {
        if (what === "nap") yield* Run.sleep("300 millis")
        else if (what === "sleep") yield* Run.sleep("2 seconds")
        else if (what === "ask") yield* Effect.orDie(Run.interrupt("go on", { schema: Schema.Boolean }))
        else if (what === "ride") yield* Effect.orDie(Run.delegate(Horse, {}))
        else if (what === "wait") return yield* Effect.never
        else yield* Run.step("step", Effect.as(Ref.update(taken, (all) => [...all, `${name} ${index}`]), index))
        yield* Run.emit(Event.token(`${index} `))
      }
      return `${name} is there`
    })),
    Horse.toLayer(() => Effect.succeed("carried"))
  )

/**
 * Declares the tests that every run engine passes, on the store that its layer brings.
 *
 * @category contracts
 * @since 0.1.0
 */
export const suite = <E>(name: string, layer: Layer.Layer<RunStore.RunStore, E>) =>
  describe(name, () => {
    const onNode = <A, E2>(body: (node: Node) => Effect.Effect<A, E2>) =>
      Effect.scoped(Effect.gen(function*() {
        const taken = yield* Ref.make<ReadonlyArray<string>>([])
        const node = Runtime.layer(Walk, { grace: "50 millis" }).pipe(
          Layer.provide([handlersIn(taken), Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited]),
          Layer.provide([Layer.fresh(layer), Audit.layerMemory])
        )
        const context = yield* Layer.build(node)
        return yield* body({ runtime: Context.get(context, Runtime.Runtime), taken: Ref.get(taken) })
      }))

    it.live("drives what is started, each step once", () =>
      onNode((node) =>
        Effect.gen(function*() {
          const names = Array.from({ length: 50 }, (_, index) => `w${index}`)
          const runIds = yield* Effect.forEach(names, (name) => start(node, name, ["step", "step", "step"]), {
            concurrency: 16
          })
          const runs = yield* Effect.forEach(runIds, (runId) => node.runtime.await(caller, runId))
          assert.deepStrictEqual(runs.map(({ output }) => output), names.map((name) => `${name} is there`))
          const expected = names.flatMap((name) => [`${name} 0`, `${name} 1`, `${name} 2`])
          assert.deepStrictEqual([...yield* node.taken].sort(), expected.sort())
          isWhole(yield* journal(node, runIds[0] ?? ""))
        })
      ), 30_000)

    it.live("lets a run go on when it is answered, and steps that were taken stay taken", () =>
      onNode((node) =>
        Effect.gen(function*() {
          const runId = yield* start(node, "w", ["step", "ask", "step", "ask", "step"])
          for (const _ of [1, 2]) {
            assert.strictEqual((yield* node.runtime.await(caller, runId)).waitsFor, "interrupt")
            const open = (yield* node.runtime.interrupts(caller, runId)).find(({ state }) =>
              state === "open"
            )
            yield* node.runtime.answer(caller, runId, open?.id ?? "", { decision: "approve", value: true })
          }
          const run = yield* node.runtime.await(caller, runId)
          assert.strictEqual(run.output, "w is there")
          assert.strictEqual(run.attempt, 3)
          assert.deepStrictEqual(yield* node.taken, ["w 0", "w 2", "w 4"])
          isWhole(yield* journal(node, runId))
        })
      ), 30_000)

    it.live("ends a run that is cancelled, at work or at rest, and drives it no more", () =>
      onNode((node) =>
        Effect.gen(function*() {
          const working = yield* start(node, "w", ["step", "wait"])
          const asking = yield* start(node, "a", ["ask", "step"])
          // A slow machine still cancels it before it wakes.
          const sleeping = yield* start(node, "n", ["sleep", "step"])
          yield* Effect.repeat(Effect.delay(node.taken, "20 millis"), {
            until: (taken) =>
              taken.length > 0
          })
          yield* node.runtime.await(caller, asking)
          for (const runId of [working, asking, sleeping]) {
            assert.strictEqual((yield* node.runtime.cancel(caller, runId)).state, "cancelled")
          }
          yield* Effect.sleep("2500 millis")
          assert.deepStrictEqual(yield* node.taken, ["w 0"])
          for (const runId of [working, asking, sleeping]) {
            assert.strictEqual((yield* node.runtime.get(caller, runId)).state, "cancelled")
            isWhole(yield* journal(node, runId))
          }
        })
      ), 30_000)

    it.live("wakes a run that sleeps", () =>
      onNode((node) =>
        Effect.gen(function*() {
          const runId = yield* start(node, "w", ["step", "nap", "step"])
          assert.strictEqual((yield* ended(node, runId)).output, "w is there")
          assert.deepStrictEqual(yield* node.taken, ["w 0", "w 2"])
        })
      ), 30_000)

    it.live("lets a run go on when the run that it has started ends", () =>
      onNode((node) =>
        Effect.gen(function*() {
          const runId = yield* start(node, "w", ["step", "ride", "step"])
          assert.strictEqual((yield* ended(node, runId)).output, "w is there")
          assert.deepStrictEqual(yield* node.taken, ["w 0", "w 2"])
        })
      ), 30_000)
  })

interface Node {
  readonly runtime: Runtime.Runtime["Service"]
  readonly taken: Effect.Effect<ReadonlyArray<string>>
}

const start = ({ runtime }: Node, name: string, plan: Plan) =>
  Effect.map(
    runtime.start(caller, { kind: "agent", identifier: "walker", payload: { name, plan } }),
    ({ run }) => run.runId
  )

const journal = Effect.fnUntraced(function*({ runtime }: Node, runId: string) {
  const pages = yield* runtime.follow(caller, runId, { after: 0, until: "final" })
  return (yield* Stream.runCollect(pages)).flatMap(({ events }) => events)
})

/** The run once nothing can happen to it any more. */
const ended = (node: Node, runId: string): Effect.Effect<RunRecord.RunRecord, unknown> =>
  Effect.andThen(journal(node, runId), node.runtime.get(caller, runId))

const isWhole = (events: ReadonlyArray<Event.RunEvent>) =>
  assert.deepStrictEqual(events.map(({ seq }) => seq), events.map((_, index) => index + 1))
