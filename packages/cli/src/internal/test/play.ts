// Plays a scenario: starts its run, takes its decisions, and reads its journal once it has ended or waits for something that
// the scenario does not decide. `test` plays on an app in memory, its chaos on a server that is killed meanwhile.
import { Event, type Interrupt, RunRecord } from "@fastagentic/core"
import type { Client } from "@fastagentic/protocols/http"
import { type Duration, Effect, Schema } from "effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { Definition } from "./scenario.ts"

type Run = Effect.Success<ReturnType<Client.Runs["get"]>>

/** An app that is played on; `http` sends requests by path. */
export interface Target {
  readonly http: HttpClient.HttpClient
  readonly runs: Client.Runs
  /** Calls that may be repeated are made through it: the server may be gone. */
  readonly patient: <A, E>(call: Effect.Effect<A, E>) => Effect.Effect<A, E>
}

/** How a scenario has ended. */
export interface Played {
  readonly runId: string
  readonly run: Run
  readonly events: ReadonlyArray<Event.RunEvent>
}

/** A scenario that could not be played to its end. */
export class NotPlayed extends Schema.TaggedError<NotPlayed>()("NotPlayed", { problem: Schema.String }) {
  override get message() {
    return this.problem
  }
}

const Problem = Schema.Struct({ title: Schema.String, detail: Schema.optionalKey(Schema.String) })

const failed = (error: { readonly message: string }) => new NotPlayed({ problem: error.message.split("\n")[0] ?? "" })

/** Starts the run, once for each key however often it is tried. */
const start = Effect.fnUntraced(function*({ http, patient }: Target, definition: Definition, key: string) {
  const path = "agent" in definition ? `/agents/${definition.agent}/runs` : `/tools/${definition.tool}`
  const request = HttpClientRequest.post(path, {
    headers: {
      "idempotency-key": key,
      // A tool is not waited for either: its decisions are taken here.
      ...("agent" in definition ? {} : { prefer: "wait=0" }),
      ...(definition.thread === undefined ? {} : { "x-thread-id": definition.thread })
    }
  })
  const response = yield* patient(
    http.execute(HttpClientRequest.bodyJsonUnsafe(request, definition.payload ?? {})).pipe(
      Effect.filterOrFail(({ status }) => status !== 503, () => new NotPlayed({ problem: "the server is stopping" }))
    )
  ).pipe(Effect.mapError(failed))
  const { "x-run-id": runId } = response.headers
  if (runId !== undefined) return runId
  const problem = yield* response.json.pipe(
    Effect.flatMap(Schema.decodeUnknownEffect(Problem)),
    Effect.orElseSucceed(() => ({ title: `status ${response.status}`, detail: undefined }))
  )
  return yield* new NotPlayed({ problem: `it is refused: ${problem.detail ?? problem.title}` })
})

const isOver = (run: Run) => RunRecord.isFinal(run.state) || RunRecord.needsSomebody(run)

/** Answers the open questions that the scenario has decisions for, and says whether there were any. */
const decide = Effect.fnUntraced(function*(
  { patient, runs }: Target,
  runId: string,
  left: Map<string, ReadonlyArray<Interrupt.Answer>>
) {
  let decided = false
  for (const { id, name, state, tool } of yield* patient(runs.interrupts(runId))) {
    // The name of an approval has the id of the call, which nobody knows beforehand.
    const asked = tool ?? name
    const [first, ...rest] = state === "open" ? left.get(asked) ?? [] : []
    if (first === undefined) continue
    left.set(asked, rest)
    decided = true
    yield* patient(runs.answer(runId, id, first)).pipe(
      // The answer of a request that got none may have been taken.
      Effect.catchReason("ClientError", "InterruptResolved", () => Effect.void)
    )
  }
  return decided
})

const Page = Schema.Struct({ items: Schema.Array(Event.RunEvent), next: Schema.NullOr(Schema.String) })

/** The journal as it stands. */
export const journal = Effect.fnUntraced(function*({ http, patient }: Target, runId: string) {
  const events: Array<Event.RunEvent> = []
  let next: string | null = "0"
  while (next !== null) {
    const request = HttpClientRequest.get(`/runs/${runId}/events?after=${next}`, {
      headers: { accept: "application/json" }
    })
    const page: typeof Page.Type = yield* patient(
      Effect.flatMap(http.execute(request), ({ json }) => Effect.flatMap(json, Schema.decodeUnknownEffect(Page)))
    ).pipe(Effect.mapError(failed))
    events.push(...page.items)
    next = page.items.length === 0 ? null : page.next
  }
  return events
})

/** Plays a scenario to its end. `seen` gets the journal of the run each time that it is looked at. */
export const play = Effect.fnUntraced(function*(
  target: Target,
  definition: Definition,
  { key, seen = () => {}, timeout }: {
    readonly key: string
    readonly timeout: Duration.Input
    readonly seen?: (runId: string, events: ReadonlyArray<Event.RunEvent>) => void
  }
) {
  const { patient, runs } = target
  const left = new Map(Object.entries(definition.decisions ?? {}))
  return yield* Effect.gen(function*() {
    const runId = yield* start(target, definition, key)
    while (true) {
      const run = yield* patient(runs.get(runId))
      seen(runId, seen.length === 0 ? [] : yield* journal(target, runId))
      if (isOver(run)) {
        if (run.waitsFor !== "interrupt" || !(yield* decide(target, runId, left))) {
          return { runId, run, events: yield* journal(target, runId) } satisfies Played
        }
      }
      yield* Effect.sleep("20 millis")
    }
  }).pipe(
    Effect.mapError((error) => error instanceof NotPlayed ? error : failed(error)),
    Effect.timeoutOrElse({
      duration: timeout,
      orElse: () => Effect.fail(new NotPlayed({ problem: "it did not end in time; --timeout gives it more" }))
    })
  )
})
