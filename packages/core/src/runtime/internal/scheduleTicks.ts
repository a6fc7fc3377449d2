// The life of a tick: it is decided in one compare-and-set of the schedule's mark, then it starts its run, then it leaves the
// mark. schedules.ts calls this on every node; the mark and the run's idempotency key let each tick start one run.
import { Effect } from "effect"
import type { Entry } from "../../audit/Audit.ts"
import * as Authorization from "../../door/Authorization.ts"
import * as Caller from "../../door/Caller.ts"
import type { Door } from "../../door/internal/door.ts"
import type { Started } from "../../operations/Runtime.ts"
import { asRunError } from "../../run/internal/runErrors.ts"
import type { Principal } from "../../run/Principal.ts"
import { type RunError, StoreUnavailable } from "../../run/RunError.ts"
import { isFinal, type RunRecord } from "../../run/RunRecord.ts"
import type { ReadError } from "../../store/RunStore.ts"
import type { Mark, ScheduleStore } from "../ScheduleStore.ts"
import { ticksAfter, toFire } from "./cronTicks.ts"
import type { RunSupervisor } from "./runSupervisor.ts"
import { type makeStart, targetOf } from "./start.ts"
import type { TimedSchedule } from "./timedSchedules.ts"

/** How long to wait before a tick that cannot start its run yet is tried again, in milliseconds. */
const again = 1_000
/** How many ticks wait for the end of a run at most: the oldest are dropped. */
const mostWaiting = 100

export const makeScheduleTicks = (
  node: RunSupervisor,
  door: Door,
  app: string,
  store: ScheduleStore["Service"],
  { startFor }: Pick<ReturnType<typeof makeStart>, "startFor">
) => {
  /** Starts a run of the schedule for its principal, who passes the door like any caller; `by` is who triggered it. */
  const begin = Effect.fnUntraced(function*(
    { admittedAt, agent: identifier, bound, payload, principal }: TimedSchedule,
    idempotencyKey: string | undefined,
    by: ReadonlyArray<string> = [],
    about?: (runId: string) => ReadonlyArray<Entry>
  ): Effect.fn.Return<Started, RunError> {
    const caller = Caller.make("schedule")
    if (bound !== undefined) yield* door.admit(caller, principal, targetOf(bound), bound.callable.scopes)
    const causes = Authorization.withCauses(principal.id, ...by)
    const more = { ...causes, ...(yield* asRunError(authorityOf(principal, admittedAt))) }
    const request = { kind: "agent", identifier, payload, idempotencyKey } as const
    return yield* startFor(caller, principal, request, bound, more, undefined, about)
  })

  /** The rights of a schedule's run. When its principal may not act any more the run is admitted and held. */
  const authorityOf = Effect.fnUntraced(function*(principal: Principal, at: number | "app") {
    if (node.authority === undefined) return {}
    const grants = grantsOf(principal, at)
    return (yield* refusal(principal, at)) === undefined ? { grants } : { grants, waitsFor: "principal" } as const
  })

  /** The reason why the principal of a schedule may not act, if it may not. */
  const refusal = (principal: Principal, at: number | "app"): Effect.Effect<string | undefined, StoreUnavailable> => {
    const { id: owner, tenant } = principal
    const createdAt = node.now()
    return node.authority?.refusal({ createdAt, grants: grantsOf(principal, at), owner, tenant }) ?? Effect.undefined
  }

  /** The run of a tick; nothing when it was refused, which decides the tick as well. */
  const fire = (timed: TimedSchedule, tick: number): Effect.Effect<string | undefined, StoreUnavailable> => {
    const at = new Date(tick).toISOString()
    return begin(timed, `schedule ${app}/${timed.id} ${at}`).pipe(
      Effect.map(({ run }) => run.runId),
      Effect.catchTag("RunError", (error) => {
        const { reason } = error
        if (reason._tag === "StoreUnavailable" || reason._tag === "ShuttingDown") {
          return Effect.fail(new StoreUnavailable({ operation: "start a scheduled run", cause: error }))
        }
        // The schedule was changed after another node had started this tick's run.
        if (reason._tag === "IdempotencyConflict") return Effect.succeed(reason.runId)
        return Effect.as(
          Effect.annotateLogs(Effect.logError("A scheduled run was refused", error), { schedule: timed.id, at }),
          undefined
        )
      })
    )
  }

  /** Whether the last run of the schedule has not ended. A run that was removed has ended. */
  const isBusy = ({ runId }: Mark, waitsFor?: RunRecord["waitsFor"]): Effect.Effect<boolean, ReadError> =>
    runId === undefined
      ? Effect.succeed(false)
      : Effect.map(
        node.get(runId),
        (run) =>
          run !== undefined && !isFinal(run.state) &&
          (waitsFor === undefined || (run.state === "suspended" && run.waitsFor === waitsFor))
      )

  /** The ticks that are due, decided; nothing when another node was faster. */
  const decide = Effect.fnUntraced(function*(timed: TimedSchedule, mark: Mark, now: number) {
    const ticks = ticksAfter(timed, mark.upto, now)
    const chosen = toFire(ticks, timed.missed, now)
    // One run that is held for the principal stands for the schedule: each further tick would be held too.
    const waitsFor = timed.overlap === "allow" ? "principal" : undefined
    const skips = timed.overlap !== "queue" && chosen.length > 0 &&
      ((timed.overlap === "skip" && mark.waiting.length > 0) || (yield* isBusy(mark, waitsFor)))
    const added = skips ? [] : timed.overlap === "skip" ? chosen.slice(-1) : chosen
    const waiting = [...mark.waiting, ...added]
    const next: Mark = {
      ...mark,
      version: mark.version + 1,
      upto: ticks.at(-1) ?? mark.upto,
      waiting: timed.overlap === "queue" ? waiting.slice(-mostWaiting) : waiting
    }
    return (yield* store.set(next, mark.version)) ? next : undefined
  })

  /** Does what is due of a schedule, and gives the time of what comes next. */
  const fireDue = Effect.fnUntraced(
    function*(timed: TimedSchedule, seen: Mark): Effect.fn.Return<number, ReadError> {
      let mark = seen
      if (mark.paused || node.closing) return Infinity
      const now = node.now()
      if ((timed.next(mark.upto) ?? Infinity) <= now) {
        const decided = yield* decide(timed, mark, now)
        if (decided === undefined) return now
        mark = decided
      }
      for (let tick = mark.waiting[0]; tick !== undefined; tick = mark.waiting[0]) {
        if (node.closing) return Infinity
        if (timed.overlap !== "allow" && (yield* isBusy(mark))) return node.now() + again
        const runId = yield* fire(timed, tick)
        const next: Mark = {
          ...mark,
          version: mark.version + 1,
          waiting: mark.waiting.slice(1),
          ...(runId === undefined ? {} : { fired: tick, runId })
        }
        if (!(yield* store.set(next, mark.version))) return now
        mark = next
      }
      return timed.next(mark.upto) ?? Infinity
    },
    (effect, timed) =>
      Effect.catch(effect, (error) =>
        Effect.as(
          Effect.annotateLogs(Effect.logWarning("A schedule could not be attended to", error), { schedule: timed.id }),
          node.now() + again
        ))
  )

  return { begin, fireDue, refusal }
}

const grantsOf = ({ claims, roles, scopes }: Principal, at: number | "app"): RunRecord["grants"] => ({
  scopes,
  roles,
  claims,
  authority: at === "app" ? at : { at }
})

export type ScheduleTicks = ReturnType<typeof makeScheduleTicks>
