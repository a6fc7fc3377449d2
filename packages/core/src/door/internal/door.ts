// The door: the authorization boundary that every operation of Runtime passes (authenticate, authorize, limit, audit).
// Nothing is read or written for a caller before it has let the call in.
import { Effect } from "effect"
import type { Audit, Entry } from "../../audit/Audit.ts"
import { refusalOf } from "../../audit/internal/refusalOf.ts"
import { writeDown } from "../../audit/internal/writeDown.ts"
import { asRunError, notFound } from "../../run/internal/runErrors.ts"
import type { Interrupt } from "../../run/Interrupt.ts"
import type { Principal } from "../../run/Principal.ts"
import { Forbidden, NotDeclared, type Reason, RunError, Unauthenticated } from "../../run/RunError.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import type { Callables } from "../../runtime/internal/resolveHandlers.ts"
import type { RegisteredCallable, RunSupervisor } from "../../runtime/internal/runSupervisor.ts"
import type { Metrics } from "../../telemetry/internal/metrics.ts"
import * as Tracing from "../../telemetry/Tracing.ts"
import type { Auth } from "../Auth.ts"
import * as Authorization from "../Authorization.ts"
import type { Caller } from "../Caller.ts"
import { type PolicyRule, refusing } from "../PolicyRules.ts"
import { withCausesOfAncestors } from "./ancestors.ts"
import type { AuditThrottle } from "./auditThrottle.ts"
import { accountDisabled, type Authority } from "./authority.ts"
import type { Limiter } from "./limiter.ts"

export interface Door {
  readonly authenticate: (caller: Caller) => Effect.Effect<Principal, RunError>
  /** A caller that is authenticated now: `authenticate` knows it from then on. */
  readonly identify: (caller: Caller) => Effect.Effect<Caller, RunError>
  /** Authenticated, holding the scopes, and within the limits. */
  readonly enter: (
    caller: Caller,
    target: string,
    scopes: ReadonlyArray<string>
  ) => Effect.Effect<Principal, RunError>
  /** Holding the scopes, and allowed by the rules. */
  readonly authorize: (
    caller: Caller,
    principal: Principal,
    target: string,
    scopes: ReadonlyArray<string>
  ) => Effect.Effect<void, RunError>
  /** Holding the scopes, and within the limits. */
  readonly admit: (
    caller: Caller,
    principal: Principal,
    target: string,
    scopes: ReadonlyArray<string>
  ) => Effect.Effect<void, RunError>
  /** The run, when it is this caller's to see. */
  readonly run: (caller: Caller, node: RunSupervisor, runId: string) => Effect.Effect<Entered, RunError>
  /** The run, when this caller may act on it. */
  readonly actor: (caller: Caller, node: RunSupervisor, runId: string) => Effect.Effect<Entered, RunError>
  /** The run, when this caller may let it work: what holds for starting it holds for letting it go on. */
  readonly act: (
    caller: Caller,
    node: RunSupervisor,
    runId: string,
    callables: Callables
  ) => Effect.Effect<Acting, RunError>
  /** The run whose interrupt this caller may decide, with all that it asks for. */
  readonly decide: (
    caller: Caller,
    node: RunSupervisor,
    runId: string,
    callables: Callables,
    id: string
  ) => Effect.Effect<Acting & { readonly interrupts: ReadonlyArray<Interrupt> }, RunError>
  /** Writes a line about a read, unless the reader is the owner of what was read; a list has its filter as reason. */
  readonly saw: (
    caller: Pick<Caller, "traceId">,
    principal: Principal,
    target: string,
    read: { readonly owner?: string; readonly runId?: string; readonly reason?: string }
  ) => Effect.Effect<void>
  /** A line of the audit log, for those who write it with their change. */
  readonly entry: (
    caller: Pick<Caller, "traceId">,
    principal: Principal,
    action: string,
    target: string,
    details?: About
  ) => Entry
  /** Writes a line that no change brings. */
  readonly record: (entry: Entry) => Effect.Effect<void>
  /** Writes a line about what changes nothing. */
  readonly audit: (
    caller: Caller,
    principal: Principal,
    action: string,
    target: string,
    details?: About
  ) => Effect.Effect<void>
}

/** Further fields of an audit entry; the decision is "allowed" by default. */
export type About = Partial<Pick<Entry, "decision" | "rule" | "reason" | "runId" | "onBehalfOf">>

export interface Entered {
  readonly principal: Principal
  readonly run: RunRecord
}

export interface Acting extends Entered {
  readonly bound: RegisteredCallable
}

const kinds = ["agent", "tool", "resource", "prompt"] as const

/** The checks that every operation passes before it does anything. */
export const makeDoor = (options: {
  readonly auth: Auth["Service"]
  readonly rules: ReadonlyArray<PolicyRule>
  readonly limit: Limiter
  readonly audit: Pick<Audit["Service"], "record">
  readonly throttle: AuditThrottle
  /** Takes the lines about reads of what belongs to somebody else. */
  readonly reads: Audit["Service"]["record"]
  readonly metrics: Metrics
  readonly authority: Authority | undefined
  readonly now: () => number
}): Door => {
  const entry: Door["entry"] = (caller, principal, action, target, { decision = "allowed", ...details } = {}) => ({
    at: options.now(),
    tenant: principal.tenant,
    principal: principal.id,
    action,
    target,
    decision,
    traceId: caller.traceId,
    ...details
  })

  const write = (line: Entry) => writeDown(line.decision === "allowed" ? options.audit : options.throttle, line)

  const record = (...about: Parameters<Door["entry"]>) => write(entry(...about))

  const reads = { record: options.reads }

  const saw: Door["saw"] = (caller, principal, target, { owner, ...about }) =>
    Effect.suspend(() => {
      if (owner === principal.id) return Effect.void
      const whose = owner === undefined ? {} : { onBehalfOf: owner }
      return writeDown(reads, entry(caller, principal, "read", target, { ...whose, ...about }))
    })

  const sawRun = (caller: Caller, principal: Principal, { owner, runId }: RunRecord) =>
    saw(caller, principal, `run/${runId}`, { owner, runId })

  /** The principal of a request while it is served. The class is this door's alone, so nothing else makes a caller known. */
  class Authenticated {
    readonly principal: Principal
    constructor(principal: Principal) {
      this.principal = principal
    }
  }

  const authenticate = (caller: Caller) =>
    Effect.suspend(() => {
      const { authenticated } = caller
      return authenticated instanceof Authenticated ? Effect.succeed(authenticated.principal) : lookUp(caller)
    })

  const identify = (caller: Caller) =>
    Effect.map(authenticate(caller), (principal): Caller => ({
      ...caller,
      authenticated: new Authenticated(principal)
    }))

  const { authority } = options

  /** Nothing is asked in an app without authentication. */
  const known: (principal: ReturnType<Auth["Service"]["authenticate"]>) => typeof principal = authority === undefined
    ? (principal) => principal
    : Effect.filterOrFail(
      (principal) => !authority.isDisabled(principal),
      () => new Unauthenticated({ reason: accountDisabled })
    )

  // Failed authentications are counted, not audited; otherwise anyone could flood the audit log.
  const lookUp = (caller: Caller) =>
    asRunError(Effect.tapError(
      Tracing.within(known(options.auth.authenticate(caller.credentials)), "authenticate"),
      (reason) =>
        Effect.sync(() => {
          options.metrics.refused(caller.protocol, reason._tag, "authenticate")
          if (reason._tag === "Unauthenticated") options.throttle.unknown()
        })
    ))

  const { rules } = options

  const requireRules = (principal: Principal, target: string, { protocol }: Caller) => {
    const kind = kinds.find((kind) => target.startsWith(`${kind}/`))
    if (kind === undefined) return Effect.void
    const identifier = target.slice(kind.length + 1)
    const rule = refusing(rules, { principal, kind, identifier, protocol, at: options.now() })
    return rule === undefined ? Effect.void : Effect.fail(new Forbidden({ rule: rule.name, missing: [] }))
  }

  const permitted = (caller: Caller, principal: Principal, target: string, scopes: ReadonlyArray<string>) =>
    Tracing.within(
      rules.length === 0
        ? Authorization.requireScopes(principal, scopes)
        : Effect.andThen(
          Authorization.requireScopes(principal, scopes),
          Effect.suspend(() => requireRules(principal, target, caller))
        ),
      "authorize"
    )

  /** A refusal is counted and audited. */
  const checked = <E extends Reason>(
    caller: Caller,
    principal: Principal,
    target: string,
    check: Effect.Effect<void, E>
  ) =>
    Effect.catch(check, (reason) => {
      const refusal = refusalOf(reason)
      options.metrics.refused(caller.protocol, reason._tag, refusal.rule)
      return Effect.andThen(
        record(caller, principal, "call", target, refusal),
        Effect.fail(new RunError({ reason }))
      )
    })

  const authorize: Door["authorize"] = (caller, principal, target, scopes) =>
    checked(caller, principal, target, permitted(caller, principal, target, scopes))

  const admit: Door["admit"] = (caller, principal, target, scopes) =>
    checked(
      caller,
      principal,
      target,
      Effect.andThen(
        permitted(caller, principal, target, scopes),
        Tracing.asOne(options.limit(principal, target, caller), "limit")
      )
    )

  const enter: Door["enter"] = (caller, target, scopes) =>
    Effect.tap(authenticate(caller), (principal) => admit(caller, principal, target, scopes))

  const run = Effect.fnUntraced(function*(caller: Caller, node: RunSupervisor, runId: string) {
    const principal = yield* authenticate(caller)
    const found = yield* asRunError(node.get(runId))
    const run = yield* asRunError(Authorization.requireRun(principal, runId, found))
    if (run.owner !== principal.id) yield* sawRun(caller, principal, run)
    return { principal, run }
  })

  const actor = Effect.fnUntraced(function*(caller: Caller, node: RunSupervisor, runId: string) {
    const principal = yield* authenticate(caller)
    const found = yield* asRunError(node.get(runId))
    const run = yield* asRunError(Effect.tapError(
      Authorization.requireActor(principal, runId, found),
      (reason) =>
        reason._tag === "Forbidden"
          ? record(caller, principal, "call", `run/${runId}`, { runId, ...refusalOf(reason) })
          : Effect.void
    ))
    if (run.owner !== principal.id) yield* sawRun(caller, principal, run)
    return { principal, run }
  })

  const acting = Effect.fnUntraced(function*(
    caller: Caller,
    entered: Entered,
    callables: Callables,
    scopes?: ReadonlyArray<string>
  ) {
    const { agent: identifier, kind } = entered.run
    const bound = callables[kind].get(identifier)
    if (bound === undefined) return yield* asRunError(Effect.fail(new NotDeclared({ kind, identifier })))
    yield* admit(caller, entered.principal, `${kind}/${identifier}`, scopes ?? bound.callable.scopes)
    return { ...entered, bound }
  })

  const act = (caller: Caller, node: RunSupervisor, runId: string, callables: Callables) =>
    Effect.flatMap(actor(caller, node, runId), (entered) => acting(caller, entered, callables))

  const decide = Effect.fnUntraced(function*(
    caller: Caller,
    node: RunSupervisor,
    runId: string,
    callables: Callables,
    id: string
  ) {
    const principal = yield* authenticate(caller)
    const found = yield* asRunError(node.get(runId))
    if (found === undefined || found.tenant !== principal.tenant) return yield* Effect.fail(notFound(runId))
    const rows = yield* asRunError(node.writerOf(found).store.interrupts(runId))
    // Messages are no questions.
    const interrupts = rows.filter(({ signal }) => signal === undefined)
    const asked = interrupts.find((interrupt) => interrupt.id === id)
    if (asked?.approvers === undefined) return { ...(yield* act(caller, node, runId, callables)), interrupts }
    const caused = asked.approvers.notRequester ? yield* withCausesOfAncestors(node, found) : found
    yield* asRunError(Effect.tapError(
      Authorization.requireApprover(principal, caused, asked.approvers),
      (reason) =>
        Effect.flatMap(
          node.shownText(found, asked.name, "interrupt"),
          (name) => record(caller, principal, "answer", `interrupt/${name}`, { runId, ...refusalOf(reason) })
        )
    ))
    if (found.owner !== principal.id && Authorization.sees(principal, found)) yield* sawRun(caller, principal, found)
    return { ...(yield* acting(caller, { principal, run: found }, callables, [])), interrupts }
  })

  return {
    authenticate,
    identify,
    authorize,
    admit,
    enter,
    run,
    actor,
    act,
    decide,
    saw,
    entry,
    record: write,
    audit: record
  }
}
