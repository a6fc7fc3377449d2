// Builds the runtime of an app: resolves its handlers, wires the door, the supervisor and the background loops in the order in
// which they need each other, and fails when a declaration cannot be served. Runtime.layer is made of it.
import { Duration, Effect, Option, type Scope } from "effect"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import type * as Agent from "../../app/Agent.ts"
import type * as App from "../../app/App.ts"
import * as Fusion from "../../app/Fusion.ts"
import { Audit } from "../../audit/Audit.ts"
import { handlerOf } from "../../base/internal/handlerOf.ts"
import * as Timings from "../../base/Timings.ts"
import { Budget } from "../../budget/Budget.ts"
import { ApiKeyStore, makeMemory as makeKeys } from "../../door/ApiKeys.ts"
import { Auth } from "../../door/Auth.ts"
import { makeAuditThrottle } from "../../door/internal/auditThrottle.ts"
import { makeAuthority } from "../../door/internal/authority.ts"
import { CredentialWatch } from "../../door/internal/credentialWatch.ts"
import { makeDoor } from "../../door/internal/door.ts"
import { makeForeignReads } from "../../door/internal/foreignReads.ts"
import { checkRules, makeLimiter } from "../../door/internal/limiter.ts"
import { makeToolDoor } from "../../door/internal/toolDoor.ts"
import { OpenLimits } from "../../door/OpenLimits.ts"
import { PolicyRules } from "../../door/PolicyRules.ts"
import { makeMemory, RateCounters } from "../../door/RateCounters.ts"
import { RateLimit } from "../../door/RateLimit.ts"
import { TenantWeights } from "../../door/TenantWeights.ts"
import { CurrentToolPolicy } from "../../door/ToolPolicy.ts"
import { RunError, type StoreUnavailable } from "../../run/RunError.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import { backgroundLoops } from "../../runtime/internal/backgroundLoops.ts"
import { cancelAbandoned } from "../../runtime/internal/cancel.ts"
import { checkAdapter, withAdapters } from "../../runtime/internal/checkAdapters.ts"
import { checkHandlers } from "../../runtime/internal/checkHandlers.ts"
import { checkModel } from "../../runtime/internal/checkModel.ts"
import { makeDueRuns } from "../../runtime/internal/dueRuns.ts"
import { makeEngineClaim } from "../../runtime/internal/engineClaim.ts"
import { firstMessage } from "../../runtime/internal/receivedMessages.ts"
import { reconcile } from "../../runtime/internal/reconcile.ts"
import { resolveHandlers } from "../../runtime/internal/resolveHandlers.ts"
import { RunSupervisor } from "../../runtime/internal/runSupervisor.ts"
import { makeSchedules } from "../../runtime/internal/schedules.ts"
import { makeScheduleTicks } from "../../runtime/internal/scheduleTicks.ts"
import { makeStart } from "../../runtime/internal/start.ts"
import { makeStoreWatch } from "../../runtime/internal/storeWatch.ts"
import { makeStuckCode } from "../../runtime/internal/stuckCode.ts"
import { compileSchedules } from "../../runtime/internal/timedSchedules.ts"
import { upgradeAll } from "../../runtime/internal/upgradeAll.ts"
import { RunEngine } from "../../runtime/RunEngine.ts"
import { makeMemory as makeMarks, ScheduleStore } from "../../runtime/ScheduleStore.ts"
import * as Files from "../../store/Files.ts"
import { makeMemoryRunStore } from "../../store/internal/memoryRunStore.ts"
import { makeMemory as makePushes, PushStore } from "../../store/PushStore.ts"
import * as Retention from "../../store/Retention.ts"
import { RunStore } from "../../store/RunStore.ts"
import { makeMemory as makeSharedNotes, SharedNotes } from "../../store/SharedNotes.ts"
import type { Options, Runtime } from "../Runtime.ts"
import { makeAuditReads } from "./auditReads.ts"
import { makeConnect, makeOpenStream } from "./connections.ts"
import { makeDeadTargetCalls } from "./deadTargets.ts"
import { makeDecisions } from "./decisions.ts"
import { makeFiles } from "./files.ts"
import { makeForks } from "./forks.ts"
import { makeNotes } from "./notes.ts"
import { makePrincipalCalls } from "./principalCalls.ts"
import { makePushTargets } from "./pushTargets.ts"
import { makeRecent } from "./recentRuns.ts"
import { makeResourceReads } from "./resourceReads.ts"
import { makeRuns } from "./runs.ts"
import { makeScheduleCalls } from "./scheduleCalls.ts"
import { makeSignals } from "./signals.ts"
import { makeThreadCalls } from "./threadCalls.ts"
import { makeUsage } from "./usage.ts"
import { makeVisibleTo } from "./visibleTo.ts"

export const makeRuntime = Effect.fnUntraced(function*<A extends App.Any>(
  app: A,
  { credentialCheck = Timings.credentialCheckMillis, grace, longestDelay = Timings.longestDelayMillis }: Options
): Effect.fn.Return<
  Runtime["Service"],
  Fusion.FusionError | StoreUnavailable,
  App.Handlers<A> | RunStore | Auth | RateLimit | Budget | Audit | Scope.Scope
> {
  const toolPolicy = yield* CurrentToolPolicy
  const services = yield* Effect.context<never>()
  yield* checkHandlers(app, services)
  const compiled = yield* Fusion.compile(app, { asksAnything: toolPolicy !== undefined })
  const fusion = withAdapters(compiled, (agent) => handlerOf<Agent.Handle>(services, agent).adapter)
  const bound = yield* resolveHandlers(fusion, services)
  const budget = yield* Budget
  for (const agent of fusion.app.agents) {
    const known = bound.agent.get(agent.identifier)
    if (known === undefined) continue
    const hooks = [...fusion.app.hooks, ...agent.hooks]
    yield* checkAdapter(known.callable, hooks, known.hooks, budget.limits)
    yield* checkModel(known.callable, handlerOf<Agent.Handle>(services, agent))
  }
  yield* bindStore(fusion.app.identifier)
  const timed = yield* compileSchedules(fusion.app, bound)
  const { rules } = yield* RateLimit
  yield* checkRules(rules, fusion)
  const rates = yield* counters
  const limit = makeLimiter(rules, rates)
  const auth = yield* Auth
  const keys = Option.getOrElse(yield* Effect.serviceOption(ApiKeyStore), makeKeys)
  const authority = makeAuthority(auth, keys)
  const credentials = authority === undefined || credentialCheck === "off"
    ? undefined
    : new CredentialWatch(auth, authority)
  const audit = yield* Audit
  const policy = yield* PolicyRules
  const engine = yield* RunEngine
  const options = {
    app: fusion.app.identifier,
    durable: yield* RunStore,
    ephemeral: makeMemoryRunStore(1_000),
    services,
    budget,
    audit,
    clock: yield* Effect.clockWith(Effect.succeed),
    grace: grace ?? Timings.graceMillis,
    open: yield* OpenLimits,
    files: yield* files,
    weightOf: yield* TenantWeights,
    authority,
    credentials,
    longestDelay: Duration.toMillis(Duration.fromInputUnsafe(longestDelay)),
    hooksOf: ({ agent, kind }: Pick<RunRecord, "agent" | "kind">) => bound[kind].get(agent)?.hooks ?? []
  }
  const { node, wired: { door, dueRuns, starts } } = yield* RunSupervisor.make(
    options,
    Effect.fnUntraced(function*(node) {
      const now = () => node.now()
      const { metrics, outbox } = node
      const throttle = yield* makeAuditThrottle(outbox, now)
      const reads = yield* makeForeignReads(outbox, now)
      const door = makeDoor({ auth, rules: policy, limit, audit: outbox, throttle, reads, metrics, authority, now })
      const starts = makeStart(node, door, bound)
      const dueRuns = makeDueRuns(node, bound)
      const scope = yield* Effect.scope
      yield* upgradeAll(node, bound)
      return {
        door,
        starts,
        dueRuns,
        tools: makeToolDoor(door, toolPolicy, (tool) => bound.tool.has(tool)),
        children: {
          start: starts.startChild,
          // A durable run may have been delegated to by one that is in memory alone.
          rootMessage: ({ rootRunId = "" }: RunRecord) =>
            Effect.flatMap(
              node.ephemeral.store.get(rootRunId),
              (here) =>
                firstMessage(here === undefined ? node.durable.store : node.ephemeral.store, { runId: rootRunId })
            ),
          settled: (run: RunRecord) => node.settled(run),
          ended: (run: RunRecord) => node.ended(run),
          abandon: (run: RunRecord) => Effect.asVoid(Effect.forkIn(cancelAbandoned(node, run), scope))
        },
        onSettled: dueRuns.onSettled,
        engineSchedule: yield* engine.join(makeEngineClaim(node, bound))
      }
    })
  )
  yield* reconcile(node, bound, node.durable.store.unfinished)
  yield* dueRuns.wakeAll(node.durable.store)
  const notesOfStore = yield* Effect.serviceOption(SharedNotes)
  const isLimited = [...bound.agent.values(), ...bound.tool.values()].some(({ callable }) =>
    callable.limits !== undefined
  )
  const stuckCode = isLimited && Option.isSome(notesOfStore)
    ? makeStuckCode(node.runs, notesOfStore.value, fusion.app.identifier)
    : undefined
  yield* backgroundLoops(node, bound, dueRuns, stuckCode)
  if (credentials !== undefined && credentialCheck !== "off") {
    const spacing = Math.max(100, Duration.toMillis(Duration.fromInputUnsafe(credentialCheck)))
    const check = Effect.andThen(Effect.sleep(spacing), node.checkCredentials(credentials))
    yield* Effect.forkScoped(Effect.forever(check))
  }
  const watch = makeStoreWatch(node.durable)
  yield* watch.run
  const [name, store] = [fusion.app.identifier, yield* marks]
  const ticks = makeScheduleTicks(node, door, name, store, starts)
  const schedules = makeSchedules(node, name, bound, timed, store, ticks)
  yield* schedules.run
  const push = yield* pushStore
  const notes = yield* makeNotes(Option.getOrElse(notesOfStore, makeSharedNotes), fusion, {
    rates,
    limit: options.open.notes
  })
  const credentialsEnd: Runtime["Service"]["credentialsEnd"] = ({ credentials: shown }) =>
    credentials === undefined
      ? Effect.never
      : Effect.mapError(credentials.until(shown), (reason) => new RunError({ reason }))
  const signals = makeSignals(node, door, bound)
  return {
    fusion,
    isOpen: auth.open,
    keptMillis: (run) => Retention.keptMillis(options.durable, run),
    notes,
    start: starts.start,
    ...makeForks(node, door, bound, starts),
    ...makeRuns(node, door),
    recent: makeRecent(node, door),
    ...makeDecisions(node, door, bound, fusion, dueRuns),
    signal: signals.signal,
    ...makeResourceReads(fusion, door, services),
    ...makeScheduleCalls({ node, door, app: name, callables: bound, declared: timed, store, schedules, ticks }),
    ...makeThreadCalls(node, door),
    ...makeAuditReads(door, audit, node.outbox),
    ...makePrincipalCalls(node, door, keys, store, schedules),
    ...makeVisibleTo(fusion, door),
    ...makeFiles(door, node.files),
    push: { ...makePushTargets(node, door, push, signals.arrived), ...makeDeadTargetCalls(node, door, push, audit) },
    usage: makeUsage(budget, door),
    authenticate: door.identify,
    principal: door.authenticate,
    connect: makeConnect(door, options.open),
    openStream: makeOpenStream(node, door, credentialsEnd),
    credentialsEnd,
    drain: node.drain,
    metrics: (caller) => Effect.andThen(door.enter(caller, "metrics", ["metrics:read"]), PrometheusMetrics.format()),
    suspects: Effect.sync(() => node.runs.suspects.map(({ agent, runId }) => ({ agent, runId }))),
    ready: Effect.sync(() => !node.closing),
    readiness: Effect.suspend(() => node.closing ? Effect.succeed("shutting down" as const) : watch.readiness)
  }
})

/** Two apps in one store would read each other's runs, accept each other's keys and run each other's queued work. */
const bindStore = Effect.fnUntraced(function*(app: string) {
  const { bind } = yield* RunStore
  const other = yield* bind(app)
  if (other === app) return
  const problem =
    `the store belongs to the app "${other}": use another database, ?schema= on PostgreSQL or ?prefix= on Redis`
  return yield* new Fusion.FusionError({ declaration: `app "${app}"`, problem })
})

const marks = Effect.map(Effect.serviceOption(ScheduleStore), Option.getOrElse(makeMarks))
const pushStore = Effect.map(Effect.serviceOption(PushStore), Option.getOrElse(makePushes))
const files = Effect.map(Effect.serviceOption(Files.Files), Option.getOrElse(() => Files.none))
const counters = Effect.map(Effect.serviceOption(RateCounters), Option.getOrElse(makeMemory))
