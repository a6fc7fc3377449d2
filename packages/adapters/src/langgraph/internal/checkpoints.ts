// Makes each checkpoint of a graph a step of the run. LangGraph.ts runs the graph beside it; the step that is open holds what
// the graph emits, and ends with the next entry of the saver's log, for which the graph waits.
import { CurrentRun } from "@fastagentic/core/run/Run"
import { Deferred, Effect, Fiber, Queue, Schema } from "effect"
import type { Thrown } from "../../adapter/AdapterError.ts"
import { end, Op } from "./saver.ts"

/** The place of the run in which callbacks emit and call hooks. */
export interface Place {
  current: CurrentRun["Service"]
}

interface Request {
  readonly op: Op
  readonly resolve: () => void
  readonly reject: (cause: unknown) => void
}

const step = "langgraph"

const decode = Schema.decodeUnknownEffect(Op)
const encode = Schema.encodeEffect(Op)

export const make = Effect.fnUntraced(function*(place: Place) {
  const requests = yield* Queue.unbounded<Request>()
  const waiting = new Set<Request>()
  let isClosed = false

  /** Resolves once the entry is stored; rejects when the run is over before. */
  const commit = (op: Op) =>
    new Promise<void>((resolve, reject) => {
      const request = { op, resolve, reject }
      if (isClosed) return reject(new Error("the run has ended"))
      waiting.add(request)
      Queue.offerUnsafe(requests, request)
    })

  const close = Effect.sync(() => {
    isClosed = true
    for (const { reject } of waiting) reject(new Error("the run has ended"))
    waiting.clear()
  })

  /** The entries that earlier attempts have stored. */
  const recorded = Effect.gen(function*() {
    const run = yield* CurrentRun
    const ops: Array<Op> = []
    while (run.isRecorded(step)) {
      ops.push(yield* Effect.orDie(Effect.flatMap(run.step(step, Effect.succeed(null)), decode)))
    }
    return ops
  })

  /** Runs the graph once, a step from one entry to the next. */
  const during = Effect.fnUntraced(function*<A>(graph: Effect.Effect<A, Thrown, CurrentRun>) {
    const run = yield* CurrentRun
    const ended = yield* Deferred.make<void>()
    const fiber = yield* Effect.forkChild(Effect.ensuring(graph, Deferred.succeed(ended, undefined)))
    for (;;) {
      let request: Request | undefined
      yield* run.step(
        step,
        Effect.gen(function*() {
          place.current = yield* CurrentRun
          request = yield* Effect.raceFirst(Queue.take(requests), Effect.as(Deferred.await(ended), undefined))
          return yield* Effect.orDie(encode(request?.op ?? end))
        })
      )
      if (request === undefined) return yield* Fiber.join(fiber)
      waiting.delete(request)
      request.resolve()
    }
  })

  return { commit, close, recorded, during }
})
