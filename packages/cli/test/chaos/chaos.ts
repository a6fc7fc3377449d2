// Kills and stops real servers and fails their store while they run journeys, and gathers the verdict on every run.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { strike } from "./faults.ts"
import { type Arrival, outputOf, travel } from "./journey.ts"
import { type Blows, kill, Node, stop } from "./nodes.ts"
import { makeRandom } from "./random.ts"
import { type Answer, ask, askAny } from "./requests.ts"
import { onSqlite, type Target } from "./targets.ts"
import { begunIn, examineRun } from "./verdict.ts"

export interface Options {
  /** The store of the processes; one process on a SQLite file when absent. */
  readonly target?: Target
  readonly runs: number
  /** The number of concurrent runs. */
  readonly atOnce: number
  readonly seed: number
  /** The seconds of kills; runs that have not ended count as lost once no run has ended for a minute after them. */
  readonly seconds: number
}

export interface Verdict extends Blows {
  admitted: number
  finished: number
  lost: number
  again: number
  gaps: number
  duplicates: number
  late: number
  repairs: number
  readonly wrong: Array<string>
}

export const chaos = async (options: Options): Promise<Verdict> => {
  const folder = mkdtempSync(join(tmpdir(), "fastagentic-chaos-"))
  const log = join(folder, "begun.jsonl")
  writeFileSync(log, "")
  const target = options.target ?? onSqlite(folder)
  const env = { ...target.env, CHAOS_LOG: log, JOURNEY_PACE: "50" }
  const nodes = target.stores.map((store) => new Node("journey.ts", store, env))
  try {
    await Promise.all(nodes.map((node) => node.start()))
    const { arrivals, blows } = await storm(nodes, options, target)
    // A stopped process gets the time to notice that its runs were continued.
    await sleep(1_000)
    const unready = await unreadyOf(nodes)
    const verdict = await judge(nodes, options, arrivals, log)
    const deaths = nodes.flatMap((node) => node.deaths)
    return { ...verdict, ...blows, wrong: [...verdict.wrong, ...deaths, ...unready] }
  } finally {
    await Promise.all(nodes.map((node) => node.kill()))
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The processes that do not come back to their store. */
const unreadyOf = async (nodes: ReadonlyArray<Node>): Promise<ReadonlyArray<string>> => {
  const answers = await Promise.all(nodes.map(async ({ url }) => {
    let answer: Answer | undefined
    for (let looks = 0; looks < 60 && answer?.status !== 200; looks++) {
      await sleep(500)
      answer = await ask(url, "/ready")
    }
    return answer
  }))
  return answers.flatMap((answer) => answer?.status === 200 ? [] : [`not ready: ${JSON.stringify(answer)}`])
}

const storm = async (nodes: ReadonlyArray<Node>, options: Options, target: Target) => {
  const blows = { kills: 0, stops: 0, faults: 0 }
  const startedAt = performance.now()
  const passed = (seconds: number) => performance.now() - startedAt > seconds * 1_000
  const asking = makeRandom(options.seed + 1)
  let done = false
  const finished = () => done || passed(options.seconds)
  const striking = [kill(nodes, makeRandom(options.seed), blows, finished)]
  // With one process, a stop only delays its runs.
  if (nodes.length > 1) striking.push(stop(nodes, makeRandom(options.seed + 2), blows, finished))
  striking.push(strike(target.faults(nodes), makeRandom(options.seed + 3), blows, finished))
  const arrivals: Array<Arrival> = []
  let [next, lastEnd] = [0, startedAt]
  const isLost = () =>
    passed(options.seconds) && performance.now() - Math.max(lastEnd, startedAt + options.seconds * 1_000) > 60_000
  const traveller = async () => {
    while (next < options.runs) {
      const request = (path: string, init?: RequestInit) => askAny(nodes, asking, path, init)
      arrivals.push(await travel(next++, request, isLost))
      lastEnd = performance.now()
    }
  }
  await Promise.all(Array.from({ length: options.atOnce }, traveller))
  done = true
  await Promise.all(striking)
  return { arrivals, blows }
}

const judge = async (
  nodes: ReadonlyArray<Node>,
  { runs, seed }: Options,
  arrivals: ReadonlyArray<Arrival>,
  log: string
) => {
  const random = makeRandom(seed)
  const request = (path: string) => askAny(nodes, random, path)
  const begun = begunIn(log)
  const sum = { admitted: 0, finished: 0, lost: 0, again: 0, gaps: 0, duplicates: 0, late: 0, repairs: 0 }
  const outputs = new Set(Array.from({ length: runs }, (_, number) => outputOf(number)))
  for (const { output, repairs, runId, state } of arrivals) {
    if (runId === undefined) continue
    sum.admitted++
    sum.repairs += repairs
    // Each output is that of one run, so a run that was admitted twice is one that is lost.
    if (state === "completed" && outputs.delete(String(output))) sum.finished++
    else sum.lost++
  }
  for (const runId of new Set(begun.map((one) => one.runId))) {
    const found = await examineRun(request, runId, begun)
    if (found === undefined) sum.gaps++
    else for (const key of ["again", "gaps", "duplicates", "late"] as const) sum[key] += found[key]
  }
  const said = await threadsIn(request)
  for (const { output, state } of arrivals) {
    const [number = "", agreed] = String(output).split(": ")
    if (state !== "completed" || agreed === undefined) continue
    const turns = said.filter((text) => text === number).length
    if (turns === 0) sum.lost++
    else sum.duplicates += turns - 1
  }
  return { ...sum, wrong: arrivals.flatMap(({ wrong }) => wrong) }
}

/** The words of users in all threads; a turn that is not whole, or not alone, counts as nothing. */
const threadsIn = async (request: (path: string) => Promise<Answer | undefined>) => {
  const said: Array<string> = []
  const threads = await request("/threads?limit=100")
  for (const { threadId } of threads?.body.items ?? []) {
    const page = await request(`/threads/${encodeURIComponent(threadId)}/messages?limit=200`)
    const items: ReadonlyArray<Answer["body"]> = page?.body.items ?? []
    for (const [index, { content, role, runId }] of items.entries()) {
      if (role === "user" && items[index + 1]?.runId === runId) said.push(String(content[0]?.text))
    }
  }
  return said
}

/** Whether a promise was broken. */
export const isBroken = ({ again, duplicates, gaps, lost, wrong }: Verdict) =>
  lost + again + gaps + duplicates + wrong.length > 0

export const lineOf = (name: string, verdict: Verdict) =>
  `${name}: ${verdict.admitted} runs admitted, ${verdict.finished} finished, ${verdict.lost} lost; ` +
  `${verdict.again} steps executed again after their commit, ${verdict.gaps} journal gaps, ` +
  `${verdict.duplicates} duplicates; ${verdict.kills} kills, ${verdict.stops} stops, ` +
  `${verdict.faults} faults of the store, ` +
  `${verdict.late} steps begun by an owner that was stopped and replaced, ${verdict.repairs} repairs`
