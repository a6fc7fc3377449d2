// Runs as the chat front ends use them: an answer from its start or again, the newest run of a chat, and decisions.
import type { Callable } from "@fastagentic/core/app/Fusion"
import type { Caller } from "@fastagentic/core/door/Caller"
import type { RunHandle, Runtime } from "@fastagentic/core/operations/Runtime"
import type { FollowError } from "@fastagentic/core/operations/Runtime"
import * as Event from "@fastagentic/core/run/Event"
import type { Answer } from "@fastagentic/core/run/Interrupt"
import { NotDeclared, RunError, RunNotFound } from "@fastagentic/core/run/RunError"
import type { RunRecord } from "@fastagentic/core/run/RunRecord"
import { Effect, type Schema, Stream } from "effect"
import type { RequestContext } from "../http/RequestContext.ts"
import * as Timeouts from "../internal/timeouts.ts"
import type { ChatPart } from "./ChatPart.ts"
import { ChatView } from "./ChatView.ts"

type Service = Runtime["Service"]

/** An answer that a front end writes: what was said before its stream begins is in `before`, the rest comes. */
export interface Answering {
  readonly handle: RunHandle
  /** The number of the event after which it begins. */
  readonly after: number
  readonly before: ReadonlyArray<ChatPart>
  readonly pages: Stream.Stream<ReadonlyArray<ChatPart> | "closing", FollowError>
}

/** The agent that a request names. */
export const agentOf = ({ fusion }: Service, identifier: string) => {
  const agent = fusion.agents.get(identifier)
  return agent === undefined
    ? Effect.fail(new RunError({ reason: new NotDeclared({ kind: "agent", identifier }) }))
    : Effect.succeed(agent)
}

const viewOf = ({ fusion }: Service, { agent }: RunRecord) =>
  new ChatView(fusion.agents.get(agent)?.success.hasContent === true)

/** The parts that come, until the run has ended or waits for somebody. */
const followed = (handle: RunHandle, view: ChatView) =>
  Effect.map(
    handle.follow({ after: view.seq, until: "somebody" }),
    Stream.map(({ closing, events }) => closing ? "closing" as const : view.apply(events))
  )

/** A message as it starts a run. */
export interface Start {
  readonly agent: Callable
  readonly payload: Schema.Json
  /** The key of the message, for requests without one of their own. */
  readonly key?: string | undefined
  readonly threadId: string | undefined
}

/** Starts a run, or attaches to the one that the message has started before, and gives its whole answer. */
export const start = Effect.fnUntraced(function*(
  { caller, request: { headers }, runtime }: RequestContext,
  { agent, key, payload, threadId }: Start
): Effect.fn.Return<Answering, RunError> {
  const handle = yield* runtime.start(caller, {
    kind: "agent",
    identifier: agent.identifier,
    payload,
    idempotencyKey: headers["idempotency-key"] || key,
    threadId,
    timeout: yield* Timeouts.timeoutIn("x-timeout", headers["x-timeout"])
  })
  return { handle, after: 0, before: [], pages: yield* followed(handle, viewOf(runtime, handle.run)) }
})

const stored = Effect.fnUntraced(function*({ events, run }: Pick<RunHandle, "events" | "run">) {
  const all: Array<Event.RunEvent> = []
  while ((all.at(-1)?.seq ?? 0) < run.seq) {
    const after = all.at(-1)?.seq ?? 0
    const page = yield* events({ after, limit: Math.min(run.seq - after, 1_000) })
    if (page.length === 0) break
    all.push(...page)
  }
  return all
})

/** The parts of an answer after an event, as they stand now. */
export const stands = Effect.fnUntraced(function*(
  runtime: Service,
  handle: Pick<RunHandle, "events" | "run">,
  after: number
): Effect.fn.Return<ReadonlyArray<ChatPart>, RunError> {
  const view = viewOf(runtime, handle.run)
  const all = Event.visible(yield* stored(handle))
  view.apply(all.filter(({ seq }) => seq <= after))
  const parts = view.apply(all.filter(({ seq }) => seq > after))
  return undecidedOnly(view, parts)
})

/** Questions that are decided are not asked again. */
const undecidedOnly = (view: ChatView, parts: ReadonlyArray<ChatPart>) => {
  const open = new Set(view.open.map(({ notice }) => notice.id))
  return parts.filter((part) => part._tag !== "Question" || open.has(part.question.notice.id))
}

/** The answer from its beginning, as it stands now, and then what comes: questions that are decided are not asked again. */
export const replayed = Effect.fnUntraced(function*(
  runtime: Service,
  handle: RunHandle
): Effect.fn.Return<Answering, RunError> {
  const view = viewOf(runtime, handle.run)
  const all = yield* stored(handle)
  const parts = view.apply(Event.visible(all))
  view.seq = all.at(-1)?.seq ?? 0
  const before = undecidedOnly(view, parts)
  view.mark()
  return { handle, after: 0, before, pages: yield* followed(handle, view) }
})

/** The number of the pause at which a question was asked that was decided later on. */
const pauseBefore = (events: ReadonlyArray<Event.RunEvent>, decidedAt: number | undefined) =>
  decidedAt === undefined
    ? undefined
    : events.findLast((event) => event.type === "run_suspended" && event.seq < decidedAt)?.seq ?? decidedAt - 1

/** A decision with the id of its interrupt. */
export type Decided = Answer & { readonly id: string }

/**
 * Decides, and gives the rest of the answer: what comes after the pause at which the questions were asked, also when somebody
 * has decided the same before. `ids` are all questions of the pause, by default those that are answered; `after`
 * names the event of a pause that is no question. The request's own key is that of the decision.
 */
export const decided = Effect.fnUntraced(function*(
  { caller, request: { headers }, runtime }: RequestContext,
  handle: RunHandle,
  answers: ReadonlyArray<Decided>,
  options: { readonly ids?: ReadonlyArray<string>; readonly after?: number | undefined } = {}
): Effect.fn.Return<Answering, RunError> {
  const all = yield* stored(handle)
  const ids = new Set(options.ids ?? answers.map(({ id }) => id))
  const resolved = all.find((event) => event.type === "interrupt_resolved" && ids.has(event.data.id))
  const last = all.at(-1)?.seq ?? 0
  const position = Math.min(last, options.after ?? pauseBefore(all, resolved?.seq) ?? last)
  const view = viewOf(runtime, handle.run)
  view.apply(Event.visible(all.filter(({ seq }) => seq <= position)))
  view.seq = position
  view.mark()
  if (answers.length > 0) {
    yield* runtime.answerAll(caller, handle.run.runId, answers, headers["idempotency-key"] || undefined)
  }
  return { handle, after: position, before: [], pages: yield* followed(handle, view) }
})

/** A run of an agent and, when one is named, of a chat; any other looks like none. */
export const openOf = Effect.fnUntraced(function*(
  runtime: Service,
  caller: Caller,
  runId: string,
  { agent, threadId }: { readonly agent: string; readonly threadId: string | undefined }
) {
  const handle = yield* runtime.open(caller, runId)
  const { run } = handle
  if (run.kind === "agent" && run.agent === agent && (threadId === undefined || run.threadId === threadId)) {
    return handle
  }
  return yield* new RunError({ reason: new RunNotFound({ runId }) })
})

interface Chat {
  readonly agent: string
  readonly threadId: string
}

/** The caller's newest runs of a chat with an agent, which no other run has started. */
export const newestRuns = Effect.fnUntraced(function*(runtime: Service, caller: Caller, { agent, threadId }: Chat) {
  const { items } = yield* runtime.list(caller, { kind: "agent", agent, threadId, mine: true, limit: 10 })
  return items.filter(({ parentRunId }) => parentRunId === undefined)
})

/** The newest of them. */
export const newestOf = (runtime: Service, caller: Caller, chat: Chat) =>
  Effect.map(newestRuns(runtime, caller, chat), ([newest]) => newest)
