// All schedules of an app on this node, declared and made; a loop looks each second at what every node has kept of them.
// Runtime.layer starts the loop, and the calls of operations/internal/scheduleCalls.ts read and change schedules through it.
import { Effect } from "effect"
import type { StoreUnavailable } from "../../run/RunError.ts"
import type { Mark, ScheduleStore } from "../ScheduleStore.ts"
import type { Callables } from "./resolveHandlers.ts"
import type { RunSupervisor } from "./runSupervisor.ts"
import type { ScheduleTicks } from "./scheduleTicks.ts"
import { keyOfMade, timedOf, type TimedSchedule } from "./timedSchedules.ts"

/** How long at most until the store is asked again, in milliseconds: other nodes change schedules too. */
const longest = 1_000

/** A schedule and how far it has come. */
export interface Known {
  readonly timed: TimedSchedule
  readonly mark: Mark
}

export const makeSchedules = (
  node: RunSupervisor,
  app: string,
  callables: Callables,
  declared: ReadonlyMap<string, TimedSchedule>,
  store: ScheduleStore["Service"],
  { fireDue }: Pick<ScheduleTicks, "fireDue">
) => {
  /** The compiled definitions, kept while the definitions stay the same. */
  let made = new Map<string, TimedSchedule & { readonly definition: Mark["definition"] }>()

  /** The mark of a declared schedule; the first node that serves it begins it. */
  const markOf = Effect.fnUntraced(function*({ key }: TimedSchedule): Effect.fn.Return<Mark, StoreUnavailable> {
    while (true) {
      const known = yield* store.get(key)
      if (known !== undefined) return { ...known, app }
      const first: Mark = { app, key, version: 1, upto: node.now(), waiting: [], paused: false }
      if (yield* store.set(first, 0)) return first
    }
  })

  const timedFor = (mark: Mark, definition: NonNullable<Mark["definition"]>) => {
    const known = made.get(mark.key)
    return known?.definition?.updatedAt === definition.updatedAt && known.definition.createdAt === definition.createdAt
      ? known
      : { ...timedOf(mark.key, definition, callables), definition }
  }

  /** All schedules, in the order of their declarations and keys. A declared one hides a made one of its tenant and id. */
  const all = Effect.fnUntraced(function*(): Effect.fn.Return<ReadonlyArray<Known>, StoreUnavailable> {
    const marks = new Map((yield* store.list(app)).map((mark) => [mark.key, mark]))
    const known: Array<Known> = yield* Effect.forEach(declared.values(), (timed) => {
      const mark = marks.get(timed.key)
      return Effect.map(mark === undefined ? markOf(timed) : Effect.succeed(mark), (mark) => ({ timed, mark }))
    })
    const hidden = new Set(known.map(({ timed: { id, principal } }) => keyOfMade(app, principal.tenant, id)))
    const next: typeof made = new Map()
    for (const mark of marks.values()) {
      if (mark.definition === undefined || hidden.has(mark.key)) continue
      const timed = timedFor(mark, mark.definition)
      next.set(mark.key, timed)
      known.push({ timed, mark })
    }
    made = next
    return known
  })

  /** The schedule of a tenant with this id. */
  const find = Effect.fnUntraced(function*(
    tenant: string,
    id: string
  ): Effect.fn.Return<Known | undefined, StoreUnavailable> {
    const timed = declared.get(id)
    if (timed !== undefined && timed.principal.tenant === tenant) return { timed, mark: yield* markOf(timed) }
    const mark = yield* store.get(keyOfMade(app, tenant, id))
    return mark?.definition === undefined ? undefined : { timed: timedOf(mark.key, mark.definition, callables), mark }
  })

  const attendAll = Effect.flatMap(Effect.suspend(all), (known) =>
    Effect.map(
      Effect.forEach(known, ({ mark, timed }) => fireDue(timed, mark), { concurrency: 16 }),
      (times) => Math.min(...times)
    ))

  const run = Effect.catch(
    attendAll,
    (error) => Effect.as(Effect.logWarning("Schedules could not be read", error), Infinity)
  )
    .pipe(
      Effect.flatMap((next) => Effect.sleep(Math.min(Math.max(next - node.now(), 1), longest))),
      Effect.forever,
      Effect.forkScoped,
      Effect.asVoid
    )

  return { run, all, find }
}

export type Schedules = ReturnType<typeof makeSchedules>
