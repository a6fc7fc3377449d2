// Runs as the chat front ends use them: an answer from its start or again, the newest run of a chat, and decisions.
import type { Callable } from "@fastagentic/core/app/Fusion"
import type { Caller } from "@fastagentic/core/door/Caller"
import type { RunHandle, Runtime } from "@fastagentic/core/operations/Runtime"
import type { FollowError } from "@fastagentic/core/operations/Runtime"
import * as ClientTools from "@fastagentic/core/run/ClientTools"
import * as Content from "@fastagentic/core/run/Content"
import * as Event from "@fastagentic/core/run/Event"
import type { Answer } from "@fastagentic/core/run/Interrupt"
import { NotDeclared, RunError, RunNotFound } from "@fastagentic/core/run/RunError"
import type { RunRecord } from "@fastagentic/core/run/RunRecord"
import { Effect, type Schema, Stream } from "effect"
import type { RequestContext } from "../http/RequestContext.ts"
import * as Timeouts from "../internal/timeouts.ts"
import type { ChatPart } from "./ChatPart.ts"
import { ChatView } from "./ChatView.ts"
import * as MessageSignal from "./MessageSignal.ts"

type Service = Runtime["Service"]

/** An answer that a front end writes: what was said before its stream begins is in `before`, the rest comes. */
export interface Answering {
  readonly handle: RunHandle
  /** The number of the event after which it begins. */
  readonly after: number
  /** The number of the event after which its turn begins: each message that a run receives begins another. */
  readonly turn: number
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

const viewOf = ({ fusion }: Service, { agent }: RunRecord) => {
  const callable = fusion.agents.get(agent)
  return callable === undefined
    ? new ChatView(false, false)
    : new ChatView(callable.success.hasContent, MessageSignal.isTakenBy(callable))
}

/** The parts that come, until the run has ended or waits for somebody. */
const followed = (handle: RunHandle, view: ChatView) =>
  Effect.map(
    handle.follow({ after: view.seq, until: "somebody" }),
    (pages) => {
      const parts = Stream.map(pages, ({ closing, events }) => closing ? "closing" as const : view.apply(events))
      if (!view.takesMessages) return parts
      return Stream.map(parts, (page) => page === "closing" ? page : firstTurn(page)).pipe(
        Stream.takeUntil((page) => page !== "closing" && endsTurn(page.at(-1)))
      )
    }
  )

/** Whether an answer ends with this part although its run has not ended: the next message of the chat continues the run. */
export const endsTurn = (part: ChatPart | undefined): boolean => part?._tag === "Waiting" && part.forMessage

const firstTurn = (parts: ReadonlyArray<ChatPart>) => {
  const end = parts.findIndex(endsTurn)
  return end === -1 ? parts : parts.slice(0, end + 1)
}

/** A message as it starts a run, or continues one. */
export interface Start {
  readonly agent: Callable
  readonly payload: Schema.Json
  /** The message, for a run of its thread that waits for one. */
  readonly contents: Content.List
  /** The key of the message, for requests without one of their own. */
  readonly key?: string | undefined
  readonly threadId: string | undefined
  /** The offer of the client beside the message, see `ClientCalls`. */
  readonly offer?: Schema.Json | undefined
}

/**
 * Starts a run, or attaches to the one that the message has started before, and gives its whole answer. A run of the thread
 * that waits for a message takes it instead.
 */
export const start = Effect.fnUntraced(function*(
  context: RequestContext,
  message: Start
): Effect.fn.Return<Answering, RunError> {
  const { caller, request: { headers }, runtime } = context
  const { agent, key, offer, payload, threadId } = message
  const received = agent.signals.size === 0 || threadId === undefined
    ? undefined
    : yield* receivedBy(context, message, threadId)
  if (received !== undefined) return received
  if (agent.clientTools && threadId !== undefined) yield* giveUpCalls(context, message, threadId)
  const handle = yield* runtime.start(caller, {
    kind: "agent",
    identifier: agent.identifier,
    payload,
    idempotencyKey: headers["idempotency-key"] || key,
    threadId,
    ...(offer === undefined ? {} : { message: offer }),
    timeout: yield* Timeouts.timeoutIn("x-timeout", headers["x-timeout"])
  })
  return { handle, after: 0, turn: 0, before: [], pages: yield* followed(handle, viewOf(runtime, handle.run)) }
})

/** A message in place of the results that the thread's run waits for: the user has gone on, and the page gives none. */
const giveUpCalls = Effect.fnUntraced(function*(
  { caller, request: { headers }, runtime }: RequestContext,
  { agent, key }: Start,
  threadId: string
): Effect.fn.Return<void, RunError> {
  const runs = yield* newestRuns(runtime, caller, { agent: agent.identifier, threadId })
  const startKey = headers["idempotency-key"] || key
  if (startKey !== undefined && runs.some((run) => run.idempotencyKey === startKey)) return
  const newest = runs.find(({ state }) => state !== "queued")
  if (newest?.state !== "suspended" || newest.waitsFor !== "interrupt") return
  const open = (yield* runtime.decidable(caller, newest.runId)).filter((one) => one.state === "open")
  const calls = open.filter(ClientTools.isCall)
  if (calls.length === 0 || calls.length < open.length) return
  const answers = calls.map((
    { id }
  ) => ({ id, decision: "deny", reason: "the user has sent another message" } as const))
  yield* runtime.answerAll(caller, newest.runId, answers).pipe(
    // The client has given the results meanwhile.
    Effect.catchIf(
      ({ reason }) => reason._tag === "InterruptResolved" || reason._tag === "RunFinished",
      () => Effect.void
    )
  )
})

/**
 * Gives a message to the run of its thread that waits for one, and the answer to it; a message that was given before, to any
 * of the newest runs, is not given again. Nothing when no run takes it.
 */
const receivedBy = Effect.fnUntraced(function*(
  { caller, request: { headers }, runtime }: RequestContext,
  { agent, contents, key }: Start,
  threadId: string
): Effect.fn.Return<Answering | undefined, RunError> {
  const taking = MessageSignal.signalsOf(agent)
  if (taking.length === 0) return undefined
  const idempotencyKey = headers["idempotency-key"] || key
  const runs = yield* newestRuns(runtime, caller, { agent: agent.identifier, threadId })
  if (idempotencyKey !== undefined && runs.some((run) => run.idempotencyKey === idempotencyKey)) return undefined
  // Runs in line wait for the one that may wait for a message.
  const newest = runs.find(({ state }) => state !== "queued")
  const looked = idempotencyKey === undefined ? runs.filter((run) => run === newest) : runs
  const all = yield* Effect.forEach(
    looked,
    ({ runId }) =>
      Effect.flatMap(
        runtime.open(caller, runId),
        (handle) => Effect.map(handle.signals, (signals) => ({ handle, signals }))
      ),
    { concurrency: 4 }
  )
  for (const { handle, signals: { sent } } of all) {
    const known = sent.find((one) => one.key === idempotencyKey)
    if (known !== undefined) return yield* afterMessage(runtime, handle, known.id)
  }
  const waiting = all.find(({ handle }) => handle.run.runId === newest?.runId)
  if (waiting?.handle.run.state !== "suspended" || waiting.handle.run.waitsFor !== "signal") return undefined
  const { handle, signals: { awaited } } = waiting
  const [signal, ...others] = awaited.filter((name) => taking.includes(name))
  const shape = signal === undefined ? undefined : agent.signals.get(signal)
  if (signal === undefined || shape === undefined || others.length > 0) return undefined
  const payload = yield* MessageSignal.valueOf(agent, shape, contents)
  const answering = yield* afterMessage(runtime, handle, undefined)
  return yield* runtime.signal(caller, handle.run.runId, {
    signal,
    payload,
    idempotencyKey,
    message: { role: "user", content: contents }
  }).pipe(
    Effect.as(answering),
    // The run has ended meanwhile: the message starts one.
    Effect.catchIf(({ reason }) => reason._tag === "RunFinished", () => Effect.undefined)
  )
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
  const calls = openCalls(view)
  const parts = firstTurn(view.apply(all.filter(({ seq }) => seq > after)))
  return undecidedOnly(view, [...calls, ...parts])
})

/** The client's calls that wait: a stream in which they are not all answered ends with the others. */
const openCalls = (view: ChatView) =>
  view.open.flatMap((question) => question.byClient ? [{ _tag: "Question", question } as const] : [])

/** Questions that are decided are not asked again. */
const undecidedOnly = (view: ChatView, parts: ReadonlyArray<ChatPart>) => {
  const open = new Set(view.open.map(({ notice }) => notice.id))
  return parts.filter((part) => part._tag !== "Question" || open.has(part.question.notice.id))
}

/**
 * The answer of the newest turn from its beginning, as it stands now, and then what comes: questions that are decided are not
 * asked again.
 */
export const replayed = Effect.fnUntraced(function*(
  runtime: Service,
  handle: RunHandle
): Effect.fn.Return<Answering, RunError> {
  const view = viewOf(runtime, handle.run)
  const all = yield* stored(handle)
  const turn = turnAt(all, Infinity)
  const shown = Event.visible(all)
  view.apply(shown.filter(({ seq }) => seq <= turn))
  const parts = view.apply(shown.filter(({ seq }) => seq > turn))
  view.seq = all.at(-1)?.seq ?? 0
  const before = undecidedOnly(view, parts)
  view.mark()
  return { handle, after: turn, turn, before, pages: yield* followed(handle, view) }
})

/** A turn of a run that a message has ended: its answer, and that message. */
export interface Turn {
  /** The number of the event after which it begins, and of the pause with which it ends. */
  readonly after: number
  readonly next: number
  readonly parts: ReadonlyArray<ChatPart>
  readonly said: Content.List
}

/** The turns of a run before its newest. */
export const earlierTurns = Effect.fnUntraced(function*(runtime: Service, handle: RunHandle) {
  const view = viewOf(runtime, handle.run)
  if (!view.takesMessages) return []
  const all = yield* stored(handle)
  const shown = Event.visible(all)
  return endsOf(all).map(({ pause: next, said }, index, ends): Turn => {
    const after = ends[index - 1]?.pause ?? 0
    return { after, next, said, parts: view.apply(shown.filter(({ seq }) => seq > after && seq <= next)) }
  })
})

/** The pauses that a message has ended, and what it said where a chat has sent it. */
const endsOf = (events: ReadonlyArray<Event.RunEvent>) => {
  const ends: Array<{ readonly pause: number; readonly said: Content.List }> = []
  let pause = 0
  let said: Content.List = []
  for (const event of events) {
    if (event.type === "run_suspended") pause = event.data.reason === "signal" ? event.seq : 0
    else if (event.type === "message_received") said = contentsIn(event.data.message)
    else if (event.type === "signal_received") {
      if (pause !== 0) ends.push({ pause, said })
      pause = 0
      said = []
    }
  }
  return ends
}

const contentsIn = (message: Schema.Json): Content.List => {
  const content: unknown = Object(message).content
  return Content.isList(content) ? content : []
}

/** The number of the last pause, up to an event, that a message has ended; 0 when there is none. */
const turnAt = (events: ReadonlyArray<Event.RunEvent>, position: number): number =>
  endsOf(events).findLast(({ pause }) => pause <= position)?.pause ?? 0

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
  const answering = yield* rest(runtime, handle, all, position, { except: ids })
  if (answers.length > 0) {
    yield* runtime.answerAll(caller, handle.run.runId, answers, headers["idempotency-key"] || undefined)
  }
  return answering
})

/** The answer to a message that a run receives: what comes after the pause that it ends. */
const afterMessage = Effect.fnUntraced(function*(runtime: Service, handle: RunHandle, messageId: string | undefined) {
  const all = yield* stored(handle)
  const known = all.find((event) => event.type === "signal" && event.data.id === messageId)
  return yield* rest(runtime, handle, all, pauseBefore(all, known?.seq) ?? all.at(-1)?.seq ?? 0, { beginsTurn: true })
})

/** The rest of an answer after an event. */
const rest = Effect.fnUntraced(function*(
  runtime: Service,
  handle: RunHandle,
  all: ReadonlyArray<Event.RunEvent>,
  position: number,
  { beginsTurn = false, except }: { readonly beginsTurn?: boolean; readonly except?: ReadonlySet<string> }
): Effect.fn.Return<Answering, RunError> {
  const view = viewOf(runtime, handle.run)
  view.apply(Event.visible(all.filter(({ seq }) => seq <= position)))
  view.seq = position
  view.mark()
  const decidedIds = new Set(all.flatMap((event) => event.type === "interrupt_resolved" ? [event.data.id] : []))
  const before = openCalls(view).filter(({ question: { notice: { id } } }) =>
    except?.has(id) !== true && !decidedIds.has(id)
  )
  const turn = beginsTurn ? position : turnAt(all, position)
  return { handle, after: position, turn, before, pages: yield* followed(handle, view) }
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

/** The caller's newest runs of a chat with an agent, which no other run has started, and the one that a long line waits for. */
export const newestRuns = Effect.fnUntraced(function*(runtime: Service, caller: Caller, { agent, threadId }: Chat) {
  const chat = { kind: "agent", agent, threadId, mine: true } as const
  const { items, next } = yield* runtime.list(caller, { ...chat, limit: 10 })
  const isLine = next !== undefined && items.every(({ state }) => state === "queued")
  const before = isLine ? (yield* runtime.list(caller, { ...chat, state: "suspended", limit: 1 })).items : []
  return [...items, ...before].filter(({ parentRunId }) => parentRunId === undefined)
})

/** The newest of them. */
export const newestOf = (runtime: Service, caller: Caller, chat: Chat) =>
  Effect.map(newestRuns(runtime, caller, chat), ([newest]) => newest)
