// A denied interrupt over a real socket, on SQLite, and the one message of a refusal on every wire.
import { NodeHttpClient, NodeWS } from "@effect/platform-node"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Client } from "fastagentic"
import { once } from "node:events"
import hello from "./fixture/app.ts"
import { json, mcpRequest, request } from "./matrix/transports.ts"
import { fastagentic, fixture, listening, type Running } from "./process.ts"

const denial = "The request \"ok\" was denied: not today"
const deny = { decision: "deny", reason: "not today" }

let running: Running
let url: string

beforeAll(async () => {
  running = fastagentic(["run", fixture("app.ts"), "--mode", "http", "--port", "0"])
  url = await listening(running)
}, 60_000)

afterAll(async () => {
  running.child.kill("SIGTERM")
  await running.exited
})

const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  request(url + path, { method: "POST", headers: { ...json, ...headers }, body: JSON.stringify(body) })

const answerNo = async (runId: string) => {
  const { body } = await request(`${url}/runs/${runId}/interrupts`)
  const { status } = await post(`/runs/${runId}/interrupts/${body.items[0].id}`, deny)
  assert.strictEqual(status, 202)
}

const mcp = async (key: string, name: string) => {
  const { body } = await request(
    `${url}/mcp`,
    mcpRequest("tools/call", {
      name: "greeter",
      arguments: { name },
      _meta: { "fastagentic/idempotencyKey": key }
    })
  )
  return JSON.parse(body.result.content[0].text)
}

let messages = 0

const a2a = async (part: unknown, taskId?: string) => {
  const message = { messageId: `m${++messages}`, role: "ROLE_USER", parts: [part], ...(taskId && { taskId }) }
  const { body } = await post(
    "/a2a/greeter",
    { jsonrpc: "2.0", id: 1, method: "SendMessage", params: { message } },
    { "a2a-version": "1.0" }
  )
  return body
}

/** The frames of a socket until `last` says that it has seen enough; `reply` may answer one. */
const frames = async (
  first: unknown,
  last: (frame: { readonly type: string }) => boolean,
  reply: (event: { readonly type: string; readonly runId: string; readonly data: { readonly id: string } }) => unknown
) => {
  const socket = new NodeWS.WebSocket(`${url.replace("http", "ws")}/ws`)
  await once(socket, "open")
  // A frame is whatever the server sends: the assertions say its shape.
  const seen: Array<ReturnType<typeof JSON.parse>> = []
  const ended = new Promise<void>((resolve) =>
    socket.on("message", (data) => {
      const frame = JSON.parse(String(data))
      seen.push(frame)
      const answer = frame.type === "event" ? reply(frame.event) : undefined
      if (answer !== undefined) socket.send(JSON.stringify(answer))
      if (last(frame)) resolve()
    })
  )
  socket.send(JSON.stringify(first))
  await ended
  socket.terminate()
  return seen
}

describe("an agent that does not declare the denial of its question", () => {
  it("answers 403 over REST, with the typed error and its message", async () => {
    const key = { "idempotency-key": "rest" }
    const started = await post("/agents/greeter", { name: "Ada" }, key)
    assert.strictEqual(started.status, 202)
    await answerNo(started.body.runId)
    const { body, status } = await post("/agents/greeter", { name: "Ada" }, key)
    assert.strictEqual(status, 403)
    assert.deepInclude(body, { title: "InterruptDenied", status: 403, detail: denial })
    assert.deepStrictEqual(body.error, { _tag: "InterruptDenied", name: "ok", reason: "not today" })
    const run = await request(`${url}/runs/${started.body.runId}`)
    assert.deepInclude(run.body.error, { tag: "InterruptDenied", message: denial, status: 403, declared: false })
  })

  it("answers with the same error and message over MCP", async () => {
    const paused = await mcp("mcp", "Ada")
    assert.strictEqual(paused._tag, "RunSuspended")
    await answerNo(paused.runId)
    assert.deepStrictEqual(await mcp("mcp", "Ada"), {
      _tag: "InterruptDenied",
      name: "ok",
      reason: "not today",
      message: denial
    })
  })

  it("ends its task with the same error and message over A2A", async () => {
    const { result: { task } } = await a2a({ text: "Ada" })
    assert.strictEqual(task.status.state, "TASK_STATE_INPUT_REQUIRED")
    const { error, result } = await a2a({ data: deny }, task.id)
    assert.strictEqual(result?.task.status.state, "TASK_STATE_FAILED", JSON.stringify(error))
    assert.deepStrictEqual(result.task.status.message.parts, [
      { text: denial },
      { data: { _tag: "InterruptDenied", name: "ok", reason: "not today" } }
    ])
  })

  it("ends its run with the same error and message over a WebSocket", async () => {
    const seen = await frames(
      { id: "1", op: "start", agent: "greeter", payload: { name: "Ada" } },
      ({ type }) => type === "end",
      ({ data, runId, type }) =>
        type === "interrupt" ? { id: "2", op: "answer", runId, interruptId: data.id, ...deny } : undefined
    )
    assert.deepInclude(seen.find(({ event }) => event?.type === "error").event.data, {
      tag: "InterruptDenied",
      status: 403,
      message: denial
    })
  })

  it.live("fails with InterruptDenied at its typed client", () =>
    Effect.gen(function*() {
      const client = yield* Client.make(hello.app, { url })
      const call = client.agents.greeter({ name: "Ada" }, { idempotencyKey: "client" })
      const suspended = yield* Effect.flip(call)
      assert(suspended._tag === "RunSuspended")
      yield* Effect.promise(() => answerNo(suspended.run.runId))
      const failed = yield* call.pipe(
        Effect.catchReason("ClientError", "InterruptDenied", ({ message, name, reason }) =>
          Effect.succeed({ message, name, reason }))
      )
      assert.deepStrictEqual(failed, { message: denial, name: "ok", reason: "not today" })
    }).pipe(Effect.provide(NodeHttpClient.layerUndici)))
})

describe("one refusal", () => {
  it("has the same message as detail over REST and WebSocket, as text over MCP, and as message over A2A", async () => {
    const rest = await post("/agents/greeter", { name: "" })
    assert.strictEqual(rest.status, 400)
    assert.match(rest.body.detail, /^The input for "greeter" is invalid: name: .+\. Correct it and send it again\.$/u)
    assert.strictEqual((await mcp("invalid", "")).message, rest.body.detail)
    assert.strictEqual((await a2a({ data: { name: "" } })).error.message, rest.body.detail)
    const [frame] = await frames(
      { id: "1", op: "start", agent: "greeter", payload: { name: "" } },
      () => true,
      () => undefined
    )
    assert.strictEqual(frame.problem.detail, rest.body.detail)
  })

  it("about a run that is not there says the same over REST and A2A", async () => {
    const rest = await request(`${url}/runs/nope`)
    assert.deepInclude(rest.body, {
      status: 404,
      detail: "There is no run \"nope\", or it belongs to somebody else. Check its id."
    })
    const { body } = await post(
      "/a2a/greeter",
      { jsonrpc: "2.0", id: 1, method: "GetTask", params: { id: "nope" } },
      { "a2a-version": "1.0" }
    )
    assert.strictEqual(body.error.message, rest.body.detail)
  })
})
