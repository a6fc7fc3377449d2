import { assert, describe, it } from "@effect/vitest"
import { Auth, Principal } from "@fastagentic/core"
import { CardSigner, PushSender } from "@fastagentic/protocols/a2a"
import { Effect, Layer, Redacted } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { createHash, createPublicKey, verify } from "node:crypto"
import { layerRuntime, mounted, serve } from "../fixture.ts"
import { receiver, until } from "./receiver.ts"
import { message } from "./requirements.ts"
import { type Json, list, object, wires } from "./wires.ts"

const key = (id: string) => ({
  key: Redacted.make(`key-of-${id}`),
  principal: new Principal.Principal({ id, tenant: id === "eve" ? "other" : "acme", scopes: [], roles: [], claims: {} })
})

const auth = Auth.layerKeys([key("ann"), key("bob"), key("eve")])

const sender = (options: Partial<PushSender.Options> = {}) =>
  PushSender.PushSender.layer({
    secrets: [Redacted.make("a secret of the operator")],
    insecure: true,
    firstPauseMillis: 20,
    ...options
  }).pipe(Layer.provide(FetchHttpClient.layer))

const start = (options: Partial<PushSender.Options> = {}) =>
  Effect.map(
    serve(mounted("a2a").pipe(Layer.provide(sender(options)), Layer.provide(layerRuntime(auth)))),
    (url) => `${url}/a2a`
  )

const as = (who: string) => ({ authorization: `Bearer key-of-${who}` })
const stateOf = (body: unknown) => {
  const { status, statusUpdate } = object(body)
  return object(object(statusUpdate ?? { status })["status"])["state"]
}

describe("Push notifications", () => {
  for (const wire of wires) {
    it.live(`over ${wire.name} are kept, shown without secrets, hidden from others, and removed`, () =>
      Effect.gen(function*() {
        const url = yield* start()
        const asking = object(
          (yield* wire.call(url, "send", { message: message("refund order 1042") }, as("ann"))).result
        )
        const taskId = String(asking["id"])
        const config = {
          taskId,
          id: "mine",
          url: "https://example.com/hook",
          token: "token-of-ann",
          authentication: { scheme: "Bearer", credentials: "secret-of-ann" }
        }
        const created = yield* wire.call(url, "pushCreate", config, as("ann"))
        assert.isUndefined(created.error)
        for (const operation of ["pushGet", "pushList"] as const) {
          const { error, json } = yield* wire.call(url, operation, { taskId, id: "mine" }, as("ann"))
          assert.isUndefined(error)
          const text = JSON.stringify(json)
          assert.include(text, "https://example.com/hook")
          assert.include(text, "Bearer")
          assert.notMatch(text + JSON.stringify(created.json), /secret-of-ann|token-of-ann/u)
        }
        for (const who of ["bob", "eve"]) {
          for (const operation of ["pushCreate", "pushGet", "pushList", "pushDelete"] as const) {
            const theirs = yield* wire.call(url, operation, config, as(who))
            assert.strictEqual(theirs.error?.reason, "TASK_NOT_FOUND", `${operation} of ${who}`)
          }
        }
        const bad = yield* wire.call(url, "pushCreate", { ...config, url: "file:///etc/passwd" }, as("ann"))
        assert.deepInclude(bad.error, { reason: "INVALID_PARAMS", fields: ["url"] })
        for (let turn = 0; turn < 2; turn++) {
          assert.isUndefined((yield* wire.call(url, "pushDelete", { taskId, id: "mine" }, as("ann"))).error)
        }
        const gone = yield* wire.call(url, "pushGet", { taskId, id: "mine" }, as("ann"))
        assert.strictEqual(gone.error?.reason, "TASK_NOT_FOUND")
        yield* wire.call(url, "cancel", { id: taskId }, as("ann"))
      }).pipe(Effect.scoped))

    it.live(`over ${wire.name} arrive in order, with credentials, in the form of their version`, () =>
      Effect.gen(function*() {
        const url = yield* start()
        const hook = yield* receiver
        const sent = {
          message: message("Where is order 1042?"),
          configuration: {
            taskPushNotificationConfig: {
              id: "c",
              url: hook.url,
              token: "token-of-ann",
              authentication: { scheme: "Bearer", credentials: "secret-of-ann" }
            }
          }
        }
        const shaped: Json = wire.version === "1.0" ? sent : {
          ...sent,
          configuration: {
            [wire.binding === "JSON-RPC" ? "pushNotificationConfig" : "pushNotification"]: {
              id: "c",
              url: hook.url,
              token: "token-of-ann",
              authentication: { schemes: ["Bearer"], credentials: "secret-of-ann" }
            }
          }
        }
        const answer = yield* wire.call(url, "send", shaped, as("ann"))
        assert.isUndefined(answer.error, JSON.stringify(answer.json))
        const ended = wire.version === "1.0" ? "TASK_STATE_COMPLETED" : "completed"
        assert.isTrue(yield* until(() => hook.deliveries.some(({ body }) => stateOf(body) === ended)))
        for (const { headers } of hook.deliveries) {
          assert.strictEqual(headers["authorization"], "Bearer secret-of-ann")
          assert.strictEqual(headers["x-a2a-notification-token"], "token-of-ann")
          assert.match(String(headers["content-type"]), wire.version === "1.0" ? /a2a\+json/u : /application\/json/u)
        }
        const ids = hook.deliveries.map(({ headers }) => headers["x-a2a-delivery-id"])
        assert.strictEqual(new Set(ids).size, ids.length)
        const last = hook.deliveries.at(-1)?.body
        assert.strictEqual(stateOf(last), ended)
        if (wire.version === "0.3") assert.strictEqual(object(last)["kind"], "task")
        else {
          const text = hook.deliveries.flatMap(({ body }) => {
            const { artifact } = object(object(body)["artifactUpdate"])
            return object(artifact)["artifactId"] === "text" ? list(object(artifact)["parts"]) : []
          }).map((part) => String(object(part)["text"])).join("")
          assert.strictEqual(text, "Looking at your order… ")
        }
        // The configuration lives as long as the task.
        yield* Effect.sleep("300 millis")
        const { id: taskId } = object(answer.result)
        const left = yield* wire.call(url, "pushGet", { taskId, id: "c" }, as("ann"))
        assert.strictEqual(left.error?.reason, "TASK_NOT_FOUND")
      }).pipe(Effect.scoped))
  }

  const [rpc] = wires
  if (rpc === undefined) throw new Error("there are wires")

  const sendWith = (url: string, hook: string, text: string, more: Json = {}) =>
    Effect.map(
      rpc.call(url, "send", {
        message: message(text, more),
        configuration: { taskPushNotificationConfig: { id: "c", url: hook } }
      }, as("ann")),
      ({ result }) => object(result)
    )

  it.live("are tried again until they are taken, each with its id, and keep their order meanwhile", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const hook = yield* receiver
      hook.answerWith((index) => index === 0 ? 503 : index === 1 || index === 3 ? undefined : 200)
      const asking = yield* sendWith(url, hook.url, "refund order 1042")
      yield* rpc.call(url, "send", { message: message("yes", { taskId: asking["id"] }) }, as("ann"))
      assert.isTrue(yield* until(() => hook.deliveries.some(({ body }) => stateOf(body) === "TASK_STATE_COMPLETED")))
      const states = hook.deliveries.map(({ body }) => stateOf(body)).filter((state) => state !== undefined)
      const first = states.filter((state, index) => states.indexOf(state) === index)
      assert.deepStrictEqual(first, ["TASK_STATE_WORKING", "TASK_STATE_INPUT_REQUIRED", "TASK_STATE_COMPLETED"])
      // A repeat has the same id and the same body.
      const bodies = new Map<unknown, string>()
      for (const { body, headers } of hook.deliveries) {
        const id = headers["x-a2a-delivery-id"]
        assert.strictEqual(bodies.get(id) ?? JSON.stringify(body), JSON.stringify(body))
        bodies.set(id, JSON.stringify(body))
      }
    }).pipe(Effect.scoped))

  it.live("are given up after the last try, and redriven when they are configured again", () =>
    Effect.gen(function*() {
      const url = yield* start({ attempts: 2 })
      const hook = yield* receiver
      hook.answerWith(() => 500)
      const asking = yield* sendWith(url, hook.url, "refund order 1042")
      assert.isTrue(yield* until(() => hook.tries() === 2))
      yield* Effect.sleep("1200 millis")
      assert.strictEqual(hook.tries(), 2)
      hook.answerWith(() => 200)
      yield* rpc.call(url, "pushCreate", { taskId: asking["id"], id: "c", url: hook.url }, as("ann"))
      assert.isTrue(
        yield* until(() => hook.deliveries.some(({ body }) => stateOf(body) === "TASK_STATE_INPUT_REQUIRED"))
      )
      assert.strictEqual(stateOf(hook.deliveries[0]?.body), "TASK_STATE_WORKING")
      yield* rpc.call(url, "cancel", { id: asking["id"] }, as("ann"))
      assert.isTrue(yield* until(() => hook.deliveries.some(({ body }) => stateOf(body) === "TASK_STATE_CANCELED")))
    }).pipe(Effect.scoped))

  it.live("go to 16 addresses of a task at most", () =>
    Effect.gen(function*() {
      const url = yield* start()
      const asking = object((yield* rpc.call(url, "send", { message: message("refund order 1042") }, as("ann"))).result)
      const create = (id: number) =>
        rpc.call(url, "pushCreate", { taskId: asking["id"], id: `${id}`, url: "https://example.com" }, as("ann"))
      for (let id = 1; id <= 16; id++) assert.isUndefined((yield* create(id)).error)
      assert.strictEqual((yield* create(17)).error?.reason, "INVALID_PARAMS")
      assert.isUndefined((yield* create(16)).error)
    }).pipe(Effect.scoped))

  it.live("are refused where none are served, and to addresses that are not https", () =>
    Effect.gen(function*() {
      const without = yield* serve(mounted("a2a").pipe(Layer.provide(layerRuntime(auth))))
      const config = { taskPushNotificationConfig: { url: "https://example.com" } }
      const sent = { message: message("hi"), configuration: config, metadata: { skillId: "echo" } }
      const refused = yield* rpc.call(`${without}/a2a`, "send", sent, as("ann"))
      assert.deepInclude(refused.error, { code: -32003, reason: "PUSH_NOTIFICATION_NOT_SUPPORTED" })
      const url = yield* start({ insecure: false })
      for (const odd of ["http://example.com", "ftp://example.com", "https://a:b@example.com", "example", ""]) {
        const bad = { ...sent, configuration: { taskPushNotificationConfig: { url: odd } } }
        const { error } = yield* rpc.call(url, "send", bad, as("ann"))
        assert.strictEqual(error?.reason, "INVALID_PARAMS", odd)
      }
    }).pipe(Effect.scoped))

  it.live("are signed by the key of the cards, for their address, task and body", () =>
    Effect.gen(function*() {
      const own = yield* serve(
        mounted("a2a").pipe(
          Layer.provide(sender()),
          Layer.provide(CardSigner.CardSigner.layer([Redacted.make("9d".repeat(32)), Redacted.make("4c".repeat(32))])),
          Layer.provide(layerRuntime(auth))
        )
      )
      const hook = yield* receiver
      const answer = yield* wires[0]?.call(`${own}/a2a`, "send", {
        message: message("Where is order 1042?"),
        configuration: { taskPushNotificationConfig: { id: "c", url: hook.url } }
      }, as("ann")) ?? Effect.die("no wire")
      assert.isTrue(
        yield* until(() => hook.deliveries.some(({ body }) => stateOf(body) === "TASK_STATE_COMPLETED"))
      )
      const published = yield* Effect.promise(async () =>
        object(await (await fetch(`${own}/a2a/.well-known/jwks.json`)).json())
      )
      const keys = list(published["keys"]).map(object)
      const partOf = (part = "") => object(JSON.parse(Buffer.from(part, "base64url").toString()))
      for (const { body, headers } of hook.deliveries) {
        const token = String(headers["x-a2a-notification-signature"])
        const [first = "", claims = "", signature = ""] = token.split(".")
        const header = partOf(first)
        const jwk = keys.find(({ kid }) => kid === header["kid"])
        const key = createPublicKey({ format: "jwk", key: { ...jwk } })
        assert.isTrue(verify(null, Buffer.from(`${first}.${claims}`), key, Buffer.from(signature, "base64url")))
        assert.deepInclude(header, { alg: "EdDSA", typ: "JWT", jku: `${own}/a2a/.well-known/jwks.json` })
        const payload = partOf(claims)
        assert.deepInclude(payload, {
          iss: own,
          aud: hook.url,
          jti: headers["x-a2a-delivery-id"],
          taskId: object(answer.result)["id"],
          request_body_sha256: createHash("sha256").update(JSON.stringify(body)).digest("hex")
        })
        assert.strictEqual(Number(payload["exp"]) - Number(payload["iat"]), 300)
      }
    }).pipe(Effect.scoped))
})
