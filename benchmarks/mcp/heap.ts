// The heap of a server after each quarter of 100,000 calls and of 10,000 sessions.
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { send } from "../load.ts"
import { start } from "../process.ts"
import { modern, session } from "./calls.ts"

const calls = Number(process.env["CALLS"] ?? 100_000)
const sessions = Number(process.env["SESSIONS"] ?? 10_000)
const concurrency = 16

export const heap = async (env: Record<string, string>, token: string) => {
  const folder = mkdtempSync(join(tmpdir(), "bench-mcp-"))
  const file = join(folder, "heap")
  const server = await start("mcp", "memory", "", { ...env, HEAP_FILE: file })
  const heapMiB = async () => {
    rmSync(file, { force: true })
    server.signal("SIGUSR2")
    for (let i = 0; i < 600; i++) {
      await sleep(100)
      const bytes = Number(read(file))
      if (bytes > 0) return bytes / 1_048_576
    }
    throw new Error("the server wrote no heap")
  }
  const quarters = async (name: string, work: (count: number) => Promise<unknown>, count: number) => {
    const sizes = [await heapMiB()]
    for (let quarter = 0; quarter < 4; quarter++) {
      await work(count / 4)
      sizes.push(await heapMiB())
    }
    console.log(`heap over ${count} ${name}: ${sizes.map((size) => size.toFixed(1)).join(", ")} MiB`)
  }
  try {
    await send(server.url, modern(token), 5_000, concurrency)
    await quarters("calls of 2026-07-28", (count) => send(server.url, modern(token), count, concurrency), calls)
    await quarters("sessions of 2025-11-25", (count) => open(server.url, token, count), sessions)
  } finally {
    server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

const open = (url: string, token: string, count: number) => {
  let left = count
  return Promise.all(Array.from({ length: concurrency }, async () => {
    while (left-- > 0) await session(url, token)
  }))
}

const read = (file: string) => {
  try {
    return readFileSync(file, "utf8")
  } catch {
    return "0"
  }
}
