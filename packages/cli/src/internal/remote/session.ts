// One run as a person follows it in a terminal or a pipe: its words, its questions, its end. `call` and `chat` use it.
import { Agent, App, type Event, RunRecord } from "@fastagentic/core"
import type { Client } from "@fastagentic/protocols/http"
import { Console, Effect, Schema, Stream } from "effect"
import * as Output from "../output.ts"
import type * as Lines from "./lines.ts"
import * as Questions from "./questions.ts"
import * as Server from "./server.ts"

/** The run has ended without an answer. */
export class RunEnded extends Schema.TaggedError<RunEnded>()("RunEnded", {
  runId: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.problem}; see \`fastagentic runs events ${this.runId}\``
  }
}

/** The run waits for somebody, and this command has nobody to ask. */
export class RunWaits extends Schema.TaggedError<RunWaits>()("RunWaits", {
  runId: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.runId} ${this.problem}`
  }
}

export type Payload = { readonly [key: string]: Schema.Json }

/** A client of one agent of any shape: its payload is checked by the server. */
const clientOf = (agent: string, payload: Payload, server: Server.Server) => {
  const fields = Object.fromEntries(Object.keys(payload).map((key) => [key, Schema.Json]))
  const any = Agent.make(agent, { description: agent, payload: fields, success: Schema.Json })
  return Server.clientOf(App.make("anything", { version: "0.0.0", agents: [any] }), server, 30)
}

export interface Options {
  readonly server: Server.Server
  readonly agent: string
  readonly payload: Payload
  readonly call: Client.CallOptions
  readonly show: (event: Event.RunEvent) => Effect.Effect<void>
  /** The next line of the person; `undefined` at its end, or when nobody is asked. */
  readonly ask: Lines.Lines["next"]
}

type Run = Effect.Success<ReturnType<Client.Runs["get"]>>

/** Starts a run, and follows it until it ends; its questions are asked on the way. */
export const run = Effect.fnUntraced(function*(options: Options) {
  const { agent, call, payload, server } = options
  const client = yield* clientOf(agent, payload, server)
  const started = yield* Server.orRefused(server, client.agents[agent]?.start(payload, call) ?? Effect.never)
  const { runId } = started
  const cursor = { seq: 0 }
  return yield* Effect.gen(function*() {
    while (true) {
      const rests = yield* Server.orRefused(server, follow(client.runs, runId, cursor, options.show))
      if (RunRecord.isFinal(rests.state)) return rests
      yield* decide(client.runs, rests, options)
    }
  }).pipe(Effect.onInterrupt(() => Console.error(`The run continues: fastagentic runs events ${runId} --follow`)))
})

/** The events until the run has ended or needs somebody. */
const follow = Effect.fnUntraced(function*(
  runs: Client.Runs,
  runId: string,
  cursor: { seq: number },
  show: Options["show"]
) {
  while (true) {
    yield* runs.events(runId, { after: cursor.seq }).pipe(
      Stream.tap((event) => {
        cursor.seq = event.seq
        return show(event)
      }),
      Stream.takeUntil((event) => event.type === "run_suspended" && event.data.reason !== "drain"),
      Stream.runDrain
    )
    const run: Run = yield* runs.get(runId)
    if (RunRecord.isFinal(run.state) || RunRecord.needsSomebody(run)) return run
  }
})

/** Asks about the first open question of the run until it has an answer, here or elsewhere. */
const decide = Effect.fnUntraced(function*(runs: Client.Runs, run: Run, { ask, server }: Options) {
  const { runId, waitsFor = "somebody" } = run
  const open = yield* Server.orRefused(server, runs.interrupts(runId))
  const question = open.find(({ client, signal, state }) =>
    state === "open" && signal === undefined && client === undefined
  )
  if (waitsFor !== "interrupt" || question === undefined) {
    return yield* new RunWaits({ runId, problem: `is suspended and waits for: ${waitsFor}` })
  }
  while (true) {
    yield* Console.error(Output.safe(Questions.textOf(question)))
    const line = yield* ask("? ")
    if (line === undefined) {
      const problem = `waits for a decision: fastagentic approvals approve ${runId} ${question.id}`
      return yield* new RunWaits({ runId, problem })
    }
    const answer = Questions.answerOf(question, line.trim())
    if (answer === undefined) yield* Console.error("That is no answer to this question")
    else if (yield* Questions.isTaken(server, runs.answer(runId, question.id, answer))) return
  }
})

/** The failure of a run that has no answer. */
export const failureOf = ({ error, runId, state }: Run) =>
  new RunEnded({ runId, problem: error === undefined ? `the run was ${state}` : `${error.tag}: ${error.message}` })
