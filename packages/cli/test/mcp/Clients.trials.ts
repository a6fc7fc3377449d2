import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { pythonWith } from "../adapters/environments.ts"
import { describeWith } from "../adapters/interpreters.ts"
import { type Ended, installed, run, scriptOf } from "./clients.ts"

const command = fileURLToPath(new URL("../../src/bin.ts", import.meta.url))
const app = fileURLToPath(new URL("../../../../examples/01-support/app.ts", import.meta.url))

interface Server {
  readonly child: ChildProcess
  readonly folder: string
  readonly url: string
  readonly key: string
}

/** The example on a SQLite file, for callers with a key. */
const server = Effect.acquireRelease(
  Effect.promise(async (): Promise<Server> => {
    const folder = mkdtempSync(join(tmpdir(), "mcp-clients-"))
    const store = ["--store", join(folder, "app.db")]
    const created = execFileSync(
      process.execPath,
      [command, "keys", "create", "ci", "--tenant", "acme", "--scope", "*", ...store],
      { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }
    )
    const key = /fak_\w+/u.exec(created)?.[0] ?? ""
    const child = spawn(
      process.execPath,
      [command, "run", app, "--mode", "http", "--port", "0", "--auth", "keys", ...store],
      { stdio: ["ignore", "pipe", "pipe"] }
    )
    const url = await new Promise<string>((resolve, reject) => {
      let output = ""
      const hear = (text: string) => {
        output += text
        const found = /answers on (http:\S+)/u.exec(output)?.[1]
        if (found !== undefined) resolve(`${found}/mcp`)
      }
      child.stdout.setEncoding("utf8").on("data", hear)
      child.stderr.setEncoding("utf8").on("data", hear)
      child.once("exit", (code) => reject(new Error(`the server ended with ${code}: ${output}`)))
    })
    return { child, folder, url, key }
  }),
  ({ child, folder }) =>
    Effect.promise(() =>
      new Promise<void>((resolve) => {
        child.once("exit", () => {
          rmSync(folder, { recursive: true, force: true })
          resolve()
        })
        child.kill("SIGTERM")
      })
    )
)

class Served extends Context.Service<Served, Server>()("test/Served") {
  static readonly layer = Layer.effect(Served, server)
}

const tools = ["answer_run", "cancel_run", "echo", "find_order", "get_run", "refund_order", "search_orders", "support"]

/** Checks the output of a script: it has seen a list, structured content, an error, an approval, a resource, a prompt, a refusal. */
const sawAll = ({ code, errors, output }: Ended) => {
  assert.strictEqual(code, 0, errors)
  const saw = JSON.parse(output)
  assert.deepStrictEqual(saw.tools, tools)
  assert.deepInclude(saw.found, { id: 1001, currency: "EUR" })
  assert.isTrue(saw.failed[0])
  assert.include(saw.failed[1], "InvalidPayload")
  assert.deepInclude(saw.refunded, { orderId: 1001, refunded: 1 })
  assert.lengthOf(saw.asked, 1)
  assert.include(saw.asked[0], "Arguments: {\"orderId\":1001,\"amount\":1}")
  assert.include(saw.resource, "# Returns")
  assert.include(saw.prompt, "A customer is upset")
  assert.match(saw.refused, /credentials are not valid/u)
}

const python = pythonWith("mcp-clients")

describeWith("Python clients of MCP", python, (path) => {
  layer(Served.layer)("Python clients of MCP", (it) => {
    for (const script of ["fastmcp_client.py", "mcp_client.py"]) {
      it.effect(`${script} lists, calls, approves, reads and is refused without a valid key`, () =>
        Effect.gen(function*() {
          const { key, url } = yield* Served
          sawAll(yield* Effect.promise(() => run(path, [scriptOf(script), url, key], tmpdir())))
        }))
    }
  })
})

const node = installed()

if ("reason" in node) describe.skip(`MCP clients on Node: ${node.reason}`, () => {})
else {layer(Served.layer)("MCP clients on Node", (it) => {
    const bin = (name: string) => join(node.folder, "node_modules/.bin", name)
    const onNode = (script: string, ...args: ReadonlyArray<string>) =>
      Effect.promise(() => run(process.execPath, [script, ...args]))

    it.effect("the AI SDK's lists, calls, approves, reads and is refused without a valid key", () =>
      Effect.gen(function*() {
        const { key, url } = yield* Served
        sawAll(yield* onNode("aiSdk.mjs", url, key))
      }))

    it.effect("mcporter lists, calls, reads, and is told to authenticate", () =>
      Effect.gen(function*() {
        const { folder, key, url } = yield* Served
        const config = join(folder, "mcporter.json")
        const entry = (token: string) => ({ baseUrl: url, headers: { "x-api-key": token } })
        writeFileSync(config, JSON.stringify({ mcpServers: { acme: entry(key), wrong: entry("wrong") } }))
        const ask = (...args: ReadonlyArray<string>) => onNode(bin("mcporter"), "--config", config, ...args)
        const list = yield* ask("list", "acme", "--json")
        const listed: { readonly status: string; readonly tools: ReadonlyArray<{ readonly name: string }> } = JSON
          .parse(
            list.output
          )
        assert.deepStrictEqual([listed.status, listed.tools.map(({ name }) => name)], ["ok", tools])
        const found = yield* ask("call", "acme.find_order", "orderId=1001", "--output", "json")
        assert.deepInclude(JSON.parse(found.output), { id: 1001, currency: "EUR" })
        const failed = yield* ask("call", "acme.find_order", "orderId=1", "--output", "json")
        assert.include(failed.output, "InvalidPayload")
        assert.include((yield* ask("resource", "acme", "handbook://returns")).output, "# Returns")
        assert.include((yield* ask("list", "wrong", "--json")).output, "auth required")
      }))

    for (const era of ["modern", "legacy"]) {
      it.effect(`the Inspector finds nothing that hosts refuse, lists, calls, reads and is refused (${era})`, () =>
        Effect.gen(function*() {
          const { key, url } = yield* Served
          const toServer = `--cli --server-url ${url} --transport http --format json -q --stored-auth-only`.split(" ")
          const inspect = (token: string, method: string, ...args: ReadonlyArray<string>) =>
            onNode(
              bin("mcp-inspector"),
              ...toServer,
              "--header",
              `x-api-key:${token}`,
              "--protocol-era",
              era,
              "--method",
              method,
              ...args
            )
          const list = yield* inspect(key, "tools/list", "--strict")
          assert.strictEqual(list.code, 0, list.errors)
          assert.notMatch(list.output + list.errors, /warning: |error: /iu)
          const found = yield* inspect(key, "tools/call", "--tool-name", "find_order", "--tool-arg", "orderId=1001")
          assert.deepInclude(JSON.parse(found.output).result.structuredContent, { id: 1001 })
          const failed = yield* inspect(key, "tools/call", "--tool-name", "find_order", "--tool-arg", "orderId=1")
          assert.isTrue(JSON.parse(failed.output).result.isError)
          assert.include((yield* inspect(key, "resources/read", "--uri", "handbook://returns")).output, "# Returns")
          const prompt = yield* inspect(key, "prompts/get", "--prompt-name", "triage", "--prompt-args", "severity=high")
          assert.include(prompt.output, "A customer is upset")
          const refused = yield* inspect("wrong", "tools/list")
          assert.notStrictEqual(refused.code, 0)
        }))
    }
  })}
