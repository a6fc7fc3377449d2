// The working tree beside a commit, in paired rounds. Called by bench.ts. Both servers live at the same time, and a round
// is a turn of each, first one first and then the other, so that whatever else the machine does happens to both.
import { mkdtempSync, rmSync } from "node:fs"
import { loadavg, tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { startIdentity } from "../door/identity.ts"
import { describeMachine } from "../durable/machine.ts"
import { type Measured, start } from "../process.ts"
import { checkOut } from "./checkout.ts"
import { type Measure, type Subject, subjects } from "./measures.ts"
import { head, type Round, row } from "./table.ts"
import { takeTurn } from "./turn.ts"

interface Comparison {
  readonly revision: string
  /** That many of each measure in each pair of processes. */
  readonly rounds: number
  /** Measures the subjects whose name begins so. */
  readonly only: string
}

type Pair = Readonly<Record<"commit" | "tree", Measured>>

/** Two processes of the same code differ for as long as they live: each pair is a fresh one. */
const pairs = 3
/** That many rounds of each measure only warm up. */
const warming = 2
/** Short, so that the two turns of a round meet the same machine. */
const turnMillis = 300

export const compare = async ({ only, revision, rounds }: Comparison) => {
  const checkout = checkOut(revision)
  const folder = mkdtempSync(join(tmpdir(), "bench-against-"))
  const identity = await startIdentity()
  const serving = new Set<Measured>()
  const cleanUp = () => {
    for (const server of serving) server.stop()
    identity.stop()
    for (const one of [checkout.folder, folder]) rmSync(one, { recursive: true, force: true, maxRetries: 5 })
  }
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => (cleanUp(), process.exit(1)))

  const startPair = async (subject: Subject, pair: number): Promise<Pair> => {
    const serve = async (side: keyof Pair, benchmarks: string) => {
      const environment = subject.environment(join(folder, `${subject.name}-${pair}-${side}.db`), identity.issuer)
      const server = await start(subject.command, "memory", "", environment, benchmarks)
      serving.add(server)
      return server
    }
    const commit = await serve("commit", join(checkout.folder, "benchmarks"))
    return { commit, tree: await serve("tree", resolve(import.meta.dirname, "..")) }
  }
  const stopPair = (pair: Pair) => {
    for (const server of Object.values(pair)) server.stop()
    serving.clear()
  }

  try {
    console.log(describeMachine())
    console.log(`${pairs} pairs of processes, in each ${rounds} rounds of ${turnMillis} ms a side\n`)
    console.log(head(checkout.commit))
    for (const subject of subjects(identity.tokenFor(["desk"])).filter(({ name }) => name.startsWith(only))) {
      const found = subject.measures.map((measure) => ({ measure, rounds: new Array<Round>() }))
      for (let pair = 0; pair < pairs; pair++) {
        const servers = await startPair(subject, pair)
        for (const one of found) one.rounds.push(...await playRounds(servers, one.measure, rounds))
        stopPair(servers)
      }
      for (const { measure, rounds } of found) console.log(row(`${subject.name}: ${measure.name}`, rounds))
    }
    console.log(`\nload after: ${loadavg()[0]?.toFixed(1)}`)
  } finally {
    cleanUp()
  }
}

/** A B, then B A: what grows with time grows for both. */
const playRounds = async ({ commit, tree }: Pair, measure: Measure, rounds: number): Promise<ReadonlyArray<Round>> => {
  const turn = (server: Measured) => takeTurn(server, measure, turnMillis)
  const played: Array<Round> = []
  for (let round = -warming; round < rounds; round++) {
    const one = round % 2 === 0
      ? { commit: await turn(commit), tree: await turn(tree) }
      : { tree: await turn(tree), commit: await turn(commit) }
    if (round >= 0) played.push(one)
  }
  return played
}
