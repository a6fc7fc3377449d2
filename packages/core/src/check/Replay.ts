/**
 * Whether the runs of a store go on with the code that is here, before it is deployed.
 *
 * @since 0.1.0
 */
import { Effect, Option } from "effect"
import type * as App from "../app/App.ts"
import * as Fusion from "../app/Fusion.ts"
import type { RunEvent } from "../run/Event.ts"
import type { StoreUnavailable } from "../run/RunError.ts"
import type { RunRecord } from "../run/RunRecord.ts"
import { hasPlaces } from "../runtime/internal/history.ts"
import { type Callables, resolveHandlers } from "../runtime/internal/resolveHandlers.ts"
import { isMessage } from "../runtime/internal/signals.ts"
import { upgradeOf } from "../runtime/internal/upgrades.ts"
import * as Files from "../store/Files.ts"
import { type ReadError, RunStore } from "../store/RunStore.ts"
import { replay } from "./internal/replay.ts"

/**
 * The fate of a run: it resumes, as it is or migrated; it is pinned; its handler does something else than is
 * recorded; or nobody declares it any more, or it cannot be read.
 *
 * @category models
 * @since 0.1.0
 */
export interface Finding {
  readonly runId: string
  readonly agent: string
  readonly state: RunRecord["state"]
  readonly verdict: "ok" | "migrates" | "pinned" | "diverges" | "undeclared" | "damaged"
  /** Up to where the run was replayed, or why it cannot go on. */
  readonly detail: string
}

/** @category options @since 0.1.0 */
export interface Options {
  /** How many runs to look at, the newest first; default 1,000. */
  readonly limit?: number
  readonly agent?: string
  /** Also those that have completed. */
  readonly finished?: boolean
  /** Also compares what a handler says and answers with the journal, value for value. Its waits are cut short. */
  readonly strict?: boolean
}

/**
 * Replays what is recorded of the runs in a store with the handlers of an app. The store is only read.
 *
 * **Details**
 *
 * A handler runs as it would at a restart, and gets what is recorded. At the first step, pause, sleep, delegation or call of
 * a model that is not recorded it stops: nothing of that kind is done. Work of a handler or a hook outside of steps is
 * done, as at any restart.
 *
 * @category combinators
 * @since 0.1.0
 */
export const check = <A extends App.Any>(
  app: A,
  options: Options = {}
): Effect.Effect<
  ReadonlyArray<Finding>,
  Fusion.FusionError | StoreUnavailable,
  App.Handlers<A> | RunStore
> =>
  Effect.gen(function*() {
    const fusion = yield* Fusion.compile(app)
    const callables = yield* resolveHandlers(fusion, yield* Effect.context<never>())
    const store = yield* RunStore
    const kept = Option.getOrElse(yield* Effect.serviceOption(Files.Files), () => Files.none)
    const files = Files.readOnly(kept, store.identity)
    const { agent, finished = false, limit = 1_000, strict = false } = options
    const runs = yield* store.scan({
      states: ["queued", "running", "suspended", ...(finished ? ["completed" as const] : [])],
      limit,
      ...(agent === undefined ? {} : { agent })
    })
    return yield* Effect.forEach(
      runs,
      (run) =>
        Effect.catchTag(checkOne(store, files, callables, run, strict), "JournalDamaged", ({ what }) =>
          Effect.succeed(finding(run, "damaged", `its ${what} cannot be read`))),
      { concurrency: 8 }
    )
  })

const finding = (
  { agent, runId, state }: RunRecord,
  verdict: Finding["verdict"],
  detail: string
): Finding => ({ runId, agent, state, verdict, detail })

const checkOne = Effect.fnUntraced(function*(
  store: RunStore["Service"],
  files: Files.Files["Service"],
  callables: Callables,
  run: RunRecord,
  strict: boolean
): Effect.fn.Return<Finding, ReadError> {
  const bound = callables[run.kind].get(run.agent)
  if (bound === undefined) return finding(run, "undeclared", `there is no ${run.kind} "${run.agent}" any more`)
  const stored = yield* store.steps(run.runId)
  const upgrade = yield* upgradeOf(bound.callable, run, Effect.succeed(stored))
  // A finished run is never resumed: only its steps matter.
  const complete = run.state === "completed"
  if (upgrade._tag === "Pinned") return finding(run, complete ? "ok" : "pinned", upgrade.why)
  const { set, steps: changed } = upgrade.parts
  const events = yield* eventsOf(store, run.runId)
  const replayed = yield* replay(bound, {
    run: { ...run, ...set },
    complete,
    strict,
    places: hasPlaces(events),
    steps: stored.map((step) => ({ ...step, ...changed.find(({ name }) => name === step.name) })),
    interrupts: (yield* store.interrupts(run.runId)).filter((row) => !isMessage(row)),
    events,
    files,
    threads: store.threads
  })
  if (replayed.divergence !== undefined) return finding(run, "diverges", replayed.divergence)
  return finding(run, upgrade._tag === "Migrates" ? "migrates" : "ok", `up to ${replayed.place}`)
})

const eventsOf = Effect.fnUntraced(function*(store: RunStore["Service"], runId: string) {
  const events: Array<RunEvent> = []
  while (true) {
    const page = yield* store.events(runId, events.at(-1)?.seq ?? 0, 512)
    if (page.length === 0) return events
    for (const event of page) events.push(event)
  }
})
