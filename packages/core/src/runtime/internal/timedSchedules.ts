// Schedules with everything that their ticks need: those that the app declares and those that callers have made.
// The app does not start with a declared one that cannot be served; a made one that cannot be served any more stays listed.
import { Effect, Result, Schema } from "effect"
import { FusionError } from "../../app/Fusion.ts"
import type * as Schedule from "../../app/Schedule.ts"
import * as Principal from "../../run/Principal.ts"
import type { Definition } from "../ScheduleStore.ts"
import { type CronExpression, parseCron } from "./cronExpression.ts"
import type { Callables } from "./resolveHandlers.ts"
import type { RegisteredCallable } from "./runSupervisor.ts"

export interface TimedSchedule {
  readonly key: string
  readonly id: string
  readonly declared: boolean
  readonly agent: string
  readonly cron: string
  readonly timeZone: string
  readonly missed: Schedule.Missed
  readonly overlap: Schedule.Overlap
  readonly payload: Schema.Json
  /** The runs act for this principal, with these rights. */
  readonly principal: Principal.Principal
  /** When the principal was admitted, or that the app itself has declared it. */
  readonly admittedAt: number | "app"
  readonly next: CronExpression["next"]
  /** The agent, unless the app does not have it. */
  readonly bound: RegisteredCallable | undefined
}

/** The key of a declared schedule's mark. */
export const keyOfDeclared = (app: string, id: string): string => `${app}/${id}`

/** The key of a made schedule's mark: each tenant has its own ids. */
export const keyOfMade = (app: string, tenant: string, id: string): string =>
  `${app}//${encodeURIComponent(tenant)}/${id}`

/** Refuses declared schedules that cannot be served as they are. */
export const compileSchedules = Effect.fnUntraced(function*(
  app: { readonly identifier: string; readonly schedules: ReadonlyArray<Schedule.Any> },
  callables: Callables
) {
  const timed = new Map<string, TimedSchedule>()
  for (const declared of app.schedules) {
    const { agent, as, cron, id, missed, overlap, timeZone } = declared
    const refuse = (problem: string) => Effect.fail(new FusionError({ declaration: `schedule "${id}"`, problem }))
    const bound = callables.agent.get(agent.identifier)
    if (bound === undefined) return yield* refuse(`the app has no agent "${agent.identifier}"`)
    if (timed.has(id)) return yield* refuse("there are two of this id")
    const expression = parseCron(cron, timeZone)
    if (Result.isFailure(expression)) return yield* refuse(expression.failure)
    const payload = yield* Effect.catch(
      Schema.encodeUnknownEffect(Schema.toCodecJson(agent.payloadSchema))(declared.payload),
      () => refuse(`its payload does not fit the agent "${agent.identifier}"`)
    )
    const { principal: owner, scopes, tenant } = as
    timed.set(id, {
      key: keyOfDeclared(app.identifier, id),
      id,
      declared: true,
      agent: agent.identifier,
      cron,
      timeZone,
      missed,
      overlap,
      payload,
      principal: new Principal.Principal({ id: owner, tenant, scopes, roles: [], claims: {} }),
      admittedAt: "app",
      next: expression.success.next,
      bound
    })
  }
  return timed
})

/** A made schedule as it is stored. An expression that this server cannot read fires never. */
export const timedOf = (key: string, definition: Definition, callables: Callables): TimedSchedule => {
  const { agent, cron, id, missed, overlap, payload, principal, timeZone } = definition
  return {
    key,
    id,
    declared: false,
    agent,
    cron,
    timeZone,
    missed,
    overlap,
    payload,
    principal: new Principal.Principal(principal),
    admittedAt: definition.updatedAt,
    next: Result.match(parseCron(cron, timeZone), { onFailure: () => () => undefined, onSuccess: ({ next }) => next }),
    bound: callables.agent.get(agent)
  }
}
