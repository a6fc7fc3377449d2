import { assert, it } from "@effect/vitest"
import { App, Auth, Budget, RateLimit, Runtime } from "@fastagentic/core"
import { A2aRemote, PushReceiver } from "@fastagentic/protocols/a2a"
import { Cause, Effect, Exit, Layer, Redacted } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { createServer } from "node:http"
import { mounted, serve } from "../fixture.ts"
import { layerStores } from "../stores.ts"
import { type Json, object } from "./wires.ts"

class Desk extends A2aRemote.agent("desk", { description: "The support desk of another company" }) {}
class Here extends App.make("here", { version: "1.0.0", agents: [Desk] }) {}

/** A remote agent whose task stays as it is until it is changed, and that counts how often it is read. */
const remote = (takesPush: boolean) =>
  Effect.gen(function*() {
    const seen = { reads: 0, sends: 0, state: "TASK_STATE_WORKING", config: undefined as Json | undefined }
    const server = createServer((request, response) => {
      let body = ""
      request.on("data", (chunk) => body += String(chunk))
      request.on("end", () => {
        const end = (json: unknown) => response.end(JSON.stringify(json))
        if (request.method === "GET") {
          const { port } = Object(server.address())
          return end({
            supportedInterfaces: [
              { url: `http://127.0.0.1:${port}/`, protocolBinding: "JSONRPC", protocolVersion: "1.0" }
            ],
            capabilities: { pushNotifications: true }
          })
        }
        const { method, params } = JSON.parse(body)
        const task = {
          id: "t1",
          status: { state: seen.state },
          artifacts: [{ artifactId: "a", parts: [{ text: "done there" }] }]
        }
        if (method === "GetTask") {
          seen.reads++
          return end({ jsonrpc: "2.0", id: 1, result: task })
        }
        if (method === "CancelTask") return end({ jsonrpc: "2.0", id: 1, result: task })
        seen.sends++
        const { taskPushNotificationConfig } = params.configuration
        seen.config = taskPushNotificationConfig ?? seen.config
        if (taskPushNotificationConfig !== undefined && !takesPush) {
          return end({ jsonrpc: "2.0", id: 1, error: { code: -32003, message: "no" } })
        }
        end({ jsonrpc: "2.0", id: 1, result: { task } })
      })
    })
    yield* Effect.acquireRelease(
      Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
      () => Effect.sync(() => server.close().closeAllConnections())
    )
    return { seen, url: `http://127.0.0.1:${Object(server.address()).port}/card` }
  })

const receiver = PushReceiver.layer({
  url: "https://here.test/",
  secrets: [Redacted.make("a secret of more than 32 characters")]
})

const serveHere = (url: string) =>
  serve(
    mounted("rest", "a2a").pipe(
      Layer.provide(
        Runtime.layer(Here).pipe(
          Layer.provide(A2aRemote.toLayer(Desk, { url }).pipe(Layer.provide(FetchHttpClient.layer))),
          Layer.provideMerge(
            Layer.mergeAll(layerStores, Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited)
          )
        )
      ),
      Layer.provide(receiver)
    )
  )

const begin = (url: string) =>
  Effect.promise(async () => {
    const headers = { "content-type": "application/json" }
    const body = JSON.stringify({ message: [{ type: "text", text: "hi" }] })
    return Object(await (await fetch(`${url}/agents/desk/runs`, { method: "POST", body, headers })).json())
  })

const runOf = (url: string, runId: string) =>
  Effect.promise(async () => Object(await (await fetch(`${url}/runs/${runId}`)).json()))

const until = (holds: () => boolean | Promise<boolean>, turns = 200) =>
  Effect.promise(async () => {
    for (let turn = 0; turn < turns && !(await holds()); turn++) await new Promise((done) => setTimeout(done, 10))
    assert.isTrue(await holds())
  })

it.live("A remote agent that notifies is read when it does, once for each piece of news, and only with the token of the run", () =>
  Effect.gen(function*() {
    const there = yield* remote(true)
    const url = yield* serveHere(there.url)
    const { runId } = yield* begin(url)
    const { seen } = there
    yield* until(() => seen.reads >= 3)
    const { authentication, token, url: address } = object(seen.config)
    assert.strictEqual(address, `https://here.test/a2a/.push/${runId}`)
    assert.deepStrictEqual(authentication, { scheme: "Bearer", credentials: token })
    const push = (state: string, timestamp: string, { to = runId, token: sent = String(token), text = "" } = {}) =>
      Effect.promise(async () => {
        const body = JSON.stringify({ statusUpdate: { status: { state, timestamp } }, text })
        const headers = { "x-a2a-notification-token": sent, "content-type": "application/a2a+json" }
        return (await fetch(`${url}/a2a/.push/${to}`, { method: "POST", body, headers })).status
      })
    const before = seen.reads
    assert.strictEqual(yield* push("TASK_STATE_COMPLETED", "2026-01-01T00:00:00.000Z"), 204)
    yield* until(() => seen.reads > before, 40)
    // The run believes the task and not the notification, and the same notification again is no news.
    assert.strictEqual((yield* runOf(url, runId)).state, "running")
    for (let turn = 0; turn < 20; turn++) {
      assert.strictEqual(yield* push("TASK_STATE_COMPLETED", "2026-01-01T00:00:00.000Z"), 204)
    }
    assert.strictEqual(yield* push("TASK_STATE_WORKING", "2026-01-01T00:00:01.000Z"), 204)
    const other = yield* begin(url)
    for (
      const wrong of [
        { token: "" },
        { token: "AAAA" },
        { token: `${String(token).slice(0, -2)}AA` },
        { to: other.runId },
        { to: "nothing" }
      ]
    ) assert.strictEqual(yield* push("TASK_STATE_COMPLETED", "x", wrong), 404, JSON.stringify(wrong))
    assert.strictEqual(yield* push("TASK_STATE_COMPLETED", "y", { text: "z".repeat(2_000_000) }), 413)
    seen.state = "TASK_STATE_COMPLETED"
    assert.strictEqual(yield* push("TASK_STATE_COMPLETED", "2026-01-01T00:00:02.000Z"), 204)
    yield* until(async () => Object(await (await fetch(`${url}/runs/${runId}`)).json()).state === "completed")
    assert.strictEqual(yield* push("TASK_STATE_COMPLETED", "2026-01-01T00:00:03.000Z"), 204)
    assert.strictEqual(seen.sends, 2)
  }).pipe(Effect.scoped))

it.live("A remote agent that does not take the address is read again and again, and so is one that does not notify", () =>
  Effect.gen(function*() {
    for (const takesPush of [false, true]) {
      const there = yield* remote(takesPush)
      const url = yield* serveHere(there.url)
      const { runId } = yield* begin(url)
      yield* until(() => there.seen.reads >= 1)
      there.seen.state = "TASK_STATE_COMPLETED"
      yield* until(async () => Object(await (await fetch(`${url}/runs/${runId}`)).json()).state === "completed")
      assert.strictEqual(there.seen.sends, takesPush ? 1 : 2)
    }
  }).pipe(Effect.scoped))

it.live("Many notifications that come before a run reads its task are kept as one", () =>
  Effect.gen(function*() {
    const there = yield* remote(true)
    there.seen.state = "TASK_STATE_INPUT_REQUIRED"
    const url = yield* serveHere(there.url)
    const { runId } = yield* begin(url)
    yield* until(async () => Object(await (await fetch(`${url}/runs/${runId}`)).json()).state === "suspended")
    const { token } = object(there.seen.config)
    const headers = { "x-a2a-notification-token": String(token), "content-type": "application/a2a+json" }
    const statuses = yield* Effect.promise(async () => {
      const answers: Array<number> = []
      for (let turn = 0; turn < 20; turn++) {
        const status = { state: "TASK_STATE_INPUT_REQUIRED", timestamp: `2026-01-01T00:00:${turn}.000Z` }
        const body = JSON.stringify({ statusUpdate: { status } })
        answers.push((await fetch(`${url}/a2a/.push/${runId}`, { method: "POST", body, headers })).status)
      }
      return answers
    })
    assert.deepStrictEqual([...new Set(statuses)], [204])
    const events = yield* Effect.promise(async () =>
      Object(
        await (await fetch(`${url}/runs/${runId}/events`, { headers: { accept: "application/json" } })).json()
      ).items
    )
    assert.strictEqual(events.filter(({ type }: Json) => type === "signal").length, 1)
  }).pipe(Effect.scoped))

it.effect("A secret that a remote agent could guess by its tokens is not taken", () =>
  Effect.gen(function*() {
    const weak = PushReceiver.layer({ url: "https://here.test", secrets: [Redacted.make("short")] })
    const exit = yield* Effect.exit(Effect.scoped(Layer.build(weak)))
    assert.isTrue(Exit.isFailure(exit))
    if (Exit.isFailure(exit)) assert.include(Cause.pretty(exit.cause), "32 characters")
  }))
