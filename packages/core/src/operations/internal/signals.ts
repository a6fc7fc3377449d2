// Sends a message to a run that has not ended; Runtime builds it. In one commit the message is kept and, when the run waits
// for it, the run is woken. A key makes a repeated message the same message.
import { Effect, type Schema } from "effect"
import { canonical } from "../../base/internal/canonical.ts"
import * as Authorization from "../../door/Authorization.ts"
import type { Caller } from "../../door/Caller.ts"
import type { Door } from "../../door/internal/door.ts"
import { nestedTooDeeply, tooDeep } from "../../run/internal/issues.ts"
import { newsSignal } from "../../run/internal/newsSignal.ts"
import { asRunError, notFound } from "../../run/internal/runErrors.ts"
import type { Interrupt } from "../../run/Interrupt.ts"
import {
  fail,
  IdempotencyConflict,
  InvalidPayload,
  NotDeclared,
  type RunError,
  RunFinished
} from "../../run/RunError.ts"
import { isFinal, type RunRecord } from "../../run/RunRecord.ts"
import { suspendAsDue } from "../../runtime/internal/claim.ts"
import { admitFiles } from "../../runtime/internal/payloadFiles.ts"
import { received } from "../../runtime/internal/receivedMessages.ts"
import type { Callables } from "../../runtime/internal/resolveHandlers.ts"
import type { SawFile } from "../../runtime/internal/runFiles.ts"
import type { RegisteredCallable, RunSupervisor } from "../../runtime/internal/runSupervisor.ts"
import {
  delivery,
  isMessage,
  messageIdOf,
  messageOf,
  openReceive,
  sent,
  waitingMessages
} from "../../runtime/internal/signals.ts"
import type { Fact } from "../../store/RunStore.ts"
import type { SignalRequest } from "../Runtime.ts"

interface Sender {
  readonly by: string
  /** The message as its protocol delivered it. */
  readonly delivered: Schema.Json | undefined
  readonly key: string
  readonly facts: ReadonlyArray<Fact>
}

export const makeSignals = (node: RunSupervisor, door: Door, callables: Callables) => {
  const signal = Effect.fnUntraced(function*(
    caller: Caller,
    runId: string,
    { idempotencyKey, message: delivered, payload, signal }: SignalRequest
  ): Effect.fn.Return<RunRecord, RunError> {
    if (tooDeep(delivered)) return yield* asRunError(nestedTooDeeply("message"))
    const { bound, principal, run } = yield* door.act(caller, node, runId, callables)
    const shape = bound.callable.signals.get(signal)
    if (shape === undefined) return yield* fail(new NotDeclared({ kind: "signal", identifier: signal }))
    const { owner, tenant } = run
    const saw: SawFile = (file, read) => door.saw(caller, principal, file, read)
    const given = { principal, owner: { tenant, owner }, runId, target: signal, shape, value: payload, saw }
    const value = yield* admitFiles(node.files, given)
    const key = yield* keyOf(idempotencyKey)
    const resolution = { decision: "approve", by: principal.id, at: node.now(), value } as const
    const message = messageOf(runId, signal, messageIdOf(signal, key), resolution)
    const fact = node.outbox.note(door.entry(caller, principal, "signal", `signal/${signal}`, { runId }))
    yield* keep(bound, run, message, { key, by: principal.id, delivered, facts: [fact] })
    yield* node.outbox.ensure(fact)
    return (yield* asRunError(node.get(runId))) ?? (yield* Effect.fail(notFound(runId)))
  }, Effect.uninterruptible)

  /** Keeps the message, whatever the run does meanwhile. */
  const keep = Effect.fnUntraced(function*(
    bound: RegisteredCallable,
    run: RunRecord,
    message: Interrupt,
    sender: Sender
  ): Effect.fn.Return<void, RunError> {
    for (let seen: RunRecord | undefined = run; seen !== undefined; seen = yield* asRunError(node.get(run.runId))) {
      if (yield* node.runs.withMailbox(run.runId, (isHere) => tryToKeep(bound, seen, message, sender, isHere))) return
    }
    return yield* Effect.fail(notFound(run.runId))
  })

  /** Returns false when the run has moved on: nothing was written then. */
  const tryToKeep = Effect.fnUntraced(function*(
    bound: RegisteredCallable,
    run: RunRecord,
    message: Interrupt,
    { by, delivered, facts, key }: Sender,
    isHere: boolean
  ): Effect.fn.Return<boolean, RunError> {
    const { attempt, runId, state } = run
    const rows = yield* asRunError(node.writerOf(run).store.interrupts(runId))
    const known = rows.find(({ id }) => id === message.id)
    if (known !== undefined) {
      return canonical(known.resolution?.value ?? null) === canonical(message.resolution?.value ?? null)
        ? true
        : yield* fail(new IdempotencyConflict({ key, runId }))
    }
    if (isFinal(state)) return yield* fail(new RunFinished({ runId, state }))
    const { signal = "" } = message
    // A person who has steered a run does not approve what it does then.
    const causes = Authorization.withCauses(run.owner, ...Authorization.causesOf(run), by)
    const news = delivered === undefined ? [sent(message)] : [received(by, delivered), sent(message)]
    // A run that another node drives takes its messages itself.
    const receive = isHere || state === "suspended" ? openReceive(rows, signal) : undefined
    if (receive !== undefined) {
      const { events = [], ...decision } = delivery(receive, waitingMessages([...rows, message], signal)[0] ?? message)
      const both = { ...decision, events: [...news, ...events], open: [message] }
      return yield* suspendAsDue(node, bound, run, both, causes, facts)
    }
    const written = yield* asRunError(node.commit(run, {
      _tag: "Commit",
      runId,
      attempt,
      from: [state],
      ts: node.now(),
      events: news,
      open: [message],
      set: causes,
      facts
    }))
    return written !== undefined
  })

  /** Says that work elsewhere has news for a run, which receives them as a message; the same news twice are one. */
  const arrived = (runId: string, key: string): Effect.Effect<void, RunError> =>
    Effect.gen(function*() {
      const run = yield* asRunError(node.get(runId))
      const bound = callables.agent.get(run?.agent ?? "")
      if (run === undefined || bound === undefined || isFinal(run.state)) return
      const rows = yield* asRunError(node.writerOf(run).store.interrupts(runId))
      // The run reads its work after it has taken the news that wait: others beside them would say the same.
      if (waitingMessages(rows, newsSignal).length > 0) return
      if (rows.filter((row) => isMessage(row) && row.signal === newsSignal).length >= mostNews) return
      const resolution = { decision: "approve", by: run.owner, at: node.now(), value: null } as const
      const message = messageOf(runId, newsSignal, messageIdOf(newsSignal, key), resolution)
      yield* keep(bound, run, message, { key, by: run.owner, delivered: undefined, facts: [] })
    }).pipe(
      Effect.catchIf(({ reason }) => reason._tag === "RunFinished" || reason._tag === "RunNotFound", () => Effect.void),
      Effect.uninterruptible
    )

  return { signal, arrived }
}

/** The most news that a run keeps. It reads its work now and then without them. */
const mostNews = 1_000

/** A key is part of an id, which no database takes as any text. */
const keyOf = (key: string | undefined): Effect.Effect<string, RunError> =>
  key === undefined
    ? Effect.sync(() => globalThis.crypto.randomUUID())
    : /^[^\0\p{Surrogate}]{1,300}$/u.test(key)
    ? Effect.succeed(key)
    : fail(
      new InvalidPayload({
        target: "idempotencyKey",
        issues: [{ path: [], message: "Expected 1 to 300 characters, well-formed and without U+0000" }]
      })
    )
