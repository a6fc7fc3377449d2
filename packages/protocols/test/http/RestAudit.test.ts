import { assert, describe, it } from "@effect/vitest"
import { Auth, Principal } from "@fastagentic/core"
import { Recorded } from "@fastagentic/core/audit/Audit"
import { Effect, Redacted, Schema } from "effect"
import { by, startLab } from "./lab.ts"
import { as, get, post, Problem, Suspended } from "./rest.ts"

const person = (id: string, tenant: string, scopes: ReadonlyArray<string>) => ({
  key: Redacted.make(`key-of-${id}`),
  principal: new Principal.Principal({ id, tenant, scopes, roles: [], claims: {} })
})

/** Ann starts runs, Ida reads the audit log, Dan may do everything in another tenant. */
const auth = Auth.layerKeys([
  person("ann", "acme", []),
  person("ida", "acme", ["audit:read"]),
  person("dan", "other", ["*"])
])

const AuditPage = Schema.Struct({ items: Schema.Array(Recorded), next: Schema.NullOr(Schema.String) })

describe("GET /audit", () => {
  it.live("lists actions with caller, decision and rule, for callers with the scope", () =>
    Effect.gen(function*() {
      const { url } = yield* startLab({ auth })
      const read = (query = "", who = "ida") => Effect.flatMap(get(`${url}/audit${query}`, by(who)), as(AuditPage))
      yield* post(`${url}/tools/ping`, {}, by("ann"))
      yield* post(`${url}/agents/vault`, {}, by("ann"))
      yield* get(`${url}/resources/rules`, by("ann"))
      const paused = yield* Effect.flatMap(post(`${url}/agents/two`, {}, by("ann")), as(Suspended))
      const [asked] = paused.interrupts
      const answer = (value: string) =>
        post(
          `${url}/runs/${paused.runId}/interrupts/${asked?.id}`,
          { decision: "edit", value, reason: "because" },
          by("ann")
        )
      yield* answer("yes")
      assert.strictEqual((yield* answer("no")).status, 409)
      yield* post(`${url}/tools/ping`, {}, by("dan"))

      const { items, next } = yield* read("?order=oldest")
      assert.isNull(next)
      const summary = items.map(({ action, decision, principal, reason, rule, target }) =>
        [principal, action, target, decision, rule, reason].filter((word) => word !== undefined).join(" ")
      )
      assert.includeMembers(summary, [
        "ann start tool/ping allowed",
        "ann run tool/ping completed",
        "ann call agent/vault Forbidden scopes: vault:open vault:see",
        "ann read resource/rules allowed",
        "ann start agent/two allowed",
        "ann run agent/two suspended",
        "ann edit interrupt/first allowed because",
        "ann edit interrupt/first InterruptResolved InterruptResolved because"
      ])
      assert.deepStrictEqual(items.map(({ seq }) => seq), items.map((_, index) => index + 1))
      assert.isTrue(items.every(({ tenant, traceId }) => tenant === "acme" && /^[0-9a-f]{32}$/u.test(traceId)))

      // A caller of another tenant with every scope sees that tenant's entries.
      const theirs = yield* read("", "dan")
      assert.isNotEmpty(theirs.items)
      assert.isTrue(theirs.items.every(({ tenant }) => tenant === "other"))

      const refused = yield* get(`${url}/audit`, by("ann"))
      assert.strictEqual(refused.status, 403)
      assert.deepStrictEqual((yield* as(Problem)(refused)).error, {
        _tag: "Forbidden",
        rule: "scopes",
        missing: ["audit:read"]
      })
      assert.containSubset((yield* read("?limit=2")).items, [
        { principal: "ann", action: "call", target: "audit", rule: "scopes: audit:read" },
        { principal: "ida", action: "read", target: "audit", decision: "allowed" }
      ])
    }).pipe(Effect.scoped))

  it.live("pages in both directions while others write", () =>
    Effect.gen(function*() {
      const { url } = yield* startLab({ auth })
      yield* Effect.forEach(Array.from({ length: 12 }), () => post(`${url}/tools/ping`, {}, by("ann")))
      const pages = Effect.fnUntraced(function*(order: string, until: number) {
        const seen: Array<number> = []
        for (let after = ""; seen.length < until;) {
          const page = yield* Effect.flatMap(
            get(`${url}/audit?order=${order}&limit=5${after}`, by("ida")),
            as(AuditPage)
          )
          seen.push(...page.items.map(({ seq }) => seq))
          if (page.next === null) break
          after = `&after=${page.next}`
        }
        return seen
      })
      assert.deepStrictEqual(yield* pages("newest", 100), Array.from({ length: 24 }, (_, at) => 24 - at))
      assert.deepStrictEqual((yield* pages("oldest", 25)).slice(0, 24), Array.from({ length: 24 }, (_, at) => at + 1))
      for (const bad of ["limit=0", "limit=201", "order=up", "after=-1", "after=x", "tenant=other"]) {
        assert.strictEqual((yield* get(`${url}/audit?${bad}`, by("ida"))).status, 400, bad)
      }
    }).pipe(Effect.scoped))
})
