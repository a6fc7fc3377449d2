import { Effect } from "effect"
import type { Audit, Entry } from "../Audit.ts"
import type { Auth } from "../Auth.ts"
import * as Authorization from "../Authorization.ts"
import type { Caller } from "../Caller.ts"
import type { Interrupt } from "../Interrupt.ts"
import { type PolicyRule, refusing } from "../PolicyRules.ts"
import type { Principal } from "../Principal.ts"
import { Forbidden, NotDeclared, type Reason, ruleOf, RunError, RunNotFound, type ToolDenied } from "../RunError.ts"
import type { RunRecord } from "../RunRecord.ts"
import * as Tracing from "../Tracing.ts"
import type { Callables } from "./bind.ts"
import type { Limiter } from "./limiter.ts"
import type { Metrics } from "./metrics.ts"
import type { Bound, Node } from "./node.ts"
import type { Refusals } from "./refusals.ts"
import { writeDown } from "./writeDown.ts"

export interface Door {
  readonly authenticate: (caller: Caller) => Effect.Effect<Principal, RunError>
  /** Authenticated, holding the scopes, and within the limits. */
  readonly enter: (
    caller: Caller,
    target: string,
    scopes: ReadonlyArray<string>
  ) => Effect.Effect<Principal, RunError>
  /** Holding the scopes, and within the limits. */
  readonly admit: (
    caller: Caller,
    principal: Principal,
    target: string,
    scopes: ReadonlyArray<string>
  ) => Effect.Effect<void, RunError>
  /** The run, when it is this caller's to see. */
  readonly run: (caller: Caller, node: Node, runId: string) => Effect.Effect<Entered, RunError>
  /** The run, when this caller may let it work: what holds for starting it holds for letting it go on. */
  readonly act: (caller: Caller, node: Node, runId: string, callables: Callables) => Effect.Effect<Acting, RunError>
  /** The run whose interrupt this caller may decide, with all that it asks for. */
  readonly decide: (
    caller: Caller,
    node: Node,
    runId: string,
    callables: Callables,
    id: string
  ) => Effect.Effect<Acting & { readonly interrupts: ReadonlyArray<Interrupt> }, RunError>
  readonly audit: (
    caller: Caller,
    principal: Principal,
    action: string,
    target: string,
    about?: About
  ) => Effect.Effect<void>
}

/** What more there is to say; the decision is "allowed" unless said otherwise. */
export type About = Partial<Pick<Entry, "decision" | "rule" | "reason" | "runId">>

export interface Entered {
  readonly principal: Principal
  readonly run: RunRecord
}

export interface Acting extends Entered {
  readonly bound: Bound
}

export const asRunError = <A, R>(effect: Effect.Effect<A, Reason, R>): Effect.Effect<A, RunError, R> =>
  Effect.mapError(effect, (reason) => new RunError({ reason }))

const kinds = ["agent", "tool", "resource", "prompt"] as const

/** The stages that stand in front of everything. */
export const makeDoor = (options: {
  readonly auth: Auth["Service"]
  readonly rules: ReadonlyArray<PolicyRule>
  readonly limit: Limiter
  readonly audit: Audit["Service"]
  readonly refusals: Refusals
  readonly metrics: Metrics
  readonly now: () => number
}): Door => {
  const record = (
    caller: Caller,
    principal: Pick<Principal, "id" | "tenant">,
    action: string,
    target: string,
    { decision = "allowed", ...about }: About
  ) =>
    writeDown(decision === "allowed" ? options.audit : options.refusals, {
      at: options.now(),
      tenant: principal.tenant,
      principal: principal.id,
      action,
      target,
      decision,
      traceId: caller.traceId,
      ...about
    })

  // Nobody is written down before it is known who they are: anybody could fill the trail. They are counted.
  const authenticate = (caller: Caller) =>
    asRunError(Effect.tapError(
      Tracing.within(options.auth.authenticate(caller.credentials), "authenticate"),
      (reason) =>
        Effect.sync(() => {
          options.metrics.refused(caller.protocol, reason._tag, "authenticate")
          if (reason._tag === "Unauthenticated") options.refusals.unknown()
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

  const admit = (caller: Caller, principal: Principal, target: string, scopes: ReadonlyArray<string>) =>
    asRunError(Effect.tapError(
      Tracing.within(
        Effect.andThen(
          Authorization.requireScopes(principal, scopes),
          rules.length === 0 ? Effect.void : Effect.suspend(() => requireRules(principal, target, caller))
        ),
        "authorize"
      ).pipe(
        Effect.andThen(Tracing.within(Tracing.silently(options.limit(principal, target, caller)), "limit"))
      ),
      (reason) => {
        const refusal = refusalOf(reason)
        options.metrics.refused(caller.protocol, reason._tag, refusal.rule)
        return record(caller, principal, "call", target, refusal)
      }
    ))

  const enter = Effect.fnUntraced(function*(caller: Caller, target: string, scopes: ReadonlyArray<string>) {
    const principal = yield* authenticate(caller)
    yield* admit(caller, principal, target, scopes)
    return principal
  })

  const run = Effect.fnUntraced(function*(caller: Caller, node: Node, runId: string) {
    const principal = yield* authenticate(caller)
    const found = yield* asRunError(node.get(runId))
    return { principal, run: yield* asRunError(Authorization.requireRun(principal, runId, found)) }
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

  const act = (caller: Caller, node: Node, runId: string, callables: Callables) =>
    Effect.flatMap(run(caller, node, runId), (entered) => acting(caller, entered, callables))

  const decide = Effect.fnUntraced(function*(
    caller: Caller,
    node: Node,
    runId: string,
    callables: Callables,
    id: string
  ) {
    const principal = yield* authenticate(caller)
    const found = yield* asRunError(node.get(runId))
    if (found === undefined || found.tenant !== principal.tenant) return yield* Effect.fail(notFound(runId))
    const interrupts = yield* asRunError(node.journalOf(found).store.interrupts(runId))
    const asked = interrupts.find((interrupt) => interrupt.id === id)
    if (asked?.approvers === undefined) return { ...(yield* act(caller, node, runId, callables)), interrupts }
    yield* asRunError(Effect.tapError(
      Authorization.requireApprover(principal, found, asked.approvers),
      (reason) => record(caller, principal, "answer", `interrupt/${asked.name}`, { runId, ...refusalOf(reason) })
    ))
    return { ...(yield* acting(caller, { principal, run: found }, callables, [])), interrupts }
  })

  return {
    authenticate,
    admit,
    enter,
    run,
    act,
    decide,
    audit: (caller, principal, action, target, about = {}) => record(caller, principal, action, target, about)
  }
}

/** How a refusal is written down: what it is, and the rule that refused. */
export const refusalOf = (reason: Reason | ToolDenied): Required<Pick<About, "decision" | "rule">> => ({
  decision: reason._tag,
  rule: ruleWith(reason)
})

/** What was missing stands beside the rule. */
const ruleWith = (reason: Reason | ToolDenied): string =>
  reason._tag === "Forbidden" && reason.missing.length > 0
    ? `${reason.rule}: ${reason.missing.join(" ")}`
    : ruleOf(reason) ?? reason._tag

export const notFound = (runId: string) => new RunError({ reason: new RunNotFound({ runId }) })
