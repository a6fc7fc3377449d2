import { Cron, Effect, Result, Schema, type Scope } from "effect"
import { FusionError } from "../../app/Fusion.ts"
import type * as Schedule from "../../app/Schedule.ts"
import * as Caller from "../../door/Caller.ts"
import type { Door } from "../../door/internal/door.ts"
import type { ScheduleStatus, Started } from "../../operations/Runtime.ts"
import { asRunError } from "../../run/internal/runErrors.ts"
import * as Principal from "../../run/Principal.ts"
import { NotDeclared, RunError, StoreUnavailable } from "../../run/RunError.ts"
import type { Mark, ScheduleStore } from "../ScheduleStore.ts"
import { ticksAfter, toFire } from "./cronTicks.ts"
import type { Callables } from "./resolveHandlers.ts"
import type { RegisteredCallable, RunSupervisor } from "./runSupervisor.ts"
import { type makeStart, targetOf } from "./start.ts"

/** A schedule that can be served. */
interface Timed {
  readonly declared: Schedule.Any
  readonly cron: Cron.Cron
  readonly payload: Schema.Json
  readonly bound: RegisteredCallable
  readonly key: string
  readonly principal: Principal.Principal
}

/** How long at most until the clock is looked at again: it can be set, and a machine can sleep. */
const longest = 30_000
/** How long to wait when a tick could not be dealt with. */
const again = 1_000
const scope = "schedules:manage"

/** Refuses what cannot be served as it is declared. */
export const compileSchedules = Effect.fnUntraced(function*(
  app: { readonly identifier: string; readonly schedules: ReadonlyArray<Schedule.Any> },
  callables: Callables
) {
  const timed = new Map<string, Timed>()
  for (const declared of app.schedules) {
    const { agent, as, id } = declared
    const refuse = (problem: string) => Effect.fail(new FusionError({ declaration: `schedule "${id}"`, problem }))
    const bound = callables.agent.get(agent.identifier)
    if (bound === undefined) return yield* refuse(`the app has no agent "${agent.identifier}"`)
    if (timed.has(id)) return yield* refuse("there are two of this id")
    const cron = Result.getOrUndefined(Cron.parse(declared.cron, declared.timeZone))
    if (cron === undefined) return yield* refuse(`"${declared.cron}" in "${declared.timeZone}" is no cron expression`)
    const payload = yield* Effect.catch(
      Schema.encodeUnknownEffect(Schema.toCodecJson(agent.payloadSchema))(declared.payload),
      () => refuse(`its payload is none of "${agent.identifier}"`)
    )
    const { principal: owner, scopes, tenant } = as
    const principal = new Principal.Principal({ id: owner, tenant, scopes, roles: [], claims: {} })
    timed.set(id, { declared, cron, payload, bound, key: `${app.identifier}/${id}`, principal })
  }
  return timed
})

/** Starts runs by the clock, each tick once in all nodes, and lets callers look at what is to come. */
export const makeSchedules = (
  node: RunSupervisor,
  door: Door,
  schedules: ReadonlyMap<string, Timed>,
  store: ScheduleStore["Service"],
  { startFor }: Pick<ReturnType<typeof makeStart>, "startFor">
) => {
  const begin = Effect.fnUntraced(function*({ bound, payload, principal }: Timed, idempotencyKey: string | undefined) {
    const caller = Caller.make("schedule")
    const { callable: { identifier, scopes } } = bound
    yield* door.admit(caller, principal, targetOf(bound), scopes)
    return yield* startFor(caller, principal, { kind: "agent", identifier, payload, idempotencyKey }, bound)
  })

  /** One run for each tick, however many nodes see it. A tick that is refused is dealt with too. */
  const fire = (timed: Timed, tick: number) => {
    const { declared: { id }, key } = timed
    const at = new Date(tick).toISOString()
    return Effect.as(begin(timed, `schedule ${key} ${at}`), true).pipe(
      Effect.catchTag("RunError", (error) => {
        const { _tag } = error.reason
        if (_tag === "StoreUnavailable" || _tag === "ShuttingDown") {
          return Effect.fail(new StoreUnavailable({ operation: "start a scheduled run", cause: error }))
        }
        return Effect.as(
          Effect.annotateLogs(Effect.logError("A scheduled run was refused", error), { schedule: id, at }),
          false
        )
      })
    )
  }

  /** The mark; the first look at a schedule is where it begins. */
  const markOf = Effect.fnUntraced(function*({ key }: Timed): Effect.fn.Return<Mark, StoreUnavailable> {
    while (true) {
      const known = yield* store.get(key)
      if (known !== undefined) return known
      const first: Mark = { key, version: 1, upto: node.now(), paused: false }
      if (yield* store.set(first)) return first
    }
  })

  /** Deals with what is due, and says when to look again. */
  const look = Effect.fnUntraced(function*(timed: Timed) {
    const mark = yield* markOf(timed)
    const now = node.now()
    if (mark.paused) return now + longest
    const ticks = ticksAfter(timed.cron, mark.upto, now)
    const last = ticks.at(-1)
    if (last !== undefined) {
      let fired = mark.fired
      for (const tick of toFire(ticks, timed.declared.missed, now)) {
        if (node.closing) return now + longest
        if (yield* fire(timed, tick)) fired = tick
      }
      yield* store.set({
        ...mark,
        version: mark.version + 1,
        upto: last,
        ...(fired === undefined ? {} : { fired })
      })
    }
    return Cron.next(timed.cron, new Date(Math.max(mark.upto, last ?? 0))).getTime()
  })

  const attend = (timed: Timed) =>
    Effect.forever(Effect.flatMap(
      Effect.catch(
        look(timed),
        (error) =>
          Effect.as(
            Effect.annotateLogs(Effect.logWarning("A schedule could not be looked at", error), {
              schedule: timed.declared.id
            }),
            node.now() + again
          )
      ),
      (next) => Effect.sleep(Math.min(Math.max(next - node.now(), 1), longest))
    ))

  const run: Effect.Effect<void, never, Scope.Scope> = Effect.forEach(
    schedules.values(),
    (timed) => Effect.forkScoped(attend(timed)),
    { discard: true }
  )

  const statusOf = Effect.fnUntraced(function*(timed: Timed): Effect.fn.Return<ScheduleStatus, RunError> {
    const { agent, as, cron, id, missed, timeZone } = timed.declared
    const { fired, paused } = yield* asRunError(markOf(timed))
    return {
      id,
      agent: agent.identifier,
      cron,
      timeZone,
      missed,
      owner: as.principal,
      paused,
      ...(paused ? {} : { next: Cron.next(timed.cron, new Date(node.now())).getTime() }),
      ...(fired === undefined ? {} : { last: fired })
    }
  })

  /** A schedule is its tenant's to manage. */
  const find = Effect.fnUntraced(function*(caller: Caller.Caller, id: string) {
    const principal = yield* door.enter(caller, `schedule/${schedules.has(id) ? id : ""}`, [scope])
    const timed = schedules.get(id)
    if (timed !== undefined && timed.principal.tenant === principal.tenant) return { principal, timed }
    return yield* Effect.fail(new RunError({ reason: new NotDeclared({ kind: "schedule", identifier: id }) }))
  })

  const list = Effect.fnUntraced(function*(caller: Caller.Caller) {
    const { tenant } = yield* door.enter(caller, "schedules", [scope])
    const own = [...schedules.values()].filter(({ principal }) => principal.tenant === tenant)
    return yield* Effect.forEach(own, statusOf)
  })

  const runNow = Effect.fnUntraced(function*(
    caller: Caller.Caller,
    id: string,
    key?: string
  ): Effect.fn.Return<Started, RunError> {
    const { principal, timed } = yield* find(caller, id)
    const started = yield* begin(timed, key === undefined ? undefined : `schedule ${timed.key} by ${key}`)
    yield* door.audit(caller, principal, "run", `schedule/${id}`, { runId: started.run.runId })
    return started
  })

  const pause = Effect.fnUntraced(function*(
    caller: Caller.Caller,
    id: string,
    paused: boolean
  ): Effect.fn.Return<ScheduleStatus, RunError> {
    const { principal, timed } = yield* find(caller, id)
    while (true) {
      const mark = yield* asRunError(markOf(timed))
      if (mark.paused === paused) break
      // What passed during the pause is not missed.
      const next = { ...mark, version: mark.version + 1, upto: Math.max(mark.upto, node.now()), paused }
      if (yield* asRunError(store.set(next))) break
    }
    yield* door.audit(caller, principal, paused ? "pause" : "resume", `schedule/${id}`)
    return yield* statusOf(timed)
  })

  return { run, calls: { schedules: list, runSchedule: runNow, pauseSchedule: pause } }
}
