/**
 * `fastagentic runs`: runs of a running server, and the runs in a store.
 *
 * @since 0.1.0
 */
import { Retention, RunRecord, type RunStore } from "@fastagentic/core"
import { SqliteFile } from "@fastagentic/stores/sqlite"
import { Clock, Console, Duration, Effect, Layer, Option } from "effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as DurationFlag from "./DurationFlag.ts"
import * as Output from "./internal/output.ts"
import * as RemoteRuns from "./internal/remote/runs.ts"
import * as Store from "./Store.ts"

const flags = {
  store: Store.flag("store"),
  json: Output.json,
  olderThan: Flag.String("older-than").pipe(
    Flag.withDescription("Remove runs that have ended as long ago as this, such as 30d"),
    Flag.optional
  ),
  tokensOlderThan: Flag.String("tokens-older-than").pipe(
    Flag.withDescription("Keep journals of runs that have ended as long ago as this, such as 1h, in less room"),
    Flag.optional
  ),
  blobsOlderThan: Flag.String("blobs-older-than").pipe(
    Flag.withDescription(
      "Remove blobs that nothing refers to and that are as old as this; 0s only when no server runs"
    ),
    Flag.withDefault("1d")
  ),
  state: Flag.Literals("state", RunRecord.finalStates).pipe(
    Flag.withDescription("How they have ended; may be given several times, default all"),
    Flag.atLeast(0)
  ),
  tenant: Flag.String("tenant").pipe(Flag.withDescription("Of this tenant only"), Flag.optional),
  dryRun: Flag.Boolean("dry-run").pipe(
    Flag.withDescription("Say what would be done, and do nothing"),
    Flag.withDefault(false)
  )
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

const prune = Command.make(
  "prune",
  flags,
  Effect.fnUntraced(function*({ blobsOlderThan, dryRun, json, olderThan, state, store, tenant, tokensOlderThan }) {
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
).pipe(Command.withDescription(
  "Remove runs of a store that ended long ago, keep journals in less room, and remove unused blobs. Stop the server of a SQLite file first"
))

/** @category commands @since 0.1.0 */
export const command = Command.make("runs").pipe(
  Command.withDescription("The runs of a running server, and `prune` for those in a store"),
  Command.withSubcommands([...RemoteRuns.commands, prune]),
  Command.provide(FetchHttpClient.layer)
)
