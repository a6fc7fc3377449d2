// A run as an admitted caller follows it: made once per request by start, fork, retry and open, so that nothing is
// authenticated or looked up again.
import { Effect, Scope, Stream } from "effect"
import type { Caller } from "../../door/Caller.ts"
import type { Held } from "../../door/internal/credentialWatch.ts"
import type { Started } from "../../operations/Runtime.ts"
import type { Credentials } from "../../run/Credentials.ts"
import { asRunError, notFound } from "../../run/internal/runErrors.ts"
import type { Principal } from "../../run/Principal.ts"
import { InvalidCursor, RunError } from "../../run/RunError.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import * as Tracing from "../../telemetry/Tracing.ts"
import type { Admitted } from "./admit.ts"
import type { FollowError, Hub, Page } from "./hub.ts"
import type { RunSupervisor } from "./runSupervisor.ts"
import { shownEvents, shownInterrupts } from "./shownTexts.ts"
import { isSignal, signalsOf } from "./signals.ts"

/** `hub` is the one that the run was launched with, when it was launched here. */
export const makeHandle = (
  node: RunSupervisor,
  caller: Caller,
  { attached, hub, run }: Admitted,
  principal: Principal
): Started => new Handle(node, caller, principal, run, attached, hub)

/** Most requests use one of its effects, once: each is made when it is asked for, and needs no `this`. */
class Handle implements Started {
  readonly run: RunRecord
  readonly attached: boolean
  private readonly node: RunSupervisor
  private readonly caller: Caller
  private readonly principal: Principal
  private readonly hub: Hub | undefined

  constructor(
    node: RunSupervisor,
    caller: Caller,
    principal: Principal,
    run: RunRecord,
    attached: boolean,
    hub: Hub | undefined
  ) {
    this.node = node
    this.caller = caller
    this.principal = principal
    this.run = run
    this.attached = attached
    this.hub = hub
  }

  get current(): Started["current"] {
    return currentOf(this.node, this.run)
  }

  get settled(): Started["settled"] {
    return asRunError(this.node.settled(this.run, this.hub))
  }

  get interrupts(): Started["interrupts"] {
    const { node, run } = this
    return Effect.flatMap(
      asRunError(Effect.suspend(() => node.writerOf(run).store.interrupts(run.runId))),
      (rows) => shownInterrupts(node, run, rows.filter((row) => !isSignal(row)))
    )
  }

  get signals(): Started["signals"] {
    const { node, run } = this
    return Effect.map(
      asRunError(Effect.suspend(() => node.writerOf(run).store.interrupts(run.runId))),
      signalsOf
    )
  }

  get follow(): Started["follow"] {
    const { caller: { credentials, protocol }, hub, node, principal, run } = this
    return ({ after, until }) =>
      Effect.suspend(() => {
        const reason = node.openStreams.refusal(principal)
        if (reason !== undefined) return Effect.fail(new RunError({ reason }))
        const pages = counted(
          node,
          protocol,
          principal,
          credentials,
          (held) => Effect.map(node.follow(run, after, until, hub, held), (pages) => shownPages(node, run, pages))
        )
        const stream = Effect.sync(() => {
          if (!Tracing.isTraced()) return pages
          const parent = Tracing.currentUnsafe()
          return Tracing.streamWithin(pages, "stream", () => ({
            ...(parent === undefined ? {} : { parent }),
            attributes: { "fastagentic.run.id": run.runId }
          }))
        })
        return within(run, after) ? stream : Effect.andThen(checkCursor(node, run, after), stream)
      })
  }

  get events(): Started["events"] {
    const { node, run } = this
    return ({ after, limit }) =>
      Effect.andThen(
        checkCursor(node, run, after),
        Effect.flatMap(
          asRunError(Effect.suspend(() => node.writerOf(run).store.events(run.runId, after, limit))),
          shownEvents(node, run) ?? Effect.succeed
        )
      )
  }
}

const currentOf = (node: RunSupervisor, { durable, runId }: RunRecord) =>
  Effect.flatMap(
    asRunError(Effect.suspend(() => node.writerOf({ durable }).store.get(runId))),
    (found) => found === undefined ? Effect.fail(notFound(runId)) : Effect.succeed(found)
  )

/** The run may have moved on since the handle was made: the store knows how far. */
const checkCursor = (node: RunSupervisor, run: RunRecord, after: number): Effect.Effect<void, RunError> =>
  within(run, after)
    ? Effect.void
    : Effect.flatMap(currentOf(node, run), (now) =>
      within(now, after) ? Effect.void : Effect.fail(
        new RunError({
          reason: new InvalidCursor({ cursor: String(after), reason: `this run has events 1 to ${now.seq}` })
        })
      ))

const within = ({ seq }: RunRecord, after: number) => Number.isSafeInteger(after) && after >= 0 && after <= seq

/** The pages as they may leave. */
const shownPages = (node: RunSupervisor, run: RunRecord, pages: Stream.Stream<Page, FollowError>) => {
  const shown = shownEvents(node, run)
  if (shown === undefined) return pages
  return Stream.mapEffect(pages, (page) => Effect.map(shown(page.events), (events) => ({ ...page, events })))
}

const counted = (
  node: RunSupervisor,
  protocol: Caller["protocol"],
  principal: Principal,
  credentials: Credentials,
  pagesOf: (held: Held | undefined) => Effect.Effect<Stream.Stream<Page, FollowError>, FollowError, Scope.Scope>
): Stream.Stream<Page, FollowError> => {
  const opened = Effect.flatMap(Effect.scope, (scope) => {
    node.metrics.streams(protocol, 1)
    const release = node.openStreams.take(principal)
    const held = node.credentials?.hold(credentials)
    const closed = Effect.sync(() => {
      node.metrics.streams(protocol, -1)
      release()
      if (held !== undefined) node.credentials?.release(held)
    })
    return Effect.as(Scope.addFinalizer(scope, closed), held)
  })
  // One scope is enough: each further one is a layer that every page passes.
  return Stream.unwrap(Effect.flatMap(Effect.uninterruptible(opened), pagesOf))
}
