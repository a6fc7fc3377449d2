import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { createServer } from "node:net"
import { withApp } from "./golden.ts"
import { command, fastagentic, fixture, listening, temporaryFolder } from "./process.ts"

const app = fixture("app.ts")
const serveArgs = ["run", app, "--mode", "http", "--port", "0", "--store", "runs.db"]

describe("fastagentic run", () => {
  it("the printed commands work", () =>
    withApp("app.ts", async ({ running, url }) => {
      assert.include(running.stdout(), `${url}/docs`)
      assert.include(running.stdout(), `${url}/.well-known/agent-card.json`)
      const mcp = /MCP\s+(\{.*\})/u.exec(running.stdout())?.[1] ?? ""
      assert.deepStrictEqual(JSON.parse(mcp), { mcpServers: { hello: { type: "http", url: `${url}/mcp` } } })
      const curl = /Try\s+curl -sN (\S+) -H '([^']+)' -d '(.*)'$/mu.exec(running.stdout())
      const response = await fetch(curl?.[1] ?? "", {
        method: "POST",
        headers: Object.fromEntries([(curl?.[2] ?? "").split(": ")]),
        body: (curl?.[3] ?? "").replaceAll("'\\''", "'")
      })
      assert.strictEqual(response.status, 200)
      assert.include(await response.text(), "event: run_suspended")
    }))

  it("the printed commands include a token when callers need one", async () => {
    const cwd = temporaryFolder()
    const keys = fastagentic(["keys", "create", "ci", "--store", "runs.db"], { cwd })
    assert.strictEqual(await keys.exited, 0)
    const token = keys.stdout().trim()
    const running = fastagentic([...serveArgs, "--auth", "keys"], { cwd })
    try {
      const url = await listening(running)
      const mcp = /MCP\s+(\{.*\})/u.exec(running.stdout())?.[1] ?? ""
      assert.deepStrictEqual(JSON.parse(mcp).mcpServers.hello, {
        type: "http",
        url: `${url}/mcp`,
        headers: { Authorization: "Bearer ${FASTAGENTIC_TOKEN}" }
      })
      // The arguments that a shell reads from the line, one a line.
      const line = /Try\s+curl (.*)$/mu.exec(running.stdout())?.[1] ?? ""
      const shell = spawnSync("sh", ["-c", `printf '%s\\n' ${line}`], {
        encoding: "utf8",
        env: { ...process.env, FASTAGENTIC_TOKEN: token }
      })
      const [, target = "", , type, , authorization = "", , body = ""] = shell.stdout.split("\n")
      assert.deepStrictEqual([type, authorization], [
        "content-type: application/json",
        `authorization: Bearer ${token}`
      ])
      const shown = { authorization: authorization.slice("authorization: ".length) }
      const response = await fetch(target, { method: "POST", headers: shown, body })
      assert.strictEqual(response.status, 200)
      assert.include(await response.text(), "event: run_suspended")
      assert.strictEqual((await fetch(target, { method: "POST", body })).status, 401)
    } finally {
      running.child.kill("SIGKILL")
    }
  })

  it("stdout carries only MCP, and the process ends with stdin", async () => {
    const running = fastagentic(["run", fixture("chatty.ts"), "--mode", "stdio", "--store", "memory"], {
      stdin: "pipe"
    })
    running.child.stdin?.write(`${
      JSON.stringify({
        jsonrpc: "2.0",
        id: 1,
        method: "initialize",
        params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } }
      })
    }\n`)
    for (let i = 0; i < 400 && !running.stdout().includes("\n"); i++) {
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
    running.child.stdin?.end()
    assert.strictEqual(await running.exited, 0)
    const lines = running.stdout().trim().split("\n").map((line) => JSON.parse(line))
    assert.deepInclude(lines[0], { jsonrpc: "2.0", id: 1 })
    assert.strictEqual(lines[0].result.serverInfo.name, "hello")
    assert.include(running.stderr(), "a line that a user's file prints")
  })

  const oneLine = async (args: ReadonlyArray<string>, says: RegExp, env: Record<string, string> = {}) => {
    const { code, stderr, stdout } = await command(args, { env })
    assert.strictEqual(code, 2)
    assert.strictEqual(stdout, "")
    assert.match(stderr, says)
    assert.strictEqual(stderr.trimEnd().split("\n").length, 1, stderr)
  }

  it("the process of a wrong call ends with 2 and prints one line", async () => {
    const running = fastagentic(["run", app, "--mode", "sideways"])
    assert.strictEqual(await running.exited, 2)
    assert.strictEqual(running.stdout(), "")
    assert.match(running.stderr(), /^fastagentic: [^\n]*mode[^\n]*\n$/u)
  })

  it("a wrong call is refused in one line", async () => {
    await oneLine(["run", app, "--mode", "sideways"], /mode/u)
    await oneLine(["run", app, "--port", "99999"], /port/u)
    await oneLine(["run", app, "--colour", "red"], /colour/u)
    await oneLine(["run"], /file/u)
    await oneLine(["run", app, "--store", "mysql://root:secret@localhost/x"], /--store mysql:\/\/…: a store is/u)
    await oneLine(["run", app, "--mode", "http", "--port", "0", "--store", "/proc/nope/x.db"], /\/proc\/nope\/x\.db/u)
  })

  it("an invalid variable is named", async () => {
    const serve = ["run", app, "--mode", "http", "--port", "0", "--store", "x.db"]
    await oneLine(["run", app, "--store", "memory"], /flag --port: "abc"/u, { PORT: "abc" })
    await oneLine(serve, /FASTAGENTIC_BLOBS cannot be used: it names a folder, or a bucket/u, {
      FASTAGENTIC_BLOBS: "s3://["
    })
    await oneLine(serve, /FASTAGENTIC_BLOBS cannot be used: AWS_ACCESS_KEY_ID: /u, { FASTAGENTIC_BLOBS: "s3://b/x" })
    await oneLine(serve, /x\.db cannot be used: FASTAGENTIC_AUDIT_KEY: /u, { FASTAGENTIC_AUDIT_KEY: "hush" })
    await oneLine(["audit", "key"], /FASTAGENTIC_AUDIT_KEY: /u, { FASTAGENTIC_AUDIT_KEY: "hush" })
  })

  it("an unusable file is refused in one line", async () => {
    await oneLine(["run", "nowhere.ts"], /nowhere\.ts: there is no such file/u)
    await oneLine(["run", fixture("noApp.ts")], /exports no app/u)
    await oneLine(["run", fixture("throws.ts")], /cannot be loaded, .*throws\.ts:4: no such order/u)
    await oneLine(
      ["run", fixture("noHandler.js"), "--store", "memory"],
      /agent "ask": has no handler, and neither has tool "look": provide what its `toLayer` returns/u
    )
    await oneLine(["run", fixture("broken.ts")], /this file is broken/u)
  })

  it("a port in use and a public address without auth are refused in one line", async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", () => resolve()))
    const address = taken.address()
    const port = typeof address === "object" && address !== null ? String(address.port) : ""
    await oneLine(
      ["run", app, "--mode", "http", "--store", "memory", "--port", port],
      new RegExp(`port ${port}.* in use`, "u")
    )
    taken.close()
    await oneLine(["run", app, "--mode", "http", "--store", "memory", "--host", "0.0.0.0"], /without an auth layer/u)
  })
})
