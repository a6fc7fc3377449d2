// Contract of the threads of a `RunStore`. A test file of the implementation calls `suite` once.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import type { RunRecord } from "../../run/RunRecord.ts"
import { type Commit, RunStore } from "../../store/RunStore.ts"
import * as Message from "../../thread/Message.ts"
import type { MessageQuery, ThreadCursor, ThreadKey, ThreadRecord, ThreadStore } from "../../thread/ThreadStore.ts"
import { makeRun } from "./RunStoreContract.ts"

const key: ThreadKey = { tenant: "acme 'ż", owner: "ann/\"1\"", threadId: "t 🐢 \\ /" }
const whole = { limit: 1_000, bytes: 10_000_000 }

const say = (text: string): ReadonlyArray<Message.Message> => [
  Message.user(text),
  Message.assistant([{ type: "text", text: `${text}!` }, { type: "data", data: { n: [1.5, null, "\u0000"] } }], [
    { id: "c", name: "look", params: { at: text } }
  ]),
  { role: "tool", toolCallId: "c", name: "look", content: [{ type: "text", text: "seen" }], isError: false }
]

/**
 * Declares the tests that the threads of every run store pass.
 *
 * @category contracts
 * @since 0.1.0
 */
export const suite = <E>(name: string, layer: Layer.Layer<RunStore, E>) =>
  describe(`Threads: ${name}`, () => {
    const withStore = <A, E2>(use: (store: RunStore["Service"], threads: ThreadStore) => Effect.Effect<A, E2>) =>
      Effect.scoped(Effect.flatMap(
        Layer.build(Layer.fresh(layer)),
        (context) => Effect.provideContext(Effect.flatMap(RunStore, (store) => use(store, store.threads)), context)
      ))

    const running = (of: ThreadKey = key, more: Partial<RunRecord> = {}) =>
      makeRun({ ...of, state: "running", ...more })

    const admit = (store: RunStore["Service"], run: RunRecord) =>
      store.write([{ _tag: "Admit", run, events: [{ type: "run_started", data: { agent: run.agent } }] }])

    const end = (
      run: RunRecord,
      messages: ReadonlyArray<Message.Message>,
      ts: number,
      of: ThreadKey = key
    ): Commit => ({
      _tag: "Commit",
      runId: run.runId,
      attempt: run.attempt,
      from: ["running"],
      ts,
      events: [{ type: "done", data: { output: null } }],
      set: { state: "completed", output: null, finishedAt: ts },
      turn: { ...of, messages }
    })

    /** A run that says something and ends. */
    const turn = Effect.fnUntraced(function*(
      store: RunStore["Service"],
      messages: ReadonlyArray<Message.Message>,
      ts: number,
      of: ThreadKey = key
    ) {
      const run = running(of)
      yield* admit(store, run)
      const [written] = yield* store.write([end(run, messages, ts, of)])
      assert.strictEqual(written?._tag, "Committed")
      return run
    })

    const all = (threads: ThreadStore, query: Partial<MessageQuery> = {}) =>
      threads.messages({ ...key, ...whole, order: "oldest", ...query })

    it.live("append a turn with the commit of its run, in order, with numbers from 1", () =>
      withStore(Effect.fnUntraced(function*(store, threads) {
        assert.isUndefined(yield* threads.get(key))
        assert.deepStrictEqual(yield* all(threads), [])
        const first = yield* turn(store, say("one"), 10)
        const second = yield* turn(store, say("two"), 20)
        const said = yield* all(threads)
        assert.deepStrictEqual(
          said,
          [...say("one"), ...say("two")].map((message, index) => ({
            ...message,
            position: index + 1,
            runId: index < 3 ? first.runId : second.runId,
            at: index < 3 ? 10 : 20
          }))
        )
        assert.deepStrictEqual(yield* threads.get(key), { ...key, createdAt: 10, updatedAt: 20, messages: 6 })
      })))

    it.live("append nothing with a commit that is refused, and nothing twice", () =>
      withStore(Effect.fnUntraced(function*(store, threads) {
        const run = running()
        yield* admit(store, run)
        const stale = { ...end(run, say("stale"), 10), attempt: run.attempt + 1 }
        const written = yield* store.write([stale, end(run, say("one"), 10), end(run, say("again"), 11)])
        assert.deepStrictEqual(written.map(({ _tag }) => _tag), ["Refused", "Committed", "Refused"])
        assert.deepStrictEqual((yield* all(threads)).map(Message.textOf), ["one", "one!", "seen"])
      })))

    it.live("keep the turns of a batch whole, of one thread and of several", () =>
      withStore(Effect.fnUntraced(function*(store, threads) {
        const other = { ...key, threadId: "other" }
        const runs = [running(), running(other), running(), running()]
        for (const run of runs) yield* admit(store, run)
        yield* store.write(runs.map((run, index) => end(run, say(`${index}`), 10, index === 1 ? other : key)))
        assert.deepStrictEqual(
          (yield* all(threads)).filter(({ role }) => role === "user").map(Message.textOf),
          ["0", "2", "3"]
        )
        assert.deepStrictEqual((yield* all(threads)).map(({ position }) => position), [1, 2, 3, 4, 5, 6, 7, 8, 9])
        assert.deepStrictEqual((yield* all(threads, other)).map(({ position }) => position), [1, 2, 3])
      })))

    it.live("keep the turns whole that are written at the same time", () =>
      withStore(Effect.fnUntraced(function*(store, threads) {
        const runs = Array.from({ length: 20 }, () => running())
        for (const run of runs) yield* admit(store, run)
        yield* Effect.forEach(runs, (run, index) => store.write([end(run, say(`${index}`), 10 + index)]), {
          concurrency: "unbounded"
        })
        const said = yield* all(threads)
        assert.deepStrictEqual(said.map(({ position }) => position), said.map((_, index) => index + 1))
        for (let index = 0; index < said.length; index += 3) {
          assert.strictEqual(new Set(said.slice(index, index + 3).map(({ runId }) => runId)).size, 1)
        }
        assert.strictEqual((yield* threads.get(key))?.messages, 60)
      })))

    it.live("keep the threads of tenants and owners apart, whatever their ids", () =>
      withStore(Effect.fnUntraced(function*(store, threads) {
        yield* turn(store, say("mine"), 10)
        for (const other of [{ ...key, tenant: "zeta" }, { ...key, owner: "bob" }, { ...key, threadId: "t" }]) {
          assert.isUndefined(yield* threads.get(other))
          assert.deepStrictEqual(yield* all(threads, other), [])
          assert.isFalse(yield* threads.remove(other))
          assert.isUndefined(yield* threads.fork({ ...other, at: 1, to: "copy", now: 1 }))
          yield* turn(store, say("other"), 10, other)
        }
        assert.strictEqual((yield* all(threads)).length, 3)
        assert.deepStrictEqual((yield* threads.list({ ...key, limit: 9 })).map(({ threadId }) => threadId).toSorted(), [
          "t",
          key.threadId
        ])
        assert.strictEqual((yield* threads.list({ tenant: key.tenant, limit: 9 })).length, 3)
      })))

    it.live("read pages in both directions, limited by number and by size", () =>
      withStore(Effect.fnUntraced(function*(store, threads) {
        for (let index = 0; index < 10; index++) yield* turn(store, say(`${index}`), 10 + index)
        const positions = (query: Partial<MessageQuery>) =>
          Effect.map(all(threads, query), (page) => page.map(({ position }) => position))
        assert.deepStrictEqual(yield* positions({ limit: 3 }), [1, 2, 3])
        assert.deepStrictEqual(yield* positions({ limit: 3, from: 28 }), [29, 30])
        assert.deepStrictEqual(yield* positions({ from: 30 }), [])
        assert.deepStrictEqual(yield* positions({ order: "newest", limit: 3 }), [30, 29, 28])
        assert.deepStrictEqual(yield* positions({ order: "newest", limit: 3, from: 3 }), [2, 1])
        assert.deepStrictEqual(yield* positions({ order: "newest", from: 1 }), [])
        const large = "x".repeat(10_000)
        yield* turn(store, [Message.user(large), Message.user(large), Message.user(large)], 30)
        assert.deepStrictEqual(yield* positions({ from: 30, bytes: 1 }), [31])
        assert.deepStrictEqual(yield* positions({ from: 30, bytes: 10_500 }), [31, 32])
        assert.deepStrictEqual(yield* positions({ order: "newest", bytes: 10_500 }), [33, 32])
      })))

    it.live("list the threads that changed last first, in pages without gap or duplicate", () =>
      withStore(Effect.fnUntraced(function*(store, threads) {
        for (let index = 0; index < 7; index++) {
          yield* turn(store, say("x"), 10 + (index >> 1), { ...key, threadId: `t${index}` })
        }
        yield* turn(store, say("x"), 99, { ...key, threadId: "t0" })
        const found: Array<string> = []
        let before: ThreadCursor | undefined
        while (true) {
          const query = { tenant: key.tenant, owner: key.owner, limit: 2 }
          const page: ReadonlyArray<ThreadRecord> = yield* threads.list(
            before === undefined ? query : { ...query, before }
          )
          found.push(...page.map(({ threadId }) => threadId))
          before = page.at(-1)
          if (before === undefined) break
        }
        assert.deepStrictEqual(found, ["t0", "t6", "t5", "t4", "t3", "t2", "t1"])
      })))

    it.live("fork whole turns, which stay when the thread is removed", () =>
      withStore(Effect.fnUntraced(function*(store, threads) {
        yield* turn(store, say("one"), 10)
        yield* turn(store, say("two"), 20)
        yield* turn(store, say("three"), 30)
        assert.isUndefined(yield* threads.fork({ ...key, at: 10, to: "copy", now: 40 }))
        assert.isUndefined(yield* threads.fork({ ...key, at: 0, to: "copy", now: 40 }))
        const copy = { ...key, threadId: "copy" }
        const forked = yield* threads.fork({ ...key, at: 4, to: "copy", now: 40 })
        const record = {
          ...copy,
          createdAt: 40,
          updatedAt: 40,
          messages: 6,
          forkedFrom: { threadId: key.threadId, at: 6 }
        }
        assert.deepStrictEqual(forked, record)
        assert.deepStrictEqual(yield* threads.fork({ ...key, at: 9, to: "copy", now: 50 }), record)
        assert.deepStrictEqual(yield* all(threads, copy), (yield* all(threads)).slice(0, 6))
        assert.isTrue(yield* threads.remove(key))
        assert.isFalse(yield* threads.remove(key))
        assert.deepStrictEqual(yield* all(threads), [])
        yield* turn(store, say("more"), 60, copy)
        assert.deepStrictEqual((yield* all(threads, copy)).map(({ position }) => position), [1, 2, 3, 4, 5, 6, 7, 8, 9])
        yield* turn(store, say("anew"), 70)
        assert.deepStrictEqual((yield* all(threads)).map(({ position }) => position), [1, 2, 3])
        assert.deepStrictEqual(
          (yield* threads.list({ ...key, limit: 9 })).map(({ threadId }) => threadId),
          [key.threadId, "copy"]
        )
      })))

    it.live("remove idle threads, except those with a run that has not ended", () =>
      withStore(Effect.fnUntraced(function*(store, threads) {
        const [busy, old, late, foreign] = [
          { ...key, threadId: "busy" },
          { ...key, threadId: "old" },
          { ...key, threadId: "late" },
          { ...key, tenant: "zeta" }
        ]
        for (const  of of[busy, old, foreign]) yield* turn(store, say("x"), 10, of)
        yield* turn(store, say("x"), 50, late)
        yield* admit(store, running(busy))
        const exceptTenants = ["zeta"]
        assert.strictEqual(yield* threads.removeIdle({ updatedBefore: 50, exceptTenants, limit: 9 }), 1)
        assert.isUndefined(yield* threads.get(old))
        assert.deepStrictEqual(yield* all(threads, old), [])
        assert.strictEqual(yield* threads.removeIdle({ updatedBefore: 50, tenant: "zeta", limit: 9 }), 1)
        assert.strictEqual(yield* threads.removeIdle({ updatedBefore: 50, limit: 9 }), 0)
        for (const  of of[busy, late]) assert.strictEqual((yield* all(threads, of)).length, 3)
      })))

    it.live("let a run that another has started go on beside it, however strict the thread is", () =>
      withStore(Effect.fnUntraced(function*(store) {
        const parent = running()
        const child = running(key, { parentRunId: parent.runId, state: "queued", wakeAt: 1, attempt: 0 })
        const next = running(key, { state: "queued", wakeAt: 1, attempt: 0 })
        for (const run of [parent, child, next]) yield* admit(store, run)
        const within = { thread: true }
        const due = yield* store.due({ now: 1, agents: [parent.agent], within, limit: 9 })
        assert.deepStrictEqual(due.map(({ runId }) => runId), [child.runId])
        const claim = ({ runId }: RunRecord): Commit => ({
          _tag: "Commit",
          runId,
          attempt: 0,
          from: ["queued"],
          ts: 2,
          events: [],
          set: { state: "running", attempt: 1 },
          within
        })
        const written = yield* store.write([claim(child), claim(next)])
        assert.deepStrictEqual(written.map(({ _tag }) => _tag), ["Committed", "Refused"])
      })))
  })
