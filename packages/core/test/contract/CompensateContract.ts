// The undos of a run, on a store: every end that has undos, every pause that has none, and processes that die in between.
import { assert, describe, it } from "@effect/vitest"
import { Event, Run, RunStore, Runtime } from "@fastagentic/core"
import { Context, Effect, Layer, Schema } from "effect"
import { caller, ended, isWhole, journal, settle, start } from "../support.ts"
import { CardDeclined, type Handler, killed, Lab, processOf } from "./BranchesContract.ts"

const ask = Effect.orDie(Run.interrupt("ask", { schema: Schema.String }))

/** A shop that books and notes what it did and undid, with the key of each undo. */
const shop = () => {
  const did: Array<string> = []
  const keys = new Map<string, Set<string>>()
  const act = (what: string) => Effect.sync(() => (did.push(what), what))
  const undo = (what: string, before: Effect.Effect<unknown, unknown> = Effect.void) =>
    Effect.gen(function*() {
      const key = yield* Run.idempotencyKey
      keys.set(what, (keys.get(what) ?? new Set()).add(key))
      did.push(`try ${what}`)
      yield* before
      did.push(`undo ${what}`)
    })
  const book = (what: string, before?: Effect.Effect<unknown, unknown>) =>
    Effect.andThen(Run.compensate(what, undo(what, before)), Run.step(what, act(what)))
  const undone = () => did.filter((word) => word.startsWith("undo "))
  return { did, keys, act, undo, book, undone }
}

export const undosOf = (events: ReadonlyArray<Event.RunEvent>) =>
  events.flatMap(({ data, type }) => type === "undo" ? [`${data.undoId} ${data.status}`] : [])

const cancel = (runId: string) => Runtime.Runtime.use((runtime) => runtime.cancel(caller, runId, "not wanted"))

export const compensateSuite = (name: string, layer: Layer.Layer<RunStore.RunStore, unknown>) => {
  const withStore = <A, E>(use: (store: RunStore.RunStore["Service"]) => Effect.Effect<A, E>) =>
    Effect.scoped(
      Effect.flatMap(Layer.build(Layer.fresh(layer)), (built) => use(Context.get(built, RunStore.RunStore)))
    )
  const whole = (runId: string) =>
    Effect.gen(function*() {
      const run = yield* ended(runId)
      const events = yield* journal(runId)
      assert.isTrue(isWhole(events))
      return { run, events }
    })

  describe(`Undos of a run, ${name}`, () => {
    it.live("run once in reverse order when the run fails, and then it ends with its failure", () =>
      withStore((store) => {
        const { book, did, keys } = shop()
        const handler = Effect.gen(function*() {
          yield* book("card")
          yield* book("hotel")
          return yield* Effect.fail(new CardDeclined({ reason: "no seats" }))
        })
        return processOf(
          store,
          handler,
          Effect.gen(function*() {
            const { runId } = yield* start("lab")
            const { events, run } = yield* whole(runId)
            assert.deepStrictEqual([run.state, run.error?.tag], ["failed", "CardDeclined"])
            assert.deepStrictEqual(did, ["card", "hotel", "try hotel", "undo hotel", "try card", "undo card"])
            assert.deepStrictEqual(undosOf(events), [
              "undo card registered",
              "undo hotel registered",
              "undo hotel done",
              "undo card done"
            ])
            assert.strictEqual(events.at(-1)?.type, "error")
            assert.deepStrictEqual([...keys.get("card") ?? []], [`${runId}/undo card`])
          })
        )
      }))

    it.live("do not run when the run completes, pauses, drains or restarts", () =>
      withStore((store) => {
        const { book, did } = shop()
        const handler = Effect.gen(function*() {
          yield* book("card")
          const answered = yield* ask
          yield* Run.step("slow", Effect.delay(Effect.succeed(1), "40 millis"))
          return answered
        })
        return Effect.gen(function*() {
          const { runId } = yield* processOf(store, handler, settle("lab"))
          yield* processOf(
            store,
            handler,
            Effect.gen(function*() {
              const runtime = yield* Runtime.Runtime
              const [open] = yield* runtime.interrupts(caller, runId)
              yield* runtime.answer(caller, runId, open?.id ?? "", { decision: "approve", value: "yes" })
            })
          )
          const { run } = yield* processOf(store, handler, whole(runId))
          assert.deepStrictEqual([run.state, run.output], ["completed", "yes"])
          assert.deepStrictEqual(did, ["card"])
        })
      }))

    it.live("run when a run is cancelled while it waits, while it works, and after its process was killed", () =>
      withStore((store) => {
        const first = shop()
        const waits = Effect.andThen(first.book("card"), ask)
        const second = shop()
        const works = Effect.gen(function*() {
          yield* second.book("card")
          yield* Run.compensate("hotel", second.undo("hotel"))
          yield* Run.step("hotel", Effect.delay(second.act("hotel"), "5 seconds"))
          return "done"
        })
        return Effect.gen(function*() {
          const cancelled = (runId: string) => Effect.andThen(cancel(runId), whole(runId))
          const { runId } = yield* processOf(store, waits, settle("lab"))
          const resting = yield* processOf(store, waits, cancelled(runId))
          assert.strictEqual(resting.run.state, "cancelled")
          assert.deepStrictEqual(first.did, ["card", "try card", "undo card"])
          assert.deepStrictEqual(resting.events.at(-1)?.data, { reason: "not wanted" })
          // A step that was cut off is undone too: its undo was registered before.
          const busy = yield* processOf(
            store,
            works,
            Effect.flatMap(Effect.tap(start("lab"), Effect.sleep("40 millis")), (run) => cancelled(run.runId))
          )
          assert.strictEqual(busy.run.state, "cancelled")
          assert.deepStrictEqual(second.did, ["card", "try hotel", "undo hotel", "try card", "undo card"])
          second.did.length = 0
          const lost = yield* killed(store, works, Effect.tap(start("lab"), Effect.sleep("40 millis")))
          const after = yield* processOf(store, works, cancelled(lost.runId))
          assert.strictEqual(after.run.state, "cancelled")
          assert.deepStrictEqual(second.undone(), ["undo hotel", "undo card"])
        })
      }))

    it.live("continue in another process when theirs dies between two of them", () =>
      withStore((store) => {
        const { book, did, keys, undone } = shop()
        let block: Effect.Effect<void> = Effect.never
        const handler = Effect.gen(function*() {
          yield* book("card", Effect.suspend(() => block))
          yield* book("hotel")
          return yield* Effect.fail(new CardDeclined({ reason: "no seats" }))
        })
        return Effect.gen(function*() {
          const { runId } = yield* killed(store, handler, Effect.tap(start("lab"), Effect.sleep("400 millis")))
          assert.deepStrictEqual(undone(), ["undo hotel"])
          // A process that stops in order leaves them as well.
          yield* processOf(store, handler, Effect.sleep("400 millis"))
          assert.deepStrictEqual(undone(), ["undo hotel"])
          block = Effect.void
          const { run } = yield* processOf(store, handler, whole(runId))
          assert.deepStrictEqual([run.state, run.error?.tag], ["failed", "CardDeclined"])
          assert.deepStrictEqual(undone(), ["undo hotel", "undo card"])
          assert.strictEqual(did.filter((word) => word === "try hotel").length, 1)
          assert.deepStrictEqual([...keys.get("card") ?? []], [`${runId}/undo card`])
        })
      }))

    it.live(
      "are tried again when they fail, and one that fails for good does not keep the others",
      () =>
        withStore((store) => {
          const { book, undone } = shop()
          let tries = 0
          const never = Effect.suspend(() => Effect.fail(new CardDeclined({ reason: String(++tries) })))
          let second = 0
          const once = Effect.suspend(() => ++second === 1 ? Effect.die("broken") : Effect.void)
          const handler = Effect.gen(function*() {
            yield* book("card")
            yield* book("hotel", never)
            yield* book("taxi", once)
            return yield* Effect.die("no")
          })
          return processOf(
            store,
            handler,
            Effect.gen(function*() {
              const { runId } = yield* start("lab")
              const { events, run } = yield* whole(runId)
              assert.strictEqual(run.state, "failed")
              assert.deepStrictEqual(undone(), ["undo taxi", "undo card"])
              assert.strictEqual(tries, 5)
              const failed = events.filter((event) => event.type === "undo" && event.data.status === "failed")
              assert.deepStrictEqual(failed.map(({ data }) => data), [
                { undoId: "undo hotel", status: "failed", tries: 5, error: "CardDeclined" }
              ])
            })
          )
        }),
      20_000
    )

    it.live("are not given up for good because a process stops while one of them fails", () =>
      withStore((store) => {
        const { book, undone } = shop()
        let isDown = true
        let tries = 0
        const refund = Effect.suspend(() => {
          tries++
          return isDown ? Effect.delay(Effect.fail(new CardDeclined({ reason: "away" })), "15 millis") : Effect.void
        })
        const handler = Effect.gen(function*() {
          yield* book("card", refund)
          return yield* Effect.fail(new CardDeclined({ reason: "no seats" }))
        })
        return Effect.gen(function*() {
          const tried = Effect.repeat(Effect.sleep("1 millis"), { until: () => tries === 1 })
          const { runId } = yield* processOf(store, handler, Effect.tap(start("lab"), tried))
          assert.strictEqual(tries, 1)
          isDown = false
          const { run } = yield* processOf(store, handler, whole(runId))
          assert.deepStrictEqual([run.state, run.error?.tag], ["failed", "CardDeclined"])
          assert.deepStrictEqual(undone(), ["undo card"])
        })
      }), 20_000)

    it.live("run at the deadline of a run, while it works and while it waits", () =>
      withStore((store) => {
        const { book, undone } = shop()
        const started = Runtime.Runtime.use((runtime) =>
          runtime.start(caller, { kind: "agent", identifier: "lab", payload: {}, timeout: 150 })
        )
        const exceeded = Effect.gen(function*() {
          const { run } = yield* Effect.flatMap(started, ({ run: { runId } }) => whole(runId))
          assert.deepStrictEqual([run.state, run.error?.tag], ["failed", "DeadlineExceeded"])
        })
        const works = Effect.andThen(book("works"), Effect.never)
        const waits = Effect.andThen(book("waits"), ask)
        return Effect.gen(function*() {
          yield* processOf(store, works, exceeded)
          yield* processOf(store, waits, exceeded)
          assert.deepStrictEqual(undone(), ["undo works", "undo waits"])
        })
      }), 20_000)

    it.live("that the handler does not register any more hold the run for repair, until it is cancelled again", () =>
      withStore((store) => {
        const { book, undone } = shop()
        return Effect.gen(function*() {
          const { runId } = yield* processOf(store, Effect.andThen(book("card"), ask), settle("lab"))
          yield* processOf(
            store,
            Effect.succeed("changed"),
            Effect.gen(function*() {
              const runtime = yield* Runtime.Runtime
              yield* cancel(runId)
              const held = yield* runtime.await(caller, runId)
              assert.deepStrictEqual([held.state, held.waitsFor], ["suspended", "repair"])
              const last = (yield* journal(runId)).at(-1)
              assert.strictEqual(
                last?.type === "run_suspended" ? last.data.detail : undefined,
                "its handler does not register \"undo card\" any more"
              )
              yield* cancel(runId)
              assert.strictEqual((yield* runtime.get(caller, runId)).state, "cancelled")
            })
          )
          assert.deepStrictEqual(undone(), [])
        })
      }))

    it.live("leave nothing for a retry to inherit: it books again", () =>
      withStore((store) => {
        const { book, did } = shop()
        let seats = 0
        const handler = Effect.gen(function*() {
          yield* book("card")
          return yield* Run.step(
            "seats",
            Effect.suspend(() =>
              seats++ === 0 ? Effect.fail(new CardDeclined({ reason: "no seats" })) : Effect.succeed("sat")
            )
          )
        })
        return processOf(
          store,
          handler,
          Effect.gen(function*() {
            const { runId } = yield* start("lab")
            yield* whole(runId)
            const { run } = yield* Runtime.Runtime.use((runtime) => runtime.retry(caller, runId))
            assert.strictEqual((yield* ended(run.runId)).output, "sat")
            assert.deepStrictEqual(did, ["card", "try card", "undo card", "card"])
          })
        )
      }))

    it.live("of a run that another has started run when that is cancelled", () =>
      withStore((store) => {
        const { book, undone } = shop()
        const handler: Handler = Effect.gen(function*() {
          const { record } = yield* Run.CurrentRun
          if (record.parentRunId !== undefined) return yield* Effect.andThen(book("child"), ask)
          yield* book("parent")
          return yield* Effect.orDie(Run.delegate(Lab, {}))
        })
        return processOf(
          store,
          handler,
          Effect.gen(function*() {
            const { runId } = yield* settle("lab")
            const runtime = yield* Runtime.Runtime
            const [child] = (yield* runtime.list(caller, { parentRunId: runId, limit: 5 })).items
            const [parent] = [yield* Effect.andThen(cancel(runId), whole(runId)), yield* ended(child?.runId ?? "")]
            assert.strictEqual(parent.run.state, "cancelled")
            assert.sameMembers(undone(), ["undo child", "undo parent"])
          })
        )
      }))
  })
}
