// Messages to a run. Each is a row among the run's interrupts, and so is each receive: its resolution names the message that
// it took. A receive takes the oldest message that no other has taken, or is parked until one comes; the owner of a run is
// the only one that takes messages while it runs, and the sender wakes a run that is suspended.
import { Deferred, Effect, Option, type Schema } from "effect"
import type { RunSignals } from "../../operations/Runtime.ts"
import type { Event } from "../../run/Event.ts"
import { newsSignal } from "../../run/internal/newsSignal.ts"
import type { Interrupt, Resolution } from "../../run/Interrupt.ts"
import type { LiveRun } from "./liveRun.ts"
import type { Place } from "./names.ts"
import type { Resolve } from "./resting.ts"
import { untilStored } from "./storeAway.ts"

const messagePrefix = "signal/"

/** The id of a message: the same for the same key. */
export const messageIdOf = (signal: string, key: string): string => `${messagePrefix}${signal}/${key}`

/** Whether a row is a message or a receive, and no question. */
export const isSignal = ({ signal }: Pick<Interrupt, "signal">): boolean => signal !== undefined

/** Whether a row is a message. */
export const isMessage = (row: Interrupt) => isSignal(row) && row.id.startsWith(messagePrefix)

/** The row of a message that a caller has sent. */
export const messageOf = (runId: string, signal: string, id: string, resolution: Resolution): Interrupt => ({
  id,
  runId,
  name: id,
  kind: "input",
  signal,
  createdAt: resolution.at,
  state: "resolved",
  resolution
})

/** The messages of a signal that no receive has taken, the oldest first. */
export const waitingMessages = (
  rows: ReadonlyArray<Interrupt>,
  signal: string | undefined
): ReadonlyArray<Interrupt> => {
  if (signal === undefined) return []
  const taken = new Set(
    rows.flatMap((row) =>
      isSignal(row) && row.resolution?.decision === "approve" && !isMessage(row)
        ? [row.resolution.reason]
        : []
    )
  )
  return rows
    .filter((row) => isMessage(row) && row.signal === signal && !taken.has(row.id))
    .sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1))
}

/** The signals that receives wait for, and the messages that were sent. */
export const signalsOf = (rows: ReadonlyArray<Interrupt>): RunSignals => {
  const awaited = new Set<string>()
  const sent: Array<RunSignals["sent"][number]> = []
  for (const row of rows) {
    const { id, signal, state } = row
    if (signal === undefined || signal === newsSignal) continue
    if (isMessage(row)) sent.push({ id, key: id.slice(messageIdOf(signal, "").length) })
    else if (state === "open") awaited.add(signal)
  }
  return { awaited: [...awaited], sent }
}

/** The receive that waits longest for a signal. */
export const openReceive = (rows: ReadonlyArray<Interrupt>, signal: string): Interrupt | undefined =>
  rows
    .filter((row) => isSignal(row) && row.state === "open" && row.signal === signal)
    .sort((a, b) => a.createdAt - b.createdAt)[0]

/** Gives a message to a receive. */
export const delivery = (receive: Interrupt, message: Interrupt): Resolve => {
  const { at, by, value } = message.resolution ?? { at: message.createdAt, by: "runtime" }
  return {
    id: receive.id,
    resolution: { decision: "approve", by, at, reason: message.id, ...(value === undefined ? {} : { value }) },
    events: [received(receive, message)]
  }
}

/** The event of a message that was kept. */
export const sent = ({ id, resolution, signal = "" }: Interrupt): Event => ({
  type: "signal",
  data: { id, signal, by: resolution?.by ?? "" }
})

const received = ({ id, signal = "" }: Interrupt, message: Interrupt): Event => ({
  type: "signal_received",
  data: { id, signal, message: message.id }
})

/** Takes a message, or waits for one; without waiting it gives none when there is none. */
export const receive = (
  live: LiveRun,
  place: Place,
  signal: string,
  waits: boolean
): Effect.Effect<Option.Option<Schema.Json>> =>
  live.named("interrupt", place, `signal ${signal}`, (name) => {
    const known = live.history.interrupts.get(name)
    if (known?.resolution !== undefined) {
      return known.resolution.decision === "withdraw"
        ? Effect.never
        : live.outcomes.handOut("interrupt", place, name, Effect.succeed(messageIn(known.resolution)))
    }
    const row: Interrupt = known ?? {
      id: globalThis.crypto.randomUUID(),
      runId: live.run.runId,
      name,
      kind: "input",
      signal,
      createdAt: live.now(),
      state: "open"
    }
    const taken = live.resting.activity.during(live.mailbox.withPermit(take(live, row, waits, known === undefined)))
    live.outcomes.use("interrupt", name)
    const caughtUp = live.outcomes.caughtUp("interrupt", place, name)
    return (known === undefined ? caughtUp : live.writes.orTakenBack(caughtUp, withdraw(live, row))).pipe(
      Effect.andThen(taken),
      Effect.flatMap((resolution): Effect.Effect<Option.Option<Schema.Json>> =>
        resolution === undefined ? Effect.map(park(live, place, row), messageIn) : Effect.succeed(messageIn(resolution))
      )
    )
  })

const messageIn = ({ decision, value = null }: Resolution): Option.Option<Schema.Json> =>
  decision === "approve" ? Option.some(value) : Option.none()

/** Commits the message that a receive takes, or that it waits; nothing when it waits. */
const take = Effect.fnUntraced(function*(
  live: LiveRun,
  row: Interrupt,
  waits: boolean,
  isNew: boolean
): Effect.fn.Return<Resolution | undefined> {
  const [message] = waitingMessages(yield* rowsOf(live), row.signal ?? "")
  if (message !== undefined) {
    const { events = [], resolution } = delivery(row, message)
    yield* live.writes.commit({ events, open: [{ ...row, state: "resolved", resolution }] })
    return resolution
  }
  if (!waits) {
    const resolution: Resolution = { decision: "expire", by: "runtime", at: live.now() }
    yield* live.writes.commit({ events: [], open: [{ ...row, state: "resolved", resolution }] })
    return resolution
  }
  if (isNew) yield* live.writes.orTakenBack(live.writes.commit({ events: [], open: [row] }), withdraw(live, row))
  return undefined
})

const rowsOf = (live: LiveRun) =>
  Effect.orDie(untilStored(Effect.suspend(() => live.journal.store.interrupts(live.run.runId))))

const park = (live: LiveRun, place: Place, row: Interrupt): Effect.Effect<Resolution> =>
  Effect.suspend(() => {
    const decided = Deferred.makeUnsafe<Resolution>()
    // A message that came between the look and the commit of this receive is found by one more look.
    const wait = Effect.andThen(Effect.forkChild(Effect.ignore(live.resting.refresh)), Deferred.await(decided))
    return live.resting.park(
      place,
      { kind: "interrupt", interrupt: row, decided, wakeAt: undefined },
      wait,
      withdraw(live, row)
    )
  })

/** Takes back a receive whose own branch has given it up. */
const withdraw = (live: LiveRun, row: Interrupt) =>
  Effect.suspend(() =>
    live.writes.post({
      events: [],
      open: [{ ...row, state: "resolved", resolution: { decision: "withdraw", by: "runtime", at: live.now() } }]
    })
  )
