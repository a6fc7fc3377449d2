// Follows all runs that a caller may see, on whichever node they are: lists find them, one stream for each that moves brings
// its events. Each event is printed once, in the order of its run, also when the server was away.
import { type Event, RunRecord } from "@fastagentic/core"
import { Client } from "@fastagentic/protocols/http"
import { Console, Effect, FiberMap, Semaphore, Stream } from "effect"
import { EventLines } from "../eventLines.ts"
import * as Output from "../output.ts"
import * as Server from "./server.ts"
import { type BadPosition, TailPosition } from "./tailPosition.ts"

type Runs = Effect.Success<ReturnType<typeof Server.runsOf>>
type Summary = Effect.Success<ReturnType<Runs["list"]>>["items"][number]

export interface Options {
  readonly server: Server.Server
  readonly filter: RunRecord.RunFilter
  readonly json: boolean
  readonly wanted: (event: Event.RunEvent) => boolean
  /** The position to continue from; a new tail starts now. */
  readonly from: TailPosition | undefined
  readonly keep: (position: TailPosition) => Effect.Effect<void, BadPosition>
}

/** The API has no stream of new runs, and nodes hear of each other's runs within a second themselves. */
const pause = "1 second"
/** Words without a line break are printed after so long. */
const wordPause = "250 millis"
const openStates = ["queued", "running", "suspended"] as const
const mostOfPage = 200
/** How many runs are followed at the same time; the others wait for their turn, and lose nothing. */
const mostStreams = 64

/** Pages of a list until one of its runs is older than `until`. */
const listed = Effect.fnUntraced(function*(runs: Runs, filter: RunRecord.RunFilter, until: number) {
  const found: Array<Summary> = []
  let after: string | undefined
  while (true) {
    const page: { readonly items: ReadonlyArray<Summary>; readonly next: string | null } = yield* runs.list({
      ...filter,
      limit: mostOfPage,
      ...(after === undefined ? {} : { after })
    })
    for (const one of page.items) if (one.createdAt >= until) found.push(one)
    const last = page.items.at(-1)
    if (page.next === null || last === undefined || last.createdAt < until) return found
    after = last.runId
  }
})

export const tail = (options: Options) => Effect.scoped(follow(options))

const follow = Effect.fnUntraced(function*({ filter, from, json, keep, server, wanted }: Options) {
  const runs = yield* Server.runsOf(server, 3)
  const position = from ?? new TailPosition()
  const lines = new Map<string, EventLines>()
  const streams = yield* Semaphore.make(mostStreams)
  const pumps = yield* FiberMap.make<string>()

  const print = (line: string) => Output.print(false, line, String)
  const flush = Effect.suspend(() => Effect.forEach([...lines.values()].flatMap((one) => one.rest()), print))

  const show = Effect.fnUntraced(function*(run: Summary, event: Event.RunEvent) {
    const of = lines.get(run.runId) ?? new EventLines(`${run.runId} ${run.agent} `)
    lines.set(run.runId, of)
    if (wanted(event)) {
      if (json) yield* Output.print(true, event, String)
      else yield* Effect.forEach(of.add(event), print)
    }
    position.open.set(run.runId, event.seq)
  })

  /** The events of a run up to where it rests: its end, or a pause that its record has too. */
  const pump = Effect.fnUntraced(function*(run: Summary) {
    const after = position.open.get(run.runId) ?? 0
    const rests = (event: Event.RunEvent) =>
      event.seq >= run.seq && (event.type === "run_suspended" || event.type === "run_queued")
    yield* Stream.runForEach(Stream.takeUntil(runs.events(run.runId, { after }), rests), (event) => show(run, event))
    const { state } = yield* runs.get(run.runId)
    if (RunRecord.isFinal(state)) yield* finish(run)
  })

  const finish = Effect.fnUntraced(function*(run: Pick<Summary, "runId" | "createdAt">) {
    const rest = lines.get(run.runId)?.rest() ?? []
    yield* Effect.forEach(rest, print)
    lines.delete(run.runId)
    position.end(run.runId, run.createdAt)
  })

  /** A run that is removed or hidden meanwhile has nothing more to show; other failures leave it to the next look. */
  const pumped = (run: Summary) =>
    pump(run).pipe(
      streams.withPermits(1),
      Effect.catchIf(({ reason }) => reason._tag === "RunNotFound", () => finish(run)),
      Effect.catch((error) =>
        Client.isTransient(error) || error.reason._tag === "TooManyOpen"
          ? Effect.void
          : Console.error(`fastagentic: ${run.runId}: ${Output.safe(error.message)}`)
      )
    )

  const look = Effect.fnUntraced(function*(isFirst: boolean) {
    const moving = new Map<string, Summary>()
    for (const state of openStates) {
      for (const run of yield* listed(runs, { ...filter, state }, 0)) moving.set(run.runId, run)
    }
    if (isFirst) { for (const run of (yield* runs.list({ ...filter, limit: 1 })).items) position.saw(run.createdAt) }
    const recent = yield* listed(runs, filter, position.since)
    for (const run of recent) position.saw(run.createdAt)
    if (isFirst) {
      for (const run of recent) if (RunRecord.isFinal(run.state)) position.end(run.runId, run.createdAt)
      for (const run of moving.values()) position.open.set(run.runId, run.seq)
    }
    for (const run of recent) if (!position.isKnown(run.runId) || moving.has(run.runId)) moving.set(run.runId, run)
    // An open run that no list has any more has ended, or has changed its state between two lists.
    for (const runId of position.open.keys()) {
      if (moving.has(runId) || (yield* FiberMap.has(pumps, runId))) continue
      yield* runs.get(runId).pipe(
        Effect.map((run) => void moving.set(runId, run)),
        Effect.catchIf(({ reason }) => reason._tag === "RunNotFound", () => finish({ runId, createdAt: 0 }))
      )
    }
    for (const run of moving.values()) {
      const at = position.open.get(run.runId) ?? 0
      if (position.ended.has(run.runId) || (at >= run.seq && !RunRecord.isFinal(run.state))) {
        if (!position.isKnown(run.runId)) position.open.set(run.runId, at)
        continue
      }
      yield* FiberMap.run(pumps, run.runId, pumped(run), { onlyIfMissing: true })
    }
    position.prune()
  })

  yield* look(from === undefined)
  yield* Effect.forkScoped(Effect.forever(Effect.delay(flush, wordPause)))
  yield* Console.error(`Following ${Server.placeOf(server.url)}`)
  let isAway = false
  const again = look(false).pipe(
    Effect.tap(() => isAway ? Console.error(`${Server.placeOf(server.url)} answers again`) : Effect.void),
    Effect.map(() => false),
    Effect.catchIf(
      Client.isTransient,
      () =>
        Effect.as(
          isAway ? Effect.void : Console.error(`no answer from ${Server.placeOf(server.url)}; tail waits`),
          true
        )
    )
  )
  return yield* Effect.gen(function*() {
    while (true) {
      yield* Effect.sleep(pause)
      isAway = yield* again
      yield* keep(position)
    }
  }).pipe(Effect.ensuring(Effect.andThen(flush, Effect.ignore(keep(position)))))
})
