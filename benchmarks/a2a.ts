/** CPU per request of A2A over JSON-RPC, beside a server of the official SDK in the same run; chunks, and memory over many tasks. */
import { mkdtempSync, rmSync } from "node:fs"
import { loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { median } from "./durable/measure.ts"
import { type Load, send } from "./load.ts"
import { type Command, type Measured, start } from "./process.ts"

const rounds = Number(process.env["ROUNDS"] ?? 5)
const requests = Number(process.env["REQUESTS"] ?? 1_500)
const tasks = Number(process.env["TASKS"] ?? 50_000)
const only = (process.env["ONLY"] ?? "send,stream,chunks,memory").split(",")
const concurrency = 32

const loadOf = (method: "SendMessage" | "SendStreamingMessage", text: string): Load => ({
  path: "/a2a",
  headers: { "a2a-version": "1.0", authorization: "Bearer key-of-ada" },
  body: () => ({
    jsonrpc: "2.0",
    id: 1,
    method,
    params: { message: { messageId: globalThis.crypto.randomUUID(), role: "ROLE_USER", parts: [{ text }] } }
  }),
  expect: "TASK_STATE_COMPLETED"
})

const words = (count: number) =>
  Array.from({ length: count }, () => "a chunk of 20 bytes.".replaceAll(" ", "_")).join(" ")

const loads = [
  { name: "send", load: loadOf("SendMessage", "one"), most: 1 },
  { name: "stream", load: loadOf("SendStreamingMessage", words(10)), most: 0.6 }
] as const

const folder = mkdtempSync(join(tmpdir(), "bench-a2a-"))
const contenders: ReadonlyArray<readonly [string, Command, Record<string, string>]> = [
  ["sdk", "a2aSdk", {}],
  ["ours", "a2a", {}],
  ["ours, not durable", "a2a", { DURABLE: "no" }],
  ["ours, SQLite", "a2a", { STORE: join(folder, "bench.db") }]
]

const servers = new Map<string, Measured>()
try {
  console.log(`load before: ${loadavg().map((one) => one.toFixed(1)).join(" ")}`)
  for (const [name, command, env] of contenders) servers.set(name, await start(command, "memory", "", env))
  for (const { load, most, name } of loads) if (only.includes(name)) await compare(name, load, most)
  if (only.includes("chunks")) await chunks()
  if (only.includes("memory")) await memory()
} finally {
  for (const server of servers.values()) server.stop()
  rmSync(folder, { recursive: true })
}

async function compare(name: string, load: Load, most: number) {
  const costs = new Map(contenders.map(([contender]) => [contender, new Array<number>()]))
  for (let round = 0; round <= rounds; round++) {
    for (const [contender, server] of servers) {
      const before = server.threadMillis()
      await send(server.url, load, requests, concurrency)
      // The first round only warms up.
      if (round > 0) costs.get(contender)?.push((server.threadMillis() - before) * 1_000 / requests)
    }
  }
  const peer = median(costs.get("sdk") ?? [])
  for (const [contender, all] of costs) {
    const cost = median(all)
    console.log(
      `${name}, ${contender}: ${cost.toFixed(0)} us (${all.map((one) => one.toFixed(0)).join(", ")}), ` +
        `${(cost / peer).toFixed(2)} of the SDK (at most ${most})`
    )
  }
}

/** One stream at a time, of more and more pieces: the cost of a piece stays what it is. */
async function chunks() {
  for (const contender of ["sdk", "ours"]) {
    const server = servers.get(contender)
    if (server === undefined) continue
    for (const count of [100, 400, 800, 1_600, 3_200]) {
      const load = loadOf("SendStreamingMessage", words(count))
      if (contender === "ours") await send(server.url, load, 2, 1)
      const before = server.threadMillis()
      await send(server.url, load, 1, 1)
      console.log(`${count} chunks, ${contender}: ${(server.threadMillis() - before).toFixed(0)} ms`)
    }
  }
}

/** Resident memory of a server that keeps its tasks in memory with a retention, over many of them. */
async function memory() {
  const server = await start("a2a", "memory", "", { DURABLE: "no" })
  try {
    const load = loadOf("SendMessage", "one")
    for (let done = 0; done < tasks; done += tasks / 5) {
      await send(server.url, load, tasks / 5, concurrency)
      console.log(`${done + tasks / 5} tasks: ${server.rssMiB().toFixed(0)} MiB`)
    }
  } finally {
    server.stop()
  }
}
