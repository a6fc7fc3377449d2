import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { desk } from "./matrix/desk.ts"

const approve = { decision: "approve" }

describe("an approval", () => {
  for (const path of ["/tools/pay", "/agents/payer"]) {
    it.live(`an approval of a call that was made pays once, however often its run is forked, by ${path}`, () =>
      Effect.gen(function*() {
        const { call, decide, paid, settled, start } = yield* desk
        const first = yield* start("ann", path, { amount: 50 })
        yield* decide("bob", first, approve)
        const { state } = yield* settled("ann", first)
        assert.deepStrictEqual([state, paid], ["completed", [50]])
        // From its end, and from before the payment was committed; a fork of a fork as well.
        let last = first
        for (let tries = 0; tries < 2; tries++) {
          last = String((yield* call("ann", "POST", `/runs/${last}/fork`, {})).body.runId)
          assert.strictEqual((yield* settled("ann", last)).state, "completed")
        }
        const { body: { items } } = yield* call("ann", "GET", `/runs/${first}/checkpoints`)
        const early = String(
          (yield* call("ann", "POST", `/runs/${first}/fork`, { after: items[0].seq - 1 })).body.runId
        )
        assert.strictEqual((yield* settled("ann", early)).state, "suspended")
        assert.deepStrictEqual(paid, [50])
        yield* decide("bob", early, approve)
        assert.strictEqual((yield* settled("ann", early)).state, "completed")
        assert.deepStrictEqual(paid, [50, 50])
      }).pipe(Effect.scoped))
  }

  it.live("a retry keeps the result of a call that was made, and its approver is not asked again", () =>
    Effect.gen(function*() {
      const { call, decide, paid, settled, start, state } = yield* desk
      state.isBroken = true
      const first = yield* start("ann", "/agents/payer/runs", { amount: 50 })
      yield* decide("bob", first, approve)
      assert.strictEqual((yield* settled("ann", first)).state, "failed")
      state.isBroken = false
      const again = String((yield* call("ann", "POST", `/runs/${first}/retry`, {})).body.runId)
      const { output, state: end } = yield* settled("ann", again)
      assert.deepStrictEqual([end, output, paid], ["completed", "paid 50", [50]])
    }).pipe(Effect.scoped))

  it.live("a question that names approvers is asked again by a fork, and a plain answer is inherited", () =>
    Effect.gen(function*() {
      const { call, decide, settled, start } = yield* desk
      const first = yield* start("ann", "/agents/planner/runs", {})
      yield* decide("bob", first, { ...approve, value: "yes" })
      yield* decide("ann", first, { ...approve, value: "blue" })
      assert.strictEqual((yield* settled("ann", first)).output, "yes blue")
      const fork = String((yield* call("ann", "POST", `/runs/${first}/fork`, {})).body.runId)
      assert.strictEqual((yield* settled("ann", fork)).state, "suspended")
      yield* decide("bob", fork, { ...approve, value: "again" })
      assert.strictEqual((yield* settled("ann", fork)).output, "again blue")
    }).pipe(Effect.scoped))

  it.live("an edited call passes the hooks again, on each path", () =>
    Effect.gen(function*() {
      const { decide, paid, settled, start } = yield* desk
      for (const path of ["/tools/pay", "/agents/payer/runs"]) {
        const blocked = yield* start("ann", path, { amount: 50 })
        yield* decide("bob", blocked, { decision: "edit", value: { amount: 5_000 } })
        const { error } = yield* settled("ann", blocked)
        assert.deepInclude(error, { tag: "HookBlocked", rule: "hook: small amounts" }, path)
        assert.deepStrictEqual(paid.splice(0), [], path)
        const fine = yield* start("ann", path, { amount: 50 })
        yield* decide("bob", fine, { decision: "edit", value: { amount: 40 } })
        assert.strictEqual((yield* settled("ann", fine)).output, "paid 40", path)
        assert.deepStrictEqual(paid.splice(0), [40], path)
      }
    }).pipe(Effect.scoped))

  it.live("an approval is refused to everybody who caused the run, on each path", () =>
    Effect.gen(function*() {
      const { call, childOf, decide, open, paid, settled, start } = yield* desk
      const refused = Effect.fnUntraced(function*(who: string, runId: string, path: string) {
        const { path: interrupt } = yield* open("bob", runId)
        const { body } = yield* call(who, "POST", interrupt, approve)
        assert.deepInclude(body.error, { _tag: "Forbidden", rule: "not the requester" }, path)
        assert.deepStrictEqual(paid, [], path)
      })
      const scheduled = String((yield* call("olga", "POST", "/schedules/rent/run", {})).body.runId)
      yield* refused("olga", scheduled, "scheduled")

      const origin = yield* start("carl", "/agents/payer/runs", { amount: 50 })
      yield* refused("carl", origin, "direct")
      const forked = String((yield* call("olga", "POST", `/runs/${origin}/fork`, {})).body.runId)
      yield* refused("olga", forked, "forked, by who forked it")
      yield* refused("carl", forked, "forked, by who started its origin")
      yield* call("carl", "POST", `/runs/${origin}/cancel`, {})
      const retried = String((yield* call("olga", "POST", `/runs/${origin}/retry`, {})).body.runId)
      yield* refused("olga", retried, "retried")
      yield* refused("carl", retried, "retried, by who started its origin")

      // A person who answers the question of the amount for its owner asks for the payment too.
      const asks = yield* start("ann", "/agents/asker/runs", {})
      const { body: { items: [question] } } = yield* settled("ann", asks).pipe(
        Effect.andThen(call("carl", "GET", `/runs/${asks}/interrupts`))
      )
      yield* call("carl", "POST", `/runs/${asks}/interrupts/${question.id}`, { ...approve, value: 60 })
      yield* refused("carl", asks, "answered")
      yield* call("ann", "POST", `/runs/${asks}/cancel`, {})

      const parent = yield* start("carl", "/agents/boss/runs", { amount: 60 })
      const child = yield* childOf("carl", parent)
      yield* refused("carl", child, "delegated")
      yield* decide("bob", child, approve)
      assert.strictEqual((yield* settled("carl", parent)).output, "paid 60")
    }).pipe(Effect.scoped))

  it.live("the audit entry of a fork and of a retry names the origin", () =>
    Effect.gen(function*() {
      const { audit, call, decide, settled, start } = yield* desk
      const origin = yield* start("ann", "/agents/payer/runs", { amount: 50 })
      yield* decide("bob", origin, { decision: "deny" })
      const { seq } = yield* settled("ann", origin)
      const fork = String((yield* call("carl", "POST", `/runs/${origin}/fork`, {})).body.runId)
      const entries = yield* audit
      const entry = entries.find(({ action }: { readonly action: string }) => action === "fork")
      const wanted = {
        principal: "carl",
        runId: fork,
        target: `run/${origin}`,
        reason: `run ${origin} of ann, event ${seq}`
      }
      assert.deepInclude(entry, wanted)
    }).pipe(Effect.scoped))
})
