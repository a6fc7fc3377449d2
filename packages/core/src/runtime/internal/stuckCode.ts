// Code that does not stop keeps its place on every node: each node shares which runs its own stuck code belongs to, and reads
// those of the others. backgroundLoops.ts exchanges once in each poll. A run is shared some time before it ends, so that the
// others know of it when its end gives them a place. A node that is lost renews nothing, and neither does its code run any more.
import { Effect, Schema } from "effect"
import * as Present from "../../base/Present.ts"
import * as Timings from "../../base/Timings.ts"
import type { StoreUnavailable } from "../../run/RunError.ts"
import type { SharedNotes } from "../../store/SharedNotes.ts"
import type { LiveRuns, StuckRun } from "./liveRuns.ts"

const Stuck = Schema.Array(Schema.Struct({
  runId: Schema.String,
  kind: Schema.Literals(["agent", "tool"]),
  agent: Schema.String,
  tenant: Schema.String,
  owner: Schema.String,
  threadId: Schema.optionalKey(Schema.String)
}))

const isStuck = Schema.is(Stuck)

/** How many runs one node shares: a note stays small. */
const most = 500

export const makeStuckCode = (
  runs: LiveRuns,
  notes: SharedNotes["Service"],
  app: string
): Effect.Effect<void, StoreUnavailable> => {
  const folder = `${app}/stuck/`
  const key = folder + globalThis.crypto.randomUUID()
  const others = new Map<string, { readonly stuck: ReadonlyArray<StuckRun>; readonly expiresAt: number }>()
  let cursor: string | undefined
  let shared = 0

  const share = Effect.fnUntraced(function*(now: number) {
    const stuck = runs.stopping.slice(0, most).map(said)
    if (stuck.length === 0 && shared === 0) return
    yield* notes.put({ key, value: stuck, expiresAt: now + Timings.leaseMillis })
    shared = stuck.length
  })

  const read = Effect.fnUntraced(function*(now: number) {
    const page = yield* notes.since(cursor)
    cursor = page.cursor
    for (const note of page.notes) {
      if (note.key.startsWith(folder) && note.key !== key && isStuck(note.value)) {
        others.set(note.key, { stuck: note.value, expiresAt: note.expiresAt })
      }
    }
    for (const [node, { expiresAt, stuck }] of others) {
      if (expiresAt <= now || stuck.length === 0) others.delete(node)
    }
    runs.stuckElsewhere = [...others.values()].flatMap(({ stuck }) => stuck)
  })

  return Effect.flatMap(Present.millis, (now) => Effect.andThen(share(now), read(now)))
}

const said = ({ agent, kind, owner, runId, tenant, threadId }: StuckRun): StuckRun => ({
  runId,
  kind,
  agent,
  tenant,
  owner,
  ...(threadId === undefined ? {} : { threadId })
})
