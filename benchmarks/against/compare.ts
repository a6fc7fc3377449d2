// The working tree beside a commit, in paired rounds. Called by bench.ts. Both servers live at the same time, and a round
// is a turn of each, first one first and then the other, so that whatever else the machine does happens to both.
import { mkdtempSync, rmSync } from "node:fs"
import { loadavg, tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { startIdentity } from "../door/identity.ts"
import { atEnd } from "../durable/atEnd.ts"
import { describeMachine } from "../durable/machine.ts"
import { type Postgres, startPostgres } from "../durable/postgres.ts"
import { type Measured, start } from "../process.ts"
import type { Asked } from "./asked.ts"
import { checkOut } from "./checkout.ts"
import type { Measure, Subject } from "./measures.ts"
import { head, type Round, row } from "./table.ts"
import { takeTurn } from "./turn.ts"

type Pair = Readonly<Record<"commit" | "tree", Measured>>

/** Two processes of the same code differ for as long as they live: each pair is a fresh one. */
const pairs = 3
/** That many rounds of each measure only warm up. */
const warming = 2
/** Short, so that the two turns of a round meet the same machine. */
const turnMillis = 300

/** Compares the subjects whose names begin as asked; `token` is that of a caller whom the door lets in. */
export const compare = async (
  { only, revision, rounds }: Asked,
  subjects: (token: string) => ReadonlyArray<Subject>
) => {
  const checkout = checkOut(revision)
  const folder = mkdtempSync(join(tmpdir(), "bench-against-"))
  const identity = await startIdentity()
  const serving = new Set<Measured>()
  let isClean = false
  const cleanUp = () => {
    if (isClean) return
    isClean = true
    for (const server of serving) server.stop()
    identity.stop()
    for (const one of [checkout.folder, folder]) rmSync(one, { recursive: true, force: true, maxRetries: 5 })
  }
  atEnd(cleanUp)
  let database: Postgres | string | undefined

  const startPair = async (subject: Subject, pair: number): Promise<Pair> => {
    const serve = async (side: keyof Pair, benchmarks: string) => {
      const store = typeof database === "object" && subject.isPostgres === true
        ? database.database(`${side}_${pair}`)
        : join(folder, `${subject.name}-${pair}-${side}.db`)
      const environment = subject.environment(store, identity.issuer)
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
      if (subject.isPostgres === true && typeof (database ??= await startPostgres()) === "string") {
        console.log(`absent: ${subject.name}: ${database}`)
        continue
      }
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
