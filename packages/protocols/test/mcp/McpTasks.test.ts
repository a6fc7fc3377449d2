import { assert, describe, it } from "@effect/vitest"
import { Retention } from "@fastagentic/core"
import { Effect, Exit, Fiber, Layer, Scope } from "effect"
import { listen, messagesIn, modern, open, post, serveAsker } from "./asker.ts"
import { by, lasting } from "./asking.ts"

const extension = { extensions: { "io.modelcontextprotocol/tasks": {} } }
const all = { elicitation: {}, sampling: {}, roots: {}, ...extension }
const accept = (content: unknown) => ({ action: "accept", content })
const call = (name: string, args: object = {}, more: object = {}) => ({ name, arguments: args, ...more })
const last = <A>({ messages }: { readonly messages: ReadonlyArray<A> }) => messages[messages.length - 1]

/** Asks until the answer has this status. */
const until = Effect.fnUntraced(function*(
  get: Effect.Effect<ReturnType<typeof JSON.parse>>,
  status: string
) {
  let task: ReturnType<typeof JSON.parse>
  for (let attempt = 0; attempt < 200; attempt++) {
    task = yield* get
    if (task.status === status) return task
    yield* Effect.sleep("25 millis")
  }
  return assert.fail(`the task did not become ${status}: ${JSON.stringify(task)}`)
})

const get = (url: string, taskId: string, capabilities: object = all) =>
  Effect.map(modern(url, "tasks/get", { taskId }, { capabilities }), (reply) => last(reply).result)

describe("A task of 2026-07-28", () => {
  it.live("is answered at once, asks, takes one answer after the other, and ends with the result of the call", () =>
    Effect.gen(function*() {
      const { url } = yield* Effect.flatMap(lasting, serveAsker)
      const created = last(yield* modern(url, "tools/call", call("job", { asks: true }), { capabilities: all })).result
      assert.deepInclude(created, { resultType: "task", status: "working", ttlMs: null })
      const { taskId } = created
      const asking = yield* until(get(url, taskId), "input_required")
      assert.sameMembers(Object.keys(asking.inputRequests), ["one", "two"])
      const update = (inputResponses: object) =>
        Effect.map(
          modern(url, "tasks/update", { taskId, inputResponses }, { capabilities: all }),
          (reply) => last(reply).result
        )
      assert.deepInclude(yield* update({ one: accept({ name: "Ada" }), other: 1 }), { resultType: "complete" })
      const rest = yield* until(get(url, taskId), "input_required")
      assert.deepStrictEqual(Object.keys(rest.inputRequests), ["two"])
      yield* update({ two: accept({ name: "" }) })
      assert.deepStrictEqual(Object.keys((yield* get(url, taskId)).inputRequests), ["two"])
      yield* update({ one: accept({ name: "late" }), two: accept({ name: "Bob" }) })
      const done = yield* until(get(url, taskId), "completed")
      assert.strictEqual(done.result.content[0].text, "Ada Bob")
      assert.notProperty(done, "requestState")
    }).pipe(Effect.scoped))

  it.live("is heard of by those who listen to it, until it has ended", () =>
    Effect.gen(function*() {
      const { url } = yield* Effect.flatMap(lasting, serveAsker)
      const created = last(yield* modern(url, "tools/call", call("job", { asks: true }), { capabilities: all })).result
      const { taskId } = created
      yield* until(get(url, taskId), "input_required")
      const heard = (who: string, capabilities: object = all) =>
        Effect.promise(async () => {
          const response = await fetch(url, listen({ taskIds: [taskId, "unknown"] }, who, capabilities))
          return messagesIn(await response.text())
        })
      const listening = yield* Effect.forkChild(heard("ann"))
      yield* Effect.sleep("300 millis")
      const inputResponses = { one: accept({ name: "Ada" }), two: accept({ name: "Bob" }) }
      yield* modern(url, "tasks/update", { taskId, inputResponses }, { capabilities: all })
      const [acknowledged, ...messages] = yield* Fiber.join(listening)
      const stamp = { "io.modelcontextprotocol/subscriptionId": 9 }
      assert.deepStrictEqual(acknowledged.params, { notifications: { taskIds: [taskId] }, _meta: stamp })
      const end = messages.pop()
      assert.deepInclude(end, { id: 9 })
      assert.deepInclude(end.result._meta, stamp)
      const statuses = messages.map(({ method, params }) => [method, params.taskId, params.status])
      assert.deepStrictEqual(statuses[0], ["notifications/tasks", taskId, "input_required"])
      assert.deepStrictEqual(statuses.at(-1), ["notifications/tasks", taskId, "completed"])
      assert.sameMembers(Object.keys(messages[0].params.inputRequests), ["one", "two"])
      assert.strictEqual(messages.at(-1).params.result.content[0].text, "Ada Bob")
      assert.deepInclude(messages.at(-1).params._meta, stamp)
      const [others] = yield* heard("bob")
      assert.deepStrictEqual(others.params.notifications, { taskIds: [] })
      const [unaware] = yield* heard("ann", {})
      assert.deepStrictEqual(unaware.params.notifications, {})
    }).pipe(Effect.scoped))

  it.live("is refused its question where the client has no form, and ends with the tool's own error", () =>
    Effect.gen(function*() {
      const { url } = yield* Effect.flatMap(lasting, serveAsker)
      const created = last(yield* modern(url, "tools/call", call("sampling_job"), { capabilities: extension })).result
      const done = yield* until(get(url, created.taskId, extension), "completed")
      assert.isTrue(done.result.isError)
      assert.include(done.result.content[0].text, "unsupported")
    }).pipe(Effect.scoped))

  it.live("belongs to its caller, and is unknown to others", () =>
    Effect.gen(function*() {
      const { url } = yield* Effect.flatMap(lasting, serveAsker)
      const { taskId } =
        last(yield* modern(url, "tools/call", call("job", { asks: true }), { capabilities: all })).result
      yield* until(get(url, taskId), "input_required")
      for (const method of ["tasks/get", "tasks/update", "tasks/cancel"]) {
        const params = { taskId, inputResponses: { one: accept({ name: "Eve" }) } }
        const { error } = last(yield* modern(url, method, params, { capabilities: all, headers: by("bob") }))
        assert.strictEqual(error.code, -32602, method)
        const without = yield* modern(url, method, params, { capabilities: { elicitation: {} } })
        assert.strictEqual(last(without).error.code, -32021, method)
      }
      assert.sameMembers(Object.keys((yield* get(url, taskId)).inputRequests), ["one", "two"])
      const wrong = yield* modern(url, "tasks/get", { taskId }, { capabilities: all, headers: { "mcp-name": "other" } })
      assert.strictEqual(wrong.response.status, 400)
      assert.strictEqual(last(wrong).error.code, -32020)
    }).pipe(Effect.scoped))

  it.live("is cancelled, also once it has ended", () =>
    Effect.gen(function*() {
      const { url } = yield* Effect.flatMap(lasting, serveAsker)
      const { taskId } =
        last(yield* modern(url, "tools/call", call("job", { asks: true }), { capabilities: all })).result
      const cancel = Effect.map(
        modern(url, "tasks/cancel", { taskId }, { capabilities: all }),
        (reply) => last(reply).result
      )
      const { _meta, ...ack } = yield* cancel
      assert.deepStrictEqual(ack, { resultType: "complete" })
      yield* until(get(url, taskId), "cancelled")
      assert.deepInclude(yield* cancel, { resultType: "complete" })
      assert.strictEqual((yield* get(url, taskId)).status, "cancelled")
    }).pipe(Effect.scoped))

  it.live("is the same after its node has gone", () =>
    Effect.gen(function*() {
      const kept = yield* lasting
      const first = yield* Scope.make()
      const a = yield* Effect.provideService(serveAsker(kept), Scope.Scope, first)
      const { taskId } =
        last(yield* modern(a.url, "tools/call", call("job", { asks: true }), { capabilities: all })).result
      yield* until(get(a.url, taskId), "input_required")
      yield* Scope.close(first, Exit.void)
      const b = yield* serveAsker(kept)
      assert.sameMembers(Object.keys((yield* until(get(b.url, taskId), "input_required")).inputRequests), [
        "one",
        "two"
      ])
      const inputResponses = { one: accept({ name: "Ada" }), two: accept({ name: "Bob" }) }
      yield* modern(b.url, "tasks/update", { taskId, inputResponses }, { capabilities: all })
      assert.strictEqual((yield* until(get(b.url, taskId), "completed")).result.content[0].text, "Ada Bob")
    }).pipe(Effect.scoped))

  it.live("is made of a call that waits for another's decision, and of none that is not kept", () =>
    Effect.gen(function*() {
      const { url } = yield* Effect.flatMap(lasting, serveAsker)
      const paused = last(yield* modern(url, "tools/call", call("ask_twice"), { capabilities: extension })).result
      assert.deepInclude(paused, { resultType: "task", status: "working" })
      const task = yield* get(url, paused.taskId, extension)
      assert.deepInclude(task, { status: "working", statusMessage: "waits for a decision" })
      const plain = last(yield* modern(url, "tools/call", call("work"), { capabilities: all })).result
      assert.deepInclude(plain, { resultType: "complete" })
      const required = yield* modern(url, "tools/call", call("only_task"))
      assert.strictEqual(required.response.status, 400)
      assert.deepStrictEqual(last(required).error.data.requiredCapabilities, extension)
    }).pipe(Effect.scoped))
})

describe("A task of 2025-11-25", () => {
  const rpc = (url: string, method: string, params: object, session: Record<string, string>) =>
    Effect.map(post(url, { jsonrpc: "2.0", id: 4, method, params }, session), last)

  it.live("is what the client asks for: listed, polled, waited for and cancelled, on any node", () =>
    Effect.gen(function*() {
      const kept = yield* lasting
      const { url } = yield* serveAsker(kept)
      const session = yield* open(url, {})
      const { result: listed } = yield* rpc(url, "tools/list", {}, session)
      const support = new Map(
        listed.tools.map(({ execution, name }: { execution?: { taskSupport: string }; name: string }) => [
          name,
          execution?.taskSupport
        ])
      )
      assert.strictEqual(support.get("job"), "optional")
      assert.strictEqual(support.get("only_task"), "required")
      assert.isUndefined(support.get("work"))
      const asTask = { task: { ttl: 60_000 } }
      const { result: created } = yield* rpc(url, "tools/call", call("job", {}, asTask), session)
      const { taskId } = created.task
      assert.deepInclude(created.task, { status: "working", ttl: null })
      const { result } = yield* rpc(url, "tasks/result", { taskId }, session)
      assert.strictEqual(result.content[0].text, "done")
      assert.deepStrictEqual(result._meta["io.modelcontextprotocol/related-task"], { taskId })
      assert.strictEqual((yield* rpc(url, "tasks/get", { taskId }, session)).result.status, "completed")
      assert.strictEqual((yield* rpc(url, "tasks/cancel", { taskId }, session)).error.code, -32602)

      const slow = (yield* rpc(url, "tools/call", call("slow", {}, asTask), session)).result.task.taskId
      const { tasks } = (yield* rpc(url, "tasks/list", {}, session)).result
      assert.deepStrictEqual(tasks.map((task: { taskId: string }) => task.taskId), [slow, taskId])
      const others = yield* open(url, {}, "bob")
      assert.deepStrictEqual((yield* rpc(url, "tasks/list", {}, others)).result.tasks, [])
      assert.strictEqual((yield* rpc(url, "tasks/get", { taskId: slow }, others)).error.code, -32602)
      assert.strictEqual((yield* rpc(url, "tasks/cancel", { taskId: slow }, others)).error.code, -32602)
      assert.strictEqual((yield* rpc(url, "tasks/cancel", { taskId: slow }, session)).result.status, "cancelled")
      const failing = (yield* rpc(url, "tools/call", call("only_task", {}, asTask), session)).result.task.taskId
      assert.isTrue((yield* rpc(url, "tasks/result", { taskId: failing }, session)).result.isError)
      assert.strictEqual((yield* rpc(url, "tasks/get", { taskId: failing }, session)).result.status, "failed")
    }).pipe(Effect.scoped))

  it.live("says each new status on the stream of tasks/result, and is kept as long as retention says", () =>
    Effect.gen(function*() {
      const kept = yield* lasting
      const { url } = yield* serveAsker(kept)
      const session = yield* open(url, { elicitation: {} })
      const make = rpc(url, "tools/call", call("job", { asks: true }, { task: { ttl: 1 } }), session)
      const { result: forEver } = yield* make
      assert.isNull(forEver.task.ttl)
      yield* Layer.build(Layer.provide(
        Retention.layer({ completed: "2 hours", failed: "1 hour", tenants: { other: { completed: "1 second" } } }),
        Layer.succeedContext(kept)
      ))
      const { result: { task } } = yield* make
      assert.isTrue(task.ttl >= 3_600_000 && task.ttl < 3_660_000, String(task.ttl))
      const [asked, statuses] = [new Set<string>(), new Array<string>()]
      const headers = { "content-type": "application/json", accept: "application/json, text/event-stream", ...session }
      const result = yield* Effect.promise(async () => {
        const sent = (message: object) => fetch(url, { method: "POST", headers, body: JSON.stringify(message) })
        const response = await sent({
          jsonrpc: "2.0",
          id: 4,
          method: "tasks/result",
          params: { taskId: task.taskId }
        })
        let text = ""
        for await (const chunk of response.body ?? []) {
          text += new TextDecoder().decode(chunk)
          for (const { id, method } of messagesIn(text.slice(0, text.lastIndexOf("\n\n") + 1))) {
            if (method !== "elicitation/create" || asked.has(id)) continue
            asked.add(id)
            await sent({ jsonrpc: "2.0", id, result: accept({ name: "Ada" }) })
          }
        }
        const messages = messagesIn(text)
        for (const { method, params } of messages) {
          if (method !== "notifications/tasks/status") continue
          assert.strictEqual(params.taskId, task.taskId)
          statuses.push(params.status)
        }
        return messages.at(-1).result
      })
      assert.strictEqual(result.content[0].text, "Ada Ada")
      assert.strictEqual(statuses.at(-1), "completed")
      const ended = (yield* rpc(url, "tasks/get", { taskId: task.taskId }, session)).result
      assert.isTrue(ended.ttl >= 7_200_000 && ended.ttl < 7_260_000, String(ended.ttl))
      const made = last(yield* modern(url, "tools/call", call("job"), { capabilities: extension })).result
      assert.isTrue(made.ttlMs >= 3_600_000, String(made.ttlMs))
    }).pipe(Effect.scoped))

  it.live("is refused with -32601 where a tool is no task, or has to be one", () =>
    Effect.gen(function*() {
      const { url } = yield* Effect.flatMap(lasting, serveAsker)
      const session = yield* open(url, {})
      const refused = [call("work", {}, { task: {} }), call("only_task")]
      for (const params of refused) {
        assert.strictEqual((yield* rpc(url, "tools/call", params, session)).error.code, -32601)
      }
    }).pipe(Effect.scoped))
})
