import { Effect, Schema } from "effect"
import * as SecureRandom from "effect/crypto/SecureRandom"
import type { Caller } from "../Caller.ts"
import type { Principal } from "../Principal.ts"
import { IdempotencyConflict, InvalidPayload, NotDeclared, RunError, ShuttingDown } from "../RunError.ts"
import type { RunRecord } from "../RunRecord.ts"
import type { Started, StartRequest } from "../Runtime.ts"
import type { Callables } from "./bind.ts"
import { canonical } from "./canonical.ts"
import { asRunError, type Door } from "./door.ts"
import { randomBytes } from "./entropy.ts"
import { issuesOf, nestedTooDeeply, tooDeep } from "./issues.ts"
import type { Bound, Node } from "./node.ts"

/** The way of every run into the system: enter, decode, admit, launch. */
export const makeStart = (node: Node, door: Door, callables: Callables) => {
  const random = SecureRandom.make(randomBytes)

  return Effect.fnUntraced(function*(caller: Caller, request: StartRequest): Effect.fn.Return<Started, RunError> {
    const bound = callables[request.kind].get(request.identifier)
    // Names that nobody declared share one limit: there is no end to them.
    const target = bound === undefined ? `${request.kind}/` : targetOf(bound)
    const principal = yield* door.enter(caller, target, bound?.callable.scopes ?? [])
    if (bound === undefined) return yield* fail(new NotDeclared({ kind: request.kind, identifier: request.identifier }))
    if (node.closing) return yield* fail(new ShuttingDown())
    const payload = yield* decode(bound, request.payload)
    const run = recordOf(bound, caller, principal, request, payload, yield* random.uuidV7(), node.now())
    // A caller may leave at any moment: what is admitted is launched.
    const started = yield* Effect.uninterruptible(
      Effect.tap(admit(node, run), ({ attached, run: admitted }) =>
        Effect.sync(() => {
          if (attached) return
          node.metrics.started(admitted)
          node.launch(admitted, principal, bound)
        }))
    )
    yield* door.audit(caller, principal, started.attached ? "attach" : "start", targetOf(bound), {
      runId: started.run.runId
    })
    return started
  })
}

const fail = (reason: NotDeclared | ShuttingDown | InvalidPayload) => Effect.fail(new RunError({ reason }))

const targetOf = ({ callable }: Bound) => `${callable.kind}/${callable.identifier}`

/** The payload is kept as it came, once it is known to fit. */
const decode = (bound: Bound, payload: unknown): Effect.Effect<Schema.Json, RunError> =>
  tooDeep(payload) ?
    fail(nestedTooDeeply(bound.callable.identifier)) :
    asRunError(
      Effect.andThen(bound.callable.payload.decode(payload), Schema.decodeUnknownEffect(Schema.Json)(payload)).pipe(
        Effect.mapError((error) => new InvalidPayload({ target: bound.callable.identifier, issues: issuesOf(error) }))
      )
    )

const recordOf = (
  { callable }: Bound,
  caller: Caller,
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
  durable: callable.durable,
  tenant: principal.tenant,
  owner: principal.id,
  grants: { scopes: principal.scopes, roles: principal.roles, claims: principal.claims },
  payload,
  traceId: caller.traceId,
  fingerprint: callable.fingerprint,
  createdAt: now,
  updatedAt: now,
  ...(request.threadId === undefined ? {} : { threadId: request.threadId }),
  ...(request.idempotencyKey === undefined ? {} : { idempotencyKey: request.idempotencyKey })
})

const admit = Effect.fnUntraced(function*(node: Node, run: RunRecord) {
  const written = yield* asRunError(
    node.journalOf(run).write({
      _tag: "Admit",
      run,
      events: [{ type: "run_started", data: { agent: run.agent } }]
    })
  )
  if (written._tag === "Admitted") return { run: written.run, attached: false }
  if (written._tag !== "Attached") return yield* Effect.die(new Error("an admission is admitted or attached"))
  const { idempotencyKey: key = "", payload, runId } = written.run
  return canonical(payload) === canonical(run.payload)
    ? { run: written.run, attached: true }
    : yield* Effect.fail(new RunError({ reason: new IdempotencyConflict({ key, runId }) }))
})
