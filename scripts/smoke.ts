/**
 * Runs the README's start command, checks the example over real sockets, stops it and starts it again. Words after the
 * script's name are another command to start.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { freePort } from "./internal/freePort.ts"

const exited = (server: ChildProcess): boolean => server.exitCode !== null || server.signalCode !== null

const healthy = async (server: ChildProcess, url: string): Promise<void> => {
  const deadline = performance.now() + 20_000
  while (performance.now() < deadline) {
    if (exited(server)) throw new Error(`${[command, ...words].join(" ")} ended with code ${server.exitCode}`)
    const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(2000) }).catch(() => undefined)
    if (response?.status === 200) return
    await sleep(100)
  }
  throw new Error("GET /health did not answer 200 within 20 s")
}

/** npm and the server are one process group, led by the pid that we started. */
const signal = (server: ChildProcess, name: NodeJS.Signals): void => {
  if (server.pid === undefined || exited(server)) return
  process.kill(-server.pid, name)
}

const stop = async (server: ChildProcess): Promise<void> => {
  if (exited(server)) return
  const ended = once(server, "exit")
  signal(server, "SIGTERM")
  const late = setTimeout(() => signal(server, "SIGKILL"), 10_000)
  await ended
  clearTimeout(late)
}

const store = join(mkdtempSync(join(tmpdir(), "fastagentic-smoke-")), "acme.db")

const [command = "npm", ...words] = process.argv.length > 2 ? process.argv.slice(2) : ["npm", "start"]

/** Runs the command on a store of its own. */
const serve = async (use: (url: string) => Promise<void>): Promise<void> => {
  const port = await freePort()
  const server = spawn(command, words, {
    detached: true,
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, PORT: String(port), FASTAGENTIC_STORE: store }
  })
  try {
    const url = `http://127.0.0.1:${port}`
    await healthy(server, url)
    await use(url)
  } finally {
    await stop(server)
  }
}

const expect = (what: string, actual: unknown, expected: unknown): void => {
  if (JSON.stringify(actual) !== JSON.stringify(expected)) {
    throw new Error(`smoke: ${what} is ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`)
  }
  console.log(`smoke: ${what} is ${JSON.stringify(actual)}`)
}

const post = async (url: string, body: unknown) => {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body)
  })
  return { status: response.status, body: await response.json() }
}

let paused = { runId: "", interrupts: [{ id: "", tool: "", arguments: {} }] }

await serve(async (url) => {
  const found = await post(`${url}/agents/support`, { question: "Where is order 1042?" })
  expect("the order that is asked for", found.body.orders[0].id, 1042)
  const missing = await post(`${url}/agents/support`, { question: "Where is order 999999?" })
  expect("the answer for an order that is not there", [missing.status, missing.body.error._tag], [404, "OrderNotFound"])
  const refund = await post(`${url}/agents/support`, { question: "Refund order 1042 in full" })
  paused = refund.body
  const { arguments: args, tool } = paused.interrupts[0] ?? { arguments: {}, tool: "" }
  expect("a refund", [refund.status, tool, args], [202, "refund_order", {
    orderId: 1042,
    amount: found.body.orders[0].amount
  }])
  const card = await (await fetch(`${url}/.well-known/agent-card.json`)).json()
  expect("the first skill of the card", card.skills[0].id, "support")
  const schema = await (await fetch(`${url}/mcp/schema`)).json()
  expect("MCP lists find_order", schema.tools.some((tool: { name: string }) => tool.name === "find_order"), true)
  expect("the page of documents", (await fetch(`${url}/docs`)).status, 200)
})

await serve(async (url) => {
  const { id } = paused.interrupts[0] ?? { id: "" }
  const answered = await post(`${url}/runs/${paused.runId}/interrupts/${id}`, { decision: "approve" })
  expect("that the decision is taken after a restart", answered.status < 300, true)
  const journal = await (await fetch(`${url}/runs/${paused.runId}/events`)).text()
  expect("the end of the journal", journal.trim().split("\n").at(-2), "event: done")
})
