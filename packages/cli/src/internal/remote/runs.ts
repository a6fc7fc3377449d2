// The commands about runs of a running server: list, get, events, cancel, retry, fork. `RunsCommand` mounts them.
import { Event, RunRecord } from "@fastagentic/core"
import { Console, Effect, Option, Schema, Stream, Struct } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { EventLines } from "../eventLines.ts"
import * as Output from "../output.ts"
import * as Server from "./server.ts"

type Client = Effect.Success<ReturnType<typeof Server.runsOf>>
type Run = Effect.Success<ReturnType<Client["get"]>>
type Summary = Effect.Success<ReturnType<Client["list"]>>["items"][number]

const server = { ...Server.flags, json: Output.json }
const text = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.optional)
const count = (name: string, least: number, description: string) =>
  Flag.Int(name).pipe(
    Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(least))),
    Flag.withDescription(description)
  )

/** The fields of lists as flags: the commands that follow runs take them too. */
export const filterFlags = {
  agent: text("agent", "Of this agent or tool"),
  kind: Flag.Literals("kind", RunRecord.RunRecord.fields.kind.literals).pipe(
    Flag.withDescription("Of agents, or of tools"),
    Flag.optional
  ),
  thread: text("thread", "Of this thread"),
  parent: text("parent", "Started by this run")
}

interface Filters {
  readonly agent: Option.Option<string>
  readonly kind: Option.Option<RunRecord.RunRecord["kind"]>
  readonly thread: Option.Option<string>
  readonly parent: Option.Option<string>
}

const some = <Key extends string, A>(key: Key, value: Option.Option<A>): { readonly [_ in Key]?: A } =>
  // cast: a computed key has the type of any string.
  Option.isNone(value) ? {} : { [key]: value.value } as { readonly [_ in Key]: A }

export const filterOf = ({ agent, kind, parent, thread }: Filters) => ({
  ...some("agent", agent),
  ...some("kind", kind),
  ...some("threadId", thread),
  ...some("parentRunId", parent)
})

const iso = (millis: number) => new Date(millis).toISOString()

const stateOf = ({ state, waitsFor }: Pick<Run, "state" | "waitsFor">) =>
  waitsFor === undefined ? state : `${state}(${waitsFor})`

const lineOf = (run: Summary) =>
  [
    run.runId,
    stateOf(run),
    run.agent,
    iso(run.createdAt),
    ...(run.threadId === undefined ? [] : [`thread=${run.threadId}`]),
    ...(run.parentRunId === undefined ? [] : [`parent=${run.parentRunId}`]),
    ...(run.error === undefined ? [] : [`error=${run.error.tag}`])
  ].join(" ")

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

const pageOf = (run: Run) =>
  [
    `run       ${run.runId}`,
    `${run.kind.padEnd(9)} ${run.agent}`,
    `state     ${stateOf(run)}`,
    `attempt   ${run.attempt}`,
    `events    ${run.seq}`,
    `created   ${iso(run.createdAt)}`,
    ...(run.wakeAt === undefined ? [] : [`wakes     ${iso(run.wakeAt)}`]),
    ...(run.deadline === undefined ? [] : [`deadline  ${iso(run.deadline)}`]),
    ...(run.finishedAt === undefined ? [] : [`finished  ${iso(run.finishedAt)}`]),
    ...(run.threadId === undefined ? [] : [`thread    ${run.threadId}`]),
    ...(run.parentRunId === undefined ? [] : [`parent    ${run.parentRunId}`]),
    ...(run.forkedFrom === undefined ? [] : [`forked    from ${run.forkedFrom.runId} after ${run.forkedFrom.seq}`]),
    ...(run.retriedAs === undefined ? [] : [`retried   as ${run.retriedAs}`]),
    ...(run.usage === undefined ? [] : [`usage     ${JSON.stringify(run.usage)}`]),
    `trace     ${run.traceId}`,
    `payload   ${JSON.stringify(run.payload)}`,
    ...(run.output === undefined ? [] : [`output    ${JSON.stringify(run.output)}`]),
    ...(run.error === undefined ? [] : [`error     ${run.error.tag}: ${run.error.message}`])
  ].join("\n")

const get = Command.make(
  "get",
  { ...server, runId },
  Effect.fnUntraced(function*({ json, runId, ...place }) {
    const runs = yield* Server.runsOf(place)
    yield* Output.print(json, yield* Server.orRefused(place, runs.get(runId)), pageOf)
  })
).pipe(Command.withDescription("Show a run with its payload and its output or error"))

/** How often in a row a broken connection is reopened by a command that follows. */
const patience = 30

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
    const runs = yield* Server.runsOf(place, follow ? patience : 0)
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

const changed = (run: Run) => `${run.runId} ${stateOf(run)}`

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
