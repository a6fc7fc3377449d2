import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { Agent, App, Auth, Policy, Principal, Run, Server } from "fastagentic"
import { memory, urlOf } from "./serving.ts"

const Refund = Tool.make("refund", {
  parameters: Schema.Struct({ amount: Schema.Int }),
  success: Schema.String,
  needsApproval: true
}).annotate(Policy.Approval, {
  scopes: ["refunds:approve"],
  notRequester: true,
  risk: "high",
  rule: "refunds need a second pair of eyes"
})
const Brief = Tool.make("brief", { parameters: Schema.Struct({}), success: Schema.String, needsApproval: true })
  .annotate(Policy.Approval, { expiresIn: "50 millis" })
const Tools = Toolkit.make(Refund, Brief)

class Plan extends Agent.make("plan", { description: "Asks a lead", payload: { secret: Schema.String } }) {}

class Desk extends App.make("desk", { version: "1", agents: [Plan], tools: Tools }) {}

const DeskLayer = Layer.mergeAll(
  Tools.toLayer({
    refund: ({ amount }) => Effect.succeed(`refunded ${amount}`),
    brief: () => Effect.succeed("done")
  }),
  Plan.toLayer(() => Effect.orDie(Run.interrupt("lead", { schema: Schema.String, scopes: ["lead"] })))
)

const person = (id: string, tenant: string, ...scopes: ReadonlyArray<string>) => ({
  key: Redacted.make(id),
  principal: new Principal.Principal({ id, tenant, scopes, roles: [], claims: {} })
})

const Services = Layer.mergeAll(
  Auth.layerKeys([
    person("ann", "acme"),
    person("bob", "acme", "refunds:approve"),
    person("carl", "acme", "*"),
    person("dora", "acme"),
    person("eve", "other", "*")
  ]),
  memory
)

const serving = Effect.gen(function*() {
  const context = yield* Layer.build(Layer.fresh(
    Server.layer(Desk, { port: 0, grace: "200 millis" }).pipe(Layer.provide(DeskLayer), Layer.provideMerge(Services))
  ))
  const url = urlOf(context)
  const call = (who: string, method: "GET" | "POST", path: string, body?: unknown) =>
    Effect.promise(async () => {
      const response = await fetch(url + path, {
        method,
        headers: { authorization: `Bearer ${who}`, "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) })
      })
      return { status: response.status, body: await response.json() as Record<string, Schema.Json> }
    })
  const ended = Effect.fnUntraced(function*(who: string, runId: string | undefined) {
    while (true) {
      const { body } = yield* call(who, "GET", `/runs/${runId}`)
      if (body["finishedAt"] !== undefined) return body
      yield* Effect.sleep("10 millis")
    }
  })
  const pending = (who: string) => Effect.map(call(who, "GET", "/interrupts"), ({ body }) => decodePage(body).items)
  return { call, ended, pending }
})

const decodePage = Schema.decodeUnknownSync(Schema.Struct({
  items: Schema.Array(Schema.Struct({
    id: Schema.String,
    runId: Schema.String,
    name: Schema.String,
    risk: Schema.optionalKey(Schema.String),
    rule: Schema.optionalKey(Schema.String),
    arguments: Schema.optionalKey(Schema.Json)
  }))
}))

const approve = { decision: "approve" }

describe("an approval", () => {
  it.live("an approval needs its scopes and is refused to its requester", () =>
    Effect.gen(function*() {
      const { call, ended, pending } = yield* serving
      const asked = yield* call("ann", "POST", "/tools/refund", { amount: 12 })
      assert.strictEqual(asked.status, 202)
      const [one] = yield* pending("bob")
      assert.deepInclude(one, { risk: "high", rule: "refunds need a second pair of eyes", arguments: { amount: 12 } })
      const path = `/runs/${one?.runId}/interrupts/${one?.id}`
      assert.deepStrictEqual([yield* pending("ann"), yield* pending("dora"), yield* pending("eve")], [[], [], []])

      const own = yield* call("ann", "POST", path, approve)
      assert.deepInclude(own.body["error"], { _tag: "Forbidden", missing: ["refunds:approve"] })
      assert.strictEqual(own.status, 403)
      for (const stranger of ["dora", "eve"]) {
        assert.strictEqual((yield* call(stranger, "POST", path, approve)).status, 404, stranger)
        assert.strictEqual((yield* call(stranger, "GET", path)).status, 404, stranger)
      }
      assert.strictEqual((yield* call("bob", "GET", path)).status, 200)
      assert.strictEqual((yield* call("bob", "GET", `/runs/${one?.runId}`)).status, 404)

      const answered = yield* call("bob", "POST", path, approve)
      assert.strictEqual(answered.status, 202)
      assert.deepInclude(answered.body, { payload: null })
      assert.strictEqual((yield* ended("ann", one?.runId))["state"], "completed")
      assert.deepStrictEqual(yield* pending("bob"), [])
    }).pipe(Effect.scoped))

  it.live("an approval is refused to an administrator who requested it", () =>
    Effect.gen(function*() {
      const { call, pending } = yield* serving
      yield* call("carl", "POST", "/tools/refund", { amount: 1 })
      const [one] = yield* pending("bob")
      const refused = yield* call("carl", "POST", `/runs/${one?.runId}/interrupts/${one?.id}`, approve)
      assert.deepInclude(refused.body["error"], { _tag: "Forbidden", rule: "not the requester" })
    }).pipe(Effect.scoped))

  it.live("an approval that expires counts as denied", () =>
    Effect.gen(function*() {
      const { call, ended } = yield* serving
      const { body } = yield* call("ann", "POST", "/tools/brief", {})
      assert.strictEqual((yield* ended("ann", String(body["runId"])))["state"], "rejected")
    }).pipe(Effect.scoped))

  it.live("an approval that an agent requests goes to the named approvers", () =>
    Effect.gen(function*() {
      const { call, ended, pending } = yield* serving
      yield* call("ann", "POST", "/agents/plan", { secret: "s3cret" })
      const [one] = yield* pending("carl")
      const path = `/runs/${one?.runId}/interrupts/${one?.id}`
      assert.strictEqual((yield* call("bob", "POST", path, { decision: "approve", value: "no" })).status, 404)
      assert.strictEqual((yield* call("carl", "POST", path, { decision: "approve", value: "yes" })).status, 202)
      assert.strictEqual((yield* ended("ann", one?.runId))["output"], "yes")
    }).pipe(Effect.scoped))
})
