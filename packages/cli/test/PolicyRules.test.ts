import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schema } from "effect"
import { Agent, App, Audit, Auth, Budget, PolicyRules, Principal, RateLimit, Run, RunStore, Server } from "fastagentic"
import { urlOf } from "./serving.ts"

class Refund extends Agent.make("refund", { description: "Refunds", payload: {} }) {}
class Ask extends Agent.make("ask", { description: "Asks refund", payload: {} }) {}
class Desk extends App.make("desk", { version: "1", agents: [Refund, Ask] }) {}

let refunds = 0
const DeskLayer = Layer.mergeAll(
  Refund.toLayer(() => Effect.sync(() => `refund ${++refunds}`)),
  Ask.toLayer(() =>
    Run.delegate(Refund, {}).pipe(
      Effect.catchTag("RunError", ({ reason }) => Effect.succeed(JSON.stringify(reason))),
      Effect.orDie
    )
  )
)

const person = (id: string, claims: Record<string, Schema.Json>) => ({
  key: Redacted.make(id),
  principal: new Principal.Principal({ id, tenant: "acme", scopes: ["*"], roles: [], claims })
})

const Services = Layer.mergeAll(
  Auth.layerKeys([person("staff", { staff: true }), person("guest", {})]),
  RunStore.RunStore.layerMemory,
  Audit.layerMemory,
  RateLimit.layerUnlimited,
  Budget.layerUnlimited,
  PolicyRules.layer([
    {
      name: "refunds by staff",
      allows: ({ identifier, principal }) => identifier !== "refund" || principal.claims["staff"] === true
    },
    {
      name: "broken",
      allows: ({ protocol }) => {
        if (protocol === "a2a") throw new Error("a rule with a mistake")
        return true
      }
    }
  ])
)

describe("a rule", () => {
  it.live("a rule refuses on every protocol, is named, and nothing runs", () =>
    Effect.gen(function*() {
      const context = yield* Layer.build(
        Server.layer(Desk, { port: 0, grace: "200 millis" }).pipe(
          Layer.provide(DeskLayer),
          Layer.provideMerge(Services)
        )
      )
      const url = urlOf(context)
      const post = (who: string, path: string, body: unknown = {}) =>
        Effect.promise(async () => {
          const response = await fetch(url + path, {
            method: "POST",
            headers: {
              authorization: `Bearer ${who}`,
              "content-type": "application/json",
              accept: "application/json, text/event-stream",
              "a2a-version": "1.0"
            },
            body: JSON.stringify(body)
          })
          return { status: response.status, text: await response.text() }
        })
      const call = {
        jsonrpc: "2.0",
        id: 1,
        method: "tools/call",
        params: { name: "refund", arguments: {} }
      }
      for (const path of ["/agents/refund", "/agents/refund/runs", "/agents/refund/stream"]) {
        const { status, text } = yield* post("guest", path)
        assert.strictEqual(status, 403, path)
        assert.include(text, "refunds by staff")
      }
      assert.include((yield* post("guest", "/mcp", call)).text, "refunds by staff")
      const delegated = yield* post("guest", "/agents/ask")
      assert.include(delegated.text, "refunds by staff")
      assert.strictEqual(refunds, 0)
      assert.strictEqual((yield* post("staff", "/agents/refund")).text, JSON.stringify("refund 1"))
      assert.include((yield* post("staff", "/agents/ask")).text, "refund 2")
      const message = { messageId: "m", role: "ROLE_USER", parts: [{ data: {} }] }
      const a2a = { jsonrpc: "2.0", id: 1, method: "SendMessage", params: { message, metadata: { skill: "refund" } } }
      yield* post("staff", "/a2a", a2a)
      assert.strictEqual(refunds, 2)
      const audit = yield* Effect.promise(async () =>
        (await fetch(`${url}/audit`, { headers: { authorization: "Bearer staff" } })).text()
      )
      assert.include(audit, "refunds by staff")
    }).pipe(Effect.scoped))
})
