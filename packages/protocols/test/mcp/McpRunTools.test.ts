import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { modern, serveAsker } from "./asker.ts"
import { by, lasting, serveAsking } from "./asking.ts"

const call = (url: string, name: string, args: object, who = "ann", meta: object = {}) =>
  Effect.map(
    modern(`${url}/mcp`, "tools/call", { name, arguments: args }, { headers: by(who), meta }),
    ({ messages }) => messages[messages.length - 1].result
  )

const rest = (url: string, who: string, path: string) =>
  Effect.promise(async () => ({ body: JSON.parse(await (await fetch(`${url}${path}`, { headers: by(who) })).text()) }))

const jsonOf = (result: ReturnType<typeof JSON.parse>) => JSON.parse(result.content[0].text)

const all = { elicitation: {}, extensions: { "io.modelcontextprotocol/tasks": {} } }

const refund = { orderId: 1042, amount: 5 }

describe("The tools that answer runs", () => {
  it.live("pass a decision on: an approval repeats what it approves, and gives the result of the call", () =>
    Effect.gen(function*() {
      const { url } = yield* serveAsking(yield* lasting)
      const paused = jsonOf(yield* call(url, "refund", refund))
      assert.strictEqual(paused._tag, "RunSuspended")
      assert.include(paused.next, "answer_run")
      const { runId } = paused
      const bare = yield* call(url, "answer_run", { runId, decision: "approve" })
      assert.isTrue(bare.isError)
      assert.deepInclude(jsonOf(bare), { _tag: "ApprovalNotRepeated", tool: "refund", arguments: refund })
      const other = { runId, decision: "approve", tool: "refund", arguments: { ...refund, amount: 6 } }
      assert.strictEqual(jsonOf(yield* call(url, "answer_run", other))._tag, "ApprovalNotRepeated")
      assert.strictEqual(jsonOf(yield* call(url, "get_run", { runId }))._tag, "RunSuspended")
      const approved = yield* call(url, "answer_run", { runId, decision: "approve", tool: "refund", arguments: refund })
      assert.isNotTrue(approved.isError)
      assert.deepStrictEqual(approved.structuredContent, { orderId: 1042, refunded: 5 })
      assert.deepStrictEqual((yield* call(url, "get_run", { runId })).structuredContent, { orderId: 1042, refunded: 5 })
      const late = yield* call(url, "answer_run", { runId, decision: "deny" })
      assert.strictEqual(jsonOf(late)._tag, "InterruptNotFound")
    }).pipe(Effect.scoped))

  it.live("and tasks refuse the answer of a caller who may not decide, with an entry for each", () =>
    Effect.gen(function*() {
      const { audit, url } = yield* serveAsking(yield* lasting)
      const { runId } = jsonOf(yield* call(url, "pay", { amount: 3 }, "boss"))
      const { body: { items: [{ id, name }] } } = yield* rest(url, "boss", `/runs/${runId}/interrupts`)
      const sent = (method: string, params: Record<string, unknown>) =>
        Effect.map(
          modern(`${url}/mcp`, method, params, { headers: by("boss"), capabilities: all }),
          ({ messages }) => messages[messages.length - 1].error
        )
      const accept = { action: "accept", content: { decision: "approve" } }
      const attempts = [
        ...[{}, { question: id }, { question: name }].map((one) =>
          sent("tools/call", {
            name: "answer_run",
            arguments: { runId, decision: "approve", tool: "pay", arguments: { amount: 3 }, ...one }
          })
        ),
        ...[name.slice(name.lastIndexOf("›") + 1).trimStart(), id].map((key) =>
          sent("tasks/update", { taskId: runId, inputResponses: { [key]: accept } })
        )
      ]
      for (const attempt of attempts) {
        assert.deepInclude((yield* attempt)?.data, { tag: "Forbidden", rule: "not the requester" })
      }
      assert.isUndefined(yield* sent("tasks/update", { taskId: runId, inputResponses: { another: accept } }))
      const trail = yield* Effect.orDie(audit.page({ tenant: "acme", limit: 100 }))
      const refusals = trail.filter(({ action, decision, rule }) =>
        action === "answer" && decision === "Forbidden" && rule === "not the requester"
      )
      assert.lengthOf(refusals, attempts.length)
      assert.strictEqual((yield* rest(url, "boss", `/runs/${runId}`)).body.state, "suspended")
    }).pipe(Effect.scoped))

  it.live("answer questions by their names, one after the other", () =>
    Effect.gen(function*() {
      const { url } = yield* serveAsking(yield* lasting)
      const { runId } = jsonOf(yield* call(url, "pack", {}))
      const misfit = yield* call(url, "answer_run", { runId, decision: "approve", value: { size: "huge" } })
      assert.strictEqual(jsonOf(misfit)._tag, "InvalidPayload")
      const value = { size: "small", count: 2, gift: false }
      const next = jsonOf(yield* call(url, "answer_run", { runId, question: "parcel", decision: "approve", value }))
      assert.strictEqual(next.interrupts[0].name, "sure")
      const done = yield* call(url, "answer_run", { runId, question: "sure", decision: "approve", value: true })
      assert.strictEqual(done.content[0].text, "2 small false true")
    }).pipe(Effect.scoped))

  it.live("do nothing for others, nor what the policy does not allow", () =>
    Effect.gen(function*() {
      const { url } = yield* serveAsking(yield* lasting)
      const { runId } = jsonOf(yield* call(url, "refund", refund))
      const approval = { runId, decision: "approve", tool: "refund", arguments: refund }
      for (
        const [name, args] of [["answer_run", approval], ["get_run", { runId }], ["cancel_run", { runId }]] as const
      ) {
        assert.strictEqual(jsonOf(yield* call(url, name, args, "bob"))._tag, "RunNotFound", name)
      }
      assert.strictEqual(jsonOf(yield* call(url, "get_run", { runId }))._tag, "RunSuspended")
      const pay = jsonOf(yield* call(url, "pay", { amount: 1 }, "boss"))
      const own = { runId: pay.runId, decision: "approve", tool: "pay", arguments: { amount: 1 } }
      // The requester of a payment cannot approve it.
      const { messages } = yield* modern(`${url}/mcp`, "tools/call", { name: "answer_run", arguments: own }, {
        headers: by("boss")
      })
      assert.deepInclude(messages[0].error.data, { tag: "Forbidden", rule: "not the requester" })
      assert.deepInclude(jsonOf(yield* call(url, "cancel_run", { runId })), { runId, state: "cancelled" })
      assert.strictEqual(jsonOf(yield* call(url, "cancel_run", { runId: 7 }))._tag, "InvalidPayload")
      assert.strictEqual(jsonOf(yield* call(url, "get_run", { runId: "nothing" }))._tag, "RunNotFound")
    }).pipe(Effect.scoped))
})

describe("A call that is repeated with the same arguments", () => {
  it.live("finds the run that waits, on any node, until it has its result", () =>
    Effect.gen(function*() {
      const kept = yield* lasting
      const [a, b] = [yield* serveAsking(kept), yield* serveAsking(kept)]
      const first = jsonOf(yield* call(a.url, "refund", refund))
      const again = jsonOf(yield* call(b.url, "refund", { amount: 5, orderId: 1042 }))
      assert.strictEqual(again.runId, first.runId)
      assert.notStrictEqual(jsonOf(yield* call(a.url, "refund", { ...refund, amount: 7 })).runId, first.runId)
      assert.notStrictEqual(jsonOf(yield* call(a.url, "refund", refund, "bob")).runId, first.runId)
      const thread = { "fastagentic/threadId": "t1" }
      assert.notStrictEqual(jsonOf(yield* call(a.url, "refund", refund, "ann", thread)).runId, first.runId)
      const key = { "fastagentic/idempotencyKey": "k1" }
      assert.notStrictEqual(jsonOf(yield* call(a.url, "refund", refund, "ann", key)).runId, first.runId)
      yield* Effect.promise(() =>
        fetch(`${a.url}/runs/${first.runId}/interrupts/${first.interrupts[0].id}`, {
          method: "POST",
          headers: { ...by("ann"), "content-type": "application/json" },
          body: JSON.stringify({ decision: "approve" })
        })
      )
      const done = yield* call(a.url, "refund", refund)
      assert.strictEqual(done._meta["fastagentic/runId"], first.runId)
      assert.deepStrictEqual(done.structuredContent, { orderId: 1042, refunded: 5 })
      const fresh = jsonOf(yield* call(a.url, "refund", refund))
      assert.strictEqual(fresh._tag, "RunSuspended")
      assert.notStrictEqual(fresh.runId, first.runId)
    }).pipe(Effect.scoped))
})

describe("An app", () => {
  it.live("lists these tools where runs may pause, unless it says otherwise", () =>
    Effect.gen(function*() {
      const { url } = yield* Effect.flatMap(lasting, serveAsker)
      const { messages } = yield* modern(url, "tools/list", {})
      const names = messages[0].result.tools.map(({ name }: { readonly name: string }) => name)
      assert.includeMembers(names, ["answer_run", "cancel_run", "get_run"])
      assert.deepStrictEqual(names, names.toSorted())
    }).pipe(Effect.scoped))
})
