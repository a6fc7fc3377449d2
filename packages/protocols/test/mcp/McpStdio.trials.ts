import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import process from "node:process"
import { fileURLToPath } from "node:url"
import { childEnvironment, connect, kinds, type Peer } from "./clients.ts"
import { suite } from "./suite.ts"

const script = fileURLToPath(new URL("stdioServer.ts", import.meta.url))

/** The child reports the state of its runs; ids of runs are in the order of their start. */
const server = Effect.sync(() => {
  const runs = new Map<string, string>()
  let heard = false
  let rest = ""
  const listen = (peer: Peer) => {
    heard = true
    peer.stderr?.on("data", (chunk) => {
      const lines = (rest + String(chunk)).split("\n")
      rest = lines.pop() ?? ""
      for (const line of lines) {
        const [, runId, state] = /^run (\S+) support (\w+)$/u.exec(line) ?? []
        if (runId !== undefined && state !== undefined) runs.set(runId, state)
      }
    })
  }
  const states = (peer: Peer) =>
    Effect.sync(() => {
      if (!heard) listen(peer)
      return [...runs].sort(([a], [b]) => a < b ? 1 : -1).map(([, state]) => state)
    })
  return { target: { _tag: "Stdio" as const, script }, states }
})

for (const kind of kinds) suite("McpStdio", kind, server)

/** A server process, and its output when it ends. */
const launch = (env: Record<string, string> = {}) => {
  const child = spawn(process.execPath, [script], { env: childEnvironment(env) })
  const printed = { stdout: "", stderr: "" }
  child.stdout.on("data", (chunk) => {
    printed.stdout += String(chunk)
  })
  child.stderr.on("data", (chunk) => {
    printed.stderr += String(chunk)
  })
  const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    child.on("close", (code) => resolve({ code, ...printed }))
  })
  return { child, ended, printed }
}

const initialize = JSON.stringify({
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } }
})

const send = ({ stdin }: ChildProcess, ...lines: ReadonlyArray<string>) => {
  for (const line of lines) stdin?.write(`${line}\n`)
}

const answered = (printed: { readonly stdout: string }, id: number) =>
  Effect.gen(function*() {
    while (!printed.stdout.includes(`"id":${id}`)) yield* Effect.sleep("10 millis")
  })

describe("McpStdio", () => {
  it.live("survives invalid lines, prints only messages, and ends with its input", () =>
    Effect.gen(function*() {
      const { child, ended, printed } = launch()
      send(child, "not json", "{\"jsonrpc\":\"2.0\"}", "[]", initialize)
      yield* answered(printed, 1)
      send(child, "{ broken", "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ping\"}")
      yield* answered(printed, 2)
      child.stdin.end()
      const { code, stdout, stderr } = yield* Effect.promise(() => ended)
      assert.strictEqual(code, 0)
      const messages = stdout.trim().split("\n").map((line) => JSON.parse(line))
      assert.deepStrictEqual(messages.map(({ id }) => id), [1, 2])
      assert.strictEqual(messages[0].result.serverInfo.name, "acme")
      assert.include(stderr, "starting")
      assert.include(stderr, "noise of a library\nmore noise\n")
    }))

  it.live("sends all progress before the result", () =>
    Effect.gen(function*() {
      const { child, ended, printed } = launch()
      send(child, initialize)
      yield* answered(printed, 1)
      send(
        child,
        JSON.stringify({
          jsonrpc: "2.0",
          id: 2,
          method: "tools/call",
          params: { name: "echo", arguments: { text: "one two" }, _meta: { progressToken: "p" } }
        })
      )
      yield* answered(printed, 2)
      child.stdin.end()
      const { stdout } = yield* Effect.promise(() => ended)
      const messages = stdout.trim().split("\n").map((line) => JSON.parse(line)).slice(1)
      const progress = messages.slice(0, -1).map(({ params }) => params)
      assert.strictEqual(messages.at(-1).result.content[0].text, "one two ")
      assert.isTrue(progress.every(({ progressToken }) => progressToken === "p"))
      assert.strictEqual(progress.map(({ message }) => message).join(""), "one two ")
      assert.deepStrictEqual(
        progress.map(({ progress: seq }) => seq),
        progress.map(({ progress: seq }) => seq).toSorted((a, b) => a - b)
      )
      const runId = messages.at(-1).result._meta["fastagentic/runId"]
      assert.isTrue(progress.every(({ _meta }) => _meta["fastagentic/runId"] === runId))
    }))

  it.live("ends with its input while a call waits", () =>
    Effect.gen(function*() {
      const { child, ended, printed } = launch()
      send(child, initialize)
      yield* answered(printed, 1)
      send(
        child,
        JSON.stringify({
          jsonrpc: "2.0",
          id: 2,
          method: "tools/call",
          params: { name: "support", arguments: { question: "wait" } }
        })
      )
      while (!printed.stderr.includes("support running")) yield* Effect.sleep("10 millis")
      child.stdin.end()
      assert.strictEqual((yield* Effect.promise(() => ended)).code, 0)
    }))

  it.live("refuses a subscription beyond the limit, and takes another after one has ended", () =>
    Effect.gen(function*() {
      const { child, ended, printed } = launch({ NOTES: "2" })
      send(child, initialize)
      yield* answered(printed, 1)
      const steps = [["subscribe", "a"], ["subscribe", "b"], ["subscribe", "b"], ["subscribe", "c"], [
        "unsubscribe",
        "a"
      ], [
        "subscribe",
        "c"
      ]]
      for (const [index, [method, page]] of steps.entries()) {
        const params = { uri: `handbook://${page}` }
        send(child, JSON.stringify({ jsonrpc: "2.0", id: 10 + index, method: `resources/${method}`, params }))
        yield* answered(printed, 10 + index)
      }
      child.stdin.end()
      const { stdout } = yield* Effect.promise(() => ended)
      const messages = stdout.trim().split("\n").map((line) => JSON.parse(line)).slice(1)
      assert.deepStrictEqual(
        messages.map(({ error }) => error?.data.rule),
        [undefined, undefined, undefined, "open-notes", undefined, undefined]
      )
    }))

  it.live("does not start without valid credentials", () =>
    Effect.gen(function*() {
      const { child, ended } = launch({ KEY: "wrong" })
      send(child, initialize)
      const { code, stdout } = yield* Effect.promise(() => ended)
      assert.notStrictEqual(code, 0)
      assert.strictEqual(stdout, "")
      const peer = yield* connect("sdk 1.x", { _tag: "Stdio", script, env: { KEY: "right" } })
      assert.isFalse((yield* Effect.promise(() => peer.callTool("find_order", { orderId: 1042 }))).isError)
    }))
})
