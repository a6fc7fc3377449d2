// One WebSocket from its upgrade to its end: handles frames in order and follows many runs at a time.
import type { Caller } from "@fastagentic/core/door/Caller"
import type { FollowError, Page, RunHandle, Runtime, Started } from "@fastagentic/core/operations/Runtime"
import { RunError, StoreUnavailable } from "@fastagentic/core/run/RunError"
import { isFinal, type RunRecord } from "@fastagentic/core/run/RunRecord"
import { Effect, FiberMap, Schema, Stream } from "effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { SocketError } from "effect/socket/Socket"
import * as Timeouts from "../internal/timeouts.ts"
import * as Problem from "./Problem.ts"
import * as Schemas from "./Schemas.ts"
import type { ClientFrame, ServerFrame } from "./SocketFrames.ts"
import * as SocketFrames from "./SocketFrames.ts"
import { goingAway, type Limits, type SocketClose, type SocketWriter } from "./SocketWriter.ts"

/** The connection follows its maximum number of runs. */
export class TooManyRuns extends Schema.TaggedError<TooManyRuns>()("TooManyRuns", { limit: Schema.Int }) {
  override get message() {
    return `One connection follows at most ${this.limit} runs. Stop following one, or open another connection.`
  }
}

/** The reasons for which a connection ends. */
export type Ending = SocketClose | SocketError

type Refusal = RunError | TooManyRuns
type Op<K extends ClientFrame["op"]> = Extract<ClientFrame, { readonly op: K }>

export interface Connection {
  /** Handles a message of the client. */
  readonly receive: (message: string | Uint8Array) => Effect.Effect<void, Ending>
  /** Fails when a follower finds that the connection must end. */
  readonly ended: Effect.Effect<void, Ending>
}

/** All work of a connection ends with its scope; the runs themselves continue. */
export const make = Effect.fnUntraced(function*(options: {
  readonly runtime: Runtime["Service"]
  readonly caller: Caller
  readonly writer: SocketWriter
  readonly limits: Limits
}) {
  const { caller, limits, runtime, writer } = options
  const working = yield* FiberMap.make<string, void, Ending>()
  const followKey = (runId: string) => `follow ${runId}`

  const result = (id: string, run: RunRecord) => writer.send({ id, type: "result", run: Schemas.runOf(run) })

  const refuse = (id: string | undefined, reason: Refusal | SocketFrames.Rejected["reason"], runId?: string) =>
    Effect.flatMap(
      problemOf(reason, { traceId: caller.traceId, ...(runId === undefined ? {} : { runId }) }),
      (problem): Effect.Effect<void, Ending> =>
        writer.send(id === undefined ? { type: "error", problem } : { id, type: "error", problem })
    )

  /** Runs work concurrently with later frames, as long as the connection lives. */
  const fork = Effect.fnUntraced(function*(key: string, work: Effect.Effect<void, Ending>) {
    yield* checkCapacity(key)
    yield* FiberMap.run(working, key, work)
  })

  const checkCapacity = Effect.fnUntraced(function*(key?: string) {
    const isReplaced = key !== undefined && (yield* FiberMap.has(working, key))
    if (!isReplaced && (yield* FiberMap.size(working)) >= limits.followedRuns) {
      return yield* new TooManyRuns({ limit: limits.followedRuns })
    }
  })

  const start = (caller: Caller, frame: Op<"start">) =>
    launch(
      frame,
      runtime.start(caller, {
        ..."agent" in frame ? { kind: "agent", identifier: frame.agent } : { kind: "tool", identifier: frame.tool },
        payload: frame.payload,
        idempotencyKey: frame.idempotencyKey,
        threadId: frame.threadId,
        startAt: frame.startAt === undefined ? undefined : Schemas.millisOf(frame.startAt),
        priority: frame.priority,
        timeout: Timeouts.millisOf(frame.timeout)
      })
    )

  /** Starts a run and follows it unless the frame says otherwise. */
  const launch = Effect.fnUntraced(function*(
    frame: Op<"start" | "fork" | "retry">,
    started: Effect.Effect<Started, RunError>
  ) {
    const follows = frame.follow ?? true
    if (follows) yield* checkCapacity()
    const handle = yield* started
    if (!follows) return yield* result(frame.id, handle.run)
    yield* follow({ id: frame.id }, handle)
  })

  const follow = Effect.fnUntraced(function*({ after = 0, id }: Pick<Op<"follow">, "id" | "after">, handle: RunHandle) {
    const { run } = handle
    const pages = yield* handle.follow({ after, until: "final" })
    yield* fork(followKey(run.runId), Effect.andThen(result(id, run), deliver(id, handle, pages)))
  })

  const sendPage = (id: string, page: Page): Effect.Effect<void, Ending | StoreUnavailable> =>
    page.closing
      ? closing
      : Effect.forEach(page.events, (event) => writer.send({ id, type: "event", event }), { discard: true })

  const deliver = (id: string, { current, run: { runId } }: RunHandle, pages: Stream.Stream<Page, FollowError>) =>
    pages.pipe(
      Stream.runForEach((page) => sendPage(id, page)),
      Effect.andThen(
        Effect.flatMap(
          current,
          ({ state }) => isFinal(state) ? writer.send({ id, type: "end", runId, state }) : Effect.void
        )
      ),
      // The connection ends with them, and says so.
      Effect.catchTag("Unauthenticated", () => Effect.void),
      Effect.catchTag(["StoreUnavailable", "JournalDamaged"], (reason) => refuse(id, new RunError({ reason }), runId)),
      Effect.catchTag("RunError", (error) => refuse(id, error, runId))
    )

  /** The journal stopped before the run's end: the server shuts down, or has lost only this run. */
  const closing = Effect.flatMap(
    runtime.ready,
    (ready) => Effect.fail(ready ? new StoreUnavailable({ operation: "follow" }) : goingAway)
  )

  const cancel = (caller: Caller, frame: Op<"cancel">) =>
    runtime.cancel(caller, frame.runId, frame.reason).pipe(
      Effect.flatMap((run) => result(frame.id, run)),
      Effect.catchTag("RunError", (error) => refuse(frame.id, error, frame.runId))
    )

  const handle = Effect.fnUntraced(function*(frame: ClientFrame): Effect.fn.Return<void, Ending | Refusal> {
    if (frame.op === "ping") return yield* writer.send({ id: frame.id, type: "pong" })
    // The connection may outlive its caller's credentials, so each frame is authenticated, once.
    const caller = yield* runtime.authenticate(options.caller)
    switch (frame.op) {
      case "start":
        return yield* start(caller, frame)
      case "follow":
        return yield* follow(frame, yield* runtime.open(caller, frame.runId))
      case "unfollow":
        yield* FiberMap.remove(working, followKey(frame.runId))
        return yield* result(frame.id, yield* runtime.get(caller, frame.runId))
      case "cancel":
        return yield* fork(`cancel ${frame.runId} ${frame.id}`, cancel(caller, frame))
      case "answer": {
        const { decision, id, idempotencyKey, interruptId, reason, runId, value } = frame
        return yield* result(
          id,
          yield* runtime.answer(caller, runId, interruptId, {
            decision,
            ...(value === undefined ? {} : { value }),
            ...(reason === undefined ? {} : { reason })
          }, idempotencyKey)
        )
      }
      case "signal": {
        const { id, idempotencyKey, name, payload = null, runId } = frame
        return yield* result(id, yield* runtime.signal(caller, runId, { signal: name, payload, idempotencyKey }))
      }
      case "resume":
        return yield* result(frame.id, yield* runtime.resume(caller, frame.runId))
      case "fork": {
        const { after, idempotencyKey, runId } = frame
        return yield* launch(frame, runtime.fork(caller, runId, { after, idempotencyKey }))
      }
      case "retry":
        return yield* launch(frame, runtime.retry(caller, frame.runId))
      case "messages": {
        const { after: from, id, limit = 50, order, owner, threadId } = frame
        const { items, next = null } = yield* runtime.messages(caller, threadId, { from, limit, order, owner })
        return yield* writer.send({ id, type: "messages", threadId, items, next })
      }
      case "checkpoints": {
        const { id, runId } = frame
        return yield* writer.send({ id, type: "checkpoints", runId, items: yield* runtime.checkpoints(caller, runId) })
      }
    }
  })

  const perform = (frame: ClientFrame) =>
    handle(frame).pipe(
      Effect.catchTags({
        RunError: (error) => refuse(frame.id, error, runIdOf(frame)),
        TooManyRuns: (error) => refuse(frame.id, error, runIdOf(frame))
      }),
      Effect.catchDefect((defect) =>
        Effect.andThen(
          Effect.annotateLogs(Effect.logError("A frame failed unexpectedly", defect), { traceId: caller.traceId }),
          Effect.flatMap(
            problemIn(Problem.internal({ traceId: caller.traceId })),
            (problem) => writer.send({ id: frame.id, type: "error", problem })
          )
        )
      )
    )

  const connection: Connection = {
    receive: (message) =>
      Effect.matchEffect(SocketFrames.parse(message, limits.frameBytes), {
        onFailure: ({ id, reason }) => refuse(id, reason),
        onSuccess: perform
      }),
    ended: FiberMap.join(working)
  }
  return connection
})

const runIdOf = (frame: ClientFrame) => "runId" in frame ? frame.runId : undefined

const problemOf = (
  reason: Refusal | SocketFrames.Rejected["reason"],
  subject: Problem.Subject
): Effect.Effect<Extract<ServerFrame, { readonly type: "error" }>["problem"]> => {
  switch (reason._tag) {
    case "RunError":
      return Effect.flatMap(Problem.fromRunError(reason, subject), problemIn)
    case "TooManyRuns":
      return Effect.succeed({
        type: "urn:fastagentic:error:TooManyRuns",
        title: "TooManyRuns",
        status: 429,
        detail: reason.message,
        error: { _tag: reason._tag, limit: reason.limit },
        traceId: subject.traceId,
        ...(subject.runId === undefined ? {} : { runId: subject.runId })
      })
    default:
      return Effect.flatMap(Problem.fromReason(reason, subject), problemIn)
  }
}

const decodeProblem = Schema.decodeUnknownEffect(Problem.Problem)

/** The problem in a response, so that a WebSocket reports the same as REST. */
const problemIn = (response: HttpServerResponse.HttpServerResponse) =>
  Effect.orDie(Effect.flatMap(HttpServerResponse.toClientResponse(response).json, decodeProblem))
