// Asks the person at the terminal about every decision that is open on a server, one after the other: `dev` uses it. A
// question that is answered elsewhere meanwhile is no longer asked, and a server that is away is waited for.
import type { Interrupt } from "@fastagentic/core"
import type { Client } from "@fastagentic/protocols/http"
import { Console, Effect, Queue } from "effect"
import * as Output from "../output.ts"
import type * as Lines from "./lines.ts"
import * as Questions from "./questions.ts"
import * as Server from "./server.ts"

/** How often the list of open decisions is read, in milliseconds. */
const every = 500

const isOpen = ({ client, signal, state }: Interrupt.Interrupt) =>
  state === "open" && signal === undefined && client === undefined

export const serve = Effect.fnUntraced(function*(server: Server.Server, lines: Lines.Lines) {
  const runs = yield* Server.runsOf(server)
  const typed = yield* Queue.unbounded<string>()
  const reading = Effect.flatMap(
    lines.next(""),
    (line) => line === undefined ? Effect.never : Effect.sync(() => Queue.offerUnsafe(typed, line))
  )
  yield* Effect.forkScoped(Effect.forever(reading))
  while (true) {
    const page = yield* Effect.orElseSucceed(runs.pending(), () => undefined)
    for (const { id, runId } of page?.items ?? []) yield* Effect.ignore(ask(server, runs, { id, runId }, typed))
    yield* Effect.sleep(every)
  }
})

interface Asked {
  readonly runId: string
  readonly id: string
}

const ask = Effect.fnUntraced(function*(
  server: Server.Server,
  runs: Client.Runs,
  { id, runId }: Asked,
  typed: Queue.Queue<string>
) {
  const find = Effect.map(runs.interrupts(runId), (all) => all.find((one) => one.id === id && isOpen(one)))
  const question = yield* find
  if (question === undefined) return
  // A line that was typed before the question is no answer to it.
  yield* Queue.clear(typed)
  yield* Console.error(Output.safe(`run ${runId} asks: ${Questions.textOf(question)}`))
  while (true) {
    const line = yield* Effect.raceFirst(Queue.take(typed), closed(find))
    if (line === undefined) return yield* Console.error("(answered elsewhere)")
    const answer = Questions.answerOf(question, line.trim())
    if (answer === undefined) yield* Console.error("That is no answer to this question")
    else if (yield* Questions.isTaken(server, runs.answer(runId, id, answer))) return
  }
})

/** Ends when the question is not open any more. */
const closed = (find: Effect.Effect<Interrupt.Interrupt | undefined, unknown>) =>
  Effect.sleep(every).pipe(
    Effect.andThen(Effect.orElseSucceed(Effect.map(find, (found) => found === undefined), () => false)),
    Effect.repeat({ until: (isClosed) => isClosed }),
    Effect.as(undefined)
  )
