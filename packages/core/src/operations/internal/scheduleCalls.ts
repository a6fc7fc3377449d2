// Calls that read and change the schedules of the caller's tenant, with the scope `schedules:manage`; Runtime.layer makes them.
// The runs of a schedule act for the caller who wrote it last, with rights that this caller held then, and never with more.
// The entry about a change of a schedule is committed with the change, where the store of schedules can.
import { Effect, Result } from "effect"
import { refusalOf } from "../../audit/internal/refusalOf.ts"
import { withEntry } from "../../audit/internal/withEntry.ts"
import { canonical } from "../../base/internal/canonical.ts"
import * as Policy from "../../base/Policy.ts"
import type { Caller } from "../../door/Caller.ts"
import type { Door } from "../../door/internal/door.ts"
import { asRunError } from "../../run/internal/runErrors.ts"
import type { Principal } from "../../run/Principal.ts"
import {
  fail,
  Forbidden,
  InvalidPayload,
  NotDeclared,
  type RunError,
  ScheduleExists,
  type StoreUnavailable
} from "../../run/RunError.ts"
import { parseCron } from "../../runtime/internal/cronExpression.ts"
import { decodePayload } from "../../runtime/internal/decodeInput.ts"
import type { Callables } from "../../runtime/internal/resolveHandlers.ts"
import type { RunSupervisor } from "../../runtime/internal/runSupervisor.ts"
import type { Known, Schedules } from "../../runtime/internal/schedules.ts"
import type { ScheduleTicks } from "../../runtime/internal/scheduleTicks.ts"
import { keyOfMade, timedOf, type TimedSchedule } from "../../runtime/internal/timedSchedules.ts"
import type { Definition, Mark, ScheduleStore } from "../../runtime/ScheduleStore.ts"
import type { ScheduleDetails, ScheduleRequest, ScheduleStatus, Started, WrittenSchedule } from "../Runtime.ts"

const scope = "schedules:manage"
/** How many schedules a tenant can make: every node reads them all each second. */
const most = 1_000

export const makeScheduleCalls = (options: {
  readonly node: RunSupervisor
  readonly door: Door
  readonly app: string
  readonly callables: Callables
  readonly declared: ReadonlyMap<string, TimedSchedule>
  readonly store: ScheduleStore["Service"]
  readonly schedules: Schedules
  readonly ticks: ScheduleTicks
}) => {
  const { app, callables, declared, door, node, schedules, store, ticks } = options
  // Ids that callers choose share one limit: there is no end to them.
  const enter = (caller: Caller, id: string) => door.enter(caller, `schedule/${declared.has(id) ? id : ""}`, [scope])
  const unknown = (id: string) => fail(new NotDeclared({ kind: "schedule", identifier: id }))

  /** Changes the mark of a schedule, unless somebody else has changed it meanwhile. */
  const changing = (
    caller: Caller,
    principal: Principal,
    action: string,
    id: string,
    change: Parameters<typeof withEntry<StoreUnavailable>>[2]
  ) =>
    asRunError(withEntry(
      { outbox: node.outbox, runs: node.durable.store, store },
      door.entry(caller, principal, action, `schedule/${id}`),
      change
    ))

  const statusOf = ({ mark, timed }: Known): ScheduleStatus => {
    const { agent, bound, cron, declared, id, missed, overlap, principal, timeZone } = timed
    const next = mark.paused ? undefined : timed.next(node.now())
    return {
      id,
      agent,
      cron,
      timeZone,
      missed,
      overlap,
      owner: principal.id,
      declared,
      paused: mark.paused,
      ...(next === undefined ? {} : { next }),
      ...(mark.fired === undefined ? {} : { last: mark.fired }),
      ...(mark.runId === undefined ? {} : { lastRunId: mark.runId }),
      ...(mark.waiting.length === 0 ? {} : { waiting: mark.waiting.length }),
      ...(bound === undefined ? { problem: `the app has no agent "${agent}"` } : {})
    }
  }

  const detailsOf = (known: Known): ScheduleDetails => ({
    ...statusOf(known),
    payload: known.timed.payload,
    scopes: known.timed.principal.scopes
  })

  /** The reason why runs of a schedule are held, if they are. */
  const heldOf = ({ timed: { admittedAt, principal } }: Known) =>
    Effect.map(
      asRunError(ticks.refusal(principal, admittedAt)),
      (reason) => reason === undefined ? {} : { problem: `its principal may not act: ${reason}` }
    )

  const find = Effect.fnUntraced(function*(caller: Caller, id: string) {
    const principal = yield* enter(caller, id)
    const known = yield* asRunError(schedules.find(principal.tenant, id))
    return known === undefined ? yield* unknown(id) : { principal, known }
  })

  const list = Effect.fnUntraced(function*(caller: Caller) {
    const principal = yield* door.enter(caller, "schedules", [scope])
    const all = yield* asRunError(schedules.all())
    const found = all.filter(({ timed }) => timed.principal.tenant === principal.tenant)
    if (found.some(({ timed }) => timed.principal.id !== principal.id)) {
      yield* door.saw(caller, principal, "schedules", {})
    }
    const nameOf = ({ timed: { admittedAt, principal } }: Known) => `${admittedAt} ${principal.id}`
    const principals = new Map(found.map((known) => [nameOf(known), known]))
    const held = new Map(
      yield* Effect.forEach(
        principals,
        ([name, known]) => Effect.map(heldOf(known), (problem) => [name, problem] as const),
        { concurrency: 8 }
      )
    )
    return found.map((known) => ({ ...held.get(nameOf(known)), ...statusOf(known) }))
  })

  const get = Effect.fnUntraced(function*(caller: Caller, id: string) {
    const { known, principal } = yield* find(caller, id)
    yield* door.saw(caller, principal, `schedule/${id}`, { owner: known.timed.principal.id })
    return { ...(yield* heldOf(known)), ...detailsOf(known) }
  })

  const runNow = Effect.fnUntraced(function*(
    caller: Caller,
    id: string,
    key?: string
  ): Effect.fn.Return<Started, RunError> {
    const { known: { timed }, principal } = yield* find(caller, id)
    const idempotencyKey = key === undefined ? undefined : `schedule ${app}/${id} by ${key}`
    const entryOf = (runId: string) => door.entry(caller, principal, "run", `schedule/${id}`, { runId })
    const started = yield* ticks.begin(timed, idempotencyKey, [principal.id], (runId) => [entryOf(runId)])
    const { attached, run: { runId } } = started
    if (attached) yield* door.audit(caller, principal, "run", `schedule/${id}`, { runId })
    return started
  }, Effect.uninterruptible)

  /** Ticks that pass during a pause are not missed. */
  const pause = Effect.fnUntraced(function*(
    caller: Caller,
    id: string,
    paused: boolean
  ): Effect.fn.Return<ScheduleStatus, RunError> {
    let { known, principal } = yield* find(caller, id)
    while (known.mark.paused !== paused) {
      const { mark } = known
      const next = { ...mark, version: mark.version + 1, upto: Math.max(mark.upto, node.now()), paused }
      const set = changing(
        caller,
        principal,
        paused ? "pause" : "resume",
        id,
        (facts) => store.set(next, mark.version, facts)
      )
      if (yield* set) return statusOf({ ...known, mark: next })
      known = (yield* asRunError(schedules.find(principal.tenant, id))) ?? (yield* unknown(id))
    }
    return statusOf(known)
  }, Effect.uninterruptible)

  /** A request that can be served, for a caller who may start the agent. */
  const define = Effect.fnUntraced(function*(
    caller: Caller,
    principal: Principal,
    id: string,
    request: ScheduleRequest
  ): Effect.fn.Return<Definition, RunError> {
    const invalid = (path: string, message: string) =>
      fail(new InvalidPayload({ target: "schedule", issues: [{ path: [path], message }] }))
    if (!isId(id)) return yield* invalid("id", "Expected 1 to 128 letters, digits, dots, dashes and underscores")
    const { agent, cron, missed = "skip", overlap = "allow", scopes = principal.scopes, timeZone = "UTC" } = request
    const expression = parseCron(cron, timeZone)
    if (Result.isFailure(expression)) return yield* invalid("cron", expression.failure)
    const bound = callables.agent.get(agent)
    if (bound === undefined) return yield* invalid("agent", `The app has no agent "${agent}"`)
    const missing = [...bound.callable.scopes, ...scopes].filter((scope) => !Policy.holds(principal.scopes, scope))
    if (missing.length > 0) {
      const refusal = new Forbidden({ rule: "scopes", missing })
      yield* door.audit(caller, principal, "write", `schedule/${id}`, refusalOf(refusal))
      return yield* fail(refusal)
    }
    const payload = yield* decodePayload(bound, request.payload)
    const [at, { claims, roles, tenant }] = [node.now(), principal]
    const holder = { id: principal.id, tenant, scopes, roles, claims }
    return { id, agent, cron, timeZone, payload, missed, overlap, principal: holder, createdAt: at, updatedAt: at }
  })

  const write = Effect.fnUntraced(function*(
    caller: Caller,
    id: string,
    request: ScheduleRequest,
    replaces: boolean
  ): Effect.fn.Return<WrittenSchedule, RunError> {
    const principal = yield* enter(caller, id)
    const definition = yield* define(caller, principal, id, request)
    const key = keyOfMade(app, principal.tenant, id)
    const written = (mark: Mark, created: boolean) => ({
      schedule: detailsOf({ timed: timedOf(key, definition, callables), mark }),
      created
    })
    const set = (mark: Mark, after: number) =>
      changing(caller, principal, after === 0 ? "create" : "change", id, (facts) => store.set(mark, after, facts))
    while (true) {
      const known = yield* asRunError(schedules.find(principal.tenant, id))
      if (known?.timed.declared === true) return yield* fail(new ScheduleExists({ id, declared: true }))
      const { mark } = known ?? {}
      if (known === undefined || mark?.definition === undefined) {
        if (yield* isFull(principal.tenant)) return yield* fail(new Forbidden({ rule: "schedules", missing: [] }))
        // A version that none before of this id can have had: a node may still hold one that was removed.
        const first: Mark = {
          app,
          key,
          version: Math.max(definition.createdAt, 1),
          upto: definition.createdAt,
          waiting: [],
          paused: false,
          definition
        }
        if (yield* set(first, 0)) return written(first, true)
        continue
      }
      if (isSame(mark.definition, definition)) return { schedule: detailsOf(known), created: false }
      if (!replaces) return yield* fail(new ScheduleExists({ id, declared: false }))
      const next = replacing(mark, { ...definition, createdAt: mark.definition.createdAt })
      if (yield* set(next, mark.version)) return written(next, false)
    }
  }, Effect.uninterruptible)

  const isFull = (tenant: string) =>
    Effect.map(
      asRunError(store.list(app)),
      (marks) => marks.filter(({ definition }) => definition?.principal.tenant === tenant).length >= most
    )

  const remove = Effect.fnUntraced(function*(caller: Caller, id: string): Effect.fn.Return<void, RunError> {
    let { known, principal } = yield* find(caller, id)
    while (true) {
      if (known.timed.declared) return yield* fail(new ScheduleExists({ id, declared: true }))
      const { key, version } = known.mark
      if (yield* changing(caller, principal, "remove", id, (facts) => store.remove(key, version, facts))) return
      known = (yield* asRunError(schedules.find(principal.tenant, id))) ?? (yield* unknown(id))
    }
  }, Effect.uninterruptible)

  return {
    schedules: list,
    schedule: get,
    runSchedule: runNow,
    pauseSchedule: pause,
    createSchedule: (caller: Caller, id: string, request: ScheduleRequest) => write(caller, id, request, false),
    putSchedule: (caller: Caller, id: string, request: ScheduleRequest) => write(caller, id, request, true),
    removeSchedule: remove
  }
}

const isId = (id: string) => /^[A-Za-z0-9_.-]{1,128}$/u.test(id)

/** Whether a caller has written what is there already, so that nothing changes. */
const isSame = (
  { createdAt: _a, updatedAt: _b, ...one }: Definition,
  { createdAt: _c, updatedAt: _d, ...other }: Definition
) => canonical(one) === canonical(other)

/** Ticks that wait keep waiting, unless their runs would be of another agent or for somebody else. */
const replacing = (mark: Mark, definition: Definition): Mark => ({
  ...mark,
  version: mark.version + 1,
  upto: Math.max(mark.upto, definition.updatedAt),
  waiting: mark.definition?.agent === definition.agent && mark.definition.principal.id === definition.principal.id
    ? mark.waiting
    : [],
  definition
})
