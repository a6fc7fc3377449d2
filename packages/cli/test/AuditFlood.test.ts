import { NodeCrypto } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { Audit, AuditChain, AuditLog, AuditVerify, RunStore } from "fastagentic"
import { serve } from "./matrix/lab.ts"
import * as Transports from "./matrix/transports.ts"

const kept = Layer.build(
  Layer.mergeAll(RunStore.RunStore.layerMemory, AuditChain.layer).pipe(
    Layer.provideMerge(AuditLog.AuditLog.layerMemory),
    Layer.provideMerge(NodeCrypto.layer)
  )
)

const times = (count: number, call: () => Promise<unknown>) =>
  Effect.forEach(Array.from({ length: count }), () => Effect.promise(call), { concurrency: 8, discard: true })

const unauthenticated = (url: string) =>
  Effect.map(
    Effect.promise(() => Transports.request(`${url}/metrics`, { headers: { "x-api-key": "key-of-eve" } })),
    ({ text }) => {
      const counts = text.matchAll(/^fastagentic_calls_refused_total\{[^}]*Unauthenticated[^}]*\} (\d+)$/gmu)
      return Array.from(counts, ([, count]) => Number(count)).reduce((sum, count) => sum + count, 0)
    }
  )

describe("a flood of refusals", () => {
  it.live("a flood of refusals writes bounded entries, and their counts add up", () =>
    Effect.gen(function*() {
      const lasting = yield* kept
      const statuses = new Map<number, number>()
      yield* Effect.scoped(Effect.gen(function*() {
        const { url } = yield* serve(lasting, true)
        const call = (key: string, agent: string) => async () => {
          const { status } = await Transports.request(`${url}/agents/${agent}`, {
            method: "POST",
            headers: { ...Transports.json, "x-api-key": key },
            body: JSON.stringify({ mark: "flood" })
          })
          statuses.set(status, (statuses.get(status) ?? 0) + 1)
        }
        // Other tests of this process have counted as well.
        const refusedBefore = yield* unauthenticated(url)
        yield* times(300, call("wrong", "plain"))
        yield* times(300, call("key-of-ann", "secret"))
        yield* times(30, call("key-of-bob", "secret"))
        yield* times(201, call("key-of-spent", "few"))
        assert.strictEqual((yield* unauthenticated(url)) - refusedBefore, 300)
      }))
      assert.deepStrictEqual([...statuses].sort(([a], [b]) => a - b), [[200, 1], [401, 300], [403, 330], [429, 200]])

      const audit = Context.get(lasting, Audit.Audit)
      const entries = yield* audit.page({ tenant: "acme", after: 0, limit: 1_000 })
      const refused = entries.filter(({ decision }) => decision !== "allowed" && decision !== "completed")
      const countsOf = (principal: string) => {
        const entries = refused.filter((entry) => entry.principal === principal)
        return [entries.length, entries.reduce((sum, { count = 1 }) => sum + count, 0), entries.at(-1)?.count]
      }
      assert.deepStrictEqual([countsOf("ann"), countsOf("bob"), countsOf("spent")], [[21, 300, 280], [21, 30, 10], [
        21,
        200,
        180
      ]])
      assert.strictEqual(refused.length, 63)
      const verdict = yield* Effect.provideContext(AuditVerify.verify("acme"), lasting)
      assert.deepStrictEqual(verdict.findings, [])
    }).pipe(Effect.scoped, Effect.orDie), 60_000)
})
