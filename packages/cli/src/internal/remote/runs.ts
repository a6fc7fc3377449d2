// The commands about runs of a running server: list, get, events, cancel, retry, fork. `RunsCommand` mounts them.
import { Event, RunRecord } from "@fastagentic/core"
import { Console, Effect, Option, Schema, Stream, Struct } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { EventLines } from "../eventLines.ts"
import * as Output from "../output.ts"
import { filterOf, flags as filterFlags, some, text } from "./runFilters.ts"
import { changed, lineOf, pageOf, type Summary } from "./runLines.ts"
import * as Server from "./server.ts"

type Client = Effect.Success<ReturnType<typeof Server.runsOf>>
const server = { ...Server.flags, json: Output.json }
const count = (name: string, least: number, description: string) =>
  Flag.Int(name).pipe(
    Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(least))),
    Flag.withDescription(description)
  )

/** The most runs that one request lists. */
const mostOfPage = 200

const list = Command.make(
  "list",
  {
    ...server,
    ...filterFlags,
    state: Flag.Literals("state", RunRecord.RunState.literals).pipe(
      Flag.withDescription("In this state"),
      Flag.optional
    ),
    waitsFor: Flag.Literals("waits-for", RunRecord.WaitsFor.literals).pipe(
      Flag.withDescription("Suspended for this reason"),
      Flag.optional
    ),
    limit: count("limit", 1, "How many runs to print").pipe(Flag.withDefault(50)),
    after: text("after", "Continue after this run, the last one of the page before"),
    all: Flag.Boolean("all").pipe(Flag.withDescription("Print all runs"), Flag.withDefault(false))
  },
  Effect.fnUntraced(function*({ after: first, all, json, limit, state, url, token, waitsFor, ...filters }) {
    const place = { url, token }
    const runs = yield* Server.runsOf(place)
    const filter = { ...filterOf(filters), ...some("state", state), ...some("waitsFor", waitsFor) }
    let left = all ? Infinity : limit
    let after = Option.getOrUndefined(first)
    while (true) {
      // One run more than is printed shows whether there are more.
      const asked = { ...filter, limit: Math.min(left + 1, mostOfPage), ...(after === undefined ? {} : { after }) }
      const page: { readonly items: ReadonlyArray<Summary>; readonly next: string | null } = yield* Server.orRefused(
        place,
        runs.list(asked)
      )
      const shown = page.items.slice(0, left)
      for (const one of shown) yield* Output.print(json, one, lineOf)
      left -= shown.length
      after = shown.at(-1)?.runId ?? after
      if (shown.length < page.items.length) return yield* Console.error(`There are more runs: --after ${after}`)
      if (page.next === null || after === undefined) return
    }
  })
).pipe(Command.withDescription("List runs, the newest first: run, state, agent, time"))

const runId = Argument.String("runId")

const get = Command.make(
  "get",
  { ...server, runId },
  Effect.fnUntraced(function*({ json, runId, ...place }) {
    const runs = yield* Server.runsOf(place)
    yield* Output.print(json, yield* Server.orRefused(place, runs.get(runId)), pageOf)
  })
).pipe(Command.withDescription("Show a run with its payload and its output or error"))

/** How often in a row a broken connection is reopened by a command that follows. */
const mostRetries = 30

/** The journal of a run: as it stands, or until the run has ended. */
const journal = Effect.fnUntraced(function*(runs: Client, runId: string, after: number, follow: boolean) {
  if (follow) return runs.events(runId, { after })
  const { seq } = yield* runs.get(runId)
  return seq <= after ? Stream.empty : Stream.takeUntil(runs.events(runId, { after }), (event) => event.seq >= seq)
})

const events = Command.make(
  "events",
  {
    ...server,
    runId,
    after: count("after", 0, "Only events after this number").pipe(Flag.withDefault(0)),
    type: Flag.Literals("type", Struct.keys(Event.schemas)).pipe(
      Flag.withDescription("Only events of this type; may be given several times"),
      Flag.atLeast(0)
    ),
    follow: Flag.Boolean("follow").pipe(
      Flag.withDescription("Continue until the run has ended; a broken connection is reopened"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function*({ after, follow, json, runId, token, type, url }) {
    const place = { url, token }
    const runs = yield* Server.runsOf(place, follow ? mostRetries : 0)
    const lines = new EventLines()
    const wanted = (event: Event.RunEvent) => type.length === 0 || type.some((one) => one === event.type)
    const show = (event: Event.RunEvent) =>
      json
        ? Output.print(true, event, String)
        : Effect.forEach(lines.add(event), (line) => Output.print(false, line, String), { discard: true })
    yield* Server.orRefused(
      place,
      Effect.flatMap(
        journal(runs, runId, after, follow),
        (events) => Stream.runForEach(Stream.filter(events, wanted), show)
      )
    )
    for (const line of lines.rest()) yield* Output.print(false, line, String)
  })
).pipe(Command.withDescription("Print the journal of a run: its words in lines, all other events with their data"))

const cancel = Command.make(
  "cancel",
  { ...server, runId, reason: text("reason", "A reason, recorded by the run and the audit log") },
  Effect.fnUntraced(function*({ json, reason, runId, ...place }) {
    const runs = yield* Server.runsOf(place)
    const run = yield* Server.orRefused(place, runs.cancel(runId, Option.getOrUndefined(reason)))
    yield* Output.print(json, run, changed)
  })
).pipe(Command.withDescription("Cancel a run, with the runs that it has started"))

const retry = Command.make(
  "retry",
  { ...server, runId },
  Effect.fnUntraced(function*({ json, runId, ...place }) {
    const runs = yield* Server.runsOf(place)
    yield* Output.print(json, yield* Server.orRefused(place, runs.retry(runId)), changed)
  })
).pipe(Command.withDescription("Start the run that continues where a failed one stopped, or find it; prints its id"))

const fork = Command.make(
  "fork",
  {
    ...server,
    runId,
    after: count("after", 0, "The event to continue after, such as a `checkpoint`; the last one by default").pipe(
      Flag.optional
    ),
    idempotencyKey: text("idempotency-key", "Repeats with the same key find the same fork")
  },
  Effect.fnUntraced(function*({ after, idempotencyKey, json, runId, ...place }) {
    const runs = yield* Server.runsOf(place)
    const options = { ...some("after", after), ...some("idempotencyKey", idempotencyKey) }
    yield* Output.print(json, yield* Server.orRefused(place, runs.fork(runId, options)), changed)
  })
).pipe(Command.withDescription("Start a new run that continues from a step of this one; prints its id"))

export const commands = [list, get, events, cancel, retry, fork] as const
