import { assert, it } from "@effect/vitest"
import type { StoreUnavailable } from "@fastagentic/core/run/RunError"
import type { RunRecord } from "@fastagentic/core/run/RunRecord"
import { type Commit, RunStore } from "@fastagentic/core/store/RunStore"
import { makeRun, suite } from "@fastagentic/core/testing/contract/RunStoreContract"
import { Context, Effect, Exit, Fiber, Layer, Logger, Queue, Redacted, Schedule, Scope } from "effect"
import type * as EffectRedis from "effect/persistence/Redis"
import * as TestClock from "effect/testing/TestClock"
import { Redis, RedisClient, RedisRunStore } from "../../src/redis/index.ts"
import { admit, commit as plainCommit, ids, tagsOf, token, wholeJournal } from "../writes.ts"
import { describeWithOwnServer, describeWithServer, options, ownServer } from "./server.ts"

type Store = RunStore["Service"]
type Client = EffectRedis.Redis["Service"]

const commit = (run: RunRecord, parts: Partial<Commit> = {}) => plainCommit(run, { events: [token("b")], ...parts })

/** A client with its own connection; it closes with the scope. */
const connect = (options: RedisClient.Options) =>
  Effect.map(
    Layer.build(Layer.fresh(Layer.provideMerge(RedisRunStore.layerNoClient(), RedisClient.layer(options)))),
    (context) => ({ store: Context.get(context, RunStore), ...Context.get(context, RedisClient.RedisClient) })
  )

const connected = <A, E>(use: (store: Store, redis: Client, prefix: string) => Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const { prefix, redis, store } = yield* connect(yield* options)
    return yield* use(store, redis, prefix)
  })

describeWithServer("RedisRunStore", () => {
  suite("keeps the contract", Layer.unwrap(Effect.map(options, (options) => Redis.layer(options))))

  it.effect("two clients that race leave complete journals and one winner", () =>
    Effect.gen(function*() {
      const shared = yield* options
      const { store: one } = yield* connect(shared)
      const { store: other } = yield* connect(shared)
      const runs = Array.from({ length: 4 }, () => makeRun())
      yield* one.write(runs.map((run) => admit(run)))
      const rounds = Array.from({ length: 50 }, (_, index) => index)
      const append = (store: Store, name: string) =>
        Effect.forEach(
          rounds,
          (round) => store.write(runs.map((run) => commit(run, { events: [token(`${name}${round}`), token("")] }))),
          { concurrency: 8, discard: true }
        )
      const claim = (store: Store) =>
        store.write(runs.map((run) => commit(run, { set: { state: "completed" }, events: [token("last")] })))
      yield* Effect.all([append(one, "a"), append(other, "b")], { concurrency: "unbounded" })
      const claims = yield* Effect.all([claim(one), claim(other), claim(one)], { concurrency: "unbounded" })
      for (const [index, run] of runs.entries()) {
        assert.strictEqual(claims.filter((claim) => claim[index]?._tag === "Committed").length, 1)
        const events = yield* wholeJournal(one, run.runId)
        assert.strictEqual(events.length, 2 * 2 * 50 + 1)
        assert.deepStrictEqual(yield* other.events(run.runId, 0, 1_000), events)
      }
      const tenant = makeRun().tenant
      const racers = Array.from({ length: 40 }, () => makeRun({ tenant, idempotencyKey: "key" }))
      const admitted = yield* Effect.forEach(
        racers,
        (run, index) => (index % 2 === 0 ? one : other).write([admit(run)]),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(tagsOf(admitted.flat()).filter((tag) => tag === "Admitted").length, 1)
      assert.strictEqual((yield* other.list({ tenant, limit: 50 })).length, 1)
    }))

  it.effect("loads its scripts again when Redis has forgotten them", () =>
    connected((store, redis) =>
      Effect.gen(function*() {
        const run = makeRun()
        yield* store.write([admit(run, "a")])
        yield* store.list({ tenant: run.tenant, limit: 5 })
        yield* redis.send("SCRIPT", "FLUSH")
        const written = yield* Effect.forEach(
          Array.from({ length: 10 }, () => commit(run)),
          (one) => store.write([one]),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(tagsOf(written.flat()), Array.from({ length: 10 }, () => "Committed"))
        yield* redis.send("SCRIPT", "FLUSH")
        assert.strictEqual((yield* store.list({ tenant: run.tenant, limit: 5 })).length, 1)
        assert.strictEqual((yield* wholeJournal(store, run.runId)).length, 11)
      })
    ))

  it.effect("publishes each commit, and nothing else, on its channel", () =>
    connected((store, redis, prefix) =>
      Effect.gen(function*() {
        const run = makeRun()
        const queue = yield* redis.subscribe(`${prefix}changes`)
        yield* store.write([
          admit(run, "a"),
          commit(run, { events: [token("b"), token("c")] }),
          commit(run, { attempt: 9 }),
          commit(run, { events: [] })
        ])
        const messages = yield* Queue.takeN(queue, 2)
        assert.deepStrictEqual(messages.map(({ message }) => message), [`${run.runId} 3`, `${run.runId} 3`])
        assert.strictEqual(yield* Queue.size(queue), 0)
      }).pipe(Effect.scoped)
    ))

  it.effect("lists more runs than one page reads", () =>
    connected((store) =>
      Effect.gen(function*() {
        const { tenant } = makeRun()
        const runs = Array.from(
          { length: 1_203 },
          (_, index) => makeRun({ tenant, kind: index % 401 === 0 ? "tool" : "agent" })
        )
        yield* store.write(runs.map((run) => admit(run)))
        const wanted = runs.filter((run) => run.kind === "tool").map((run) => run.runId).reverse()
        const page = yield* store.list({ tenant, kind: "tool", limit: 10 })
        assert.deepStrictEqual(page.map((run) => run.runId), wanted)
        const [, last = ""] = wanted
        const rest = yield* store.list({ tenant, kind: "tool", limit: 10, before: last })
        assert.deepStrictEqual(rest.map((run) => run.runId), wanted.slice(2))
        assert.strictEqual((yield* store.list({ tenant, limit: 2_000 })).length, 1_203)
        assert.deepStrictEqual(
          (yield* store.unfinished).map((run) => run.runId),
          runs.map((run) => run.runId)
        )
      })
    ))

  it.effect("runs of another node are unfinished for that node alone, until it closes or its lease ends", () =>
    Effect.gen(function*() {
      const shared = yield* options
      const one = yield* connect(shared)
      const scope = yield* Scope.make()
      const other = yield* Effect.provideService(connect(shared), Scope.Scope, scope)
      const mine = makeRun()
      const theirs = makeRun()
      const unfinished = (store: Store) => Effect.map(store.unfinished, (runs) => runs.map((run) => run.runId))
      yield* one.store.write([admit(mine)])
      yield* other.store.write([admit(theirs)])
      assert.deepStrictEqual(yield* unfinished(one.store), [mine.runId])
      assert.deepStrictEqual(yield* unfinished(other.store), [theirs.runId])
      // An append claims nothing, a new attempt does.
      yield* other.store.write([commit(mine), commit(theirs)])
      assert.deepStrictEqual(yield* unfinished(one.store), [mine.runId])
      yield* one.store.write([commit(theirs, { set: { attempt: 2 } })])
      assert.deepStrictEqual(yield* unfinished(one.store), [mine.runId, theirs.runId])
      yield* other.store.write([commit({ ...theirs, attempt: 2 }, { set: { attempt: 3 } })])
      assert.deepStrictEqual(yield* unfinished(one.store), [mine.runId])
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* unfinished(one.store), [mine.runId, theirs.runId])
      assert.deepStrictEqual((yield* one.store.abandoned).map((run) => run.runId), [theirs.runId])
      const [own, ...gone] = yield* one.redis.send<ReadonlyArray<string>>("KEYS", `${shared.prefix}node:*`)
      assert.deepStrictEqual(gone, [])
      assert.isAtMost(yield* one.redis.send<number>("PTTL", own ?? ""), 3_000)
      yield* one.redis.send("DEL", own ?? "")
      const { store: third } = yield* connect(shared)
      assert.deepStrictEqual(yield* unfinished(third), [mine.runId, theirs.runId])
    }))

  it.effect("stores a commit of many thousand events and steps", () =>
    connected((store) =>
      Effect.gen(function*() {
        const run = makeRun()
        const events = Array.from({ length: 12_345 }, (_, index) => token(`${index}`))
        const steps = Array.from({ length: 5_001 }, (_, index) => ({ name: `s${index}`, value: index }))
        yield* store.write([admit(run), commit(run, { events, steps })])
        assert.strictEqual((yield* wholeJournal(store, run.runId)).length, 12_345)
        assert.strictEqual((yield* store.steps(run.runId)).length, 5_001)
      })
    ))

  it.effect("texts that UTF-8 encodes alike are kept apart", () =>
    connected((store) =>
      Effect.gen(function*() {
        const one = makeRun({ tenant: "t\uD800", idempotencyKey: "key" })
        const other = makeRun({ tenant: "t\uD801", idempotencyKey: "key" })
        assert.deepStrictEqual(
          tagsOf(yield* store.write([admit(one), admit(other)])),
          ["Admitted", "Admitted"]
        )
        assert.deepStrictEqual(yield* store.list({ tenant: "t\uD800", limit: 5 }), [one])
        assert.deepStrictEqual(yield* store.list({ tenant: "t\uFFFD", limit: 5 }), [])
      })
    ))

  it.effect("a write that is not JSON is refused alone", () =>
    connected((store) =>
      Effect.gen(function*() {
        const run = makeRun()
        const circular: { self?: unknown } = {}
        circular.self = circular
        const step = (value: unknown) => commit(run, { steps: [{ name: "s", value: JSON.parse("null", () => value) }] })
        const written = yield* store.write([
          admit(run),
          step(circular),
          step(1n),
          step(Symbol("s")),
          step(JSON.parse("[".repeat(100_000) + "]".repeat(100_000))),
          step({ fine: true })
        ])
        const tags = ["Admitted", "Refused", "Refused", "Refused", "Refused", "Committed"]
        assert.deepStrictEqual(tagsOf(written), tags)
        assert.strictEqual((yield* wholeJournal(store, run.runId)).length, 1)
      })
    ))

  it.effect("reports the run whose values are damaged, and refuses writes to it alone", () =>
    connected((store, redis, prefix) =>
      Effect.gen(function*() {
        const good = makeRun()
        const bad = makeRun({ tenant: good.tenant, idempotencyKey: "key" })
        const { runId } = bad
        const open = { id: "i", runId, name: "n", kind: "input", createdAt: 1, state: "open" } as const
        yield* store.write([
          admit(good, "a"),
          admit(bad, "a"),
          commit(bad, { steps: [{ name: "s", value: 1 }], open: [open] })
        ])
        const whileDamaged = Effect.fnUntraced(function*<A, E, B, E2>(
          read: Effect.Effect<A, E>,
          check: Effect.Effect<B, E2>,
          command: string,
          ...[name, ...rest]: readonly [key: string, ...ReadonlyArray<string>]
        ) {
          const key = `${prefix}${name}:${runId}`
          yield* redis.send("COPY", key, `${key}:intact`, "REPLACE")
          yield* redis.send(command, key, ...rest)
          yield* check
          const written = yield* store.write([commit(bad), commit(good), admit({ ...bad, runId: "again" })])
          assert.strictEqual(written[1]?._tag, "Committed")
          yield* wholeJournal(store, good.runId)
          yield* redis.send("COPY", `${key}:intact`, key, "REPLACE")
          yield* redis.send("DEL", `${key}:intact`)
          const seq = (yield* store.get(runId))?.seq ?? 0
          yield* redis.send("LTRIM", `${prefix}events:${runId}`, "0", `${seq - 1}`)
          yield* read
        })
        const failed = <A, E>(
          what: string,
          read: Effect.Effect<A, E>,
          ...damage: readonly [command: string, key: string, ...ReadonlyArray<string>]
        ) =>
          whileDamaged(
            read,
            Effect.map(
              Effect.flip(read),
              (error) => assert.containSubset(error, { _tag: "JournalDamaged", runId, what }, damage.join(" "))
            ),
            ...damage
          )
        const leftOut = <E>(
          read: Effect.Effect<ReadonlyArray<RunRecord>, E>,
          ...damage: readonly [command: string, key: string, ...ReadonlyArray<string>]
        ) => {
          // The key of a run that does not exist is free.
          const found = Effect.map(read, (runs) => ids(runs).filter((runId) => runId !== "again").sort())
          return whileDamaged(
            Effect.map(found, (found) => assert.deepStrictEqual(found, [good.runId, runId])),
            Effect.map(found, (found) => assert.deepStrictEqual(found, [good.runId], damage.join(" "))),
            ...damage
          )
        }
        const list = store.list({ tenant: good.tenant, limit: 3 })
        yield* failed("record", store.get(runId), "HSET", "run", "state", "\"sleeping\"")
        yield* failed("record", store.get(runId), "HSET", "run", "usage", "[]")
        yield* failed("record", store.get(runId), "HSET", "run", "payload", "{not json")
        yield* failed("record", store.get(runId), "HSET", "run", "waitsFor", "\"rain\"")
        yield* failed("record", store.get(runId), "HDEL", "run", "owner")
        yield* failed("record", store.get(runId), "SET", "run", "text")
        yield* failed("events", store.events(runId, 0, 5), "LSET", "events", "0", "{}")
        yield* failed("events", store.events(runId, 0, 5), "LSET", "events", "1", "null")
        yield* failed("events", store.events(runId, 0, 5), "SET", "events", "text")
        yield* failed("steps", store.steps(runId), "HSET", "steps", "\"s\"", "")
        yield* failed("steps", store.steps(runId), "HSET", "steps", "\"s\"", "one\n1")
        yield* failed("steps", store.steps(runId), "SET", "steps", "text")
        yield* failed("interrupts", store.interrupts(runId), "HSET", "interrupts", "\"i\"", "ajar\n{}")
        yield* failed("interrupts", store.interrupts(runId), "HSET", "interrupts", "\"i\"", "open")
        yield* leftOut(list, "HSET", "run", "error", "{}")
        yield* leftOut(list, "DEL", "run")
        yield* leftOut(list, "SET", "run", "text")
        yield* leftOut(store.unfinished, "HSET", "run", "kind", "\"\"")
        yield* leftOut(store.unfinished, "DEL", "run")
        // A journal that lost its end is not continued.
        yield* redis.send("RPOP", `${prefix}events:${runId}`)
        assert.deepStrictEqual(tagsOf(yield* store.write([commit(bad), commit(good)])), ["Refused", "Committed"])
        yield* wholeJournal(store, good.runId)
      })
    ))

  const waiting = (agent: string, overrides: Partial<RunRecord> = {}) =>
    makeRun({ agent, state: "queued", wakeAt: 5, ...overrides })

  it.effect("finds the most urgent of many due runs, and reads no others", () =>
    connected((store, redis, prefix) =>
      Effect.gen(function*() {
        const { tenant } = makeRun()
        const due = Array.from({ length: 1_203 }, (_, index) => waiting("busy", { tenant, priority: index % 3 - 1 }))
        const later = Array.from({ length: 600 }, () => waiting("busy", { tenant, wakeAt: 50, priority: 9 }))
        yield* store.write([...due, ...later].map((run) => admit(run)))
        // A damaged run of any priority does not block others.
        yield* Effect.forEach(
          later,
          (run) => redis.send("HSET", `${prefix}run:${run.runId}`, "owner", "?"),
          { concurrency: "unbounded" }
        )
        const urgent = [1, 0, -1].flatMap((priority) => due.filter((run) => run.priority === priority))
        const agents = ["busy", "busy", "idle"]
        assert.deepStrictEqual(ids(yield* store.due({ agents, now: 49, limit: 10 })), ids(urgent.slice(0, 10)))
        assert.deepStrictEqual(ids(yield* store.due({ agents, now: 49, limit: 5_000 })), ids(urgent))
        assert.strictEqual(yield* redis.send("ZCARD", `${prefix}wake:"busy"`), later.length)
        assert.deepStrictEqual(yield* store.due({ agents, now: 4, limit: 10 }), [])
        assert.deepStrictEqual(ids(yield* store.due({ agents, now: 50, limit: 3 })), ids(urgent.slice(0, 3)))
        const [first, second, third, fourth] = urgent
        assert.isDefined(first && second && third && fourth)
        if (!first || !second || !third || !fourth) return
        yield* store.write([
          commit(first, { from: ["queued"], set: { state: "running" } }),
          commit(second, { from: ["queued"], set: { wakeAt: 60 } }),
          commit(third, { from: ["queued"], set: { state: "cancelled" } })
        ])
        assert.deepStrictEqual(ids(yield* store.due({ agents, now: 59, limit: 1 })), [fourth.runId])
        assert.deepStrictEqual(ids(yield* store.due({ agents, now: 60, limit: 2 })), [second.runId, fourth.runId])
        yield* store.write([commit(first, { set: { state: "suspended", wakeAt: 61, waitsFor: "timer" } })])
        assert.deepStrictEqual(ids(yield* store.due({ agents, now: 61, limit: 1 })), [first.runId])
      })
    ))

  it.effect("two clients that race for slots start no more runs than the limit", () =>
    Effect.gen(function*() {
      const shared = yield* options
      const { store: one } = yield* connect(shared)
      const { store: other } = yield* connect(shared)
      const tenants = [makeRun().tenant, makeRun().tenant, makeRun().tenant]
      const runs = Array.from({ length: 60 }, (_, index) => waiting("busy", { tenant: tenants[index % 3] ?? "" }))
      yield* one.write(runs.map((run) => admit(run)))
      const start = (run: RunRecord) =>
        commit(run, { from: ["queued"], set: { state: "running" }, within: { agent: 8, tenant: 3 } })
      let left = runs
      while (left.length > 0) {
        const written = yield* Effect.forEach(left, (run, index) =>
          Effect.map((index % 2 === 0 ? one : other).write([start(run)]), tagsOf), { concurrency: "unbounded" })
        const started = left.filter((_, index) =>
          written[index]?.[0] === "Committed"
        )
        assert.strictEqual(started.length, Math.min(8, left.length))
        for (const tenant of tenants) assert.isAtMost(started.filter((run) => run.tenant === tenant).length, 3)
        yield* other.write(started.map((run) => commit(run, { set: { state: "completed", finishedAt: 1 } })))
        left = left.filter((run) => !started.includes(run))
      }
      const thread = { tenant: tenants[0] ?? "", threadId: "t" }
      const racers = Array.from({ length: 40 }, () => makeRun(thread))
      const admitted = yield* Effect.forEach(racers, (run, index) =>
        Effect.map(
          (index % 2 === 0 ? one : other).write([{ ...admit(run), alone: true }]),
          tagsOf
        ), { concurrency: "unbounded" })
      assert.deepStrictEqual(admitted.flat().sort(), ["Admitted", ...Array.from({ length: 39 }, () => "Busy")])
    }))

  it.effect("removes everything of a run, and leaves damaged ones", () =>
    connected((store, redis, prefix) =>
      Effect.gen(function*() {
        const { tenant } = makeRun()
        const keys = Effect.map(
          redis.send<ReadonlyArray<string>>("KEYS", `${prefix}*`),
          (keys) => keys.filter((key) => !key.startsWith(`${prefix}node:`)).sort()
        )
        const kept = makeRun({ tenant, state: "completed", finishedAt: 2_000, threadId: "t", idempotencyKey: "kept" })
        yield* store.write([admit(kept, "a")])
        const before = yield* keys
        const runs = Array.from({ length: 1_203 }, (_, index) =>
          waiting("gone", { tenant, threadId: "t", parentRunId: "p", priority: 3, idempotencyKey: `key ${index}` }))
        const last = runs.slice(-1)
        yield* store.write(runs.map((run) =>
          admit(run)
        ))
        yield* store.due({ agents: ["gone"], now: 10, limit: 1 })
        yield* store.write(runs.map((run) => commit(run, { from: ["queued"], set: { state: "running" } })))
        yield* store.write(runs.map((run, index) =>
          commit(run, {
            steps: [{ name: "s", value: 1 }],
            open: [{ id: "i", runId: run.runId, name: "n", kind: "input", createdAt: 1, state: "open" }],
            set: { state: index % 2 === 0 ? "failed" : "completed", finishedAt: 1_203 - index }
          })
        ))
        const query = { states: ["failed", "completed"], finishedBefore: 2_000, limit: 10 } as const
        const oldest = ids(runs.slice(-10))
        assert.deepStrictEqual(ids(yield* store.remove({ ...query, tenant, dryRun: true })), oldest)
        assert.deepStrictEqual(ids(yield* store.remove({ ...query, tenant: "another" })), [])
        yield* redis.send("HSET", `${prefix}run:${last[0]?.runId}`, "payload", "{")
        assert.deepStrictEqual(yield* store.remove({ ...query, runIds: [last[0]?.runId ?? ""] }), [])
        assert.deepStrictEqual(ids(yield* store.remove(query)), ids(runs.slice(-11, -1)))
        const rest = yield* Effect.all([
          store.remove({ ...query, tenant, limit: 5_000 }),
          store.remove({ ...query, limit: 5_000 })
        ], { concurrency: "unbounded" })
        assert.deepStrictEqual(ids(rest.flat()).sort(), ids(runs.slice(0, -11)))
        assert.deepStrictEqual(yield* store.list({ tenant, limit: 5 }), [{ ...kept, seq: 1 }])
        yield* redis.send("HSET", `${prefix}run:${last[0]?.runId}`, "payload", "{}")
        const only = { ...query, runIds: [last[0]?.runId ?? ""] }
        assert.deepStrictEqual(yield* store.remove({ ...only, states: ["completed"] }), [])
        assert.deepStrictEqual(yield* store.remove({ ...only, tenant: "another" }), [])
        assert.deepStrictEqual(yield* store.remove({ ...only, finishedBefore: 1 }), [])
        assert.deepStrictEqual(yield* store.remove({ ...only, runIds: ["none"] }), [])
        assert.deepStrictEqual(ids(yield* store.remove({ ...only, dryRun: true })), ids(last))
        assert.deepStrictEqual(ids(yield* store.remove(only)), ids(last))
        assert.deepStrictEqual(yield* keys, before)
        assert.deepStrictEqual(tagsOf(yield* store.write([admit(makeRun({ tenant, idempotencyKey: "kept" }))])), [
          "Attached"
        ])
      })
    ))

  it.effect("refuses only writes whose index has another type", () =>
    connected((store, redis, prefix) =>
      Effect.gen(function*() {
        const bad = makeRun({ agent: "bad" })
        const good = makeRun()
        yield* store.write([admit(bad, "a"), admit(good)])
        yield* redis.send("SET", `${prefix}wake:"bad"`, "text")
        const set = { state: "suspended", wakeAt: 1 } as const
        yield* redis.send("DEL", `${prefix}running:["agent","bad"]`)
        yield* redis.send("SET", `${prefix}running:["agent","bad"]`, "text")
        const written = yield* store.write([
          commit(good),
          commit(bad, { set }),
          commit(bad, { within: { agent: 1 } }),
          admit(makeRun({ agent: "bad" })),
          commit(bad),
          commit(good, { set })
        ])
        assert.deepStrictEqual(tagsOf(written), [
          "Committed",
          "Refused",
          "Refused",
          "Refused",
          "Committed",
          "Committed"
        ])
        assert.strictEqual((yield* wholeJournal(store, bad.runId)).length, 2)
      })
    ))

  it.effect("reads and continues runs from a version without waiting", () =>
    connected((store, redis, prefix) =>
      Effect.gen(function*() {
        const run = makeRun({ state: "queued" })
        const { runId } = run
        yield* store.write([admit(run, "a"), commit(run, { from: ["queued"], steps: [{ name: "s", value: ["\n"] }] })])
        // The earlier format: without these fields and numbers of steps, and with queued runs among the unfinished.
        yield* redis.send("HDEL", `${prefix}run:${runId}`, "crashes", "priority")
        yield* redis.send("HSET", `${prefix}steps:${runId}`, "\"s\"", "[\"\\n\"]")
        yield* redis.send("ZADD", `${prefix}unfinished`, "0", runId)
        assert.deepStrictEqual(yield* store.get(runId), { ...run, seq: 2 })
        assert.deepStrictEqual(yield* store.steps(runId), [{ name: "s", value: ["\n"], seq: 0 }])
        assert.deepStrictEqual(yield* store.unfinished, [])
        const within = { agent: 1 }
        const next = makeRun({ state: "queued" })
        const start = { from: ["queued"], set: { state: "running" }, within } as const
        assert.deepStrictEqual(
          tagsOf(yield* store.write([commit(run, start), admit(next), commit(next, start)])),
          ["Committed", "Admitted", "Refused"]
        )
        yield* store.write([commit(run, { set: { state: "suspended", wakeAt: 7 } })])
        assert.deepStrictEqual(ids(yield* store.due({ agents: [run.agent], now: 7, limit: 5 })), [runId])
        assert.deepStrictEqual(yield* store.unfinished, [])
      })
    ))
})

// The scripts of a server are counted, so nothing else may use it.
describeWithOwnServer("a Redis with one client", () => {
  it.effect(
    "lists beside ended runs with one script, and adds runs of an earlier version to its indexes",
    () =>
      Effect.gen(function*() {
        const given = { url: (yield* ownServer()).url, prefix: "" }
        const { prefix, redis, store } = yield* connect(given)
        const target = makeRun({ kind: "tool", agent: "refund", state: "failed", threadId: "t", parentRunId: "p" })
        const { owner, tenant } = target
        const asking = makeRun({ tenant, state: "suspended", waitsFor: "interrupt" })
        const ended = [3_000, 1_000, 2_000].map((finishedAt) => makeRun({ tenant, state: "cancelled", finishedAt }))
        const approvers = { scopes: ["a/b"], notRequester: true }
        const interrupt = {
          id: "i",
          runId: asking.runId,
          name: "n",
          kind: "approval",
          createdAt: 1,
          state: "open"
        } as const
        yield* store.write([
          admit(target),
          admit(asking),
          ...ended.map((run) => admit(run)),
          commit(asking, { from: ["suspended"], open: [{ ...interrupt, approvers }] })
        ])
        for (let batch = 0; batch < 5; batch++) {
          yield* store.write(Array.from({ length: 1_000 }, () => admit(makeRun({ tenant, state: "completed" }))))
        }
        const calls = Effect.map(
          redis.send<string>("INFO", "commandstats"),
          (info) => Number(/cmdstat_evalsha:calls=(\d+)/u.exec(info)?.[1] ?? 0)
        )
        const once = Effect.fnUntraced(function*<A>(effect: Effect.Effect<A, StoreUnavailable>) {
          const before = yield* calls
          const found = yield* effect
          assert.strictEqual((yield* calls) - before, 1)
          return found
        })
        const check = Effect.gen(function*() {
          for (const field of ["kind", "agent", "state", "threadId", "parentRunId"] as const) {
            for (const whose of [{}, { owner }]) {
              const query = { tenant, ...whose, [field]: target[field], limit: 50 }
              assert.deepStrictEqual(ids(yield* once(store.summaries(query))), [target.runId], field)
            }
          }
          const waiting = { tenant, waitsFor: "interrupt", limit: 50 } as const
          assert.deepStrictEqual(ids(yield* once(store.summaries(waiting))), [asking.runId])
          const pending = { tenant, decides: () => true, requester: "bob", limit: 50 }
          assert.deepStrictEqual(yield* once(store.pending(pending)), [asking.runId])
          assert.deepStrictEqual(yield* store.pending({ ...pending, requester: owner }), [])
          for (const whose of [{}, { owner }]) {
            const lastEnded = yield* once(store.recent({ tenant, ...whose, phase: "cancelled", limit: 50 }))
            assert.deepStrictEqual(lastEnded.runs.map(({ changedAt }) => changedAt), [3_000, 2_000, 1_000])
            assert.strictEqual(lastEnded.total, 3)
          }
        })
        yield* check

        // The earlier format: without the new indexes.
        for (const pattern of ["kind:*", "owner-*", "wait:*", "pending:*", "audiences:*", "ended:*"]) {
          const keys = yield* redis.send<ReadonlyArray<string>>("KEYS", `${prefix}${pattern}`)
          yield* redis.send("DEL", ...keys)
        }
        yield* redis.send("HDEL", `${prefix}run:${asking.runId}`, "audiences")
        yield* redis.send("DEL", `${prefix}list-indexes`)
        assert.deepStrictEqual(yield* store.summaries({ tenant, kind: "tool", limit: 5 }), [])
        yield* Effect.scoped(connect(given))
        yield* check
      }),
    60_000
  )
})

describeWithOwnServer("a Redis that is restarted", () => {
  const again = { schedule: Schedule.spaced("20 millis"), times: 500 }

  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    it.live(`keeps every commit from before ${signal}, and reconnects`, () =>
      Effect.gen(function*() {
        const server = yield* ownServer()
        const { store } = yield* connect({ url: server.url })
        const runs = Array.from({ length: 4 }, () => makeRun())
        yield* store.write(runs.map((run) => admit(run)))
        const known = runs.map(() => 0)
        let failures = 0
        let stopped = false
        const writer = Effect.gen(function*() {
          while (!stopped) {
            const batch = runs.map((run) =>
              commit(run, {
                events: [token("x".repeat(200)), token("y")],
                steps: [{ name: "last", value: known[0] ?? 0 }]
              })
            )
            yield* store.write(batch).pipe(
              Effect.match({
                onFailure: (error) => {
                  assert.strictEqual(error._tag, "StoreUnavailable")
                  failures++
                },
                onSuccess: (written) => {
                  for (const [index, one] of written.entries()) {
                    assert.strictEqual(one._tag, "Committed")
                    if (one._tag === "Committed") {
                      known[index] = Math.max(known[index] ?? 0, one.events[1]?.seq ?? 0)
                    }
                  }
                }
              }),
              Effect.andThen(Effect.yieldNow)
            )
            if (failures > 0) yield* Effect.sleep("5 millis")
          }
        })
        const load = yield* Effect.forkChild(
          Effect.all([writer, writer, writer], { concurrency: "unbounded", discard: true })
        )
        for (let restart = 0; restart < 3; restart++) {
          const before = known[0] ?? 0
          yield* Effect.sleep("150 millis")
          assert.isAbove(known[0] ?? 0, before)
          yield* Effect.promise(() => server.stop(signal))
          const acknowledged = [...known]
          assert.containSubset(yield* Effect.flip(store.get("r")), { _tag: "StoreUnavailable" })
          yield* Effect.promise(() => server.start())
          yield* Effect.retry(store.get("r"), again)
          for (const [index, run] of runs.entries()) {
            const record = yield* Effect.retry(store.get(run.runId), again)
            assert.isAtLeast(record?.seq ?? 0, acknowledged[index] ?? 0)
          }
        }
        stopped = true
        yield* Fiber.join(load)
        assert.isAbove(failures, 0)
        const lengths = yield* Effect.forEach(runs, (run) => wholeJournal(store, run.runId))
        // All runs of a batch have the same commits.
        assert.strictEqual(new Set(lengths.map((events) => events.length)).size, 1)
        assert.isAtLeast(lengths[0]?.length ?? 0, known[0] ?? 0)
      }).pipe(Effect.provideService(Logger.CurrentLoggers, new Set())), 60_000)
  }

  it.effect("stores nothing of a batch that Redis refuses, and writes again when it can", () =>
    Effect.gen(function*() {
      const { redis, store } = yield* connect({ url: (yield* ownServer()).url })
      const run = makeRun()
      const other = makeRun()
      yield* store.write([admit(run, "a")])
      const everything = commit(run, {
        set: { state: "suspended", output: 1 },
        steps: [{ name: "s", value: 1 }],
        open: [{ id: "i", runId: run.runId, name: "n", kind: "input", createdAt: 1, state: "open" }]
      })
      yield* redis.send("CONFIG", "SET", "maxmemory", "1")
      const error = yield* Effect.flip(store.write([everything, admit(other, "a")])).pipe(
        Effect.ensuring(Effect.orDie(redis.send("CONFIG", "SET", "maxmemory", "0")))
      )
      assert.containSubset(error, { _tag: "StoreUnavailable", operation: "write" })
      assert.deepStrictEqual(yield* store.get(run.runId), { ...run, seq: 1 })
      assert.strictEqual((yield* store.list({ tenant: run.tenant, state: "running", limit: 5 })).length, 1)
      assert.deepStrictEqual(yield* store.steps(run.runId), [])
      assert.isUndefined(yield* store.get(other.runId))
      assert.deepStrictEqual(tagsOf(yield* store.write([everything, admit(other)])), ["Committed", "Admitted"])
      assert.strictEqual((yield* wholeJournal(store, run.runId)).length, 2)
    }))

  it.effect("frees memory by removing runs when Redis is full", () =>
    Effect.gen(function*() {
      const { redis, store } = yield* connect({ url: (yield* ownServer()).url })
      const run = makeRun({ state: "completed", finishedAt: 1 })
      yield* store.write([admit(run, "a")])
      yield* redis.send("CONFIG", "SET", "maxmemory", "1")
      const query = { states: ["completed"], finishedBefore: 2, limit: 5 } as const
      assert.deepStrictEqual(ids(yield* store.remove(query)), [run.runId])
      assert.isUndefined(yield* store.get(run.runId))
      assert.deepStrictEqual(yield* store.list({ tenant: run.tenant, limit: 5 }), [])
    }))

  it.effect("is StoreUnavailable after 30 seconds without an answer", () =>
    Effect.gen(function*() {
      const server = yield* ownServer()
      const { redis, store } = yield* connect({ url: server.url })
      yield* redis.send("CLIENT", "PAUSE", "600000", "ALL")
      const reading = yield* Effect.forkChild(Effect.flip(store.get("r")), { startImmediately: true })
      yield* TestClock.adjust("30 seconds")
      assert.containSubset(yield* Fiber.join(reading), { _tag: "StoreUnavailable", operation: "record of run r" })
      yield* Effect.promise(() => server.stop("SIGKILL"))
    }).pipe(Effect.provideService(Logger.CurrentLoggers, new Set())))

  it.effect("logs at its start which data it can lose, and never its password", () =>
    Effect.gen(function*() {
      const server = yield* ownServer(["--appendfsync", "everysec", "--maxmemory-policy", "allkeys-lru"])
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => void lines.push(String(message)))
      yield* connect({ url: server.url }).pipe(Effect.provide(Logger.layer([logger])))
      assert.deepStrictEqual(lines, [
        "Redis has appendfsync everysec: committed runs can be lost unless it is always",
        "Redis has maxmemory-policy allkeys-lru: committed runs can be lost unless it is noeviction"
      ])
      const error = yield* Effect.flip(connect({ url: Redacted.make("rediss://u:s3cret@[half") }))
      assert.notInclude(JSON.stringify(error) + String(error) + String(error.cause), "s3cret")
      assert.strictEqual(error._tag, "RedisError")
    }))
})
