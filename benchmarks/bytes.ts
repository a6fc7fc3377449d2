/**
 * Bytes that the JavaScript of a request allocates, sampled, of the working tree and of a commit when one is named. Unlike
 * CPU time the figure hardly depends on what else the machine does; what is allocated has to be made, moved and collected.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { checkOut } from "./against/checkout.ts"
import { hotPaths, type Measure, type Subject } from "./against/measures.ts"
import { send } from "./load.ts"
import { start } from "./process.ts"

const requests = 2_000
const warmUp = 3_000
const clients = 8

const measured = async (benchmarks: string, subject: Subject, { load }: Measure): Promise<number> => {
  const folder = mkdtempSync(join(tmpdir(), "bytes-"))
  const file = join(folder, "sum")
  const server = await start(subject.command, "memory", "", {
    ...subject.environment(join(folder, "runs.db"), ""),
    NODE_OPTIONS: `--import=${join(import.meta.dirname, "servers/sampling.ts")}`,
    BYTES_FILE: file
  }, benchmarks)
  try {
    await send(server.url, load, warmUp, clients)
    server.signal("SIGUSR2")
    await sleep(300)
    await send(server.url, load, requests, clients)
    server.signal("SIGUSR2")
    for (let waited = 0; waited < 100; waited++) {
      await sleep(100)
      const sum = Number(read(file))
      if (sum > 0) return sum / requests
    }
    throw new Error("the server wrote no sum")
  } finally {
    server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

const read = (file: string) => {
  try {
    return readFileSync(file, "utf8")
  } catch {
    return "0"
  }
}

const [revision] = process.argv.slice(2)
const other = revision === undefined ? undefined : checkOut(revision)
const kib = (bytes: number) => (bytes / 1_024).toFixed(1)
try {
  for (const subject of hotPaths("").filter(({ name }) => !name.startsWith("door"))) {
    for (const measure of subject.measures) {
      const tree = await measured(import.meta.dirname, subject, measure)
      const line = `${subject.name}: ${measure.name}: ${kib(tree)} KiB a request`
      if (other === undefined) console.log(line)
      else {
        const before = await measured(join(other.folder, "benchmarks"), subject, measure)
        console.log(`${line}, ${kib(before)} at ${other.commit}, ratio ${(tree / before).toFixed(2)}`)
      }
    }
  }
} finally {
  if (other !== undefined) rmSync(other.folder, { recursive: true, force: true })
}
