/**
 * Measures CPU, time to the first token and memory that hosting adds to a framework's run of 5 steps and 200 tokens. ROUNDS and
 * RUNS set the counts, ONLY names the frameworks. See README.md.
 */
import { fork } from "node:child_process"
import { once } from "node:events"
import { loadavg } from "node:os"
import { fileURLToPath } from "node:url"
import { median } from "./durable/measure.ts"

const rounds = Number(process.env["ROUNDS"] ?? 10)
const runs = Number(process.env["RUNS"] ?? 20)
const typescript = ["ai-sdk", "openai-agents", "mastra", "langgraph", "langchain"]
const all = [...typescript, "python", "python-pydantic-ai", "python-langgraph"]
const names = process.env["ONLY"]?.split(",") ?? all
const ways = ["alone", "memory", "sqlite"] as const
const profile = process.env["CPU_PROF"]
const profiling = profile === undefined ? [] : ["--cpu-prof", "--cpu-prof-dir", profile]
const program = fileURLToPath(new URL("servers/adapter.ts", import.meta.url))

interface Figures {
  readonly cpu: Array<number>
  readonly first: Array<number>
  rss: number
}

const start = async (name: string, way: string) => {
  const child = fork(program, [name, way], { execArgv: profiling })
  await once(child, "message")
  const found: Figures = { cpu: [], first: [], rss: 0 }
  const measure = async (counts: boolean) => {
    child.send(runs)
    const [answer] = await once(child, "message")
    const { cpu, first, rss } = Object(answer)
    if (!counts) return
    found.cpu.push(Number(cpu))
    found.first.push(Number(first))
    found.rss = Number(rss)
  }
  return { found, measure, stop: () => child.kill() }
}

const shown = (value: number) => value.toFixed(2)

console.log("| framework | | CPU ms of a run | beside alone | first token ms | resident MiB |")
console.log("|---|---|---|---|---|---|")
for (const name of names) {
  const processes = await Promise.all(ways.map((way) => start(name, way)))
  for (let round = 0; round < rounds; round++) {
    for (const { measure } of processes) await measure(round >= 3)
  }
  const [own] = processes
  for (const [index, way] of ways.entries()) {
    const found = processes[index]?.found
    if (found === undefined || own === undefined) continue
    const ratio = median(found.cpu.map((cpu, round) => cpu / (own.found.cpu[round] ?? 1)))
    const beside = Number.isFinite(ratio) ? shown(ratio) : "-"
    const cells = [name, way, shown(median(found.cpu)), beside, shown(median(found.first)), found.rss.toFixed(0)]
    console.log(`| ${cells.join(" | ")} |`)
  }
  for (const { stop } of processes) stop()
}
console.log(`load ${loadavg()[0]?.toFixed(1)}`)
