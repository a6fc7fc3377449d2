// Lists and decides interrupts and resumes their runs; Runtime builds it. Of several decisions exactly one wins. A caller that
// disconnects does not stop a decision half way: a run would wait for recovery, and the audit log would lack the decision.
import { Effect, Schema, Struct } from "effect"
import type { Fusion } from "../../app/Fusion.ts"
import { refusalOf } from "../../audit/internal/refusalOf.ts"
import { canonical } from "../../base/internal/canonical.ts"
import { sha256 } from "../../base/internal/secrets.ts"
import * as JsonSchema from "../../base/JsonSchema.ts"
import * as Policy from "../../base/Policy.ts"
import { decoder, problemsOf } from "../../base/Validation.ts"
import * as Authorization from "../../door/Authorization.ts"
import type { Caller } from "../../door/Caller.ts"
import { withCausesOfAncestors } from "../../door/internal/ancestors.ts"
import type { About, Door } from "../../door/internal/door.ts"
import { filterText } from "../../door/internal/foreignReads.ts"
import { nestedTooDeeply, tooDeep } from "../../run/internal/issues.ts"
import { asRunError, notFound } from "../../run/internal/runErrors.ts"
import { type Answer, type Interrupt, largeFields, type Resolution, type Summary } from "../../run/Interrupt.ts"
import type { Principal } from "../../run/Principal.ts"
import {
  DecisionPending,
  IdempotencyConflict,
  InterruptNotFound,
  InterruptResolved,
  InvalidPayload,
  NotDeclared,
  type Reason,
  RunError,
  RunFinished
} from "../../run/RunError.ts"
import { isFinal, type RunRecord } from "../../run/RunRecord.ts"
import { suspendAsDue } from "../../runtime/internal/claim.ts"
import type { DueRuns } from "../../runtime/internal/dueRuns.ts"
import { received } from "../../runtime/internal/receivedMessages.ts"
import type { Callables } from "../../runtime/internal/resolveHandlers.ts"
import { resolvedBy } from "../../runtime/internal/resting.ts"
import type { RunSupervisor } from "../../runtime/internal/runSupervisor.ts"
import { isSignal } from "../../runtime/internal/signals.ts"

import { shownInterrupts, shownResolution, shownText } from "../../runtime/internal/shownTexts.ts"
import { isLarger } from "../../store/internal/blobValues.ts"
import type { PendingQuery } from "../../store/RunStore.ts"
import type { PendingRequest, Runtime } from "../Runtime.ts"
import { makePageSize } from "./pages.ts"

/** How many runs are read at a time, and for one page at most: those that the caller's own requests exclude are skipped. */
const pageSize = 50
const readLimit = 1_000

/** About how many characters of JSON a value has at most that a list shows without being asked for. */
const largeValue = 8_192

const refuse = (reason: Reason) => Effect.fail(new RunError({ reason }))

/** Operations on interrupts: list them, decide them, resume their runs. */
export const makeDecisions = (
  node: RunSupervisor,
  door: Door,
  callables: Callables,
  fusion: Fusion,
  dueRuns: DueRuns
) => {
  /** The interrupts of a run, in the order in which they were asked. */
  const interruptsOf = (run: Pick<RunRecord, "durable" | "runId">) =>
    Effect.map(
      asRunError(node.writerOf(run).store.interrupts(run.runId)),
      (rows) => rows.filter((row) => !isSignal(row)).sort((a, b) => a.createdAt - b.createdAt)
    )

  /** Those that a principal may decide. */
  const decidableBy = Effect.fnUntraced(function*(
    principal: Principal,
    run: Authorization.Owned & Pick<RunRecord, "parentRunId">,
    all: ReadonlyArray<Interrupt>
  ) {
    const mine = all.filter((one) => mayDecide(principal, run, one))
    if (!mine.some(({ approvers }) => approvers?.notRequester === true)) return mine
    const caused = yield* withCausesOfAncestors(node, run)
    return mine.filter((one) => mayDecide(principal, caused, one))
  })

  const saw = (caller: Caller, principal: Principal, { owner, runId }: RunRecord) =>
    owner === principal.id
      ? Effect.void
      : door.saw(caller, principal, `run/${runId}`, { owner, runId, reason: "interrupts" })

  /** All of a run that is the caller's to see; of another those that the caller may decide. */
  const interrupts = Effect.fnUntraced(function*(caller: Caller, runId: string) {
    const principal = yield* door.authenticate(caller)
    const run = yield* asRunError(node.get(runId))
    if (run === undefined) return yield* Effect.fail(notFound(runId))
    const all = yield* interruptsOf(run)
    const theirs = yield* decidableBy(principal, run, all)
    const sees = Authorization.sees(principal, run)
    if (theirs.length === 0) yield* asRunError(Authorization.requireRun(principal, runId, run))
    yield* saw(caller, principal, run)
    return yield* shownInterrupts(node, run, sees ? all : theirs)
  })

  const decidable = Effect.fnUntraced(function*(caller: Caller, runId: string) {
    const principal = yield* door.authenticate(caller)
    const run = yield* asRunError(node.get(runId))
    const theirs = run === undefined ? [] : yield* decidableBy(principal, run, yield* interruptsOf(run))
    if (theirs.length === 0) yield* asRunError(Authorization.requireRun(principal, runId, run))
    if (run === undefined) return theirs
    if (theirs.length > 0) yield* saw(caller, principal, run)
    return yield* shownInterrupts(node, run, theirs)
  })

  /**
   * Open interrupts that the caller may decide, those of the newest runs first; all of a run are on one page. The stores
   * find the runs by who may decide, so that every page costs the same.
   */
  const pending = Effect.fnUntraced(function*(caller: Caller, request: PendingRequest) {
    const principal = yield* door.authenticate(caller)
    const { isOwn, ...page } = yield* pageFor(principal, request)
    if (!isOwn) yield* door.saw(caller, principal, "interrupts", filterText({ fields: request.fields }))
    return page
  })

  /** `isOwn` says that the caller owns the runs of all its items. */
  const pageFor = Effect.fnUntraced(function*(principal: Principal, { before, fields = [], limit }: PendingRequest) {
    let isOwn = true
    const items: Array<Summary> = []
    const size = makePageSize()
    let cursor = before
    for (let read = 0; read < readLimit; read += pageSize) {
      const runs = yield* pendingRuns(principal, cursor)
      const found = yield* Effect.forEach(
        runs,
        (run) => Effect.map(interruptsOf(run), (all) => [run, all] as const),
        { concurrency: 8 }
      )
      for (const [run, all] of found) {
        const mine = yield* decidableBy(principal, run, all)
        const theirs = (yield* shownInterrupts(node, run, mine)).map((one) => toSummary(one, fields))
        if (theirs.length > 0 && (items.length >= limit || size.isFull())) return { isOwn, items, next: cursor }
        for (const one of theirs) size.add(largeFields.map((field) => one[field]))
        items.push(...theirs)
        isOwn &&= theirs.length === 0 || run.owner === principal.id
        cursor = run.runId
      }
      if (runs.length < pageSize) return { isOwn, items, next: undefined }
    }
    return { isOwn, items, next: cursor }
  })

  const pendingRuns = Effect.fnUntraced(function*(principal: Principal, before: string | undefined) {
    const query: PendingQuery = {
      ...Authorization.visibleRuns(principal),
      decides: (scopes) => scopes.every((scope) => Policy.holds(principal.scopes, scope)),
      requester: principal.id,
      limit: pageSize,
      ...(before === undefined ? {} : { before })
    }
    const stores = [node.durable.store, node.ephemeral.store]
    const found = yield* asRunError(Effect.forEach(stores, (store) => store.pending(query)))
    const runIds = found.flat().sort().reverse().slice(0, pageSize)
    const runs = yield* asRunError(
      Effect.forEach(stores, (store) => store.summaries({ tenant: principal.tenant, runIds, limit: pageSize }))
    )
    return runs.flat().sort((a, b) => a.runId < b.runId ? 1 : -1)
  })

  /** The line of the audit log about a decision, also one that came too late. */
  const entryOf = Effect.fnUntraced(function*(
    caller: Caller,
    principal: Principal,
    run: RunRecord,
    { approvers, name }: Interrupt,
    { decision, reason }: Answer,
    details: About = {}
  ) {
    return door.entry(
      caller,
      principal,
      decision,
      `interrupt/${yield* shownText(node, run, name, "interrupt")}`,
      {
        runId: run.runId,
        ...(reason === undefined ? {} : { reason: yield* shownText(node, run, reason, "interrupt_resolved") }),
        ...(approvers === undefined ? Authorization.onBehalf(principal, run) : {}),
        ...details
      }
    )
  })

  const decide = Effect.fnUntraced(function*(
    caller: Caller,
    runId: string,
    id: string,
    submitted: Answer,
    key: Key | undefined,
    message?: Schema.Json
  ): Effect.fn.Return<RunRecord, RunError> {
    if (tooDeep(message)) return yield* asRunError(nestedTooDeeply("message"))
    const { bound, interrupts: all, principal, run } = yield* door.decide(caller, node, runId, callables, id)
    const earlier = decidedUnder(all, principal, key)
    if (key !== undefined && earlier !== undefined) {
      if (earlier.idempotencyKey === key.kept && isSame(earlier, submitted)) return run
      return yield* refuse(new IdempotencyConflict({ key: key.given, runId }))
    }
    const asked = all.find((interrupt) => interrupt.id === id)
    if (asked === undefined) return yield* refuse(new InterruptNotFound({ runId, id }))
    if (asked.resolution !== undefined) {
      return yield* Effect.tapError(
        late(node, run, asked, asked.resolution, submitted, principal),
        ({ reason }) =>
          Effect.flatMap(entryOf(caller, principal, run, asked, submitted, refusalOf(reason)), door.record)
      )
    }
    if (isFinal(run.state)) return yield* refuse(new RunFinished({ runId, state: run.state }))
    if (asked.expiresAt !== undefined && asked.expiresAt <= node.now()) {
      // The interrupt has expired: its declared default is the decision, whichever path notices it first.
      yield* dueRuns.expire(run, bound)
      return yield* decide(caller, runId, id, submitted, key, message)
    }
    yield* asRunError(fits(fusion, asked, submitted))
    const idempotencyKey = key === undefined ? {} : { idempotencyKey: key.kept }
    const resolution: Resolution = { ...submitted, by: principal.id, at: node.now(), ...idempotencyKey }
    // An approver decides in their own name. Others act for the owner: what the run does with their answer they have caused.
    const set = asked.approvers === undefined
      ? {
        ...Authorization.narrowed(principal, run),
        ...Authorization.withCauses(run.owner, ...Authorization.causesOf(run), principal.id)
      }
      : {}
    const lastDecided = node.runs.lastDecided(runId)
    const fact = node.outbox.note(yield* entryOf(caller, principal, run, asked, submitted))
    const resolve = message === undefined
      ? { id, resolution }
      : { id, resolution, events: [received(principal.id, message), ...resolvedBy({ id, resolution })] }
    if (!(yield* suspendAsDue(node, bound, run, resolve, set, [fact]))) {
      return yield* decide(caller, runId, id, submitted, key, message)
    }
    yield* node.outbox.ensure(fact)
    const after = lastDecided() ?? (yield* asRunError(node.get(runId))) ?? (yield* Effect.fail(notFound(runId)))
    return Authorization.sees(principal, after) ? after : withoutContent(after)
  }, Effect.uninterruptible)

  const answer: Runtime["Service"]["answer"] = (caller, runId, id, submitted, key, message) =>
    decide(caller, runId, id, submitted, key === undefined ? undefined : { given: key, kept: key }, message)

  /** Looks at all of them before the first is decided: a list that does not fit decides nothing. */
  const answerAll: Runtime["Service"]["answerAll"] = Effect.fnUntraced(
    function*(caller, runId, answers, idempotencyKey) {
      const twice = answers.find(({ id }, index) => answers.findIndex((other) => other.id === id) !== index)
      if (twice !== undefined || answers.length === 0) {
        const message = twice === undefined ? "names no interrupt" : `names interrupt ${twice.id} twice`
        return yield* refuse(new InvalidPayload({ target: "interrupts", issues: [{ path: [], message }] }))
      }
      if (answers.some(({ value }) => tooDeep(value))) return yield* asRunError(nestedTooDeeply("interrupts"))
      const key = idempotencyKey === undefined ? undefined : yield* keyOfList(idempotencyKey, answers)
      for (const { id, ...submitted } of answers) {
        const { interrupts: all, principal } = yield* door.decide(caller, node, runId, callables, id)
        if (key !== undefined && decidedUnder(all, principal, key) !== undefined) {
          return yield* refuse(new IdempotencyConflict({ key: key.given, runId }))
        }
        const asked = all.find((interrupt) => interrupt.id === id)
        if (asked === undefined) return yield* refuse(new InterruptNotFound({ runId, id }))
        if (asked.state === "open") yield* asRunError(fits(fusion, asked, submitted))
      }
      const decisions = answers.map(({ id, ...submitted }) => decide(caller, runId, id, submitted, key))
      const runs = yield* Effect.all(decisions)
      return runs.at(-1) ?? (yield* Effect.fail(notFound(runId)))
    }
  )

  const resume = Effect.fnUntraced(function*(caller: Caller, runId: string) {
    const { bound, principal, run } = yield* door.act(caller, node, runId, callables)
    if (run.state !== "suspended") return run
    const open = (yield* interruptsOf(run)).filter((interrupt) => interrupt.state === "open")
    if (open.length > 0 && run.waitsFor !== "principal" && run.waitsFor !== "repair") {
      return yield* refuse(new DecisionPending({ runId, interrupts: open.map((interrupt) => interrupt.id) }))
    }
    const causes = Authorization.withCauses(run.owner, ...Authorization.causesOf(run), principal.id)
    const grants = node.authority === undefined
      ? Authorization.narrowed(principal, run)
      : Authorization.resumed(principal, run, node.now())
    const set = { ...causes, ...grants }
    const about = { runId, ...Authorization.onBehalf(principal, run) }
    const fact = node.outbox.note(door.entry(caller, principal, "resume", `run/${runId}`, about))
    yield* suspendAsDue(node, bound, run, undefined, set, [fact])
    yield* node.outbox.ensure(fact)
    return (yield* asRunError(node.get(runId))) ?? (yield* Effect.fail(notFound(runId)))
  }, Effect.uninterruptible)

  return { interrupts, decidable, pending, answer, answerAll, resume }
}

/** An interrupt as a list shows it: `omitted` names the large values that were not asked for. */
const toSummary = (interrupt: Interrupt, fields: ReadonlyArray<typeof largeFields[number]>): Summary => {
  const omitted = largeFields.filter((field) => {
    const value = interrupt[field]
    return value !== undefined && !fields.includes(field) && isLarger(value, largeValue)
  })
  return omitted.length === 0 ? interrupt : { ...Struct.omit(interrupt, omitted), omitted }
}

/** An approver sees of the run only the question, unless the run is theirs. */
const withoutContent = ({ error: _error, output: _output, ...run }: RunRecord): RunRecord => ({ ...run, payload: null })

const mayDecide = (principal: Principal, run: Authorization.Owned, { approvers, state }: Interrupt) =>
  state === "open" && (approvers === undefined
    ? Authorization.acts(principal, run)
    : Authorization.approves(principal, run, approvers))

/**
 * The key that a caller gave, and the one that is kept with a decision. A list keeps a digest of itself with each of its
 * decisions, so that a repeat continues a list that a crash has cut off, and another list under the same key is refused.
 */
interface Key {
  readonly given: string
  readonly kept: string
}

const keyOfList = (given: string, answers: ReadonlyArray<Answer & Pick<Interrupt, "id">>): Effect.Effect<Key> =>
  Effect.map(
    sha256(canonical(answers.map(({ decision, id, value = null }) => [id, decision, value]))),
    (digest) => ({ given, kept: `${given} ${digest}` })
  )

/** A decision of the caller under a key that is not one of the same list. */
const decidedUnder = (all: ReadonlyArray<Interrupt>, principal: Principal, key: Key | undefined) => {
  if (key === undefined) return undefined
  const { given, kept } = key
  const isOf = (other: string | undefined) =>
    other === given || (other?.length === given.length + digestLength && other.startsWith(`${given} `))
  const isOfThisList = (other: string | undefined) => kept !== given && other === kept
  return all.map(({ resolution }) => resolution).find((resolution) =>
    resolution?.by === principal.id && isOf(resolution.idempotencyKey) && !isOfThisList(resolution.idempotencyKey)
  )
}

/** A space and 64 hex digits. */
const digestLength = 65

/** A repeated decision of the same person is no conflict. */
const late = (
  node: RunSupervisor,
  run: RunRecord,
  asked: Interrupt,
  resolution: Resolution,
  submitted: Answer,
  principal: Principal
) =>
  resolution.by === principal.id && isSame(resolution, submitted)
    ? Effect.succeed(run)
    : Effect.flatMap(
      shownResolution(node, run, resolution),
      (resolution) => refuse(new InterruptResolved({ runId: run.runId, id: asked.id, resolution }))
    )

const isSame = (resolution: Resolution, submitted: Answer) =>
  resolution.decision === submitted.decision &&
  canonical(resolution.value ?? null) === canonical(submitted.value ?? null)

/** Checks the value against the question's schema before anything is decided. */
const fits = Effect.fnUntraced(function*(fusion: Fusion, asked: Interrupt, submitted: Answer) {
  if (submitted.decision === "deny") return
  if (tooDeep(submitted.value)) return yield* nestedTooDeeply(asked.name)
  const invalid = (error: Schema.SchemaError) => new InvalidPayload({ target: asked.name, issues: problemsOf(error) })
  if (asked.kind === "approval") {
    if (submitted.decision === "approve") return
    const tool = fusion.tools.get(asked.tool ?? "")
    if (tool !== undefined) return yield* Effect.asVoid(Effect.mapError(tool.payload.decode(submitted.value), invalid))
    // A tool of a framework is not declared by the app: its call says what arguments it takes.
    if (asked.responseSchema === undefined) {
      if (asked.tool !== undefined) return yield* new NotDeclared({ kind: "tool", identifier: asked.tool })
      const issues = [{ path: ["decision"], message: "it is approved or denied: there is nothing to edit" }]
      return yield* new InvalidPayload({ target: asked.name, issues })
    }
  }
  const schema = yield* Effect.try({
    try: () => JsonSchema.toSchema(asked.responseSchema ?? {}),
    catch: () => undefined
  }).pipe(Effect.orElseSucceed(() => Schema.Unknown))
  yield* Effect.mapError(decoder(schema)(submitted.value ?? null), invalid)
})
