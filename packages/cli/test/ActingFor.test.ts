import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { desk } from "./matrix/desk.ts"

const yes = { decision: "approve", value: true }

describe("another person's run", () => {
  it.live("a reader of the tenant's runs sees them and acts on none of them", () =>
    Effect.gen(function*() {
      const { audit, call, settled, start } = yield* desk
      const runId = yield* start("ann", "/agents/keeper/runs", {})
      yield* settled("ann", runId)
      assert.strictEqual((yield* call("rita", "GET", `/runs/${runId}`)).status, 200)
      const { body: { items: [asked] } } = yield* call("rita", "GET", `/runs/${runId}/interrupts`)
      assert.deepStrictEqual((yield* call("rita", "GET", "/interrupts")).body.items, [])
      const ways = {
        [`interrupts/${asked.id}`]: yes,
        cancel: {},
        resume: {},
        fork: {},
        retry: {}
      }
      for (const [way, body] of Object.entries(ways)) {
        const refused = yield* call("rita", "POST", `/runs/${runId}/${way}`, body)
        assert.strictEqual(refused.status, 403, way)
        assert.deepInclude(refused.body.error, { _tag: "Forbidden", missing: ["runs:act:tenant"] }, way)
        assert.strictEqual((yield* call("bob", "POST", `/runs/${runId}/${way}`, body)).status, 404, way)
      }
      assert.strictEqual((yield* settled("ann", runId)).state, "suspended")
      const refusals = (yield* audit).filter(({ decision, principal }: Record<string, string>) =>
        decision === "Forbidden" && principal === "rita"
      )
      assert.strictEqual(refusals.length, 5)
    }).pipe(Effect.scoped))

  it.live("a run that somebody answers for its owner goes on with the rights that both have", () =>
    Effect.gen(function*() {
      const { audit, decide, settled, start } = yield* desk
      const own = yield* start("ann", "/agents/keeper/runs", {})
      yield* decide("ann", own, yes)
      assert.strictEqual((yield* settled("ann", own)).output, "\"open\"")
      const other = yield* start("ann", "/agents/keeper/runs", {})
      yield* decide("abe", other, yes)
      assert.include((yield* settled("ann", other)).output, "the caller lacks scope vault:open")
      const entries = yield* audit
      const entry = entries.find(({ onBehalfOf }: Record<string, string>) => onBehalfOf !== undefined)
      assert.deepInclude(entry, { action: "approve", principal: "abe", onBehalfOf: "ann", runId: other })
    }).pipe(Effect.scoped))

  it.live("a fork and a retry of another's run have the rights of who asks for them", () =>
    Effect.gen(function*() {
      const { audit, call, decide, settled, start } = yield* desk
      const origin = yield* start("ann", "/agents/keeper/runs", {})
      yield* settled("ann", origin)
      yield* call("abe", "POST", `/runs/${origin}/cancel`, {})
      for (const way of ["fork", "retry"]) {
        const { body } = yield* call("abe", "POST", `/runs/${origin}/${way}`, {})
        yield* decide("abe", String(body.runId), yes)
        assert.include((yield* settled("abe", String(body.runId))).output, "the caller lacks scope vault:open", way)
      }
      const said = (yield* audit).filter(({ onBehalfOf }: Record<string, string>) => onBehalfOf === "ann")
      assert.deepStrictEqual(said.map(({ action }: Record<string, string>) => action).sort(), [
        "cancel",
        "fork",
        "read",
        "retry"
      ])
    }).pipe(Effect.scoped))
})
