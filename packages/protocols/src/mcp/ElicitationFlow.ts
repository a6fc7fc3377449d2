// A tool call whose run waits for a decision: asks the client, and continues after the decision of any caller.
import * as Timings from "@fastagentic/core/base/Timings"
import type { Caller } from "@fastagentic/core/door/Caller"
import type { RunHandle, Runtime } from "@fastagentic/core/operations/Runtime"
import { isTerminal } from "@fastagentic/core/run/Event"
import { RunError } from "@fastagentic/core/run/RunError"
import type { RunRecord } from "@fastagentic/core/run/RunRecord"
import { Effect, Option, Stream } from "effect"
import {
  again,
  type Ask,
  type Client,
  decide,
  type Question,
  questionOf,
  refuse,
  type Reply
} from "./ClientQuestion.ts"
import * as Delegated from "./Delegated.ts"
import * as RequestState from "./RequestState.ts"

/** The time that a call stays open for a decision. */
const waitLimit = Timings.elicitationMillis

/** The number of times that a form is shown when its content does not fit. */
const attempts = 3

/**
 * The way to ask a client: not at all, while its call waits (2025), or in rounds (2026-07-28), where the call is answered
 * with the questions, and sent again with the answers and the `state`, which names the run and what it has said.
 */
export type ElicitationFlow =
  & { readonly client: Client }
  & (
    | { readonly _tag: "None" }
    | {
      readonly _tag: "Push"
      readonly ask: Ask
      /** Says that a page, which the client has opened, is done. */
      readonly complete: (question: Question) => Effect.Effect<void>
    }
    | {
      readonly _tag: "Rounds"
      readonly state: string | undefined
      readonly responses: { readonly [name: string]: unknown }
    }
  )

export interface Asked {
  readonly run: RunRecord
  /** The reason for which an answer was refused. */
  readonly refusal?: RunError
  /** The questions of the next round. */
  readonly questions?: ReadonlyArray<Question>
}

interface Call {
  readonly caller: Caller
  readonly elicitation: ElicitationFlow
  /** The number of the last event that the client has seen. */
  readonly after?: number
}

type Settle = (after: number) => Effect.Effect<RunRecord, RunError>

/** Waits for a run and asks for each decision that it needs, as long as the client answers. */
export const ask = (
  runtime: Runtime["Service"],
  { after = 0, caller, elicitation }: Call,
  handle: RunHandle,
  settle: Settle,
  stage: { isAsking: boolean }
): Effect.Effect<Asked, RunError> => {
  const next = untilAsked(runtime, caller, settle, elicitation.client)
  switch (elicitation._tag) {
    case "None":
      return next(after)
    case "Push":
      return pushed(runtime, caller, handle, elicitation, next, stage, after)
    case "Rounds":
      return round(runtime, caller, handle, elicitation, next, stage)
  }
}

type Next = (
  after: number
) => Effect.Effect<{ readonly run: RunRecord; readonly open: ReadonlyArray<Question> }, RunError>

/** The run and the questions that the client can answer; what it cannot answer at all is refused, and the run resumes. */
const untilAsked = (runtime: Runtime["Service"], caller: Caller, settle: Settle, client: Client): Next =>
  Effect.fnUntraced(function*(from: number) {
    let run = yield* settle(from)
    while (true) {
      const open = run.state === "suspended" && (run.waitsFor === "interrupt" || run.waitsFor === "child")
        ? yield* Delegated.decidable(runtime, caller, run)
        : []
      const asked = open.map((interrupt) => [interrupt, questionOf(runtime, interrupt, client)] as const)
      const refused = asked.filter(([, question]) => question === "unsupported")
      if (refused.length === 0) {
        return {
          run,
          open: asked.flatMap(([, question]) => question === undefined || question === "unsupported" ? [] : [question])
        }
      }
      for (const [interrupt] of refused) yield* refuse(runtime, caller, interrupt)
      run = yield* settle(run.seq)
    }
  })

const pushed = Effect.fnUntraced(function*(
  runtime: Runtime["Service"],
  caller: Caller,
  handle: RunHandle,
  { ask: put, complete }: Extract<ElicitationFlow, { readonly _tag: "Push" }>,
  next: Next,
  stage: { isAsking: boolean },
  after: number
): Effect.fn.Return<Asked, RunError> {
  let { open: [question], run } = yield* next(after)
  for (let attempt = 1; attempt <= attempts && question !== undefined;) {
    stage.isAsking = true
    const shown = attempt > 1 ? again(question) : question
    const page = { isOpen: false }
    const replied = Effect.flatMap(put(shown), (reply) => {
      page.isOpen = reply === "opened"
      return page.isOpen ? Effect.never : Effect.succeed(reply)
    })
    const reply = yield* Effect.raceFirst(replied, decided(runtime, caller, handle, run.seq, question)).pipe(
      Effect.timeoutOption(waitLimit),
      Effect.map(Option.getOrElse((): Reply => "left")),
      Effect.result
    )
    stage.isAsking = false
    if (reply._tag === "Failure") return { run, refusal: reply.failure }
    if (page.isOpen && reply.success === "decided") yield* complete(question)
    if (reply.success === "left") break
    attempt = reply.success === "unclear" ? attempt + 1 : 1
    if (reply.success === "decided") ({ open: [question], run } = yield* next(run.seq))
  }
  return { run }
})

/** Waits for a decision over any protocol, or the run's end. A server that shuts down decides nothing. */
const decided = (
  runtime: Runtime["Service"],
  caller: Caller,
  handle: RunHandle,
  seq: number,
  { interrupt: { id, runId } }: Question
): Effect.Effect<Reply, RunError> =>
  (runId === handle.run.runId
    ? handle.follow({ after: seq, until: "final" })
    : Effect.flatMap(runtime.open(caller, runId), (asker) => asker.follow({ after: 0, until: "final" }))).pipe(
      Effect.flatMap((pages) =>
        Stream.runHead(Stream.filter(pages, ({ events }) =>
          events.some((event) =>
            isTerminal(event) || (event.type === "interrupt_resolved" && event.data.id === id)
          )))
      ),
      Effect.map(Option.match({
        onNone: (): Reply =>
          "left",
        onSome: (): Reply => "decided"
      })),
      Effect.catchTag(
        ["JournalDamaged", "StoreUnavailable", "Unauthenticated"],
        (reason) => Effect.fail(new RunError({ reason }))
      )
    )

const round = Effect.fnUntraced(function*(
  runtime: Runtime["Service"],
  caller: Caller,
  handle: RunHandle,
  { client, responses, state }: Extract<ElicitationFlow, { readonly _tag: "Rounds" }>,
  next: Next,
  stage: { isAsking: boolean }
): Effect.fn.Return<Asked, RunError> {
  const unclear = new Set<string>()
  const left = new Map(Object.entries(responses))
  let { open, run } = yield* next(state === undefined ? 0 : RequestState.seqOf(state))
  // A client may send the answers that it knows with the call itself.
  while (true) {
    const asked = [...keyed(open)].filter(([key]) => left.has(key))
    if (asked.length === 0) break
    const opened: Array<Question> = []
    for (const [key, question] of asked) {
      const reply = yield* Effect.result(decide(runtime, caller, question, left.get(key)))
      left.delete(key)
      if (reply._tag === "Failure") return { run: yield* handle.current, refusal: reply.failure }
      if (reply.success === "left") return { run: yield* handle.current }
      if (reply.success === "unclear") unclear.add(question.interrupt.id)
      if (reply.success === "opened") opened.push(question)
    }
    // A page that takes longer is asked for again in the next round; a client that leaves meanwhile does not end the run.
    stage.isAsking = opened.length > 0
    yield* Effect.timeoutOption(
      Effect.forEach(opened, (question) => decided(runtime, caller, handle, run.seq, question), {
        concurrency: "unbounded",
        discard: true
      }),
      Timings.mcpCallMillis
    )
    stage.isAsking = false
    ;({ open, run } = yield* next(run.seq))
  }
  const refusal = yield* answeredForOthers(runtime, caller, client, run.runId, left)
  if (refusal !== undefined) return { run, refusal }
  if (open.length === 0) return { run }
  return { run, questions: open.map((question) => unclear.has(question.interrupt.id) ? again(question) : question) }
})

/**
 * Refuses answers to questions that the caller sees and may not decide: the refusal of the first is the outcome, and an entry.
 * Names that ask nothing are ignored.
 */
export const answeredForOthers = Effect.fnUntraced(function*(
  runtime: Runtime["Service"],
  caller: Caller,
  client: Client,
  runId: string,
  answers: ReadonlyMap<string, unknown>
): Effect.fn.Return<RunError | undefined, RunError> {
  if (answers.size === 0) return undefined
  const mine = new Set((yield* runtime.decidable(caller, runId)).map(({ id }) => id))
  const others = (yield* runtime.interrupts(caller, runId)).flatMap((interrupt) => {
    const question = interrupt.state === "open" && !mine.has(interrupt.id)
      ? questionOf(runtime, interrupt, client)
      : undefined
    return question === undefined || question === "unsupported" ? [] : [question]
  })
  for (const [key, question] of keyed(others)) {
    const named = [key, question.interrupt.id].find((name) => answers.has(name))
    if (named === undefined) continue
    const reply = yield* Effect.result(decide(runtime, caller, question, answers.get(named)))
    if (reply._tag === "Failure") return reply.failure
  }
  return undefined
})

const isOnce = (all: ReadonlyArray<string>, one: string) => all.indexOf(one) === all.lastIndexOf(one)

/**
 * Questions under the names that the handler gave them; the whole name where two of them are equal, and the id where runs of
 * a delegation ask under one name.
 */
export const keyed = (questions: ReadonlyArray<Question>): ReadonlyMap<string, Question> => {
  const shortOf = ({ interrupt: { name } }: Question) => name.slice(name.lastIndexOf(place) + 1).trimStart()
  const shorts = questions.map(shortOf)
  const names = questions.map(({ interrupt: { name } }) => name)
  return new Map(questions.map((question, index) => {
    const short = shorts[index] ?? ""
    if (isOnce(shorts, short)) return [short, question] as const
    const { id, name } = question.interrupt
    return [isOnce(names, name) ? name : id, question] as const
  }))
}

/** Ends the name of the step that a name is in. */
const place = "›"
