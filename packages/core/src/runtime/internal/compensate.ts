// Run.compensate: commits that a run has an undo. The undo itself is code of the handler, so it is found again by a replay
// when the run ends (undoSegment.ts); LiveRun keeps here what a replay has found.
import { Context, Deferred, Effect } from "effect"
import { CurrentRun } from "../../run/Run.ts"
import type { LiveRun } from "./liveRun.ts"
import type { Place } from "./names.ts"
import { openUndos, undoIn, undoRow } from "./undoRows.ts"
import { withCalls } from "./withCalls.ts"

/** The undos of one attempt. */
export class Undos {
  /** Whether there is anything to undo, counting what is on its way into the store. */
  readonly open: Set<string>
  private next: number
  /** The undos that a replay at the end of the run has found, by key. */
  readonly found = new Map<string, Effect.Effect<unknown, unknown>>()
  /** Completes once everything is found that is to be undone. */
  readonly complete = Deferred.makeUnsafe<void>()

  constructor({ history: { steps } }: LiveRun) {
    const rows = [...steps].map(([name, value]) => ({ name, value }))
    this.open = new Set(openUndos(rows).map(({ key }) => key))
    this.next = rows.reduce((next, { value }) => Math.max(next, (undoIn(value)?.index ?? -1) + 1), 0)
  }

  register(key: string) {
    this.open.add(key)
    return undoRow(key, { index: this.next++, state: "registered" })
  }

  find(key: string, undo: Effect.Effect<unknown, unknown>) {
    this.found.set(key, undo)
    for (const open of this.open) if (!this.found.has(open)) return
    Deferred.doneUnsafe(this.complete, Effect.void)
  }
}

export const compensate = <E, R>(
  live: LiveRun,
  place: Place,
  name: string,
  undo: Effect.Effect<unknown, E, R>
): Effect.Effect<void, never, R> => {
  const { durable } = live.run
  if (place.step !== undefined || !durable) {
    const why = durable ? "belongs outside of steps: a step that is done does not run again" : "needs a durable run"
    return Effect.die(new Error(`Run.compensate("${name}") ${why}`))
  }
  return live.named("step", place, `undo ${name}`, (key) => {
    if (live.ending !== undefined) {
      return Effect.contextWith((context: Context.Context<R>) => {
        // An undo acts as a step does: with the real time, and with a key of its own.
        const service = inUndo(live.service, `${live.run.runId}/${key}`)
        const once = live.inRealTime(Effect.provideService(undo, CurrentRun, service))
        live.undos.find(key, Effect.provideContext(once, context))
        return Effect.void
      })
    }
    if (live.history.steps.get(key) !== undefined) return Effect.void
    const kept = Effect.suspend(() => {
      const step = live.undos.register(key)
      return live.writes.commit({
        events: [{ type: "undo", data: { undoId: key, status: "registered" } }],
        steps: [step]
      })
    })
    return Effect.andThen(live.outcomes.caughtUp("step", place, key), live.resting.activity.during(kept))
  })
}

/** An undo is no part of the handler: its run can do nothing else then. */
const inUndo = (run: CurrentRun["Service"], idempotencyKey: string): CurrentRun["Service"] => {
  const refuse = Effect.die(new Error("inside of an undo a run can do nothing else"))
  return withCalls(run, {
    idempotencyKey,
    emit: () => refuse,
    step: () => refuse,
    sideEffect: () => refuse,
    sleep: () => refuse,
    interrupt: () => refuse,
    receive: () => refuse,
    delegate: () => refuse,
    scope: () => refuse,
    compensate: () => refuse,
    spend: () => refuse
  })
}
