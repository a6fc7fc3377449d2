// Contract of the stores that keep facts for the audit log with their changes, in the outbox of their run store. A test file of
// the implementation calls `suite` once with the layer that has all of them.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { ApiKey, ApiKeyStore } from "../../door/ApiKeys.ts"
import { type Mark, ScheduleStore } from "../../runtime/ScheduleStore.ts"
import { type Fact, RunStore } from "../../store/RunStore.ts"
import * as Message from "../../thread/Message.ts"
import { makeRun } from "./RunStoreContract.ts"

type Stores = RunStore | ScheduleStore | ApiKeyStore

const mark: Mark = { app: "acme", key: "acme/ż '", version: 1, upto: 1, waiting: [], paused: false }
const account = { tenant: "acme", id: "ann ż '" }
const factOf = (id: string): Fact => ({ id, at: 5, body: JSON.stringify({ id, odd: "żółw 🐢 ' {} , \\ \n %" }) })

/**
 * Declares the tests that stores pass whose schedules, accounts and threads keep facts with their changes.
 *
 * @category contracts
 * @since 0.1.0
 */
export const suite = <E>(name: string, layer: Layer.Layer<Stores, E>) =>
  describe(`Outbox: ${name}`, () => {
    const withStores = <A, E2>(use: Effect.Effect<A, E2, Stores>) =>
      Effect.scoped(Effect.flatMap(Layer.build(Layer.fresh(layer)), (context) => Effect.provideContext(use, context)))

    const waiting = Effect.gen(function*() {
      const store = yield* RunStore
      const found = yield* store.facts({ before: Number.MAX_SAFE_INTEGER, limit: 100 })
      return found.map((fact) => {
        assert.deepStrictEqual(fact, factOf(fact.id))
        return fact.id
      })
    })

    it.live("a schedule's facts are kept with the change that is made, and with no other", () =>
      withStores(Effect.gen(function*() {
        const schedules = yield* ScheduleStore
        const { identity } = yield* RunStore
        assert.strictEqual(yield* identity, yield* schedules.outbox ?? Effect.undefined)
        assert.isTrue(yield* schedules.set(mark, 0, [factOf("a")]))
        assert.isFalse(yield* schedules.set(mark, 0, [factOf("no 1")]))
        assert.isTrue(yield* schedules.set({ ...mark, version: 2 }, 1, [factOf("b"), factOf("c")]))
        assert.isFalse(yield* schedules.set({ ...mark, version: 2 }, 1, [factOf("no 2")]))
        assert.isFalse(yield* schedules.remove(mark.key, 1, [factOf("no 3")]))
        assert.isTrue(yield* schedules.remove(mark.key, 2, [factOf("d")]))
        assert.deepStrictEqual(yield* waiting, ["a", "b", "c", "d"])
      })))

    it.live("an account's facts are kept when it is disabled or enabled by this", () =>
      withStores(Effect.gen(function*() {
        const keys = yield* ApiKeyStore
        const { identity } = yield* RunStore
        assert.strictEqual(yield* identity, yield* keys.outbox ?? Effect.undefined)
        assert.isFalse(yield* keys.enable(account, [factOf("no 1")]))
        assert.isTrue(yield* keys.disable(account, 1, [factOf("a")]))
        assert.isFalse(yield* keys.disable(account, 2, [factOf("no 2")]))
        assert.isTrue(yield* keys.enable(account, [factOf("b")]))
        assert.deepStrictEqual(yield* waiting, ["a", "b"])
      })))

    it.live("a key's facts are kept when it is made or revoked, and with no other change", () =>
      withStores(Effect.gen(function*() {
        const keys = yield* ApiKeyStore
        const key = new ApiKey({
          prefix: "0a1b2c3d4e5f",
          hash: "h",
          ...account,
          scopes: ["orders:*"],
          roles: [],
          createdAt: 1
        })
        assert.isFalse(yield* keys.revoke(key.prefix, 5, [factOf("no 1")]))
        yield* keys.insert(key, [factOf("a")])
        yield* Effect.flip(keys.insert(key, [factOf("no 2")]))
        assert.isTrue(yield* keys.revoke(key.prefix, 7, [factOf("b"), factOf("c")]))
        yield* keys.used(key.prefix, 8)
        assert.deepInclude(yield* keys.find(key.prefix), { ...key, revokedAt: 7, lastUsedAt: 8 })
        assert.deepStrictEqual(yield* waiting, ["a", "b", "c"])
      })))

    it.live("a thread's facts are kept with the fork that is made, and with every removal", () =>
      withStores(Effect.gen(function*() {
        const { threads, write } = yield* RunStore
        const key = { tenant: "acme", owner: "ann", threadId: "t" }
        const run = makeRun({ ...key, state: "running" })
        yield* write([
          { _tag: "Admit", run, events: [{ type: "run_started", data: { agent: run.agent } }] },
          {
            _tag: "Commit",
            runId: run.runId,
            attempt: run.attempt,
            from: ["running"],
            ts: 1,
            events: [],
            set: { state: "completed" },
            turn: { ...key, messages: [Message.user("hello")] }
          }
        ])
        const fork = (threadId: string, to: string, fact: string) =>
          threads.fork({ ...key, threadId, at: 1, to, now: 2, facts: [factOf(fact)] })
        assert.isUndefined(yield* fork("none", "u", "no 1"))
        assert.isDefined(yield* fork("t", "u", "a"))
        assert.isDefined(yield* fork("t", "u", "no 2"))
        assert.isTrue(yield* threads.remove({ ...key, threadId: "u" }, [factOf("b")]))
        assert.isFalse(yield* threads.remove({ ...key, threadId: "u" }, [factOf("c")]))
        assert.isTrue(yield* threads.remove(key))
        assert.deepStrictEqual(yield* waiting, ["a", "b", "c"])
      })))
  })
