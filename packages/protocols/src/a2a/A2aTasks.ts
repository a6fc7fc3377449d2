// Finds the runs of tasks, reads them as tasks and follows them; the operations of A2A call it.
import type { RunHandle, Runtime } from "@fastagentic/core/operations/Runtime"
import { RunError, RunNotFound } from "@fastagentic/core/run/RunError"
import { isFinal, needsSomebody, type RunRecord } from "@fastagentic/core/run/RunRecord"
import * as Tracing from "@fastagentic/core/telemetry/Tracing"
import { Effect, Stream } from "effect"
import { PublicAddress, urlOf } from "../internal/publicAddress.ts"
import * as A2aContent from "./A2aContent.ts"
import * as A2aError from "./A2aError.ts"
import type { Call, Reply, Updates } from "./A2aReply.ts"
import type { Message } from "./A2aSchema.ts"
import type { Skills } from "./A2aSkill.ts"
import { TaskView } from "./A2aTask.ts"

/** A run with its view so far. */
export interface Delivered {
  readonly handle: RunHandle
  readonly run: RunRecord
  readonly view: TaskView
}

/** The addresses of stored files as the client of this request reaches them. */
export const links = Effect.map(PublicAddress, (address) => A2aContent.linksOf(urlOf(address)))

export type Tasks = ReturnType<typeof make>

export const make = (runtime: Runtime["Service"], skills: Skills) => {
  /** The run of a task: one of an agent, and on an agent's own path one of that agent. */
  const find = Effect.fnUntraced(function*({ caller, onPath }: Call, id: string) {
    const handle = yield* runtime.open(caller, id)
    const { run } = handle
    if (run.kind === "agent" && (onPath === undefined || run.agent === onPath)) return handle
    return yield* new RunError({ reason: new RunNotFound({ runId: id }) })
  })

  const viewOf = (run: RunRecord, message?: Message) =>
    Effect.map(links, (links) => new TaskView(run, skills.get(run.agent), links, message))

  /** The task as of a record of its run, or of an earlier event. */
  const load = Effect.fnUntraced(function*(handle: RunHandle, run: RunRecord, upTo = run.seq) {
    const view = yield* viewOf(run)
    yield* read(handle, view, run, upTo)
    return view
  })

  /** Applies the events up to a record of the run. */
  const read = Effect.fnUntraced(function*({ events }: RunHandle, view: TaskView, run: RunRecord, upTo = run.seq) {
    while (view.seq < upTo) {
      const page = yield* events({ after: view.seq, limit: Math.min(upTo - view.seq, 1_000) })
      if (page.length === 0) break
      view.apply(page.filter(({ seq }) => seq <= upTo), run.state)
    }
    if (upTo === run.seq) view.asOf(run)
  })

  const follow = ({ handle, view }: Pick<Delivered, "handle" | "view">, until: "final" | "somebody") =>
    Effect.map(
      handle.follow({ after: view.seq, until }),
      (pages): Stream.Stream<Updates, A2aError.A2aError> =>
        pages.pipe(
          Stream.map(({ events, run }) => ({ updates: view.apply(events, run.state), seq: view.seq })),
          Stream.mapError((reason) =>
            reason._tag === "Unauthenticated" ? A2aError.fromRunError(new RunError({ reason })) : unavailable
          )
        )
    )

  /** The task as it is, and then its updates. */
  const streamed = Effect.fnUntraced(function*(
    delivered: Delivered,
    until: "final" | "somebody",
    historyLength?: number
  ) {
    const { view } = delivered
    const first: Updates = { seq: view.seq, updates: [{ task: view.task(historyLength) }] }
    const rest = yield* follow(delivered, until)
    return {
      _tag: "Updates",
      updates: Stream.concat(Stream.succeed(first), rest),
      closesWhenAsked: until === "somebody"
    } as const satisfies Reply
  })

  /** The answer alone, when there is one; a run that fails or asks is a task. */
  const answered = Effect.fnUntraced(function*(delivered: Delivered, historyLength?: number) {
    const { view } = delivered
    const pages = Stream.map(yield* follow(delivered, "somebody"), ({ seq }) => ({ seq, updates: [] }))
    const last = Stream.sync((): Updates => ({
      seq: view.seq,
      updates: [view.hasAnswer ? { message: view.answer() } : { task: view.task(historyLength) }]
    }))
    return { _tag: "Updates", updates: Stream.concat(pages, last), closesWhenAsked: true } as const satisfies Reply
  })

  /** Waits until the task has ended or waits for somebody. Most runs do so without a pause, and are read once. */
  const waited = Effect.fnUntraced(function*(delivered: Delivered) {
    const run = yield* Tracing.silently(delivered.handle.settled)
    if (isFinal(run.state) || needsSomebody(run)) return yield* read(delivered.handle, delivered.view, run)
    yield* Stream.runDrain(yield* follow(delivered, "somebody"))
  })

  return { find, viewOf, waited, load, streamed, answered }
}

const unavailable = A2aError.internal("the rest of the task could not be read; get it or subscribe to it again")
