// The run of a `useRun`: starts it, follows its journal while a component shows it, and finds it again after a reload. A
// request that was cut off is repeated under its key, so that a reload starts no second run.
import * as Event from "@fastagentic/core/run/Event"
import type { Answer, Interrupt } from "@fastagentic/core/run/Interrupt"
import type { RunState } from "@fastagentic/core/run/RunRecord"
import { Transcript } from "@fastagentic/core/run/Transcript"
import { Effect, Schema, Stream } from "effect"
import * as ClientCalls from "../../http/ClientCalls.ts"
import { isTransient } from "../../http/ClientError.ts"
import * as Transport from "../../http/ClientTransport.ts"
import type * as Schemas from "../../http/Schemas.ts"
import { type Connection, isAbsent, persist } from "./Connection.ts"
import * as External from "./External.ts"
import * as savedRuns from "./savedRuns.ts"

/** A run as a page shows it. */
export interface RunView {
  readonly state: "idle" | "connecting" | RunState
  readonly runId: string | undefined
  readonly text: string
  readonly events: ReadonlyArray<Event.RunEvent>
  readonly interrupts: ReadonlyArray<Interrupt>
  readonly output: unknown
  readonly error: unknown
}

export interface Options {
  readonly target: ClientCalls.Target
  readonly start: (
    payload: unknown,
    options: { readonly idempotencyKey: string; readonly threadId?: string }
  ) => Effect.Effect<Schemas.Run, unknown>
  /** The key under which the tab keeps the run; nothing is kept of a run that the page names itself. */
  readonly place: { readonly key: string } | { readonly runId: string }
  readonly threadId: string | undefined
  /** Called once no component has watched for a moment. */
  readonly onEnd: () => void
}

export interface WatchedRun extends External.External<RunView> {
  readonly start: (payload?: unknown) => void
  readonly cancel: (reason?: string) => void
  readonly answer: (interruptId: string, answer: Answer) => void
  readonly reset: () => void
}

const idle: RunView = {
  state: "idle",
  runId: undefined,
  text: "",
  events: [],
  interrupts: [],
  output: undefined,
  error: undefined
}

export const make = (connection: Connection, options: Options): WatchedRun => {
  const { place, target } = options
  const { runs } = connection
  const answered = new Set<string>()
  let saved = "runId" in place ? { runId: place.runId } : savedRuns.load(place.key)
  let transcript = new Transcript()
  /** Ends the reading of the journal; there is none without it. */
  let reading: { stop: () => void } | undefined
  let cancelled: { readonly reason: string | undefined } | undefined

  const store = External.make<RunView>(saved === undefined ? idle : { ...idle, state: "connecting" }, {
    begin: () => {
      if (saved !== undefined && !isOver(snapshot().state)) follow(Effect.succeed(saved))
    },
    end: () => {
      leave()
      options.onEnd()
    }
  })
  const { set, snapshot } = store

  const keep = (next: savedRuns.Saved) => {
    saved = next
    if ("key" in place) savedRuns.save(place.key, next)
  }

  const forget = () => {
    saved = undefined
    if ("key" in place) savedRuns.remove(place.key)
  }

  const leave = () => {
    reading?.stop()
    reading = undefined
  }

  const clear = (change: Partial<RunView>) => {
    leave()
    cancelled = undefined
    answered.clear()
    transcript = new Transcript()
    set({ ...idle, ...change })
  }

  const idOf = Effect.fnUntraced(function*(run: savedRuns.Saved) {
    if ("runId" in run) return run.runId
    const { idempotencyKey, payload } = run
    const decoded = yield* Schema.decodeUnknownEffect(Schema.toCodecJson(target.payloadSchema))(payload)
    const { threadId } = options
    const { runId } = yield* options.start(
      decoded,
      threadId === undefined ? { idempotencyKey } : { idempotencyKey, threadId }
    )
    keep({ runId })
    return runId
  })

  const showQuestions = (runId: string) =>
    Effect.map(
      runs.interrupts(runId),
      // The server is there again: a run that waits has no event that would say so.
      (all) =>
        set({ interrupts: all.filter(({ id, state }) => state === "open" && !answered.has(id)), error: undefined })
    )

  const cancelIfAsked = (runId: string) =>
    cancelled === undefined ? Effect.void : runs.cancel(runId, cancelled.reason).pipe(
      // A run that has ended meanwhile cannot be cancelled, and is shown.
      Effect.catchIf((error) => !isTransient(error), () => Effect.void),
      Effect.andThen(Effect.sync(() => {
        cancelled = undefined
      }))
    )

  const accept = Effect.fnUntraced(function*(news: ReadonlyArray<Event.RunEvent>) {
    const before = snapshot()
    let { interrupts, output, state } = before
    let error: unknown
    for (const event of news) {
      transcript.add(event)
      // A handler's own event of such a type says nothing of the run.
      if (Event.isSaid(event)) continue
      state = stateAfter(event) ?? state
      if (event.type === "interrupt_resolved") interrupts = interrupts.filter(({ id }) => id !== event.data.id)
      else if (event.type === "done") {
        // An answer that the page does not know, such as one of a newer server, is an error of a run that has completed.
        const answer = yield* Effect.result(ClientCalls.answerOf(target, event.data.output, event.runId))
        if (answer._tag === "Success") output = answer.success
        else error = answer.failure
      } else if (event.type === "error") {
        error = yield* Effect.flip(Transport.failed(event.data, target.errorSchema, event.runId))
      }
    }
    if (state !== "suspended") interrupts = []
    set({ state, interrupts, output, error, text: transcript.text, events: [...before.events, ...news] })
    const paused = news.findLast(({ type }) => type === "run_suspended")
    if (state === "suspended" && paused !== undefined) yield* showQuestions(paused.runId)
    if (state !== before.state) connection.announce()
  })

  const follow = (run: Effect.Effect<savedRuns.Saved, unknown>) => {
    const mine = { stop: () => {} }
    reading = mine
    const following = Effect.gen(function*() {
      const runId = yield* idOf(saved ?? (yield* run))
      set({ runId })
      yield* cancelIfAsked(runId)
      // The questions of a run that paused before the connection was lost come with no other event.
      if (snapshot().state === "suspended") yield* showQuestions(runId)
      const after = snapshot().events.length
      yield* Stream.runForEachArray(runs.events(runId, { after }), accept)
    })
    mine.stop = connection.fork(
      persist(following, (error) => set({ error })).pipe(
        Effect.catch((error) => Effect.sync(() => refuse(error))),
        Effect.ensuring(Effect.sync(() => {
          if (reading === mine) reading = undefined
        }))
      )
    )
  }

  /** The server has refused to start the run or to show it. */
  const refuse = (error: unknown) => {
    const started = saved !== undefined && "runId" in saved
    if (!started || isAbsent(error)) forget()
    if (!started) set({ state: "failed", error })
    else if (isAbsent(error)) set({ ...idle, error: "key" in place ? undefined : error })
    else set({ error })
  }

  /** A failure is shown, unless the hook has left the run meanwhile. */
  const act = (runId: string, effect: Effect.Effect<unknown, unknown>) => {
    connection.fork(
      Effect.match(effect, {
        onFailure: (error) => {
          if (snapshot().runId === runId) set({ error })
        },
        onSuccess: () => {}
      })
    )
  }

  return {
    ...store,
    start: (payload = {}) => {
      if (reading !== undefined) return
      clear({ state: "connecting" })
      saved = undefined
      follow(Effect.map(ClientCalls.encode(target.identifier, target.payloadSchema, payload), (body) => {
        const next = { idempotencyKey: globalThis.crypto.randomUUID(), payload: body }
        keep(next)
        return next
      }))
    },
    cancel: (reason) => {
      const { runId, state } = snapshot()
      if (state === "idle" || isOver(state)) return
      // The request that starts the run is on its way: it is cancelled as soon as its id is known.
      if (runId === undefined) cancelled = { reason }
      else act(runId, runs.cancel(runId, reason))
    },
    answer: (interruptId, answer) => {
      const { runId } = snapshot()
      if (runId === undefined || answered.has(interruptId)) return
      answered.add(interruptId)
      act(
        runId,
        runs.answer(runId, interruptId, answer).pipe(
          Effect.tap(() =>
            Effect.sync(() => set({ interrupts: snapshot().interrupts.filter(({ id }) => id !== interruptId) }))
          ),
          Effect.tapError(() => Effect.sync(() => answered.delete(interruptId)))
        )
      )
    },
    reset: () => {
      forget()
      clear({})
    }
  }
}

const isOver = (state: RunView["state"]) =>
  state === "completed" || state === "failed" || state === "cancelled" || state === "rejected"

const stateAfter = (event: Event.RunEvent): RunState | undefined => {
  switch (event.type) {
    case "run_queued":
      return "queued"
    case "run_started":
      return "running"
    case "run_suspended":
      return event.data.reason === "drain" ? "queued" : "suspended"
    case "done":
      return "completed"
    case "error":
      return "failed"
    case "run_cancelled":
      return "cancelled"
    default:
      return undefined
  }
}
