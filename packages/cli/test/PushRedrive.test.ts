import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schedule, Schema } from "effect"
import { Agent, App, Auth, Principal } from "fastagentic"
import { Push } from "fastagentic/a2a"
import { createServer } from "node:http"
import { join } from "node:path"
import { temporaryFolder } from "./process.ts"
import { onSqlite } from "./serving.ts"

class Echo extends Agent.make("echo", { description: "Echoes", payload: { text: Schema.String } }) {}
class Desk extends App.make("desk", { version: "1", agents: [Echo] }) {}

const keyOf = (id: string, tenant: string, ...scopes: ReadonlyArray<string>) => ({
  key: Redacted.make(`key-of-${id}`),
  principal: new Principal.Principal({ id, tenant, scopes, roles: [], claims: {} })
})
const auth = Auth.layerKeys([
  keyOf("ann", "acme"),
  keyOf("ops", "acme", "push:manage", "audit:read"),
  keyOf("spy", "beta", "push:manage")
])

/** A receiver that is away until it is told to answer, and the states that it took. */
const receiver = Effect.gen(function*() {
  const hook = { status: 503, states: new Array<string>(), url: "" }
  const server = createServer((request, response) => {
    let text = ""
    request.on("data", (chunk) => text += String(chunk))
    request.on("end", () => {
      if (hook.status === 200) hook.states.push(text)
      response.writeHead(hook.status).end()
    })
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
    () => Effect.promise(() => new Promise((resolve) => server.close(resolve)))
  )
  const address = server.address()
  hook.url = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/hook`
  return hook
})

describe("dead push targets of a running server", () => {
  it.live("are redriven for their tenant's operator, once and with one entry for many at once", () =>
    Effect.gen(function*() {
      const hook = yield* receiver
      const handlers = Layer.mergeAll(
        Echo.toLayer(({ text }) => Effect.succeed(text)),
        Layer.orDie(Push.layer({
          secrets: [Redacted.make("a secret of forty characters for tests!!")],
          allow: ["127.0.0.1"],
          firstPauseMillis: 1,
          attempts: 1
        }))
      )
      const { url } = yield* onSqlite(Desk, handlers, join(temporaryFolder(), "desk.db"), { auth })
      const call = (who: string, method: string, path: string, body?: unknown) =>
        Effect.promise(async () => {
          const response = await fetch(url + path, {
            method,
            headers: {
              authorization: `Bearer key-of-${who}`,
              "content-type": "application/json",
              "a2a-version": "1.0"
            },
            ...(body === undefined ? {} : { body: JSON.stringify(body) })
          })
          const json = Object(await response.json())
          return { status: response.status, json }
        })
      const sent = yield* call("ann", "POST", "/a2a/message:send", {
        message: { messageId: "m", role: "ROLE_USER", parts: [{ text: "hi" }] },
        configuration: { taskPushNotificationConfig: { id: "hook", url: hook.url, token: "a token of ann" } }
      })
      const runId = String(sent.json.task.id)
      const { json: { items: [dead] } } = yield* call("ops", "GET", "/push/dead").pipe(
        Effect.repeat({
          until: ({ json }) => json.items.length > 0,
          schedule: Schedule.spaced("100 millis"),
          times: 80
        })
      )
      assert.deepInclude(dead, { runId, id: "hook", url: hook.url, attempts: 1, problem: "status 503" })
      assert.notInclude(JSON.stringify(dead), "token")

      assert.deepStrictEqual((yield* call("spy", "GET", "/push/dead")).json.items, [])
      const known = yield* call("spy", "POST", "/push/redrive", { runId })
      const unknown = yield* call("spy", "POST", "/push/redrive", { runId: "01900000-0000-7000-8000-000000000000" })
      assert.deepStrictEqual([known.status, unknown.status], [404, 404])
      assert.deepStrictEqual((yield* call("spy", "POST", "/push/redrive", {})).json, { items: [] })
      assert.strictEqual((yield* call("ann", "POST", "/push/redrive", { runId })).status, 403)
      assert.strictEqual((yield* call("ann", "GET", "/push/dead")).status, 403)

      hook.status = 200
      const redriven = yield* Effect.all(
        Array.from({ length: 6 }, () => call("ops", "POST", "/push/redrive", { runId })),
        { concurrency: 6 }
      )
      assert.strictEqual(redriven.filter(({ json }) => json.items?.length === 1).length, 1)
      yield* Effect.sync(() => hook.states.join()).pipe(
        Effect.repeat({
          until: (text) => text.includes("COMPLETED"),
          schedule: Schedule.spaced("50 millis"),
          times: 100
        })
      )
      assert.include(hook.states.join(), "TASK_STATE_COMPLETED")
      const { json: { items: entries } } = yield* call("ops", "GET", "/audit?limit=100")
      const notified = entries.filter(({ action, principal }: Record<string, string>) =>
        action === "notify" && principal === "ops"
      )
      assert.strictEqual(notified.length, 1)
      assert.deepInclude(notified[0], { runId, onBehalfOf: "ann", reason: "status 503", decision: "allowed" })
    }).pipe(Effect.scoped))
})
