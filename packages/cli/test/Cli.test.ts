import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { once } from "node:events"
import { connect, createServer } from "node:net"
import { command, fastagentic, fixture, listening, type Running, temporaryFolder } from "./process.ts"

const app = fixture("app.ts")
const serveArgs = ["run", app, "--mode", "http", "--port", "0", "--store", "runs.db"]

const post = async (url: string, body: unknown) => {
  const response = await fetch(url, { method: "POST", body: JSON.stringify(body) })
  return { status: response.status, headers: response.headers, body: await response.json() }
}
const get = async (url: string) => (await fetch(url)).json()

/** Runs a test with a server and always stops it. */
const withServer = async (use: (url: string, running: Running) => Promise<void>, cwd = temporaryFolder()) => {
  const running = fastagentic(serveArgs, { cwd })
  try {
    await use(await listening(running), running)
  } finally {
    running.child.kill("SIGKILL")
  }
}

describe("fastagentic run", () => {
  it("the printed commands work", () =>
    withServer(async (url, running) => {
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

  it("a run that waits for a decision survives a restart", async () => {
    const cwd = temporaryFolder()
    let [runId, id] = ["", ""]
    await withServer(async (url, running) => {
      const paused = await post(`${url}/agents/greeter`, { name: "Ada" })
      assert.strictEqual(paused.status, 202)
      runId = paused.body.runId
      id = paused.body.interrupts[0].id
      running.child.kill("SIGINT")
      assert.strictEqual(await running.exited, 0)
    }, cwd)
    await withServer(async (url) => {
      const { items } = await get(`${url}/runs?state=suspended`)
      assert.deepStrictEqual(items.map((run: { runId: string }) => run.runId), [runId])
      const answered = await post(`${url}/runs/${runId}/interrupts/${id}`, { decision: "approve", value: true })
      assert.include([200, 202], answered.status)
      const journal = await (await fetch(`${url}/runs/${runId}/events`)).text()
      assert.include(journal, "Ada is fine: true")
      assert.deepStrictEqual([...journal.matchAll(/^id: (\d+)$/gmu)].map(([, seq]) => Number(seq)), [
        1,
        2,
        3,
        4,
        5,
        6,
        7,
        8
      ])
    }, cwd)
  })

  it("a run resumes after SIGKILL from its last commit", async () => {
    const cwd = temporaryFolder()
    let runId = ""
    await withServer(async (url, running) => {
      const started = await post(`${url}/agents/greeter/runs`, { name: "nap" })
      assert.strictEqual(started.status, 202)
      runId = started.body.runId
      await new Promise((resolve) => setTimeout(resolve, 300))
      running.child.kill("SIGKILL")
      await running.exited
    }, cwd)
    await withServer(async (url) => {
      const journal = await (await fetch(`${url}/runs/${runId}/events`)).text()
      assert.include(journal, "nap is fine: true")
      assert.strictEqual([...journal.matchAll(/^event: token$/gmu)].length, 1)
      const run = await get(`${url}/runs/${runId}`)
      assert.deepInclude(run, { state: "completed", attempt: 2 })
    }, cwd)
  })

  it("SIGTERM ends open streams with a retry hint and exits 0", () =>
    withServer(async (url, running) => {
      const stream = fetch(`${url}/agents/greeter/stream`, { method: "POST", body: JSON.stringify({ name: "slow" }) })
        .then((response) => response.text())
      await new Promise((resolve) => setTimeout(resolve, 300))
      running.child.kill("SIGTERM")
      assert.match(await stream, /retry: \d+\n\n$/u)
      assert.strictEqual(await running.exited, 0)
    }))

  it("a second signal stops at once and keeps the run", async () => {
    const cwd = temporaryFolder()
    await withServer(async (url, running) => {
      await post(`${url}/agents/greeter/runs`, { name: "slow" })
      running.child.kill("SIGINT")
      running.child.kill("SIGINT")
      assert.include([0, 130], await running.exited)
    }, cwd)
    await withServer(async (url) => {
      const { items } = await get(`${url}/runs`)
      assert.deepInclude(items[0], { state: "running", attempt: 2 })
    }, cwd)
  })

  it("a second signal of another kind stops at once", () =>
    withServer(async (url, running) => {
      // An incomplete request delays a graceful stop.
      const socket = connect(Number(new URL(url).port), "127.0.0.1")
      await once(socket, "connect")
      socket.on("error", () => {}).write(
        "POST /agents/greeter HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{"
      )
      await new Promise((resolve) => setTimeout(resolve, 200))
      running.child.kill("SIGTERM")
      await new Promise((resolve) => setTimeout(resolve, 300))
      assert.isNull(running.child.exitCode)
      running.child.kill("SIGINT")
      assert.strictEqual(await running.exited, 130)
      socket.destroy()
    }))

  it("a second server on the same store fails in one line", async () => {
    const cwd = temporaryFolder()
    await withServer(async () => {
      const second = fastagentic(serveArgs, { cwd })
      assert.strictEqual(await second.exited, 2)
      assert.match(second.stderr(), /^fastagentic: .*runs\.db.* in use[^\n]*\n$/u)
    }, cwd)
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
