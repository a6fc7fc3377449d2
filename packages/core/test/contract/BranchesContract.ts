import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Run, RunError, RunStore, Runtime } from "@fastagentic/core"
import { Context, Effect, Layer, Schema } from "effect"
import { answer, caller, layerRuntime, settle } from "../support.ts"

export class CardDeclined extends Schema.TaggedError<CardDeclined>()("CardDeclined", { reason: Schema.String }) {}

export const Lab = Agent.make("lab", {
  description: "Does what a test says",
  payload: {},
  success: Schema.Json,
  error: CardDeclined
})
const Other = Agent.make("other", { description: "Is delegated to", payload: {}, success: Schema.String })

export const Acme = App.make("acme", { version: "1", agents: [Lab, Other] })

export type Handler = Effect.Effect<Schema.Json, CardDeclined, Run.CurrentRun>

/** A process with this handler: from the start of a runtime over a store to its end, which is graceful. */
export const processOf = <A, E>(
  store: RunStore.RunStore["Service"],
  handler: Handler,
  effect: Effect.Effect<A, E, Runtime.Runtime>
) => {
  const handlers = Layer.mergeAll(
    Lab.toLayer(() => handler),
    Other.toLayer(() => Effect.succeed("done"))
  )
  const runtime = Layer.build(layerRuntime(Acme, handlers, Layer.succeed(RunStore.RunStore, store)))
  return Effect.scoped(Effect.flatMap(runtime, (context) => Effect.provideContext(effect, context)))
}

/** A process that is killed at the end of the effect: it writes nothing after it. */
export const killed = <A, E>(
  store: RunStore.RunStore["Service"],
  handler: Handler,
  effect: Effect.Effect<A, E, Runtime.Runtime>
) =>
  Effect.suspend(() => {
    let dead = false
    const until: RunStore.RunStore["Service"] = {
      ...store,
      write: (writes) =>
        Effect.suspend(() =>
          dead ? Effect.fail(new RunError.StoreUnavailable({ operation: "killed" })) : store.write(writes)
        )
    }
    const kill = Effect.sync(() => {
      dead = true
    })
    return processOf(until, handler, Effect.ensuring(effect, kill))
  })

const ask = Effect.orDie(Run.interrupt("ask", { schema: Schema.String }))

/** The expected answers of a replay, on a store. */
export const replaySuite = (name: string, layer: Layer.Layer<RunStore.RunStore, unknown>) => {
  const withStore = <A, E>(use: (store: RunStore.RunStore["Service"]) => Effect.Effect<A, E>) =>
    Effect.scoped(
      Effect.flatMap(Layer.build(Layer.fresh(layer)), (built) => use(Context.get(built, RunStore.RunStore)))
    )

  describe(`A replay, ${name}`, () => {
    it.live("is refused the same name in two branches of one place at once, in the first attempt", () =>
      withStore((store) => {
        const branch = (millis: number) =>
          Effect.gen(function*() {
            yield* Run.step("first", Effect.delay(Effect.succeed(`first ${millis}`), millis))
            return yield* Run.step("second", Effect.succeed(`second ${millis}`))
          })
        const handler = Effect.map(Effect.all([branch(20), branch(5)], { concurrency: 2 }), (all) => all.join())
        return processOf(
          store,
          handler,
          Effect.gen(function*() {
            const { error, state } = yield* settle("lab")
            assert.strictEqual(state, "failed")
            assert.strictEqual(error?.tag, "AmbiguousName")
            assert.match(error?.message ?? "", /"first".*Run\.all or Run\.scope/su)
          })
        )
      }))

    it.live("gives each branch of a scope its own results, whatever the order they came in", () =>
      withStore((store) => {
        const ran: Array<string> = []
        const branch = (who: string, millis: number) =>
          Run.scope(who)(Effect.gen(function*() {
            const act = (what: string) => Effect.delay(Effect.sync(() => (ran.push(what), what)), millis)
            const first = yield* Run.step("first", act(`${who} first`))
            const second = yield* Run.step("second", act(`${who} second`))
            return `${first}/${second}`
          }))
        const handler = Effect.gen(function*() {
          const all = yield* Effect.all([branch("slow", 30), branch("fast", 5)], { concurrency: 2 })
          return [...all, yield* ask]
        })
        return Effect.gen(function*() {
          const { runId } = yield* processOf(store, handler, settle("lab"))
          const { output } = yield* processOf(store, handler, answer(runId, { decision: "approve", value: "yes" }))
          assert.deepStrictEqual(output, ["slow first/slow second", "fast first/fast second", "yes"])
          assert.strictEqual(ran.length, 4)
        })
      }))

    it.live("may use a name again once the fiber that used it before has ended", () =>
      withStore((store) => {
        const timed = Effect.timeoutOrElse(Run.step("call", Effect.succeed("in time")), {
          duration: "1 second",
          orElse: () => Effect.succeed("late")
        })
        const handler = Effect.map(Effect.all([Run.step("call", Effect.succeed("first")), timed, timed]), (all) =>
          all.join())
        return processOf(
          store,
          handler,
          Effect.gen(function*() {
            assert.strictEqual((yield* settle("lab")).output, "first,in time,in time")
          })
        )
      }))

    it.live("has the failure of a step that the handler has gone on from, typed", () =>
      withStore((store) => {
        let tries = 0
        const card = Effect.suspend(() =>
          ++tries === 1 ? Effect.fail(new CardDeclined({ reason: "no money" })) : Effect.succeed("card charged")
        )
        const handler = Effect.gen(function*() {
          const paid = yield* Run.step("card", card).pipe(
            Effect.catchTag("CardDeclined", (error) =>
              error instanceof CardDeclined
                ? Run.step("invoice", Effect.succeed(`invoice sent: ${error.reason}`))
                : Effect.die(error))
          )
          yield* ask
          return paid
        })
        return Effect.gen(function*() {
          const { runId } = yield* processOf(store, handler, settle("lab"))
          const { output } = yield* processOf(store, handler, answer(runId, { decision: "approve", value: "yes" }))
          assert.strictEqual(output, "invoice sent: no money")
          assert.strictEqual(tries, 1)
        })
      }))

    it.live("keeps the tag and the fields of a failure that nobody has declared", () =>
      withStore((store) => {
        let tries = 0
        class Busy extends Schema.TaggedError<Busy>()("Busy", { after: Schema.Int }) {}
        const call = Effect.suspend(() =>
          ++tries === 1 ? Effect.fail(new Busy({ after: 3 })) : Effect.succeed("called")
        )
        const handler = Effect.gen(function*() {
          const outcome = yield* Effect.catchTag(
            Run.step("call", call),
            "Busy",
            ({ after }) => Effect.succeed(`busy ${after}`)
          )
          yield* ask
          return outcome
        })
        return Effect.gen(function*() {
          const { runId } = yield* processOf(store, handler, settle("lab"))
          const { output } = yield* processOf(store, handler, answer(runId, { decision: "approve", value: "yes" }))
          assert.strictEqual(output, "busy 3")
          assert.strictEqual(tries, 1)
        })
      }))

    for (
      const [found, value] of [
        ["NaN", { a: [Number.NaN] }],
        ["Infinity", Number.POSITIVE_INFINITY],
        ["-0", { b: -0 }],
        ["undefined", { c: undefined }],
        ["an instance of Date", { d: new Date(0) }],
        ["an instance of Map", new Map()],
        ["bigint", [1n]]
      ] as const
    ) {
      it.live(`is not promised for a step that comes to ${found}`, () =>
        withStore((store) =>
          // cast: what TypeScript cannot see, such as a number that is none, reaches a step all the same.
          processOf(
            store,
            Run.step("value", Effect.succeed(value as unknown as Schema.Json)),
            Effect.gen(function*() {
              const { error, state } = yield* settle("lab")
              assert.deepStrictEqual([state, error?.tag], ["failed", "NotStorable"])
              assert.match(error?.message ?? "", new RegExp(`Step "value" came to ${found}.*Run\\.stepWith`, "u"))
            })
          )
        ))
    }

    it.live("has the same value as the first attempt, and not the same object", () =>
      withStore((store) => {
        const mine = { count: 1 }
        const handler = Effect.gen(function*() {
          const given = yield* Run.step("value", Effect.succeed(mine))
          mine.count = 2
          return given
        })
        return processOf(
          store,
          handler,
          Effect.gen(function*() {
            assert.deepStrictEqual((yield* settle("lab")).output, { count: 1 })
          })
        )
      }))

    it.live("does not keep the failure that ended the run: a retry tries it again", () =>
      withStore((store) => {
        let tries = 0
        const card = Effect.suspend(() =>
          ++tries === 1 ? Effect.fail(new CardDeclined({ reason: "no money" })) : Effect.succeed("charged")
        )
        const handler = Run.all({ card: Run.step("inner", card), other: Run.step("other", Effect.succeed("other")) })
        return processOf(
          store,
          Effect.map(handler, ({ card, other }) => `${card} ${other}`),
          Effect.gen(function*() {
            const failed = yield* settle("lab")
            assert.deepStrictEqual([failed.state, failed.error?.tag], ["failed", "CardDeclined"])
            const runtime = yield* Runtime.Runtime
            const { run } = yield* runtime.retry(caller, failed.runId)
            assert.strictEqual((yield* runtime.await(caller, run.runId)).output, "charged other")
          })
        )
      }))
  })
}
