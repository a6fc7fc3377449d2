// The work of `runs prune`: RunsCommand loads it when it is called, because it needs the stores.
import { Retention, RunRecord, type RunStore } from "@fastagentic/core"
import { SqliteFile } from "@fastagentic/stores/sqlite"
import { Clock, Console, Duration, Effect, Layer, Option } from "effect"
import * as DurationFlag from "../DurationFlag.ts"
import * as Store from "../Store.ts"
import * as Output from "./output.ts"

interface Options {
  readonly store: string
  readonly json: boolean
  readonly olderThan: Option.Option<string>
  readonly tokensOlderThan: Option.Option<string>
  readonly blobsOlderThan: string
  readonly state: ReadonlyArray<typeof RunRecord.finalStates[number]>
  readonly tenant: Option.Option<string>
  readonly dryRun: boolean
}

interface Printing {
  readonly dryRun: boolean
  readonly json: boolean
}

type Kind = Pick<RunRecord.RunRecord, "tenant" | "agent" | "state">

/** The time before which a run has to have ended, if a flag sets one. */
const before = Effect.fnUntraced(function*(flag: string, age: Option.Option<string>) {
  if (Option.isNone(age)) return undefined
  return (yield* Clock.currentTimeMillis) - Duration.toMillis(yield* DurationFlag.parse(flag, age.value))
})

const remove = Effect.fnUntraced(function*(selection: Retention.Selection, { dryRun, json }: Printing) {
  const counts = new Map<string, Kind & { runs: number }>()
  const count = (runs: ReadonlyArray<RunRecord.RunRecord>) => {
    for (const { agent, state, tenant } of runs) {
      const name = `${tenant} ${agent} ${state}`
      const kind = counts.get(name) ?? { tenant, agent, state, runs: 0 }
      counts.set(name, kind)
      kind.runs++
    }
  }
  if (dryRun) count(yield* Retention.findAll(selection))
  else yield* Retention.removeAll(selection, count)
  for (const [name, kind] of [...counts].sort(([a], [b]) => a < b ? -1 : 1)) {
    yield* Output.print(json, { dryRun, ...kind }, ({ runs }) => `${name} ${runs}`)
  }
  const total = [...counts.values()].reduce((sum, { runs }) => sum + runs, 0)
  if (!json) yield* Console.log(`${Output.counted(total, "run")} ${dryRun ? "would be removed" : "removed"}`)
  // A thread is kept as long as its completed runs.
  if (dryRun || !selection.states.includes("completed")) return
  const { exceptTenants, finishedBefore: updatedBefore, tenant } = selection
  const threads = yield* Retention.removeThreads({
    updatedBefore,
    ...(tenant === undefined ? {} : { tenant }),
    ...(exceptTenants === undefined ? {} : { exceptTenants })
  })
  if (threads > 0) yield* Output.print(json, { threads }, () => `${Output.counted(threads, "thread")} removed`)
})

const compact = Effect.fnUntraced(function*(finishedBefore: number, { dryRun, json }: Printing) {
  const runIds = new Set<string>()
  let [before, after] = [0, 0]
  yield* Retention.compactAll({ finishedBefore, dryRun }, (found: ReadonlyArray<RunStore.Compacted>) => {
    for (const one of found) {
      runIds.add(one.runId)
      before += one.before
      after += one.after
    }
  })
  yield* Output.print(json, { dryRun, journals: runIds.size, rowsBefore: before, rowsAfter: after }, () => {
    const runs = Output.counted(runIds.size, "run")
    return `${before} rows of the journals of ${runs} ${dryRun ? "would become" : "became"} ${after}`
  })
})

const sweepBlobs = Effect.fnUntraced(function*(writtenBefore: number, { dryRun, json }: Printing) {
  const { blobs, bytes } = yield* Retention.sweepBlobs({ writtenBefore, dryRun })
  if (blobs === 0) return
  yield* Output.print(
    json,
    { dryRun, blobs, bytes },
    () => `${Output.counted(blobs, "unused blob")} with ${bytes} bytes ${dryRun ? "would be removed" : "removed"}`
  )
})

/** A SQLite file becomes shorter; databases look after themselves. */
const giveRoomBack = Effect.flatMap(
  Effect.serviceOption(SqliteFile.SqliteFile),
  Option.match({
    onNone: () => Effect.void,
    onSome: ({ shrink }) => Effect.asVoid(shrink({ keep: 0, most: Infinity }))
  })
)

export const prune = Effect.fnUntraced(function*(
  { blobsOlderThan, dryRun, json, olderThan, state, store, tenant, tokensOlderThan }: Options
) {
  const removedBefore = yield* before("older-than", olderThan)
  const compactedBefore = yield* before("tokens-older-than", tokensOlderThan)
  const writtenBefore = yield* before("blobs-older-than", Option.some(blobsOlderThan))
  const { layer } = yield* Store.existing(store)
  const printing = { dryRun, json }
  const work = Effect.gen(function*() {
    if (removedBefore !== undefined) {
      const states = state.length === 0 ? RunRecord.finalStates : state
      const selection = { states, finishedBefore: removedBefore }
      yield* remove(Option.isNone(tenant) ? selection : { ...selection, tenant: tenant.value }, printing)
    }
    if (compactedBefore !== undefined) yield* compact(compactedBefore, printing)
    if (writtenBefore !== undefined) yield* sweepBlobs(writtenBefore, printing)
    if (!dryRun) yield* giveRoomBack
  })
  yield* Effect.scoped(Effect.flatMap(Layer.build(layer), (context) => Effect.provideContext(work, context)))
})
