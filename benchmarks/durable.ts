/**
 * Durable runs compared with peers: latency, throughput, CPU, and the time to resume after a kill. With `--against REV` they are
 * compared with those of a commit. See README.md.
 */
import { asked } from "./against/asked.ts"
import { compare } from "./against/compare.ts"
import { durable } from "./against/measures.ts"
import { type Contender, gather, type Name } from "./durable/contender.ts"
import { describeMachine } from "./durable/machine.ts"
import { type Continuation, continuation, firstEvent, median, overHttp, underLoad } from "./durable/measure.ts"
import { startPostgres } from "./durable/postgres.ts"
import { atLeast, atMost, type Cells, cellsOf, Report } from "./durable/report.ts"
import type { ServerProcess } from "./durable/serverProcess.ts"

const count = (name: string, otherwise: number) => Number(process.env[name] ?? otherwise)
const rounds = count("ROUNDS", 10)
const runs = count("RUNS", 20)
const clients = count("CLIENTS", 16)
const loadedRuns = count("LOADED_RUNS", 200)
const kills = count("KILLS", 3)

interface Live {
  readonly contender: Contender
  readonly app: ServerProcess
}

/**
 * Measures every contender once per round, so that a disturbance of the machine affects all of them. A measurement may
 * return several numbers: one row of medians for each.
 */
const inTurn = async (
  among: ReadonlyArray<Live>,
  ask: (one: Live) => Promise<ReadonlyArray<ReadonlyArray<number>>>
): Promise<ReadonlyArray<Cells>> => {
  const found: Array<Partial<Record<Name, Array<number>>>> = []
  for (let round = 0; round < rounds; round++) {
    for (const one of among) {
      for (const [index, values] of (await ask(one)).entries()) {
        const row = found[index] ??= {}
        row[one.contender.name] = [...(row[one.contender.name] ?? []), ...values]
      }
    }
  }
  return found.map((row) => cellsOf((name) => row[name] === undefined ? undefined : median(row[name])))
}

const measureLatency = async (report: Report, live: ReadonlyArray<Live>, place: "over HTTP" | "in the process") => {
  const among = place === "over HTTP" ? live : live.filter(({ contender }) => contender.name !== "restate")
  const ask = ({ app, contender }: Live, steps: number) =>
    place === "over HTTP" ? overHttp(contender, runs, steps) : app.inside(runs, steps)
  // The first round only warms up.
  for (const one of among) await ask(one, 10)
  const [one = {}, ten = {}, fifty = {}] = await inTurn(
    among,
    async (live) => [await ask(live, 1), await ask(live, 10), await ask(live, 50)]
  )
  report.row(`1 step ${place}, p50`, "ms", one)
  report.row(`10 steps ${place}, p50`, "ms", ten, atMost({ sqlite: 15, postgres: ten.dbos }))
  report.row(`50 steps ${place}, p50`, "ms", fifty, atMost({ sqlite: 35, postgres: fifty.dbos }))
  const slope = cellsOf((name) => ((fifty[name] ?? NaN) - (one[name] ?? NaN)) / 49)
  report.row(`a further step ${place}`, "ms", slope, atMost({ sqlite: 0.5, postgres: 4 }))
}

const measureLoad = async (report: Report, live: ReadonlyArray<Live>) => {
  const load = { clients, runs: loadedRuns, steps: 10 }
  for (const { app, contender } of live) await underLoad(contender, app, load)
  const [rates = {}, own = {}, all = {}] = await inTurn(live, async ({ app, contender }) => {
    const { allPerStep, ownPerStep, runsPerSecond } = await underLoad(contender, app, load)
    return [[runsPerSecond], [ownPerStep], [allPerStep]]
  })
  const twice = 2 * Math.max(rates.dbos ?? 0, rates.restate ?? 0) || NaN
  report.row(`${clients} clients, runs of 10 steps`, "runs/s", rates, atLeast({ sqlite: twice, postgres: twice }))
  report.row("CPU of a step, its own process", "ms", own)
  report.row("CPU of a step, with database or server", "ms", all)
}

const measureFirstEvent = async (report: Report, live: ReadonlyArray<Live>) => {
  const ours = live.filter(({ contender }) => contender.name === "sqlite" || contender.name === "postgres")
  const [found = {}] = await inTurn(ours, async ({ contender }) => [await firstEvent(contender, runs)])
  report.row("request to first event, SSE, p50", "ms", found, atMost({ sqlite: 10, postgres: 10 }))
}

const measureKills = async (
  report: Report,
  among: ReadonlyArray<Contender>,
  how: "restart" | "other node"
) => {
  if (kills === 0 || among.length === 0) return
  const found: Partial<Record<Name, Array<Continuation>>> = {}
  for (let kill = 0; kill < kills; kill++) {
    for (const contender of among) {
      found[contender.name] = [...(found[contender.name] ?? []), await continuation(contender, how)]
    }
  }
  const millis = cellsOf((name) => found[name] && median(found[name].map((one) => one.millis)))
  const repeated = cellsOf((name) => found[name] && Math.max(...found[name].map((one) => one.repeated)))
  report.row(`SIGKILL to the next step, ${how}`, "ms", millis)
  report.row(`committed steps run again, ${how}`, "of 30", repeated, atMost({ sqlite: 0, postgres: 0 }))
}

const besidePeers = async () => {
  const postgres = await startPostgres()
  const { absent, contenders } = await gather(postgres)
  console.log(`${describeMachine()}${typeof postgres === "string" ? "" : `, ${postgres.version}`}`)
  console.log(`${rounds} rounds, in each ${runs} runs of a length, ${loadedRuns} under load; ${kills} kills; medians`)
  for (const reason of absent) console.log(`absent: ${reason}`)
  const live: Array<Live> = []
  for (const contender of contenders) live.push({ contender, app: await contender.spawn().ready() })
  const report = new Report()
  report.head()
  await measureLatency(report, live, "over HTTP")
  await measureLatency(report, live, "in the process")
  await measureFirstEvent(report, live)
  await measureLoad(report, live)
  for (const { app } of live) await app.kill("SIGTERM")
  await measureKills(report, contenders, "restart")
  await measureKills(report, contenders.filter(({ name }) => name === "postgres"), "other node")
  report.end()
}

const comparison = asked()
await (comparison === undefined ? besidePeers() : compare(comparison, () => durable))
process.exit()
