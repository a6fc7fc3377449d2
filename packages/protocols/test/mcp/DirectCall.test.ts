import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { callOf } from "../../src/mcp/DirectCall.ts"
import { layerRuntime, mounted, serve } from "../fixture.ts"
import { serveAsker } from "./asker.ts"
import { by, lasting } from "./asking.ts"
import { modern } from "./wire.ts"

type Params = { readonly [name: string]: unknown }

/** The parameter that no revision has makes the call one for the SDK. */
const bySdk = { unusual: true }

/** An answer without the ids and times that differ each time. */
const answerTo = (url: string, params: Params, headers: Record<string, string> = {}) =>
  Effect.promise(async () => {
    const sent = modern("tools/call", params)
    const response = await fetch(url, { method: "POST", headers: { ...sent.headers, ...headers }, body: sent.body })
    const text = (await response.text())
      .replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/gu, "an id")
      .replaceAll(/[0-9a-f]{32}/gu, "a trace")
    const names = ["content-type", "x-trace-id", "traceparent", "cache-control", "www-authenticate"]
    return {
      status: response.status,
      headers: names.map((name) => response.headers.get(name)?.replaceAll(/[0-9a-f]{16,32}/gu, "an id")),
      body: JSON.parse(text)
    }
  })

const sameAsSdk = Effect.fnUntraced(function*(url: string, params: Params, headers?: Record<string, string>) {
  assert.isDefined(
    callOf({ ...modern("tools/call", params).headers, ...headers }, JSON.parse(modern("tools/call", params).body))
  )
  const direct = yield* answerTo(url, params, headers)
  assert.deepStrictEqual(direct, yield* answerTo(url, { ...params, ...bySdk }, headers))
  return direct
})

describe("A plain call of 2026-07-28 that is answered without the SDK", () => {
  it.live("has the answer of the SDK, whatever the tool answers", () =>
    Effect.gen(function*() {
      const url = `${yield* serve(Layer.provide(mounted("mcp"), layerRuntime()))}/mcp`
      const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
      const call = (name: string, args?: object) => ({ name, ...(args === undefined ? {} : { arguments: args }) })
      const found = yield* sameAsSdk(url, call("find_order", { orderId: 1001 }))
      assert.deepStrictEqual(found.body.result.structuredContent, { id: 1001, state: "shipped", amount: 42.5 })
      assert.strictEqual(found.body.result.resultType, "complete")
      yield* sameAsSdk(url, call("find_order", { orderId: 1001 }), { traceparent })
      yield* sameAsSdk(url, call("find_order", { orderId: 5000 }))
      yield* sameAsSdk(url, call("find_order", { orderId: "no number" }))
      yield* sameAsSdk(url, call("find_order"))
      yield* sameAsSdk(url, call("echo", { text: "line\nand é" }))
      yield* sameAsSdk(url, call("support", { question: "crash" }))
      yield* sameAsSdk(url, call("support", { question: "Where is 1002?" }))
      yield* sameAsSdk(url, call("nothing_there", {}))
    }).pipe(Effect.scoped, Effect.orDie))

  it.live("has the status of a missing ability, and of a missing key", () =>
    Effect.gen(function*() {
      const { url } = yield* Effect.flatMap(lasting, serveAsker)
      const refused = yield* sameAsSdk(url, { name: "need_model", arguments: {} }, by("ann"))
      assert.deepStrictEqual([refused.status, refused.body.error.code], [400, -32021])
      assert.strictEqual((yield* sameAsSdk(url, { name: "need_model", arguments: {} })).status, 401)
    }).pipe(Effect.scoped))

  it("is none with another revision, another method, a wish for messages, or anything that is damaged", () => {
    const { body, headers } = modern("tools/call", { name: "echo", arguments: { text: "a" } })
    const message = JSON.parse(body)
    const changed = (params: Params, more: Params = {}) => ({
      ...message,
      ...more,
      params: { ...message.params, ...params }
    })
    const meta = (more: Params) => changed({ _meta: { ...message.params._meta, ...more } })
    assert.isDefined(callOf(headers, message))
    assert.isDefined(callOf(headers, meta({ "io.modelcontextprotocol/clientInfo": { name: "a", version: "1" } })))
    const others: ReadonlyArray<readonly [Record<string, string>, unknown]> = [
      [{ "mcp-protocol-version": "2025-11-25" }, message],
      [{ "mcp-method": "tools/list" }, message],
      [{ "mcp-name": "other" }, message],
      [{ "mcp-session-id": "s" }, message],
      [{ "content-type": "text/plain" }, message],
      [{}, [message]],
      [{}, null],
      [{}, changed({}, { id: null })],
      [{}, changed({}, { id: 1.5 })],
      [{}, changed({}, { jsonrpc: "1.0" })],
      [{}, changed({}, { result: {} })],
      [{}, changed({ arguments: [] })],
      [{}, changed({ arguments: null })],
      [{}, changed({ inputResponses: {} })],
      [{}, changed({ requestState: "s" })],
      [{}, changed({ _meta: undefined })],
      [{}, meta({ progressToken: 0 })],
      [{}, meta({ "io.modelcontextprotocol/logLevel": "info" })],
      [{}, meta({ "io.modelcontextprotocol/protocolVersion": "2025-11-25" })],
      [{}, meta({ "io.modelcontextprotocol/clientCapabilities": undefined })],
      [{}, meta({ "io.modelcontextprotocol/clientCapabilities": { elicitation: true } })],
      [{}, meta({ "io.modelcontextprotocol/clientInfo": { name: "a" } })],
      [{}, meta({ "io.modelcontextprotocol/clientInfo": { name: "a", version: "1", icons: "x" } })]
    ]
    for (const [extra, other] of others) {
      assert.isUndefined(callOf({ ...headers, ...extra }, other), JSON.stringify([extra, other]))
    }
  })
})
