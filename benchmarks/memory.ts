/** Resident memory of the server after 5,000 and after 50,000 runs: in memory, in a SQLite file, and in one with a retention of a second. */
import { mkdtempSync, rmSync } from "node:fs"
import { loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { send } from "./load.ts"
import { start } from "./process.ts"

const early = Number(process.env["EARLY"] ?? 5_000)
const late = Number(process.env["LATE"] ?? 50_000)

const measure = async (name: string, path: string, store: string, retention?: string) => {
  const load = { path, body: { text: "one two three four five" }, expect: "event: done" }
  const server = await start("fastagentic", store, retention)
  try {
    await send(server.url, load, early, 16)
    const before = server.rssMiB()
    const seconds = await send(server.url, load, late - early, 16)
    const after = server.rssMiB()
    console.log(
      `${name}: RSS after ${early} runs ${before.toFixed(0)} MiB, after ${late} ${after.toFixed(0)} MiB: ` +
        `${((after / before - 1) * 100).toFixed(1)} %, ${Math.round((late - early) / seconds)} runs/s, ` +
        `load ${loadavg()[0]?.toFixed(1)}`
    )
  } finally {
    server.stop()
  }
}

const folder = mkdtempSync(join(tmpdir(), "bench-memory-"))
try {
  await measure("in memory", "/agents/echo/stream", "memory")
  await measure("durable, SQLite", "/agents/kept/stream", join(folder, "bench.db"))
  await measure("durable, SQLite, for 1 s", "/agents/kept/stream", join(folder, "short.db"), "completed=1s")
} finally {
  rmSync(folder, { recursive: true, force: true })
}
