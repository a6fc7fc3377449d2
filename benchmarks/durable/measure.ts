// The measurements, one function for each question.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { Agent, request } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { send } from "../load.ts"
import { cpuMillis, freePort } from "../process.ts"
import type { Contender } from "./contender.ts"
import type { ServerProcess } from "./serverProcess.ts"

export const median = (values: ReadonlyArray<number>) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN

/** Milliseconds of each run over HTTP, one after the other on one connection, until the whole answer is received. */
export const overHttp = async (contender: Contender, count: number, steps: number): Promise<ReadonlyArray<number>> => {
  const millis: Array<number> = []
  await send(contender.url, contender.walk(steps, 0), count, 1, (one) => millis.push(one))
  return millis
}

/** Runs per second and CPU milliseconds per step, with `clients` clients at once. */
export const underLoad = async (
  contender: Contender,
  app: ServerProcess,
  load: { readonly clients: number; readonly runs: number; readonly steps: number }
) => {
  const [ownBefore, behindBefore] = [cpuMillis(app.pid), contender.cpuBehind()]
  const seconds = await send(contender.url, contender.walk(load.steps, 0), load.runs, load.clients)
  const steps = load.runs * load.steps
  const own = cpuMillis(app.pid) - ownBefore
  const behind = contender.cpuBehind() - behindBefore
  return { runsPerSecond: load.runs / seconds, ownPerStep: own / steps, allPerStep: (own + behind) / steps }
}

/** Milliseconds from the request to the first byte of a durable stream's first event, which is already committed. */
export const firstEvent = async (contender: Contender, count: number): Promise<ReadonlyArray<number>> => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const { body, path } = contender.walk(10, 0)
  const millis: Array<number> = []
  for (let i = 0; i < count; i++) millis.push(await firstOf(agent, `${contender.url}${path}/stream`, body))
  agent.destroy()
  return millis
}

const firstOf = (agent: Agent, url: string, body: unknown): Promise<number> =>
  new Promise((resolve, reject) => {
    const startedAt = performance.now()
    let first = NaN
    let text = ""
    const outgoing = request(
      url,
      { agent, method: "POST", headers: { "content-type": "application/json" } },
      (answer) => {
        answer.setEncoding("utf8")
        answer.on("error", reject)
        answer.on("data", (chunk: string) => {
          text += chunk
          if (Number.isNaN(first) && text.includes("event: run_started")) first = performance.now() - startedAt
        })
        answer.on("end", () => text.includes("event: done") ? resolve(first) : reject(new Error(text.slice(0, 200))))
      }
    )
    outgoing.on("error", reject)
    outgoing.end(JSON.stringify(body))
  })

export interface Continuation {
  readonly millis: number
  /** Committed steps that ran again. */
  readonly repeated: number
}

/**
 * Kills the process in the middle of a run and waits until another process begins the run's next step: one that starts at
 * the moment of the kill, or one that is already running.
 */
export const continuation = async (contender: Contender, how: "restart" | "other node"): Promise<Continuation> => {
  const folder = mkdtempSync(join(tmpdir(), "bench-witness-"))
  const witness = join(folder, "witness")
  writeFileSync(witness, "")
  const environment = { WITNESS: witness }
  const victim = await contender.spawn(environment).ready()
  const standby = how === "restart" ? undefined : await contender.spawn(environment, await freePort()).ready()
  let heir = standby
  try {
    // The connection breaks with the process; any answer is ignored.
    send(contender.url, contender.walk(30, 50), 1, 1).catch(() => {})
    const by = (process: ServerProcess | undefined) => stepsSeen(witness).filter(({ pid }) => pid === process?.pid)
    await until(() => by(victim).some(({ step }) => step === 5))
    await sleep(25)
    const killedAt = Date.now()
    await victim.kill()
    heir ??= contender.spawn(environment)
    await until(() => by(heir).some(({ step }) => step === 30))
    await sleep(200)
    const after = by(heir)
    // The victim's last step was not committed, so running it again is correct.
    const committed = new Set(by(victim).slice(0, -1).map(({ step }) => step))
    return {
      millis: (after[0]?.at ?? NaN) - killedAt,
      repeated: after.filter(({ step }) => committed.has(step)).length
    }
  } finally {
    await victim.kill()
    await heir?.kill()
    rmSync(folder, { recursive: true })
  }
}

const stepsSeen = (witness: string) =>
  readFileSync(witness, "utf8").split("\n").slice(0, -1).map((line) => {
    const [at, pid, step] = line.split(" ").map(Number)
    return { at, pid, step }
  })

const until = async (condition: () => boolean) => {
  const deadline = performance.now() + 120_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error("nothing happens for two minutes")
    await sleep(5)
  }
}
