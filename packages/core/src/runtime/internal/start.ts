// Admits a new run through the door and launches or schedules it; Runtime, schedules and delegation call it.
import { Effect, type Schema } from "effect"
import * as SecureRandom from "effect/crypto/SecureRandom"
import type { Callable } from "../../app/Fusion.ts"
import type { Entry } from "../../audit/Audit.ts"
import { randomBytes } from "../../base/internal/randomBytes.ts"
import * as Caller from "../../door/Caller.ts"
import type { Door } from "../../door/internal/door.ts"
import type { Started, StartRequest } from "../../operations/Runtime.ts"
import { nestedTooDeeply, tooDeep } from "../../run/internal/issues.ts"
import { asRunError } from "../../run/internal/runErrors.ts"
import type { Principal } from "../../run/Principal.ts"
import { InvalidPayload, NotDeclared, RunError, ShuttingDown, type TooManyOpen } from "../../run/RunError.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import * as Tracing from "../../telemetry/Tracing.ts"
import { admit, type Inheritance } from "./admit.ts"
import type { Children } from "./delegation.ts"
import { admitFiles, holdFiles } from "./payloadFiles.ts"
import type { Callables } from "./resolveHandlers.ts"
import { makeHandle } from "./runHandle.ts"
import type { RegisteredCallable, RunSupervisor } from "./runSupervisor.ts"

/** The way of every run into the system: enter, decode, admit, launch. */
export const makeStart = (node: RunSupervisor, door: Door, callables: Callables) => {
  const random = SecureRandom.make(randomBytes)

  const start = (caller: Caller.Caller, request: StartRequest): Effect.Effect<Started, RunError> =>
    caller.span === undefined
      // An internal caller may have no trace: a new one begins here when tracing is on.
      ? Tracing.within(
        Effect.flatMap(
          Tracing.current,
          (span) => startIn(span === undefined ? caller : { ...caller, traceId: span.traceId, span }, request)
        ),
        "start"
      )
      : Tracing.under(startIn(caller, request), caller.span)

  const startIn = (caller: Caller.Caller, request: StartRequest): Effect.Effect<Started, RunError> => {
    const bound = callables[request.kind].get(request.identifier)
    // Names that nobody declared share one limit: there is no end to them.
    const target = bound === undefined ? `${request.kind}/` : targetOf(bound)
    return Effect.flatMap(
      door.enter(caller, target, bound?.callable.scopes ?? []),
      (principal) => startFor(caller, principal, request, bound)
    )
  }

  /** Starts a run for a caller that has passed the door. */
  const startFor = Effect.fnUntraced(function*(
    caller: Caller.Caller,
    principal: Principal,
    request: StartRequest,
    bound: RegisteredCallable | undefined,
    more?: Partial<RunRecord>,
    inherited?: Inheritance,
    /** Further lines of the audit log about the new run. */
    about?: (runId: string) => ReadonlyArray<Entry>
  ): Effect.fn.Return<Started, RunError> {
    if (bound === undefined) return yield* fail(new NotDeclared({ kind: request.kind, identifier: request.identifier }))
    if (node.closing) return yield* fail(new ShuttingDown())
    // A child belongs to the run that started it: refusing it would fail a run that was admitted.
    const refusal = more?.parentRunId === undefined ? node.openRuns.refusal(principal) : undefined
    if (refusal !== undefined) return yield* fail(refusal)
    if (request.startAt !== undefined && request.startAt > node.now() + node.longestDelay) {
      return yield* fail(startsTooLate(node.now() + node.longestDelay))
    }
    if (tooDeep(request.message)) return yield* asRunError(nestedTooDeeply("message"))
    const runId = yield* random.uuidV7()
    const { identifier: target, payload: shape } = bound.callable
    const payload = yield* admitFiles(node.files, {
      principal,
      owner: { tenant: principal.tenant, owner: principal.id },
      runId,
      target,
      shape,
      value: request.payload,
      saw: (file, read) => door.saw(caller, principal, file, read)
    })
    if (inherited !== undefined) yield* holdFiles(node.files, runId, inherited.steps)
    const own = recordOf(bound, caller, principal, request, payload, runId, node.now())
    const run = more === undefined ? own : { ...own, ...more, ...earliest(own.deadline, more.deadline) }
    const callee = targetOf(bound)
    const started = door.entry(caller, principal, "start", callee, { runId })
    const facts = about === undefined
      ? [node.outbox.note(started)]
      : [started, ...about(runId)].map((entry) => node.outbox.note(entry))
    const admitted = yield* admit(node, bound, principal, run, { facts, inherited, message: request.message })
    if (admitted.attached) {
      yield* door.audit(caller, principal, "attach", callee, { runId: admitted.run.runId })
    } else {
      yield* Effect.forEach(facts, (fact) => node.outbox.ensure(fact), { discard: true })
    }
    return makeHandle(node, caller, admitted, principal)
  })

  /** A delegated run passes the same door as the run that it is started for. */
  const startChild: Children["start"] = Effect.fnUntraced(function*(parent, principal, request) {
    const { agent: identifier, idempotencyKey, payload } = request
    const span = yield* Tracing.current
    const caller: Caller.Caller = Caller.make("delegation", { span, traceId: parent.traceId })
    const bound = callables.agent.get(identifier)
    yield* door.admit(caller, principal, `agent/${bound === undefined ? "" : identifier}`, bound?.callable.scopes ?? [])
    const started = yield* startFor(caller, principal, { kind: "agent", identifier, payload, idempotencyKey }, bound, {
      durable: parent.durable || (bound?.callable.durable ?? false),
      parentRunId: parent.runId,
      rootRunId: parent.rootRunId ?? parent.runId,
      priority: parent.priority,
      // Its rights are as old as those that they come from.
      ...(node.authority === undefined
        ? {}
        : { grants: { ...parent.grants, authority: parent.grants.authority ?? { at: parent.createdAt } } }),
      ...(parent.deadline === undefined ? {} : { deadline: parent.deadline }),
      ...(parent.causes === undefined ? {} : { causes: parent.causes }),
      ...(parent.threadId === undefined ? {} : { threadId: parent.threadId })
    })
    return started.run
  })

  return { start, startFor, startChild }
}

export const targetOf = ({ callable }: RegisteredCallable) => `${callable.kind}/${callable.identifier}`

const startsTooLate = (latest: number) => {
  const message = `Expected a time until ${new Date(latest).toISOString()}, which is as far ahead as a start may be`
  return new InvalidPayload({ target: "startAt", issues: [{ path: [], message }] })
}

const fail = (reason: InvalidPayload | NotDeclared | ShuttingDown | TooManyOpen) =>
  Effect.fail(new RunError({ reason }))

const recordOf = (
  { callable }: RegisteredCallable,
  caller: Caller.Caller,
  principal: Principal,
  request: StartRequest,
  payload: Schema.Json,
  runId: string,
  now: number
): RunRecord => ({
  runId,
  kind: callable.kind,
  agent: callable.identifier,
  state: "running",
  attempt: 1,
  seq: 0,
  emitted: 0,
  crashes: 0,
  priority: request.priority ?? 0,
  // A key makes the record durable, whatever the kind: a repeat finds it after a restart and on every node.
  durable: callable.durable || request.idempotencyKey !== undefined,
  tenant: principal.tenant,
  owner: principal.id,
  grants: { scopes: principal.scopes, roles: principal.roles, claims: principal.claims },
  payload,
  traceId: caller.traceId,
  fingerprint: callable.fingerprint,
  createdAt: now,
  updatedAt: now,
  ...(request.startAt === undefined ? {} : { wakeAt: request.startAt }),
  ...deadlineOf(callable, request, now),
  ...(request.threadId === undefined ? {} : { threadId: request.threadId }),
  ...(request.idempotencyKey === undefined ? {} : { idempotencyKey: request.idempotencyKey })
})

/** A run that starts later has its whole time from then on. */
const deadlineOf = (
  { timeoutMillis = Infinity }: Callable,
  { startAt = 0, timeout = Infinity }: StartRequest,
  now: number
) => earliest(Math.max(now, startAt) + Math.min(timeoutMillis, timeout))

/** The first of the deadlines that there are: no run may take longer than the run that has started it. */
const earliest = (one = Infinity, other = Infinity): { readonly deadline?: number } => {
  const deadline = Math.min(one, other)
  return Number.isFinite(deadline) ? { deadline } : {}
}
