import { NodeWS } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { once } from "node:events"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { fastagentic, fixture, listening, type Running, temporaryFolder } from "./process.ts"

const serve = (database: string, env: Record<string, string> = {}) =>
  fastagentic(["run", fixture("chat.ts"), "--mode", "http", "--port", "0", "--store", database], { env })

const kill = async ({ child, exited }: Running) => {
  child.kill("SIGKILL")
  await exited
}

const request = async (url: string, init: RequestInit = {}) => {
  const response = await fetch(url, init)
  return { status: response.status, body: await response.json() }
}

const post = (url: string, body: unknown, headers: Record<string, string> = {}) =>
  request(url, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json", ...headers }
  })

const say = (url: string, text: string, path = "") =>
  post(`${url}/agents/chat${path}`, { text }, { "x-thread-id": "t" })

const overA2a = (url: string, text: string) =>
  post(`${url}/a2a`, {
    jsonrpc: "2.0",
    id: 1,
    method: "SendMessage",
    params: { message: { messageId: text, role: "ROLE_USER", contextId: "t", parts: [{ data: { text } }] } }
  }, { "a2a-version": "1.0" })

const overSocket = async (url: string, text: string) => {
  const socket = new NodeWS.WebSocket(`${url.replace("http", "ws")}/ws`)
  const frames: Array<string> = []
  const ended = new Promise<void>((resolve) => {
    socket.on("message", (data) => {
      frames.push(String(data))
      if (JSON.parse(String(data)).type === "end") resolve()
    })
  })
  await once(socket, "open")
  socket.send(JSON.stringify({ op: "start", id: "s", agent: "chat", payload: { text }, threadId: "t" }))
  await ended
  socket.close()
  return frames.join("\n")
}

const messages = async (url: string): Promise<ReadonlyArray<string>> => {
  const { body } = await request(`${url}/threads/t/messages?limit=200`)
  return body.items.map(({ content, role }: { content: ReadonlyArray<{ text?: string }>; role: string }) =>
    `${role} ${content.map(({ text = "" }) => text).join("")}`.trim()
  )
}

const turn = (text: string, ...before: ReadonlyArray<string>) => [
  `user ${text}`,
  "assistant",
  "tool",
  `assistant ${[...before, text].join("|")}`
]

const ended = async (url: string, runId: string) => {
  while (true) {
    const { body } = await request(`${url}/runs/${runId}`)
    if (body.state === "completed") return body
    await setTimeout(50)
  }
}

describe("a conversation on SQLite", () => {
  it("is summarized once it is too long, and the summary is kept over a restart", async () => {
    const database = join(temporaryFolder(), "chat.db")
    let running = serve(database)
    let url = await listening(running)
    const brief = (text: string) => post(`${url}/agents/brief`, { text }, { "x-thread-id": "t" })
    const answers: Array<string> = []
    for (const text of ["a", "b", "c", "d", "e"]) answers.push((await brief(text)).body)
    await kill(running)
    running = serve(database)
    url = await listening(running)
    for (const text of ["f", "g"]) answers.push((await brief(text)).body)
    const heading = "Summary of the conversation before this:\n"
    assert.deepStrictEqual(answers, [
      "a",
      "a|b",
      "a|b|c",
      `${heading}<a><b>|c|d`,
      `${heading}<a><b>|c|d|e`,
      `${heading}<a><b><c><d>|e|f`,
      `${heading}<a><b><c><d>|e|f|g`
    ])
    assert.deepStrictEqual((await messages(url)).filter((one) => one.startsWith("summary")), [
      "summary <a><b>",
      "summary <a><b><c><d>"
    ])
    await kill(running)
  }, 120_000)

  it("is summarized when the model finds it too long, once, also over a restart in the turn", async () => {
    const database = join(temporaryFolder(), "chat.db")
    let running = serve(database, { SLOW: "600000" })
    let url = await listening(running)
    const tight = (text: string, path = "") => post(`${url}/agents/tight${path}`, { text }, { "x-thread-id": "t" })
    for (const text of ["a", "b", "c", "d"]) await tight(text)
    const { body: { runId } } = await tight("slow", "/runs")
    while (!JSON.stringify((await request(`${url}/runs/${runId}/checkpoints`)).body).includes("call note")) {
      await setTimeout(50)
    }
    assert.include(running.stdout() + running.stderr(), "summarizes")
    await kill(running)
    running = serve(database)
    url = await listening(running)
    const { output } = await ended(url, runId)
    assert.strictEqual(output, "Summary of the conversation before this:\n<a><b><c>|d|slow")
    const log = running.stdout() + running.stderr()
    assert.notInclude(log, "summarizes")
    assert.notInclude(log, "asked with 5 texts")
    assert.deepStrictEqual((await messages(url)).filter((one) => one.startsWith("summary")), ["summary <a><b><c>"])
    await kill(running)
  }, 120_000)

  it("has its history over REST, A2A and WebSocket, and after kills in and after a turn", async () => {
    const database = join(temporaryFolder(), "chat.db")
    let running = serve(database, { SLOW: "600000" })
    let url = await listening(running)
    assert.strictEqual((await say(url, "one")).body, "one")
    assert.include(JSON.stringify((await overA2a(url, "two")).body), "one|two")
    assert.include(await overSocket(url, "three"), "one|two|three")
    const three = [...turn("one"), ...turn("two", "one"), ...turn("three", "one", "two")]
    assert.deepStrictEqual(await messages(url), three)

    // In a turn: its question, its tool call and its answer are there together later, or not at all.
    const slow = (await say(url, "slow", "/runs")).body.runId
    while (!JSON.stringify((await request(`${url}/runs/${slow}/checkpoints`)).body).includes("call note")) {
      await setTimeout(50)
    }
    assert.deepStrictEqual(await messages(url), three)
    await kill(running)
    running = serve(database)
    url = await listening(running)
    const next = say(url, "five")
    assert.strictEqual((await ended(url, slow)).output, "one|two|three|slow")
    assert.strictEqual((await next).body, "one|two|three|slow|five")
    const five = [
      ...three,
      ...turn("slow", "one", "two", "three"),
      ...turn("five", "one", "two", "three", "slow")
    ]
    assert.deepStrictEqual(await messages(url), five)

    // After a turn.
    await kill(running)
    running = serve(database)
    url = await listening(running)
    assert.deepStrictEqual(await messages(url), five)
    const { body: fork } = await post(`${url}/threads/t/fork?at=4`, {})
    assert.strictEqual(
      (await post(`${url}/agents/chat`, { text: "else" }, { "x-thread-id": fork.threadId })).body,
      "one|else"
    )
    assert.strictEqual((await fetch(`${url}/threads/t`, { method: "DELETE" })).status, 204)
    assert.strictEqual((await request(`${url}/threads/t`)).status, 404)
    assert.strictEqual((await request(`${url}/runs/${slow}`)).status, 404)
    assert.strictEqual((await say(url, "anew")).body, "anew")
    await kill(running)
  }, 120_000)
})
