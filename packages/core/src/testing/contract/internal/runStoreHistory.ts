// A random history of writes and reads, done to a store and to a store in memory. Called by RunStoreContract.ts; both have to
// answer the same.
import { assert } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as Event from "../../../run/Event.ts"
import type { Interrupt } from "../../../run/Interrupt.ts"
import { RunRecord, type RunState, WaitsFor } from "../../../run/RunRecord.ts"
import {
  type Changes,
  type Limits,
  type PendingQuery,
  type Query,
  RunStore,
  type Write
} from "../../../store/RunStore.ts"

type Store = RunStore["Service"]

const open = ["queued", "running", "suspended"] as const
const states = RunRecord.fields.state.literals
const waits = WaitsFor.literals

/** Numbers between 0 and 1 that a seed repeats (mulberry32). */
const makeRandom = (seed: number) => {
  let state = seed
  return () => {
    state = (state + 0x6D2B79F5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Writes at random, mostly such that can succeed, to few runs, keys, steps and interrupts. */
const makeWrites = (random: () => number, prefix: string, makeRun: (overrides: Partial<RunRecord>) => RunRecord) => {
  const below = (limit: number) => Math.floor(random() * limit)
  const chance = (probability: number) => random() < probability
  const pick = <A>(values: ReadonlyArray<A>, otherwise: A): A => values[below(values.length)] ?? otherwise
  const many = <A>(limit: number, make: () => A) => Array.from({ length: below(limit) }, make)
  const state = (): RunState => pick(states, "running")
  const text = () => pick(["a", "żółw", "🐢", "", "x".repeat(50)], "")

  const runs: Array<RunRecord> = []
  const attempts = new Map<string, number>()
  let now = 0
  const agents = [`${prefix}-a`, `${prefix}-b`]

  const event = (): Event.Event =>
    pick<() => Event.Event>([
      () => Event.token(text()),
      () => Event.log("info", text()),
      () => Event.custom(text(), { n: below(1_000), list: [null, text()] }),
      () => Event.make("tool_call", { toolCallId: text(), name: "t", arguments: null }, [text()])
    ], () => Event.token(""))()

  const admit = (): Write => {
    const fresh = makeRun({
      tenant: `${prefix}-${below(2)}`,
      owner: pick(["alice", "bob"], "alice"),
      agent: pick(agents, "a"),
      kind: pick(["agent", "tool"], "agent"),
      state: chance(0.9) ? pick(["queued", "running"], "queued") : state(),
      attempt: 1 + below(2),
      payload: { text: text() },
      ...(chance(0.5) ? { idempotencyKey: `key-${below(6)}` } : {}),
      ...(chance(0.3) ? { threadId: `thread-${below(3)}` } : {}),
      ...(chance(0.3) ? { wakeAt: below(200), priority: below(3) } : {}),
      ...(chance(0.1) ? { parentRunId: pick(runs, makeRun({})).runId } : {})
    })
    const run = chance(0.05) ? { ...fresh, runId: pick(runs, fresh).runId } : fresh
    runs.push(run)
    return {
      _tag: "Admit",
      run,
      events: many(4, event),
      ...(chance(0.2) ? { alone: true } : {}),
      ...(chance(0.1) ? { steps: [{ name: "forked", value: below(9) }] } : {})
    }
  }

  const changes = (runId: string, attempt: number): Changes => {
    const next = chance(0.1) ? { attempt: attempt + 1 } : {}
    if (next.attempt !== undefined) attempts.set(runId, next.attempt)
    return {
      ...next,
      ...(chance(0.4) ? { state: chance(0.8) ? pick<RunState>(["running", "suspended"], "running") : state() } : {}),
      ...(chance(0.2) ? { wakeAt: below(200) } : {}),
      ...(chance(0.1) ? { waitsFor: pick(waits, "timer") } : {}),
      ...(chance(0.1) ? { crashes: below(3) } : {}),
      ...(chance(0.05) ? { payload: { text: text() }, fingerprint: `f${below(9)}` } : {}),
      ...(chance(0.5) ? { emitted: below(100) } : {}),
      ...(chance(0.2) ? { output: pick([null, { text: text() }], null) } : {}),
      ...(chance(0.1) ? { error: { tag: "E", message: text(), status: 500, declared: false } } : {}),
      ...(chance(0.2) ? { usage: { inputTokens: below(99), outputTokens: below(99) } } : {}),
      ...(chance(0.1) ? { finishedAt: now } : {})
    }
  }

  const limits = (): Limits => ({
    ...(chance(0.5) ? { agent: 1 + below(20) } : {}),
    ...(chance(0.5) ? { tenant: 1 + below(10) } : {}),
    ...(chance(0.5) ? { thread: true } : {})
  })

  const interrupt = (runId: string): Interrupt => ({
    id: `i${below(4)}`,
    runId,
    name: text(),
    kind: pick(["approval", "input"], "input"),
    createdAt: now,
    state: "open",
    ...(chance(0.5) ? { arguments: { text: text() } } : {}),
    ...(chance(0.5)
      ? { approvers: { scopes: pick([[], ["a"], ["a", "b"]], []), notRequester: chance(0.5) } }
      : {})
  })

  const pending = (): PendingQuery => {
    const held = pick([[], ["a"], ["a", "b"]], [])
    return {
      tenant: `${prefix}-${below(2)}`,
      ...(chance(0.5) ? { owner: pick(["alice", "bob"], "alice") } : {}),
      decides: (scopes) => scopes.every((scope) => held.includes(scope)),
      requester: pick(["alice", "bob"], "alice"),
      ...(chance(0.3) ? { before: pick(runs, makeRun({})).runId } : {}),
      limit: 1 + below(10)
    }
  }

  const commit = (): Write => {
    const { attempt: first, runId } = pick(runs, makeRun({}))
    const attempt = chance(0.9) ? attempts.get(runId) ?? first : below(4)
    const set = chance(0.8) ? changes(runId, attempt) : {}
    // A run that has ended never gets another state.
    const any = () => set.state === undefined ? state() : pick(open, "running")
    return {
      _tag: "Commit",
      runId,
      attempt,
      from: chance(0.9) ? open : many(4, any),
      ts: now,
      events: many(5, event),
      set,
      ...(chance(0.3) ? { steps: many(4, () => ({ name: `s${below(5)}`, value: { text: text() } })) } : {}),
      ...(chance(0.2) ? { within: limits() } : {}),
      ...(chance(0.1) ? { ifSeq: below(12) } : {}),
      ...(chance(0.3) ? { open: many(3, () => interrupt(runId)) } : {}),
      ...(chance(0.2)
        ? { resolve: { id: `i${below(4)}`, resolution: { decision: "approve", by: text(), at: now } } }
        : {})
    }
  }

  const batch = (): ReadonlyArray<Write> => {
    now++
    return Array.from({ length: 1 + below(8) }, () => runs.length === 0 || chance(0.08) ? admit() : commit())
  }

  const query = (): Query => ({
    tenant: `${prefix}-${below(2)}`,
    ...(chance(0.3) ? { owner: pick(["alice", "bob"], "alice") } : {}),
    ...(chance(0.3) ? { agent: pick(agents, "a") } : {}),
    ...(chance(0.3) ? { kind: pick(["agent", "tool"], "agent") } : {}),
    ...(chance(0.3) ? { state: state() } : {}),
    ...(chance(0.1) ? { waitsFor: pick(waits, "timer") } : {}),
    ...(chance(0.3) ? { threadId: `thread-${below(3)}` } : {}),
    ...(chance(0.1) ? { parentRunId: pick(runs, makeRun({})).runId } : {}),
    ...(chance(0.5) ? { before: pick(runs, makeRun({})).runId } : {}),
    limit: 1 + below(10)
  })

  return { batch, query, pending, runIds: () => new Set(runs.map((run) => run.runId)) }
}

const byKey = <A, K extends keyof A>(values: ReadonlyArray<A>, key: K) =>
  [...values].sort((x, y) => x[key] < y[key] ? -1 : 1)

const journal = Effect.fnUntraced(function*(store: Store, runId: string) {
  const events: Array<Event.RunEvent> = []
  while (true) {
    const page = yield* store.events(runId, events.length, 3)
    if (page.length === 0) return events
    events.push(...page)
  }
})

const known = (store: Store, runIds: ReadonlySet<string>) =>
  Effect.all({
    runs: Effect.forEach(runIds, (runId) =>
      Effect.all({
        record: store.get(runId),
        events: journal(store, runId),
        steps: Effect.map(store.steps(runId), (steps) => byKey(steps, "name")),
        interrupts: Effect.map(store.interrupts(runId), (interrupts) => byKey(interrupts, "id"))
      })),
    unfinished: Effect.map(store.unfinished, (runs) => runs.filter((run) => runIds.has(run.runId)))
  })

/** Does the same to the store and to a store in memory; `RUN_STORE_SEED` repeats a history. */
export const history = Effect.fnUntraced(
  function*(prefix: string, makeRun: (overrides: Partial<RunRecord>) => RunRecord) {
    const given = globalThis.process.env["RUN_STORE_SEED"]
    const seed = given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given)
    const says = `RUN_STORE_SEED=${seed}`
    const store = yield* RunStore
    const model = Context.get(yield* Layer.build(Layer.fresh(RunStore.layerMemory)), RunStore)
    const { batch, pending, query, runIds } = makeWrites(makeRandom(seed), prefix, makeRun)
    for (let round = 1; round <= 200; round++) {
      const writes = batch()
      assert.deepStrictEqual(yield* store.write(writes), yield* model.write(writes), `${says}, write ${round}`)
      const asked = query()
      assert.deepStrictEqual(yield* store.list(asked), yield* model.list(asked), `${says}, list ${round}`)
      assert.deepStrictEqual(yield* store.summaries(asked), yield* model.summaries(asked), `${says}, list ${round}`)
      const waiting = pending()
      assert.deepStrictEqual(yield* store.pending(waiting), yield* model.pending(waiting), `${says}, pending ${round}`)
      if (round % 50 > 0) continue
      assert.deepStrictEqual(
        yield* known(store, runIds()),
        yield* known(model, runIds()),
        `${says}, after write ${round}`
      )
    }
  }
)
