/**
 * `fastagentic runs`: runs in a store.
 *
 * @since 0.1.0
 */
import { Retention, type RunRecord } from "@fastagentic/core"
import { Clock, Config, Console, Duration, Effect, Layer, Option } from "effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Keep from "./Keep.ts"
import * as Store from "./Store.ts"
import * as Time from "./Time.ts"

const flags = {
  store: Flag.String("store").pipe(
    Flag.withDescription("The SQLite file of a server that is not running, or a postgres:// or redis:// URL"),
    Flag.withFallbackConfig(Config.String("FASTAGENTIC_STORE"))
  ),
  olderThan: Flag.String("older-than").pipe(Flag.withDescription("Since when they have ended, such as 30d")),
  state: Flag.Literals("state", Keep.states).pipe(
    Flag.withDescription("How they have ended; may be given several times, default all"),
    Flag.atLeast(0)
  ),
  tenant: Flag.String("tenant").pipe(Flag.withDescription("Of this tenant only"), Flag.optional),
  dryRun: Flag.Boolean("dry-run").pipe(
    Flag.withDescription("Say what would be removed, and remove nothing"),
    Flag.withDefault(false)
  )
}

const prune = Command.make(
  "prune",
  flags,
  Effect.fnUntraced(function*({ dryRun, olderThan, state, store, tenant }) {
    const age = yield* Time.parse("older-than", olderThan)
    const { layer } = yield* Store.parse(store)
    const selection = {
      states: state.length === 0 ? Keep.states : state,
      finishedBefore: (yield* Clock.currentTimeMillis) - Duration.toMillis(age),
      ...(Option.isNone(tenant) ? {} : { tenant: tenant.value })
    }
    const counts = new Map<string, number>()
    const count = (runs: ReadonlyArray<RunRecord.RunRecord>) => {
      for (const { agent, state, tenant } of runs) {
        const kind = `${tenant} ${agent} ${state}`
        counts.set(kind, (counts.get(kind) ?? 0) + 1)
      }
    }
    const work = dryRun
      ? Effect.map(Retention.findAll(selection), count)
      : Retention.removeAll(selection, count)
    yield* Effect.scoped(Effect.flatMap(Layer.build(layer), (context) => Effect.provideContext(work, context)))
    for (const [kind, count] of [...counts].sort(([a], [b]) => a < b ? -1 : 1)) {
      yield* Console.log(`${kind} ${count}`)
    }
    const total = [...counts.values()].reduce((sum, count) => sum + count, 0)
    yield* Console.log(`${total} ${total === 1 ? "run" : "runs"} ${dryRun ? "would be removed" : "removed"}`)
  })
).pipe(Command.withDescription("Remove runs that ended long ago, with all that belongs to them"))

/** @category commands @since 0.1.0 */
export const command = Command.make("runs").pipe(
  Command.withDescription("Runs in a store. A SQLite file belongs to one process: stop the server first"),
  Command.withSubcommands([prune])
)
