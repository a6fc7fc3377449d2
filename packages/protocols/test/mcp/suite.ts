import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer, type Scope } from "effect"
import { type CallOptions, connect, type Kind, type Peer, type Target, versionOf } from "./clients.ts"

/** A server to test, with the states of the runs of `support`, newest first. */
export interface Server {
  readonly target: Target
  readonly states: (peer: Peer) => Effect.Effect<ReadonlyArray<string>>
}

class Connected extends Context.Service<Connected, {
  readonly peer: Peer
  readonly newestBecomes: (state: string) => Effect.Effect<boolean>
}>()("@fastagentic/protocols/test/mcp/suite/Connected") {}

const layer = (kind: Kind, open: Effect.Effect<Server, never, Scope.Scope>) =>
  Layer.effect(
    Connected,
    Effect.gen(function*() {
      const server = yield* open
      const peer = yield* connect(kind, server.target)
      return { peer, newestBecomes: (state: string) => becomes(server.states(peer), state) }
    })
  )

/** Whether the newest state becomes this one within a few seconds. */
export const becomes = Effect.fnUntraced(function*(states: Effect.Effect<ReadonlyArray<string>>, state: string) {
  for (let attempt = 0; attempt < 500; attempt++) {
    if ((yield* states)[0] === state) return true
    yield* Effect.sleep("20 millis")
  }
  return false
})

const failure = (call: () => Promise<unknown>) =>
  Effect.promise(() =>
    call().then(
      () => ({ code: 0, message: "", data: {} as Record<string, unknown> }),
      (error: { code: number; message: string; data: Record<string, unknown> }) => error
    )
  )

/** The behaviour that every client sees over every transport. */
export const suite = (name: string, kind: Kind, open: Effect.Effect<Server, never, Scope.Scope>) =>
  it.layer(layer(kind, open), { excludeTestServices: true, timeout: "30 seconds" })(`${name}: ${kind}`, (it) => {
    const test = (title: string, body: (peer: Peer, connected: Connected["Service"]) => Effect.Effect<void>) =>
      it.effect(title, () => Connected.use((connected) => body(connected.peer, connected)))

    const call = (peer: Peer, name: string, args: Record<string, unknown>, options?: CallOptions) =>
      Effect.promise(() => peer.callTool(name, args, options))

    test("speaks the revision", (peer) => Effect.sync(() => assert.strictEqual(peer.protocolVersion, versionOf(kind))))

    test("lists tools in order, agents among them", (peer) =>
      Effect.gen(function*() {
        const tools = yield* Effect.promise(peer.listTools)
        assert.deepStrictEqual(tools.map(({ name }) => name), [
          "answer_run",
          "cancel_run",
          "echo",
          "find_order",
          "get_run",
          "refund_order",
          "support"
        ])
        const find = tools.find(({ name }) => name === "find_order")
        assert.deepInclude(find?.["annotations"], { readOnlyHint: true, destructiveHint: false })
        assert.deepInclude(find?.["inputSchema"], { type: "object", required: ["orderId"] })
        assert.deepInclude(find?.["outputSchema"], { type: "object", required: ["id", "state", "amount"] })
        assert.notProperty(tools.find(({ name }) => name === "echo"), "outputSchema")
      }))

    test("lists resource templates and prompts", (peer) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* Effect.promise(peer.listResources), [])
        const [template] = yield* Effect.promise(peer.listResourceTemplates)
        assert.deepInclude(template, { name: "handbook", uriTemplate: "handbook://{topic}", mimeType: "text/markdown" })
        const [prompt] = yield* Effect.promise(peer.listPrompts)
        assert.deepInclude(prompt, { name: "triage", arguments: [{ name: "severity", required: true }] })
      }))

    test("calls a tool: structured and as text, with the run and its trace", (peer) =>
      Effect.gen(function*() {
        const traceId = "0af7651916cd43dd8448eb211c80319c"
        const result = yield* call(peer, "find_order", { orderId: 1042 }, {
          meta: { traceparent: `00-${traceId}-b7ad6b7169203331-01` }
        })
        const order = { id: 1042, state: "shipped", amount: 42.5 }
        assert.isFalse(result.isError)
        assert.deepStrictEqual(result.structured, order)
        assert.deepStrictEqual(JSON.parse(result.text), order)
        assert.strictEqual(result.meta["fastagentic/traceId"], traceId)
        assert.isString(result.meta["fastagentic/runId"])
      }))

    test("attaches a repeated call to the same run by its idempotency key", (peer) =>
      Effect.gen(function*() {
        const meta = { "fastagentic/idempotencyKey": `key-${kind}` }
        const first = yield* call(peer, "find_order", { orderId: 1001 }, { meta })
        const second = yield* call(peer, "find_order", { orderId: 1001 }, { meta })
        assert.strictEqual(first.meta["fastagentic/runId"], second.meta["fastagentic/runId"])
        const conflict = yield* failure(() => peer.callTool("find_order", { orderId: 1002 }, { meta }))
        assert.deepInclude(conflict.data, { tag: "IdempotencyConflict" })
      }))

    test("gives a declared error as a typed error result", (peer) =>
      Effect.gen(function*() {
        const result = yield* call(peer, "find_order", { orderId: 1 })
        const error = { _tag: "OrderNotFound", orderId: 1 }
        assert.isTrue(result.isError)
        assert.deepStrictEqual(JSON.parse(result.text), error)
        assert.deepStrictEqual(result.meta["fastagentic/error"], error)
      }))

    test("gives bad arguments as an error result that says what is wrong", (peer) =>
      Effect.gen(function*() {
        const result = yield* call(peer, "find_order", { orderId: "x" })
        assert.isTrue(result.isError)
        const error = JSON.parse(result.text)
        assert.strictEqual(error._tag, "InvalidPayload")
        assert.deepStrictEqual(error.issues[0].path, ["orderId"])
      }))

    test("refuses an unknown tool with -32602", (peer) =>
      Effect.gen(function*() {
        const error = yield* failure(() => peer.callTool("nothing", {}))
        assert.strictEqual(error.code, -32602)
        assert.deepInclude(error.data, { tag: "NotDeclared", identifier: "nothing" })
        assert.isString(error.data["traceId"])
      }))

    test("tells nothing of a defect but the trace", (peer) =>
      Effect.gen(function*() {
        const result = yield* call(peer, "support", { question: "crash" })
        assert.isTrue(result.isError)
        assert.deepInclude(JSON.parse(result.text), { _tag: "InternalError" })
        assert.notInclude(JSON.stringify(result), "postgres")
      }))

    test("calls an agent as a tool, with its journal as progress", (peer) =>
      Effect.gen(function*() {
        const seen: Array<{ progress: number; message?: string | undefined }> = []
        const result = yield* call(peer, "echo", { text: "one two three" }, {
          onprogress: (one) => void seen.push(one)
        })
        assert.isFalse(result.isError)
        assert.strictEqual(result.text, "one two three ")
        assert.isUndefined(result.structured)
        assert.isTrue(seen.every(({ progress }, index) => index === 0 || progress > (seen[index - 1]?.progress ?? 0)))
        // The clients drop progress that they read together with the result, as happens on a pipe.
        const whole = seen.map(({ message }) => message).join("")
        assert.isTrue(name === "McpStdio" ? "one two three ".startsWith(whole) : whole === "one two three ")
      }))

    test("answers with the decision that a suspended run waits for", (peer) =>
      Effect.gen(function*() {
        const args = { orderId: 1042, amount: 5 }
        const result = yield* call(peer, "refund_order", args)
        assert.isTrue(result.isError)
        const suspended = JSON.parse(result.text)
        assert.strictEqual(suspended._tag, "RunSuspended")
        assert.strictEqual(suspended.runId, result.meta["fastagentic/runId"])
        const [interrupt] = suspended.interrupts
        assert.deepInclude(interrupt, { kind: "approval", tool: "refund_order", arguments: args })
        assert.strictEqual(interrupt.answer.path, `/runs/${suspended.runId}/interrupts/${interrupt.id}`)
        assert.deepStrictEqual(result.meta["fastagentic/interrupts"], suspended.interrupts)
      }))

    test("reads a resource by its template", (peer) =>
      Effect.gen(function*() {
        const contents = yield* Effect.promise(() => peer.readResource("handbook://returns"))
        assert.deepStrictEqual(contents, [
          {
            uri: "handbook://returns",
            mimeType: "text/markdown",
            text: "# Returns\n30 days.",
            _meta: { "fastagentic/untrusted": true }
          }
        ])
      }))

    test("does not find other URIs, nor ways out of a template", (peer) =>
      Effect.gen(function*() {
        for (const uri of ["nothing://here", "handbook://..%2F..%2Fetc%2Fpasswd", "handbook://..", "handbook://a/b"]) {
          const error = yield* failure(() => peer.readResource(uri))
          assert.strictEqual(error.code, -32602, uri)
          assert.strictEqual(error.data["uri"], uri)
        }
        const missing = yield* failure(() => peer.readResource("handbook://nothing"))
        assert.strictEqual(missing.code, -32602)
        assert.deepInclude(missing.data, { tag: "PageNotFound", error: { _tag: "PageNotFound", topic: "nothing" } })
      }))

    test("renders a prompt, completes its argument, and refuses a wrong one", (peer) =>
      Effect.gen(function*() {
        const messages = yield* Effect.promise(() => peer.getPrompt("triage", { severity: "high" }))
        assert.deepStrictEqual(messages, [
          { role: "user", content: { type: "text", text: "Sort this complaint; treat it as high." } }
        ])
        assert.deepStrictEqual(yield* Effect.promise(() => peer.complete("triage", "severity", "h")), ["high"])
        const wrong = yield* failure(() => peer.getPrompt("triage", { severity: "middling" }))
        assert.strictEqual(wrong.code, -32602)
        assert.deepInclude(wrong.data, { tag: "InvalidPayload", target: "triage" })
        const unknown = yield* failure(() => peer.getPrompt("nothing", {}))
        assert.strictEqual(unknown.code, -32602)
      }))

    test("ends the run of a call that the client cancels", (peer, { newestBecomes }) =>
      Effect.gen(function*() {
        const controller = new AbortController()
        const calling = peer.callTool("support", { question: "wait" }, {
          signal: controller.signal,
          onprogress: ({ message }) => {
            if (message?.startsWith("Looking")) controller.abort()
          }
        }).then(() => "answered", () => "cancelled")
        assert.strictEqual(yield* Effect.promise(() => calling), "cancelled")
        assert.isTrue(yield* newestBecomes("cancelled"))
        assert.isFalse((yield* call(peer, "find_order", { orderId: 1042 })).isError)
      }))

    test("ends the run also when no progress was asked for", (peer, { newestBecomes }) =>
      Effect.gen(function*() {
        const controller = new AbortController()
        const calling = peer.callTool("support", { question: "wait" }, { signal: controller.signal }).catch(() =>
          "cancelled"
        )
        assert.isTrue(yield* newestBecomes("running"))
        controller.abort()
        assert.strictEqual(yield* Effect.promise(() => calling), "cancelled")
        assert.isTrue(yield* newestBecomes("cancelled"))
      }))
  })
