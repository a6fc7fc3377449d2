// Runs whose handler has changed between two processes, on a store: a handler that does something else than is recorded is
// held for repair, and what a replay may leave out is not taken for a change.
import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Run, RunStore, Runtime } from "@fastagentic/core"
import { Context, Effect, Layer, Schema } from "effect"
import { answer, caller, ended, layerRuntime, settle, start } from "../support.ts"
import { CardDeclined, type Handler, killed, processOf } from "./BranchesContract.ts"

const never = Effect.as(Effect.never, null)
const ask = (name: string) => Effect.orDie(Run.interrupt(name, { schema: Schema.String }))

export const changedSuite = (name: string, layer: Layer.Layer<RunStore.RunStore, unknown>) => {
  const withStore = <A, E>(use: (store: RunStore.RunStore["Service"]) => Effect.Effect<A, E>) =>
    Effect.scoped(
      Effect.flatMap(Layer.build(Layer.fresh(layer)), (built) => use(Context.get(built, RunStore.RunStore)))
    )

  /** A run of one handler that is killed, then driven by a changed one, then repaired by a third. */
  const upgrade = (options: {
    readonly before: Handler
    readonly changed: Handler
    readonly right?: Handler
    readonly decide?: string
  }) =>
    withStore((store) =>
      Effect.gen(function*() {
        const { runId } = yield* killed(
          store,
          options.before,
          Effect.tap(start("lab"), () => Effect.sleep("150 millis"))
        )
        const found = yield* processOf(
          store,
          options.changed,
          Effect.gen(function*() {
            const runtime = yield* Runtime.Runtime
            if (options.decide !== undefined) yield* answer(runId, { decision: "approve", value: options.decide })
            yield* Effect.sleep("20 millis")
            let run = yield* runtime.await(caller, runId)
            // A run that waits for its question as before is found at once.
            while (run.state === "running") run = yield* runtime.await(caller, runId)
            return run
          })
        )
        const events = yield* store.events(runId, 0, 500)
        const detail = events.flatMap(({ data, type }) => type === "run_suspended" ? [data.detail] : []).at(-1)
        const { right } = options
        if (right === undefined) return { found, detail, repaired: undefined }
        const repaired = yield* processOf(
          store,
          right,
          Effect.gen(function*() {
            const runtime = yield* Runtime.Runtime
            yield* runtime.resume(caller, runId)
            return yield* ended(runId)
          })
        )
        return { found, detail, repaired }
      })
    )

  const done: Array<string> = []
  const step = (what: string, millis = 0) =>
    Run.step(what, Effect.delay(Effect.sync(() => (done.push(what), what)), millis))
  const held = { state: "suspended", waitsFor: "repair" } as const

  describe(`A changed handler, ${name}`, () => {
    it.live("that ends without its recorded steps is held for repair, and the right one continues", () =>
      Effect.gen(function*() {
        done.length = 0
        const { detail, found, repaired } = yield* upgrade({
          before: Effect.andThen(step("plan"), Effect.andThen(step("pay"), never)),
          changed: step("plan"),
          right: Effect.andThen(step("plan"), step("pay"))
        })
        assert.deepInclude(found, held)
        assert.strictEqual(detail, "its handler ends, and step \"pay\" is recorded")
        assert.deepInclude(repaired, { state: "completed", output: "pay" })
        assert.deepStrictEqual(done, ["plan", "pay"])
      }))

    it.live("that wants another step, pause, sleep or side effect is held before it does it", () =>
      Effect.gen(function*() {
        const before = Effect.andThen(step("plan"), Effect.andThen(step("pay"), never))
        const others: ReadonlyArray<readonly [Handler, string]> = [
          [step("charge"), "step \"charge\""],
          [Effect.as(Run.sleep("1 hour", "pay"), null), "step \"sleep pay\""],
          [ask("pay"), "interrupt \"pay\""],
          [Effect.as(Run.compensate("pay", Effect.void), null), "step \"undo pay\""],
          [Run.scope("pay")(step("pay")), "step \"pay/pay\""]
        ]
        for (const [other, wanted] of others) {
          done.length = 0
          const { detail, found } = yield* upgrade({ before, changed: Effect.andThen(step("plan"), other) })
          assert.deepInclude(found, held)
          assert.strictEqual(detail, `its handler wants ${wanted} where step "pay" is recorded`)
          assert.deepStrictEqual(done, ["plan", "pay"])
        }
      }))

    it.live("that fails before it has used what is recorded is held, and keeps its way", () =>
      Effect.gen(function*() {
        const { detail, found, repaired } = yield* upgrade({
          before: Effect.andThen(step("plan"), never),
          changed: Effect.die(new TypeError("a mistake")),
          right: step("plan")
        })
        assert.deepInclude(found, held)
        assert.strictEqual(detail, "its handler ends, and step \"plan\" is recorded")
        assert.deepInclude(repaired, { state: "completed" })
      }))

    it.live("that leaves a step out, or asks something else, is held after the answer, which is kept", () =>
      Effect.gen(function*() {
        const before = Effect.flatMap(step("plan"), (plan) => Effect.map(ask("sure"), (sure) => `${plan} ${sure}`))
        const less = yield* upgrade({ before, changed: ask("sure"), decide: "yes", right: before })
        assert.deepInclude(less.found, held)
        assert.deepInclude(less.repaired, { state: "completed", output: "plan yes" })
        const other = yield* upgrade({
          before,
          changed: Effect.andThen(step("plan"), ask("really")),
          decide: "yes",
          right: before
        })
        assert.deepInclude(other.found, held)
        assert.strictEqual(other.detail, "its handler wants interrupt \"really\" where interrupt \"sure\" is recorded")
        assert.deepInclude(other.repaired, { state: "completed", output: "plan yes" })
      }))

    it.live("that asks another question than the open one is held, and its caller may still decide", () =>
      withStore((store) =>
        Effect.gen(function*() {
          const before = Effect.andThen(
            step("plan"),
            Effect.all([ask("sure"), Run.step("work", never)], { concurrency: 2 })
          )
          const { runId } = yield* killed(
            store,
            Effect.map(before, ([sure]) => sure),
            Effect.tap(start("lab"), () => Effect.sleep("150 millis"))
          )
          yield* processOf(
            store,
            Effect.andThen(step("plan"), ask("really")),
            Effect.gen(function*() {
              const runtime = yield* Runtime.Runtime
              assert.deepInclude(yield* runtime.await(caller, runId), held)
              assert.deepInclude(yield* answer(runId, { decision: "approve", value: "yes" }), held)
            })
          )
          const repaired = yield* processOf(
            store,
            Effect.andThen(step("plan"), ask("sure")),
            Effect.gen(function*() {
              yield* Runtime.Runtime.use((runtime) => runtime.resume(caller, runId))
              return yield* ended(runId)
            })
          )
          assert.deepInclude(repaired, { state: "completed", output: "yes" })
          const names = (yield* store.interrupts(runId)).map((one) => one.name)
          assert.deepStrictEqual(names, ["sure"])
        })
      ))

    it.live("that wants another answer than was asked for goes on with one that fits both, and is held otherwise", () =>
      Effect.gen(function*() {
        const handler = (schema: Schema.Codec<Schema.Json, Schema.Json>) =>
          Effect.andThen(step("plan"), Effect.orDie(Run.interrupt("sure", { schema })))
        const text = handler(Schema.String)
        const number = yield* upgrade({ before: text, changed: handler(Schema.Finite), decide: "yes", right: text })
        assert.deepInclude(number.found, held)
        assert.match(number.detail ?? "", /^the recorded answer to "sure" does not fit its schema any more/u)
        assert.deepInclude(number.repaired, { state: "completed", output: "yes" })
        const wider = handler(Schema.Union([Schema.String, Schema.Finite]))
        const fits = yield* upgrade({ before: text, changed: wider, decide: "yes" })
        assert.deepInclude(fits.found, { state: "completed", output: "yes" })
      }))

    it.live("that reads a recorded step by another schema is held", () =>
      Effect.gen(function*() {
        const plan = (schema: Schema.Codec<Schema.Json, Schema.Json>, value: Schema.Json) =>
          Run.stepWith("plan", schema, Effect.succeed(value))
        const { detail, found, repaired } = yield* upgrade({
          before: Effect.andThen(plan(Schema.String, "one"), never),
          changed: plan(Schema.Finite, 1),
          right: plan(Schema.String, "two")
        })
        assert.deepInclude(found, held)
        assert.match(detail ?? "", /^the recorded step "plan" does not fit its schema any more/u)
        assert.deepInclude(repaired, { state: "completed", output: "one" })
      }))

    it.live("is found inside of a step that was cut off", () =>
      Effect.gen(function*() {
        done.length = 0
        const { detail, found } = yield* upgrade({
          before: Run.step("outer", Effect.andThen(step("inner"), never)),
          changed: Run.step("outer", step("other"))
        })
        assert.deepInclude(found, held)
        assert.strictEqual(detail, "its handler wants step \"outer › other\" where step \"outer › inner\" is recorded")
        assert.deepStrictEqual(done, ["inner"])
      }))

    it.live("is found beside other branches, once they have come to nothing recorded", () =>
      Effect.gen(function*() {
        done.length = 0
        const two = (a: string, b: string) =>
          Effect.as(
            Effect.all([Effect.andThen(step(a), never), Effect.andThen(step(b), never)], { concurrency: 2 }),
            null
          )
        const { detail, found } = yield* upgrade({ before: two("a", "b"), changed: two("a", "c") })
        assert.deepInclude(found, held)
        assert.strictEqual(detail, "its handler wants step \"c\" where step \"b\" is recorded")
        assert.deepStrictEqual(done.toSorted(), ["a", "b"])
      }))

    it.live("stops at once when policy refuses it, whatever is recorded", () =>
      withStore((store) =>
        Effect.gen(function*() {
          const { runId } = yield* killed(
            store,
            Effect.andThen(step("plan"), never),
            Effect.tap(start("lab"), () => Effect.sleep("50 millis"))
          )
          const run = yield* processOf(
            store,
            never,
            Effect.gen(function*() {
              const runtime = yield* Runtime.Runtime
              yield* runtime.cancel(caller, runId)
              return yield* ended(runId)
            })
          )
          assert.deepInclude(run, { state: "cancelled" })
        })
      ))
  })

  describe(`A replay that leaves something out, ${name}`, () => {
    it.live("is no change where the branch that did it sleeps and loses its race again", () =>
      Effect.gen(function*() {
        const slow = Effect.andThen(Effect.sleep("10 millis"), Effect.andThen(step("early"), never))
        const handler = Effect.gen(function*() {
          const won = yield* Effect.race(slow, step("late", 60))
          yield* step("after")
          return yield* Effect.as(ask("go on"), won)
        })
        const { found } = yield* upgrade({ before: handler, changed: handler, decide: "yes" })
        assert.deepInclude(found, { state: "completed", output: "late" })
      }))

    it.live("is no change where a pause has lost its race", () =>
      Effect.gen(function*() {
        for (const pause of [ask("never"), Effect.as(Run.sleep("1 hour"), "hour")]) {
          for (const pair of [[step("quick"), pause], [pause, step("quick")]] as const) {
            const handler = Effect.flatMap(Effect.race(...pair), (won) => Effect.as(ask("go on"), won))
            const { found } = yield* upgrade({ before: handler, changed: handler, decide: "yes" })
            assert.deepInclude(found, { state: "completed", output: "quick" })
          }
        }
      }))

    it.live("is no rest while branches are about to do their work again beside a sleep", () =>
      withStore((store) => {
        const quick = Effect.race(step("quick", 60), Effect.as(Run.sleep("1 hour"), "late"))
        const branches = ["a", "b", "c"].map((name) => Run.scope(name)(Effect.andThen(step("one", 60), step("two"))))
        const handler = Effect.all([...branches, quick], { concurrency: "unbounded" })
        return Effect.gen(function*() {
          const { runId } = yield* killed(store, handler, Effect.tap(start("lab"), () => Effect.sleep("30 millis")))
          const run = yield* processOf(store, handler, ended(runId))
          assert.deepInclude(run, { state: "completed", output: ["two", "two", "two", "quick"] })
        })
      }))

    it.live("is no change where a retry takes another way than the failure that ended the run", () =>
      withStore((store) => {
        let broken = true
        const card = Run.step(
          "card",
          Effect.suspend(() => broken ? Effect.fail(new CardDeclined({ reason: "no money" })) : Effect.succeed("paid"))
        )
        const handler = Effect.andThen(Effect.tapError(card, () => step("notify")), step("ship"))
        return processOf(
          store,
          handler,
          Effect.gen(function*() {
            const runtime = yield* Runtime.Runtime
            const failed = yield* settle("lab")
            assert.deepInclude(failed, { state: "failed" })
            broken = false
            const { run } = yield* runtime.retry(caller, failed.runId)
            assert.deepInclude(yield* runtime.await(caller, run.runId), { state: "completed", output: "ship" })
          })
        )
      }))

    it.live("is no change where a fork asks again for an approval", () =>
      withStore((store) => {
        const sure = Effect.orDie(Run.interrupt("sure", { schema: Schema.String, scopes: ["plans:approve"] }))
        const handler = Effect.andThen(step("plan"), Effect.flatMap(sure, (sure) => Effect.as(step("pay"), sure)))
        return processOf(
          store,
          handler,
          Effect.gen(function*() {
            const runtime = yield* Runtime.Runtime
            const { runId } = yield* settle("lab")
            assert.deepInclude(yield* answer(runId, { decision: "approve", value: "one" }), { state: "completed" })
            const { run } = yield* runtime.fork(caller, runId, {})
            assert.deepInclude(yield* runtime.await(caller, run.runId), { state: "suspended", waitsFor: "interrupt" })
            assert.deepInclude(yield* answer(run.runId, { decision: "approve", value: "two" }), {
              state: "completed",
              output: "two"
            })
          })
        )
      }))

    it.live("holds a delegated run alone: the run that waits for it continues once it is repaired", () =>
      withStore((store) => {
        const Parent = Agent.make("parent", { description: "Delegates", payload: {}, success: Schema.String })
        const Child = Agent.make("child", { description: "Asks", payload: {}, success: Schema.String })
        const Family = App.make("family", { version: "1", agents: [Parent, Child] })
        const during = <A, E>(
          child: Effect.Effect<string, never, Run.CurrentRun>,
          effect: Effect.Effect<A, E, Runtime.Runtime>
        ) => {
          const handlers = Layer.merge(
            Parent.toLayer(() => Effect.orDie(Run.delegate(Child, {}))),
            Child.toLayer(() => child)
          )
          const runtime = Layer.build(layerRuntime(Family, handlers, Layer.succeed(RunStore.RunStore, store)))
          return Effect.scoped(Effect.flatMap(runtime, (context) => Effect.provideContext(effect, context)))
        }
        const right = Effect.andThen(step("plan"), ask("sure"))
        return Effect.gen(function*() {
          const { runId } = yield* during(right, settle("parent"))
          const children = Runtime.Runtime.use((runtime) => runtime.list(caller, { parentRunId: runId, limit: 1 }))
          const held = yield* during(
            ask("sure"),
            Effect.gen(function*() {
              const runtime = yield* Runtime.Runtime
              const [child] = (yield* children).items
              yield* answer(child?.runId ?? "", { decision: "approve", value: "yes" })
              assert.deepInclude(yield* runtime.get(caller, runId), { state: "suspended", waitsFor: "child" })
              return yield* runtime.get(caller, child?.runId ?? "")
            })
          )
          assert.deepInclude(held, { state: "suspended", waitsFor: "repair" })
          const parent = yield* during(
            right,
            Effect.gen(function*() {
              yield* Runtime.Runtime.use((runtime) => runtime.resume(caller, held.runId))
              return yield* ended(runId)
            })
          )
          assert.deepInclude(parent, { state: "completed", output: "yes" })
        })
      }))
  })
}
