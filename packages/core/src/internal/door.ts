import { Effect } from "effect"
import type { Audit } from "../Audit.ts"
import type { Auth } from "../Auth.ts"
import * as Authorization from "../Authorization.ts"
import type { Caller } from "../Caller.ts"
import type { Principal } from "../Principal.ts"
import type { RateLimit } from "../RateLimit.ts"
import { type Reason, RunError, RunNotFound } from "../RunError.ts"
import type { RunRecord } from "../RunRecord.ts"
import type { Node } from "./node.ts"

export interface Door {
  readonly authenticate: (caller: Caller) => Effect.Effect<Principal, RunError>
  /** Authenticated, holding the scopes, and within the limits. */
  readonly enter: (
    caller: Caller,
    target: string,
    scopes: ReadonlyArray<string>
  ) => Effect.Effect<Principal, RunError>
  /** The run, when it is this caller's to see. */
  readonly run: (caller: Caller, node: Node, runId: string) => Effect.Effect<Entered, RunError>
  readonly audit: (
    caller: Caller,
    principal: Principal,
    action: string,
    target: string,
    run?: RunRecord
  ) => Effect.Effect<void>
}

export interface Entered {
  readonly principal: Principal
  readonly run: RunRecord
}

export const asRunError = <A, R>(effect: Effect.Effect<A, Reason, R>): Effect.Effect<A, RunError, R> =>
  Effect.mapError(effect, (reason) => new RunError({ reason }))

/** The stages that stand in front of everything. */
export const makeDoor = (options: {
  readonly auth: Auth["Service"]
  readonly limit: RateLimit["Service"]
  readonly audit: Audit["Service"]
  readonly now: () => number
}): Door => {
  const record = (
    caller: Caller,
    principal: Pick<Principal, "id" | "tenant">,
    action: string,
    target: string,
    decision: string,
    runId?: string
  ) =>
    options.audit.record({
      at: options.now(),
      tenant: principal.tenant,
      principal: principal.id,
      action,
      target,
      decision,
      traceId: caller.traceId,
      ...(runId === undefined ? {} : { runId })
    })

  const authenticate = (caller: Caller) =>
    asRunError(Effect.tapError(
      options.auth.authenticate(caller.credentials),
      () => record(caller, nobody, "authenticate", caller.protocol, "denied")
    ))

  const enter = Effect.fnUntraced(function*(caller: Caller, target: string, scopes: ReadonlyArray<string>) {
    const principal = yield* authenticate(caller)
    yield* asRunError(Effect.tapError(
      Effect.andThen(
        Authorization.requireScopes(principal, scopes),
        options.limit.consume(principal, target, caller.protocol)
      ),
      (reason) => record(caller, principal, "call", target, reason._tag)
    ))
    return principal
  })

  const run = Effect.fnUntraced(function*(caller: Caller, node: Node, runId: string) {
    const principal = yield* authenticate(caller)
    const found = yield* asRunError(node.get(runId))
    return { principal, run: yield* asRunError(Authorization.requireRun(principal, runId, found)) }
  })

  return {
    authenticate,
    enter,
    run,
    audit: (caller, principal, action, target, about) =>
      record(caller, principal, action, target, "allowed", about?.runId)
  }
}

const nobody = { id: "", tenant: "" }

export const notFound = (runId: string) => new RunError({ reason: new RunNotFound({ runId }) })
