import { assert, describe, it } from "@effect/vitest"
import {
  Agent,
  ApiKeys,
  App,
  Audit,
  AuditChain,
  AuditLog,
  AuditSigner,
  AuditVerify,
  Principals,
  Run,
  RunStore,
  Runtime,
  ToolCall
} from "@fastagentic/core"
import * as Timings from "@fastagentic/core/base/Timings"
import { StoreUnavailable } from "@fastagentic/core/run/RunError"
import { Context, Deferred, Effect, Layer, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Aead from "effect/crypto/Aead"
import * as Digest from "effect/crypto/Digest"
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Signature from "effect/crypto/Signature"
import { caller, layerRuntime, settle, start } from "../support.ts"

const Look = Tool.make("look", { description: "Looks", parameters: Schema.Struct({}), success: Schema.String })
const Tools = Toolkit.make(Look)
const signals = { steer: Schema.String }
const Asks = Agent.make("asks", { description: "Asks, then calls a tool", payload: {}, signals, success: Schema.Json })
const Waits = Agent.make("waits", { description: "Waits for a message", payload: {}, signals })
class Broken extends Schema.TaggedError<Broken>()("Broken", {}) {}
const Fails = Agent.make("fails", { description: "Fails", payload: {}, error: Broken })
const Boss = Agent.make("boss", { description: "Delegates", payload: { to: Schema.String } })
const Swift = Agent.make("swift", { description: "Keeps nothing", payload: {}, durable: false, success: Schema.Json })
const Hangs = Agent.make("hangs", { description: "Never ends", payload: {} })
const Acme = App.make("acme", { version: "1", agents: [Asks, Waits, Fails, Boss, Swift, Hangs], tools: Tools })

const look = Effect.gen(function*() {
  const call = { toolCallId: "call", name: "look", arguments: {} }
  return (yield* Effect.orDie(ToolCall.invoke(ToolCall.handlersOf(yield* Tools), call))).result
})

const handlers = Layer.mergeAll(
  Asks.toLayer(Effect.fn(function*() {
    yield* Effect.orDie(Run.interrupt("go on", { schema: Schema.Boolean }))
    return yield* look
  })),
  Waits.toLayer(() => Run.receive(Waits, "steer")),
  Fails.toLayer(() => Effect.fail(new Broken())),
  Boss.toLayer(Effect.fn(function*({ to }) {
    const run = yield* Run.CurrentRun
    yield* Effect.orDie(run.delegate(to, {}))
    return "done"
  })),
  Swift.toLayer(() => look),
  Hangs.toLayer(() => Effect.never)
).pipe(Layer.provideMerge(Tools.toLayer({ look: () => Effect.succeed("seen") })))

const crypto = Layer.mergeAll(Digest.layerWebCrypto, Aead.layerWebCrypto, Signature.layerWebCrypto).pipe(
  Layer.provide(SecureRandom.layerWebCrypto)
)

/** A store and a log that outlive the processes on them, and the writes that were made to the store. */
const makeWorld = Effect.gen(function*() {
  const { store, log } = yield* Effect.map(
    Layer.build(Layer.fresh(Layer.merge(RunStore.RunStore.layerMemory, AuditLog.AuditLog.layerMemory))),
    (context) => ({ store: Context.get(context, RunStore.RunStore), log: Context.get(context, AuditLog.AuditLog) })
  )
  const writes: Array<RunStore.Write> = []
  const spied: RunStore.RunStore["Service"] = {
    ...store,
    write: (batch) => Effect.suspend(() => (writes.push(...batch), store.write(batch)))
  }
  const chain = (over: Partial<AuditLog.AuditLog["Service"]> = {}) =>
    Layer.effect(Audit.Audit, AuditChain.make).pipe(
      Layer.provide([Layer.succeed(AuditLog.AuditLog, { ...log, ...over }), AuditSigner.layerNone, crypto])
    )
  const process = (
    audit: Layer.Layer<Audit.Audit> = chain(),
    over: Partial<RunStore.RunStore["Service"]> = {}
  ) => Layer.fresh(layerRuntime(Acme, handlers, Layer.succeed(RunStore.RunStore, { ...spied, ...over }), {}, audit))
  const facts = store.facts({ before: Number.MAX_SAFE_INTEGER, limit: 1_000 })
  return { process, chain, writes, facts, log, store }
})

const down = Effect.fail(new StoreUnavailable({ operation: "append" }))

/** The entries about a run, by action and decision. */
const linesOf = Effect.fnUntraced(function*(runId: string) {
  const runtime = yield* Runtime.Runtime
  const page = yield* runtime.audit(caller, { after: 0, limit: 200 })
  return page.flatMap((entry) => entry.runId === runId ? [`${entry.action} ${entry.decision}`] : [])
})

const approve = Effect.fnUntraced(function*(runId: string) {
  const runtime = yield* Runtime.Runtime
  const [open] = yield* runtime.interrupts(caller, runId)
  yield* runtime.answer(caller, runId, open?.id ?? "", { decision: "approve", value: true })
})

/** All changes of a run that the audit log records, and how it has to record each of them. */
const paths: Record<
  string,
  Effect.Effect<ReadonlyArray<readonly [runId: string, lines: ReadonlyArray<string>]>, unknown, Runtime.Runtime>
> = {
  "a decision and a call of a tool": Effect.gen(function*() {
    const { runId } = yield* settle("asks")
    yield* approve(runId)
    yield* Runtime.Runtime.use((runtime) => runtime.await(caller, runId))
    return [[runId, ["start allowed", "run suspended", "approve allowed", "call allowed", "run completed"]]]
  }),
  "a cancel of a run that works": Effect.gen(function*() {
    const { runId } = yield* start("hangs")
    yield* Runtime.Runtime.use((runtime) => runtime.cancel(caller, runId, "enough"))
    return [[runId, ["start allowed", "cancel allowed", "run cancelled"]]]
  }),
  "a cancel of a run that waits": Effect.gen(function*() {
    const { runId } = yield* settle("waits")
    yield* Runtime.Runtime.use((runtime) => runtime.cancel(caller, runId))
    yield* Runtime.Runtime.use((runtime) => runtime.cancel(caller, runId))
    return [[runId, ["start allowed", "run suspended", "cancel allowed", "run cancelled", "cancel allowed"]]]
  }),
  "a message": Effect.gen(function*() {
    const { runId } = yield* settle("waits")
    const request = { signal: "steer", payload: "left", idempotencyKey: "k" }
    const runtime = yield* Runtime.Runtime
    yield* runtime.signal(caller, runId, request)
    yield* runtime.await(caller, runId)
    return [[runId, ["start allowed", "run suspended", "signal allowed", "run completed"]]]
  }),
  "a fork and a retry": Effect.gen(function*() {
    const runtime = yield* Runtime.Runtime
    const { runId } = yield* settle("fails")
    const forked = yield* runtime.fork(caller, runId, {})
    yield* runtime.await(caller, forked.run.runId)
    const retried = yield* runtime.retry(caller, runId)
    yield* runtime.await(caller, retried.run.runId)
    return [
      [runId, ["start allowed", "run failed"]],
      [forked.run.runId, ["start allowed", "fork allowed", "run failed"]],
      [retried.run.runId, ["start allowed", "retry allowed", "run failed"]]
    ]
  }),
  "a delegated run that ends, and one that ends with its parent": Effect.gen(function*() {
    const runtime = yield* Runtime.Runtime
    const childOf = (parentRunId: string) =>
      Effect.map(runtime.list(caller, { parentRunId, limit: 1 }), ({ items }) => items[0]?.runId ?? "")
    const done = yield* settle("boss", { to: "fails" })
    const parent = yield* settle("boss", { to: "waits" })
    const [first, second] = [yield* childOf(done.runId), yield* childOf(parent.runId)]
    yield* runtime.cancel(caller, parent.runId)
    yield* runtime.await(caller, second)
    return [
      [done.runId, ["start allowed", "run completed"]],
      [first, ["start allowed", "run failed"]],
      [second, ["start allowed", "run suspended", "run cancelled"]]
    ]
  })
}

describe("The outbox of the audit log", () => {
  for (const [name, path] of Object.entries(paths)) {
    it.live(`keeps ${name} with the change itself, and enters each once`, () =>
      Effect.gen(function*() {
        const { chain, facts, log, process, writes } = yield* makeWorld
        const whole = yield* path.pipe(
          Effect.tap(
            Effect.forEach(([runId, lines]) =>
              Effect.map(linesOf(runId), (seen) => assert.deepStrictEqual(seen, lines))
            )
          ),
          Effect.provide(process())
        )
        assert.isNotEmpty(whole)
        assert.deepStrictEqual(yield* facts, [])

        // The log is away: every change is there with its facts, and the next process enters them.
        const changes = yield* Effect.provide(path, process(chain({ append: () => down })))
        const lines = changes.flatMap(([, lines]) => lines)
        const noted = yield* facts
        const repeats = name.includes("that waits") ? 1 : 0
        assert.lengthOf(
          noted.filter(({ body }) => changes.some(([runId]) => body.includes(`"${runId}"`))),
          lines.length - repeats
        )
        const entered = Effect.forEach(changes, ([runId]) => linesOf(runId))
        const expected = changes.map(([, lines]) => repeats === 0 ? lines : lines.slice(0, -1))
        assert.deepStrictEqual(yield* Effect.provide(entered, process()), expected)
        assert.deepStrictEqual(yield* facts, [])

        // The process ends between an entry and the removal of its fact.
        const again = yield* Effect.provide(path, process(chain(), { removeFacts: () => down }))
        assert.isNotEmpty(yield* facts)
        const seen = yield* Effect.provide(Effect.forEach(again, ([runId]) => linesOf(runId)), process())
        assert.deepStrictEqual(seen, again.map(([, lines]) => lines))
        assert.deepStrictEqual(yield* facts, [])
        assert.isTrue(writes.some(({ facts = [] }) => facts.length > 0))
        assert.isAbove((yield* log.chainHead("local")).seq, 0)
      }).pipe(Effect.scoped))
  }

  it.live("keeps the end of a run that is cancelled with its principal, without a server", () =>
    Effect.gen(function*() {
      const { chain, facts, log, process, store } = yield* makeWorld
      const { runId } = yield* Effect.provide(settle("waits"), process())
      const cancel = (audit: Layer.Layer<Audit.Audit>) =>
        Principals.change({ tenant: "local", id: "local" }, "cancel", "cli").pipe(
          Effect.provide([audit, Layer.succeed(RunStore.RunStore, store), ApiKeys.ApiKeyStore.layerMemory])
        )
      assert.deepStrictEqual(yield* cancel(chain({ append: () => down })), { keys: 0, schedules: 0, runs: 1 })
      assert.lengthOf(yield* facts, 2)
      assert.deepStrictEqual((yield* Effect.provide(linesOf(runId), process())).toSorted(), [
        "cancel allowed",
        "run cancelled",
        "run suspended",
        "start allowed"
      ])
      const { runId: next } = yield* Effect.provide(settle("waits"), process())
      yield* cancel(chain())
      assert.deepStrictEqual(yield* facts, [])
      assert.isAbove((yield* log.chainHead("local")).seq, 0)
      assert.include(yield* Effect.provide(linesOf(next), process()), "run cancelled")
    }).pipe(Effect.scoped))

  it.live("is counted by verification, which calls nothing whole while a change waits for its entry", () =>
    Effect.gen(function*() {
      const { chain, log, process, store } = yield* makeWorld
      const verify = (options: { readonly unsignedWithin?: "1 hour" } = {}, outbox = store) =>
        AuditVerify.verifyAll({ signers: ["00"], outbox, ...options }).pipe(
          Effect.map((verdicts) =>
            verdicts.map(({ tenant, unproven, waiting = 0 }) => `${tenant}: ${waiting}, ${unproven ?? "whole"}`)
          ),
          Effect.provideService(AuditLog.AuditLog, log),
          Effect.provide(crypto)
        )
      yield* Effect.provide(settle("fails"), process(chain({ append: () => down })))
      assert.deepStrictEqual(yield* verify(), ["local: 2, 2 changes wait to be entered"])
      const [first] = yield* verify({ unsignedWithin: "1 hour" })
      assert.strictEqual(first, "local: 2, whole")
      const odd = { ...store, facts: () => Effect.succeed([{ id: "odd", at: 1, body: "{" }]) }
      assert.deepStrictEqual(yield* verify({}, odd), ["the outbox: 1, 1 facts cannot be read"])
      // A fact that is entered and not removed yet does not count.
      yield* Effect.provide(settle("fails"), process(chain(), { removeFacts: () => down }))
      assert.deepStrictEqual((yield* verify())[0], "local: 0, nothing is signed")
    }).pipe(Effect.scoped))

  it.live("adds no write to a run, and a log in memory gets its entries without it", () =>
    Effect.gen(function*() {
      const { facts, process, writes } = yield* makeWorld
      const path = paths["a decision and a call of a tool"] ?? Effect.die("there is none")
      yield* Effect.provide(path, process())
      const kept = writes.splice(0)
      yield* Effect.gen(function*() {
        for (const [runId, lines] of yield* path) assert.deepStrictEqual(yield* linesOf(runId), lines)
      }).pipe(Effect.provide(process(Audit.layerMemory)))
      assert.lengthOf(writes, kept.length)
      assert.isTrue(writes.every(({ facts }) => facts === undefined))
      assert.deepStrictEqual(yield* facts, [])
    }).pipe(Effect.scoped))

  it.live("takes nothing of a run that is kept in memory, whose entries are there before the call is answered", () =>
    Effect.gen(function*() {
      const { facts, log, process, writes } = yield* makeWorld
      yield* Effect.gen(function*() {
        const { runId } = yield* start("swift")
        assert.strictEqual((yield* log.chainHead("local")).seq >= 1, true)
        yield* Runtime.Runtime.use((runtime) => runtime.await(caller, runId))
        assert.deepStrictEqual((yield* linesOf(runId)).sort(), ["call allowed", "run completed", "start allowed"])
      }).pipe(Effect.provide(process()))
      assert.deepStrictEqual(writes, [])
      assert.deepStrictEqual(yield* facts, [])
    }).pipe(Effect.scoped))

  it.live("goes on past a fact that cannot be read, and leaves it there", () =>
    Effect.gen(function*() {
      const { facts, process } = yield* makeWorld
      const odd = { id: "odd", at: 1, body: "{" }
      const all = (query: RunStore.FactQuery) => Effect.map(facts, (found) => [odd, ...found].slice(0, query.limit))
      yield* Effect.gen(function*() {
        const { runId } = yield* settle("fails")
        assert.deepStrictEqual(yield* linesOf(runId), ["start allowed", "run failed"])
      }).pipe(Effect.provide(process(undefined, { facts: all })))
      assert.deepStrictEqual(yield* facts, [])
    }).pipe(Effect.scoped))

  it.live("collects the entries of changes that are made while others are entered", () =>
    Effect.gen(function*() {
      const { chain, log, process } = yield* makeWorld
      const [begun, changed] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const [begins, ends]: [Array<number>, Array<number>] = [[], []]
      const append: AuditLog.AuditLog["Service"]["append"] = Effect.fnUntraced(function*(appends) {
        begins.push(performance.now())
        yield* Deferred.succeed(begun, undefined)
        yield* Deferred.await(changed)
        const places = yield* log.append(appends)
        ends.push(performance.now())
        return places
      })
      yield* Effect.gen(function*() {
        yield* settle("fails")
        yield* Deferred.await(begun)
        yield* settle("fails")
        yield* Deferred.succeed(changed, undefined)
        while (ends.length < 2) yield* Effect.sleep(5)
        const [, second = 0] = begins
        const [first = 0] = ends
        assert.isAtLeast(second - first, Timings.auditCollectMillis / 2)
      }).pipe(Effect.provide(process(chain({ append }))))
      assert.strictEqual((yield* log.chainHead("local")).seq, 4)
    }).pipe(Effect.scoped))

  it.live("two processes on one store enter what the other has written, each once", () =>
    Effect.gen(function*() {
      const { facts, process } = yield* makeWorld
      const [one, two] = yield* Effect.all([Layer.build(process()), Layer.build(process())])
      const runs = yield* Effect.forEach(
        Array.from({ length: 40 }, (_, index) => index),
        (index) => Effect.provideContext(settle("fails"), index % 2 === 0 ? one : two),
        { concurrency: 8 }
      )
      for (const context of [one, two]) {
        const seen = yield* Effect.provideContext(
          Runtime.Runtime.use((runtime) => runtime.audit(caller, { after: 0, limit: 200 })),
          context
        )
        for (const { runId } of runs) {
          const lines = seen.flatMap((entry) => entry.runId === runId ? [entry.action] : [])
          assert.deepStrictEqual(lines.sort(), ["run", "start"])
        }
      }
      assert.isBelow((yield* facts).length, 200)
    }).pipe(Effect.scoped))
})
