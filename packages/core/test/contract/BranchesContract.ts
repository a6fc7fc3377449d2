import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Event, Run, RunError, RunStore, Runtime } from "@fastagentic/core"
import { Clock, Context, DateTime, Effect, Layer, Random, Schedule, Schema } from "effect"
import * as SecureRandom from "effect/crypto/SecureRandom"
import { answer, caller, ended, isWhole, journal, layerRuntime, settle, start } from "../support.ts"

export class CardDeclined extends Schema.TaggedError<CardDeclined>()("CardDeclined", { reason: Schema.String }) {}

export const Lab = Agent.make("lab", {
  description: "Does what a test says",
  payload: {},
  success: Schema.Json,
  error: CardDeclined
})
const Other = Agent.make("other", {
  description: "Is delegated to, two at a time",
  payload: {},
  success: Schema.String,
  concurrency: { total: 2 }
})
/** Longer than any test waits: in one step, in a sleep, and in a step that cannot be interrupted at once. */
const Long = Agent.make("long", {
  description: "Takes its time",
  payload: { by: Schema.Literals(["work", "sleep", "stubborn work"]) },
  success: Schema.String
})

export const Acme = App.make("acme", { version: "1", agents: [Lab, Other, Long] })

export type Handler = Effect.Effect<Schema.Json, CardDeclined, Run.CurrentRun | SecureRandom.SecureRandom>

/** A process with this handler: from the start of a runtime over a store to its end, which is graceful. */
export const processOf = <A, E>(
  store: RunStore.RunStore["Service"],
  handler: Handler,
  effect: Effect.Effect<A, E, Runtime.Runtime>
) => {
  const handlers = Layer.mergeAll(
    Layer.provide(Lab.toLayer(() => handler), SecureRandom.layerWebCrypto),
    Other.toLayer(() => Effect.delay(Effect.succeed("done"), "50 millis")),
    Long.toLayer(({ by }) => {
      if (by === "sleep") return Effect.as(Run.sleep("1 minute"), "slept")
      const work = Effect.delay(Effect.succeed("worked"), "1 minute")
      const end = Effect.uninterruptible(Effect.sleep("400 millis"))
      return Run.step("work", by === "work" ? work : Effect.onInterrupt(work, () => end))
    })
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

    it.live("draws the same random numbers outside of steps, others in each branch, and real ones inside", () =>
      withStore((store) => {
        const drawn: Array<ReadonlyArray<number>> = []
        const inSteps: Array<number> = []
        const handler = Effect.gen(function*() {
          const at = [
            yield* Random.next,
            yield* Run.scope("branch")(Random.next),
            yield* Random.nextIntBetween(0, 1_000_000)
          ]
          drawn.push(at)
          yield* Run.step("real", Effect.map(Random.next, (number) => (inSteps.push(number), number)))
          return `${at.join()} ${yield* ask}`
        })
        return Effect.gen(function*() {
          const { runId } = yield* processOf(store, handler, settle("lab"))
          const { output } = yield* processOf(store, handler, answer(runId, { decision: "approve", value: "yes" }))
          const [first, again] = drawn
          assert.deepStrictEqual(first, again)
          assert.notStrictEqual(first?.[0], first?.[1])
          assert.strictEqual(output, `${first?.join()} yes`)
          const other = yield* processOf(store, handler, settle("lab"))
          assert.notStrictEqual(other.runId, runId)
          assert.notDeepEqual(drawn[2], first)
          assert.strictEqual(new Set(inSteps).size, 2)
        })
      }))

    it.live("reads the times outside of steps that its first attempt read, in each branch its own, and real ones inside", () =>
      withStore((store) => {
        const read: Array<ReadonlyArray<string>> = []
        const inSteps: Array<number> = []
        const handler = Effect.gen(function*() {
          const at = [
            yield* Clock.currentTimeMillis,
            yield* Run.scope("branch")(Clock.currentTimeMillis),
            yield* Effect.delay(Clock.currentTimeMillis, "20 millis"),
            yield* Clock.currentTimeNanos,
            yield* Clock.monotonicTimeNanos,
            DateTime.formatIso(yield* DateTime.now)
          ].map(String)
          yield* Run.step("real", Effect.map(Clock.currentTimeMillis, (now) => (inSteps.push(now), now)))
          const after = String(yield* Clock.currentTimeMillis)
          read.push([...at, after])
          const answered = yield* ask
          const last = yield* Clock.currentTimeMillis
          return `${[...at, after].join()} ${answered} ${last}`
        })
        return Effect.gen(function*() {
          const { runId } = yield* processOf(store, handler, settle("lab"))
          yield* Effect.sleep("30 millis")
          const resumedAt = Date.now()
          const { output } = yield* processOf(store, handler, answer(runId, { decision: "approve", value: "yes" }))
          const [first = [], again] = read
          assert.deepStrictEqual(first, again)
          const [times, , last] = String(output).split(" ")
          assert.strictEqual(times, first.join())
          assert.isAtLeast(Number(last), resumedAt)
          // Time passes for what waits.
          assert.isAtLeast(Number(first[2]) - Number(first[0]), 15)
          assert.strictEqual(inSteps.length, 1)
        })
      }))

    it.live("keeps a time that the handler has said, over a kill", () =>
      withStore((store) => {
        const handler = Effect.gen(function*() {
          const now = yield* Clock.currentTimeMillis
          yield* Run.emit(Event.token(String(now)))
          yield* Effect.sleep("60 millis")
          return now
        })
        return Effect.gen(function*() {
          const { runId } = yield* killed(store, handler, Effect.tap(start("lab"), Effect.sleep("30 millis")))
          yield* Effect.sleep("5 millis")
          const events = yield* processOf(store, handler, Effect.andThen(ended(runId), journal(runId)))
          const said = events.flatMap((event) => event.type === "token" ? [event.data.delta] : [])
          const output = events.flatMap((event) => event.type === "done" ? [String(event.data.output)] : [])
          assert.strictEqual(said.length, 1)
          assert.deepStrictEqual(output, said)
          assert.isFalse(events.some(({ type }) => type === "superseded"))
        })
      }))

    it.live("lets real time pass for waits, timeouts and schedules of a handler", () =>
      withStore((store) => {
        const handler = Effect.gen(function*() {
          const late = yield* Effect.timeoutOrElse(Effect.never, {
            duration: "20 millis",
            orElse: () => Effect.succeed("late")
          })
          let looks = 0
          yield* Effect.repeat(
            Effect.sync(() => looks++),
            Schedule.addDelay(Schedule.recurs(2), () => Effect.succeed("10 millis"))
          )
          const answered = yield* ask
          return `${late} ${looks} ${answered}`
        })
        return Effect.gen(function*() {
          const { runId } = yield* processOf(store, handler, settle("lab"))
          const { output } = yield* processOf(store, handler, answer(runId, { decision: "approve", value: "yes" }))
          assert.strictEqual(output, "late 3 yes")
        })
      }))

    it.live("writes nothing for a handler that reads no clock", () =>
      withStore((store) => {
        const reads = Effect.gen(function*() {
          yield* Run.step("a", Effect.succeed(1))
          for (let index = 0; index < 3_000; index++) yield* Clock.currentTimeMillis
          return yield* ask
        })
        return Effect.gen(function*() {
          const silent = yield* processOf(store, Effect.andThen(Run.step("a", Effect.succeed(1)), ask), settle("lab"))
          assert.deepStrictEqual((yield* store.steps(silent.runId)).map(({ name }) => name), ["a"])
          const { runId } = yield* processOf(store, reads, settle("lab"))
          const rows = (yield* store.steps(runId)).filter(({ name }) => name.startsWith("~times"))
          assert.strictEqual(rows.length, 3)
          const { output } = yield* processOf(store, reads, answer(runId, { decision: "approve", value: "yes" }))
          assert.strictEqual(output, "yes")
          assert.strictEqual((yield* store.steps(runId)).filter(({ name }) => name.startsWith("~times")).length, 3)
        })
      }))

    it.live("shows the words of the last attempt only, and says what it repeats once", () =>
      withStore((store) => {
        let attempt = 0
        const handler = Effect.suspend(() => {
          const mine = ++attempt === 1 ? "first" : "second"
          return Effect.gen(function*() {
            yield* Run.emit(Event.token("Hello. "))
            for (let word = 0; word < 8; word++) {
              yield* Run.emit(Event.token(`${mine}${word} `))
              yield* Effect.sleep("4 millis")
            }
            return "done"
          })
        })
        return Effect.gen(function*() {
          const { runId } = yield* killed(store, handler, Effect.tap(start("lab"), () => Effect.sleep("20 millis")))
          yield* processOf(
            store,
            handler,
            Effect.gen(function*() {
              yield* ended(runId)
              const events = yield* journal(runId)
              assert.isTrue(isWhole(events))
              const words = (all: ReadonlyArray<Event.RunEvent>) =>
                all.flatMap((event) => event.type === "token" ? [event.data.delta] : [])
              const said = Array.from({ length: 8 }, (_, word) => `second${word} `)
              assert.deepStrictEqual(words(Event.visible(events)), ["Hello. ", ...said])
              assert.include(words(events), "first0 ")
              assert.strictEqual(events.filter(({ type }) => type === "superseded").length, 1)
            })
          )
        })
      }))

    it.live("supersedes the words of a step that was cut off, and of that step only", () =>
      withStore((store) => {
        let attempt = 0
        const handler = Effect.suspend(() => {
          const mine = ++attempt
          const answer = Effect.gen(function*() {
            yield* Run.emit(Event.token(`answer ${mine} `))
            if (mine === 1) return yield* Effect.never
            return "answered"
          })
          return Effect.gen(function*() {
            yield* Run.emit(Event.token("before "))
            const answered = yield* Run.step("answer", answer)
            yield* Run.emit(Event.token("after"))
            return answered
          })
        })
        return Effect.gen(function*() {
          const { runId } = yield* killed(store, handler, Effect.tap(start("lab"), () => Effect.sleep("40 millis")))
          yield* processOf(
            store,
            handler,
            Effect.gen(function*() {
              assert.strictEqual((yield* ended(runId)).output, "answered")
              const events = Event.visible(yield* journal(runId))
              const words = events.flatMap((event) => event.type === "token" ? [event.data.delta] : [])
              assert.deepStrictEqual(words, ["before ", "answer 2 ", "after"])
            })
          )
        })
      }))

    it.live("says the words of branches once each, whatever their order was and is", () =>
      withStore((store) => {
        let attempt = 0
        const handler = Effect.suspend(() => {
          const [one, other] = ++attempt === 1 ? [2, 3] : [5, 1]
          const talk = (who: string, millis: number) =>
            Effect.forEach([0, 1, 2, 3, 4], (word) =>
              Effect.andThen(Run.emit(Event.token(`${who}${word} `)), Effect.sleep(millis)), { discard: true })
          return Effect.as(Effect.all([talk("a", one), talk("b", other), ask], { concurrency: 3 }), "done")
        })
        return Effect.gen(function*() {
          const { runId } = yield* killed(
            store,
            handler,
            Effect.tap(start("lab"), () =>
              Effect.sleep("60 millis"))
          )
          yield* processOf(
            store,
            handler,
            Effect.gen(function*() {
              yield* answer(runId, { decision: "approve", value: "yes" })
              yield* ended(runId)
              const events = yield* journal(runId)
              const words = events.flatMap((event) =>
                event.type === "token" ? [event.data.delta.trim()] : []
              )
              assert.deepStrictEqual(words.toSorted(), ["a0", "a1", "a2", "a3", "a4", "b0", "b1", "b2", "b3", "b4"])
              assert.deepStrictEqual(words.filter((word) => word.startsWith("a")), ["a0", "a1", "a2", "a3", "a4"])
            })
          )
        })
      }))

    it.live("gives the UUIDs and secure random numbers of Effect that the first attempt drew, by branch", () =>
      withStore((store) => {
        const draws = Effect.gen(function*() {
          const random = yield* SecureRandom.SecureRandom
          const bytes = yield* random.randomBytes(4)
          const uuid = yield* random.uuidV4({ format: "bytes" })
          const inside = yield* Run.step("inside", random.uuidV4())
          return [
            yield* random.uuidV4(),
            yield* random.uuidV7(),
            yield* random.ulid,
            [...bytes].join(),
            uuid.length,
            yield* random.intBetween(1, 1_000_000),
            (yield* random.shuffle([1, 2, 3, 4, 5, 6, 7, 8])).join(),
            inside
          ]
        })
        const seen: Array<string> = []
        const handler = Effect.gen(function*() {
          const drawn = yield* Effect.all([Run.scope("a")(draws), Run.scope("b")(draws)], { concurrency: 2 })
          seen.push(JSON.stringify(drawn))
          yield* ask
          return drawn
        })
        return Effect.gen(function*() {
          const { runId } = yield* killed(store, handler, settle("lab"))
          const run = yield* processOf(store, handler, answer(runId, { decision: "approve", value: "yes" }))
          assert.strictEqual(run.state, "completed")
          assert.strictEqual(seen.length, 2)
          assert.strictEqual(seen[1], seen[0])
          const [a, b] = JSON.parse(seen[0] ?? "[]")
          assert.match(a[0], /^[0-9a-f]{8}-[0-9a-f]{4}-4/u)
          assert.notStrictEqual(a[0], b[0])
          assert.deepStrictEqual(a[6].split(",").toSorted(), ["1", "2", "3", "4", "5", "6", "7", "8"])
        })
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

const parallel = { concurrency: "unbounded" } as const

/** A step that takes a while, and counts how often it has begun. */
const counted = () => {
  let begun = 0
  return {
    begun: () => begun,
    work: (name: string, millis: number) =>
      Run.step(
        name,
        Effect.suspend(() => {
          begun++
          return Effect.delay(Effect.succeed(name), millis)
        })
      )
  }
}

const openOf = (runId: string) =>
  Effect.map(
    Runtime.Runtime.use((runtime) => runtime.interrupts(caller, runId)),
    (all) => all.filter(({ state }) => state === "open")
  )

const resolve = (runId: string, id: string, value: string) =>
  Runtime.Runtime.use((runtime) => runtime.answer(caller, runId, id, { decision: "approve", value }))

/** Waits until a run asks for so many decisions. */
const untilAsks = Effect.fnUntraced(function*(runId: string, count: number) {
  while (true) {
    const open = yield* openOf(runId)
    if (open.length >= count) return open.toSorted((a, b) => a.name < b.name ? -1 : 1)
    yield* Effect.sleep("5 millis")
  }
})

const childrenOf = (runId: string) =>
  Runtime.Runtime.use((runtime) =>
    Effect.map(runtime.list(caller, { parentRunId: runId, limit: 10 }), ({ items }) => items)
  )

/** Waits until the only child of a run is in this state. */
const childIs = Effect.fnUntraced(
  function*(runId: string, state: string) {
    while ((yield* childrenOf(runId))[0]?.state !== state) yield* Effect.sleep("10 millis")
  },
  (wait) => Effect.timeout(wait, "5 seconds")
)

const took = Effect.fnUntraced(function*<A, E, R>(effect: Effect.Effect<A, E, R>) {
  const since = Date.now()
  return [yield* effect, Date.now() - since] as const
})

const wordsOf = (runId: string) =>
  Effect.map(journal(runId), (events) => {
    assert.isTrue(isWhole(events))
    return events.flatMap((event) => event.type === "token" ? [event.data.delta] : [])
  })

/** The branches of a run that wait leave those that work alone, on a store. */
export const branchesSuite = (name: string, layer: Layer.Layer<RunStore.RunStore, unknown>) => {
  const withStore = <A, E>(use: (store: RunStore.RunStore["Service"]) => Effect.Effect<A, E>) =>
    Effect.scoped(
      Effect.flatMap(Layer.build(Layer.fresh(layer)), (built) => use(Context.get(built, RunStore.RunStore)))
    )
  const inProcess = <A, E>(handler: Handler, effect: Effect.Effect<A, E, Runtime.Runtime>) =>
    withStore((store) => processOf(store, handler, effect))
  const run = Effect.flatMap(start("lab"), ({ runId }) => ended(runId))

  describe(`A pause parks its own branch, ${name}`, () => {
    it.live("five sleeps in sequence leave the step beside them alone", () => {
      const { begun, work } = counted()
      const naps = Effect.repeat(Run.sleep("60 millis"), { times: 4 })
      const handler = Effect.map(Effect.all([naps, work("work", 400)], parallel), ([, worked]) => worked)
      return inProcess(
        handler,
        Effect.gen(function*() {
          const { output } = yield* run
          assert.deepStrictEqual([output, begun()], ["work", 1])
        })
      )
    })

    it.live("the step wins a race with a sleep that is longer, and the sleep is taken back", () => {
      const { begun, work } = counted()
      const handler = Effect.race(work("work", 100), Effect.as(Run.sleep("400 millis"), "timed out"))
      return withStore((store) =>
        processOf(
          store,
          handler,
          Effect.gen(function*() {
            const [{ output, runId }, millis] = yield* took(run)
            assert.deepStrictEqual([output, begun()], ["work", 1])
            assert.isBelow(millis, 350)
            const sleeps = (yield* store.steps(runId)).filter(({ name }) => name.startsWith("sleep"))
            assert.deepStrictEqual(sleeps.map(({ value }) => value), [{ "~withdrawn": true }])
          })
        )
      )
    })

    it.live("the sleep wins a race with a step that is longer, once and again on replay", () => {
      const { begun, work } = counted()
      const handler = Effect.gen(function*() {
        const won = yield* Effect.race(work("work", 400), Effect.as(Run.sleep("50 millis"), "timed out"))
        return `${won} ${yield* ask}`
      })
      return withStore((store) =>
        Effect.gen(function*() {
          const { runId } = yield* killed(store, handler, Effect.tap(start("lab"), ({ runId }) => untilAsks(runId, 1)))
          const { output } = yield* processOf(store, handler, answer(runId, { decision: "approve", value: "yes" }))
          assert.deepStrictEqual([output, begun()], ["timed out yes", 1])
        })
      )
    })

    it.live("ten children that stand in line leave the step beside them alone", () => {
      const { begun, work } = counted()
      const children = Effect.all(Array.from({ length: 10 }, () => Effect.orDie(Run.delegate(Other, {}))), parallel)
      const handler = Effect.map(Effect.all([children, work("work", 500)], parallel), ([done, worked]) => [
        ...done,
        worked
      ])
      return inProcess(
        handler,
        Effect.gen(function*() {
          const { output } = yield* run
          assert.deepStrictEqual([output, begun()], [[...Array.from({ length: 10 }, () => "done"), "work"], 1])
        })
      )
    })

    for (const by of ["work", "sleep"] as const) {
      it.live(`a child in its ${by} is cancelled once its branch is given up, and the branch stays given up`, () => {
        const { begun, work } = counted()
        const child = Effect.orDie(Run.delegate(Long, { by }))
        const handler = Effect.flatMap(
          Effect.race(child, Effect.delay(Effect.succeed("given up"), "100 millis")),
          (first) => Effect.andThen(work("after", 1), Effect.map(ask, (value) => `${first} ${value}`))
        )
        return withStore((store) =>
          Effect.gen(function*() {
            const { runId } = yield* killed(
              store,
              handler,
              Effect.tap(start("lab"), ({ runId }) => Effect.andThen(untilAsks(runId, 1), childIs(runId, "cancelled")))
            )
            yield* processOf(
              store,
              handler,
              Effect.gen(function*() {
                const { output } = yield* answer(runId, { decision: "approve", value: "yes" })
                assert.deepStrictEqual([output, begun()], ["given up yes", 1])
                assert.deepStrictEqual((yield* childrenOf(runId)).map(({ state }) => state), ["cancelled"])
              })
            )
          })
        )
      })
    }

    it.live("a child whose cancel is cut off by a kill is cancelled at the end of the run", () => {
      const child = Effect.orDie(Run.delegate(Long, { by: "stubborn work" }))
      const handler = Effect.flatMap(
        Effect.race(child, Effect.delay(Effect.succeed("given up"), "50 millis")),
        (first) => Effect.map(ask, (value) => `${first} ${value}`)
      )
      return withStore((store) =>
        Effect.gen(function*() {
          const { runId } = yield* killed(store, handler, Effect.tap(start("lab"), ({ runId }) => untilAsks(runId, 1)))
          yield* processOf(
            store,
            handler,
            Effect.gen(function*() {
              assert.deepStrictEqual((yield* childrenOf(runId)).map(({ state }) => state), ["running"])
              assert.strictEqual((yield* answer(runId, { decision: "approve", value: "yes" })).output, "given up yes")
              yield* childIs(runId, "cancelled")
            })
          )
        })
      )
    })

    it.live("a question in Run.all leaves the work beside it alone, in memory and over a kill", () => {
      const { begun, work } = counted()
      const handler = Effect.map(Run.all({ a: ask, b: work("inner", 30) }), ({ a, b }) => `${a} ${b}`)
      return withStore((store) =>
        Effect.gen(function*() {
          const warm = yield* processOf(
            store,
            handler,
            Effect.flatMap(settle("lab"), ({ runId }) => answer(runId, { decision: "approve", value: "yes" }))
          )
          assert.deepStrictEqual([warm.output, begun()], ["yes inner", 1])
          const { runId } = yield* killed(store, handler, settle("lab"))
          const cold = yield* processOf(store, handler, answer(runId, { decision: "approve", value: "yes" }))
          assert.deepStrictEqual([cold.output, begun()], ["yes inner", 2])
        })
      )
    })

    it.live("three sleeps side by side take as long as one", () =>
      inProcess(
        Effect.as(Effect.all([Run.sleep(400), Run.sleep(400), Run.sleep(400)], parallel), "rested"),
        Effect.gen(function*() {
          const [{ output }, millis] = yield* took(run)
          assert.strictEqual(output, "rested")
          assert.isBelow(millis, 1_200)
        })
      ))

    it.live("three questions that expire are listed at once and take as long as one", () => {
      const question = (name: string) =>
        Effect.orDie(Run.interrupt(name, { schema: Schema.String, expiresIn: "300 millis", default: `no ${name}` }))
      return inProcess(
        Effect.all([question("a"), question("b"), question("c")], parallel),
        Effect.gen(function*() {
          const { runId } = yield* settle("lab")
          assert.strictEqual((yield* openOf(runId)).length, 3)
          const [{ output }, millis] = yield* took(ended(runId))
          assert.deepStrictEqual(output, ["no a", "no b", "no c"])
          assert.isBelow(millis, 900)
        })
      )
    })

    it.live("several questions may be answered in any order, while others work", () => {
      const { begun, work } = counted()
      const question = (name: string) => Effect.orDie(Run.interrupt(name, { schema: Schema.String }))
      const handler = Effect.all([
        Effect.flatMap(question("a"), (value) => Run.step("after a", Effect.succeed(value))),
        Effect.flatMap(question("b"), (value) => Run.step("after b", Effect.succeed(value))),
        work("work", 150)
      ], parallel)
      return withStore((store) =>
        Effect.gen(function*() {
          const runId = yield* killed(
            store,
            handler,
            Effect.gen(function*() {
              const { runId } = yield* start("lab")
              const [, b] = yield* untilAsks(runId, 2)
              // The run works: its owner takes the decision.
              yield* resolve(runId, b?.id ?? "", "B")
              const runtime = yield* Runtime.Runtime
              const rests = yield* runtime.await(caller, runId)
              assert.deepInclude(rests, { state: "suspended", waitsFor: "interrupt" })
              return runId
            })
          )
          const { output } = yield* processOf(store, handler, answer(runId, { decision: "approve", value: "A" }))
          assert.deepStrictEqual([output, begun()], [["A", "B", "work"], 1])
        })
      )
    })

    it.live("a question whose branch lost its race is taken back, and nobody can answer it", () => {
      const handler = Effect.gen(function*() {
        const won = yield* Effect.race(ask, Run.step("work", Effect.delay(Effect.succeed("worked"), 60)))
        yield* Run.sleep("60 millis")
        return won
      })
      return withStore((store) =>
        processOf(
          store,
          handler,
          Effect.gen(function*() {
            const { runId } = yield* start("lab")
            const [asked] = yield* untilAsks(runId, 1)
            const { output } = yield* ended(runId)
            assert.strictEqual(output, "worked")
            const [one] = yield* store.interrupts(runId)
            assert.deepInclude(one?.resolution, { decision: "withdraw", by: "runtime" })
            const late = yield* Effect.flip(resolve(runId, asked?.id ?? "", "late"))
            assert.strictEqual(late.reason._tag, "InterruptResolved")
          })
        )
      )
    })

    it.live("tokens beside a question are each said once, over the pause and over a kill", () => {
      const words = Array.from({ length: 20 }, (_, index) => `w${index} `)
      const talk = Effect.forEach(words, (word) => Effect.andThen(Run.emit(Event.token(word)), Effect.sleep(2)), {
        discard: true
      })
      const handler = Effect.map(Effect.all([ask, talk], parallel), ([answered]) => answered)
      return withStore((store) =>
        Effect.gen(function*() {
          const { runId } = yield* killed(
            store,
            handler,
            Effect.tap(start("lab"), ({ runId }) => Effect.andThen(untilAsks(runId, 1), Effect.sleep("25 millis")))
          )
          yield* processOf(
            store,
            handler,
            Effect.gen(function*() {
              yield* answer(runId, { decision: "approve", value: "yes" })
              assert.deepStrictEqual((yield* ended(runId)).output, "yes")
              assert.deepStrictEqual(yield* wordsOf(runId), words)
            })
          )
        })
      )
    })

    it.live("a run that rests leaves memory and goes on from the store", () => {
      let begun = 0
      const handler = Effect.suspend(() => {
        begun++
        return Effect.map(ask, (value) => `${value} ${begun}`)
      })
      return inProcess(
        handler,
        Effect.gen(function*() {
          const { runId } = yield* settle("lab")
          yield* Effect.sleep("2500 millis")
          assert.strictEqual((yield* answer(runId, { decision: "approve", value: "yes" })).output, "yes 2")
        })
      )
    })
  })
}
