// Plays scenarios on the user's own app while it is killed at times that a seed chooses, and then looks whether anything that
// was committed is lost: runs, events, the identity of a repeated start, and the end that the scenario has without kills.
import type { Event } from "@fastagentic/core"
import { type Duration, Effect, FileSystem, Path, Schedule } from "effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { Say } from "../doctor/finding.ts"
import * as Output from "../output.ts"
import * as Server from "../remote/server.ts"
import * as FreePort from "../watch/freePort.ts"
import * as Mortal from "./mortal.ts"
import * as Play from "./play.ts"
import type { Scenario } from "./scenario.ts"

export interface Options {
  readonly file: string
  readonly seed: number
  readonly kills: number
  readonly runs: number
  readonly timeout: Duration.Input
  readonly token: Server.Server["token"]
  readonly say: Say
}

/** The same numbers for the same seed (mulberry32). */
const random = (seed: number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** A server that is killed answers nothing for a while. */
const patient: Play.Target["patient"] = (call) =>
  Effect.retry(call, {
    schedule: Schedule.spaced("50 millis"),
    while: (error) =>
      error instanceof Play.NotPlayed ||
      /Disconnected|Transport|ShuttingDown|StoreUnavailable/u.test(JSON.stringify(error))
  })

const eventText = (event: Event.RunEvent) => JSON.stringify(event)

/** The faults in the journal of a run whose earlier events were seen. */
export const wrongIn = (
  events: ReadonlyArray<Event.RunEvent>,
  seen: ReadonlyMap<number, string>
): ReadonlyArray<string> => {
  const gap = events.findIndex(({ seq }, index) => seq !== index + 1)
  const changed = [...seen].find(([seq, text]) => {
    const event = events[seq - 1]
    return event === undefined || eventText(event) !== text
  })
  return [
    ...(gap === -1 ? [] : [`the journal has a gap before event ${events[gap]?.seq}`]),
    ...(changed === undefined ? [] : [`event ${changed[0]} was committed, and is lost or another one now`])
  ]
}

interface Expected extends Scenario {
  readonly state: string
}

/** Plays the scenarios, each with the state in which it ends without kills. */
export const run = Effect.fnUntraced(function*(
  scenarios: ReadonlyArray<Expected>,
  { file, kills, runs, say, seed, timeout, token }: Options
) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const folder = yield* fs.makeTempDirectoryScoped({ prefix: "fastagentic-chaos-" })
  const server = yield* Mortal.make(file, {
    port: yield* FreePort.or(0),
    store: path.join(folder, "chaos.db"),
    args: ["--lease", "1s"]
  })
  const http = (yield* HttpClient.HttpClient).pipe(
    HttpClient.mapRequest(HttpClientRequest.prependUrl(server.url)),
    HttpClient.mapRequest(Server.authorized(token))
  )
  const target: Play.Target = {
    http,
    patient,
    runs: yield* Server.runsOf({ url: server.url, token })
  }
  const next = random(seed)
  const pauses = Array.from({ length: kills }, () => 150 + Math.floor(next() * 850))
  const killing = Effect.forEach(pauses, (millis) => Effect.andThen(Effect.sleep(millis), server.kill), {
    discard: true
  })
  const seen = new Map<string, Map<number, string>>()
  const see = (runId: string, events: ReadonlyArray<Event.RunEvent>) => {
    const known = seen.get(runId) ?? new Map<number, string>()
    seen.set(runId, known)
    for (const event of events) if (!known.has(event.seq)) known.set(event.seq, eventText(event))
  }
  const plays = Array.from({ length: runs }, (_, index) => ({ index, scenario: scenarios[index % scenarios.length] }))
  const one = Effect.fnUntraced(function*(index: number, { definition, name, state }: Expected) {
    const key = `chaos-${seed}-${index}`
    // Each run has a thread of its own: turns of one thread would wait for each other.
    const alone = { ...definition, thread: `${definition.thread ?? name}-${key}` }
    const played = yield* Effect.result(Play.play(target, alone, { key, seen: see, timeout }))
    if (played._tag === "Failure") return [`${name} (run ${index}): ${played.failure.message}`]
    const { run, runId } = played.success
    const again = yield* Effect.result(Play.play(target, alone, { key, timeout }))
    return [
      ...wrongIn(yield* Play.journal(target, runId), seen.get(runId) ?? new Map()),
      ...(run.state === state ? [] : [`it is ${run.state}, and ${state} without kills`]),
      ...(again._tag === "Success" && again.success.runId === runId ? [] : ["its repeated start is another run"])
    ].map((problem) => `${name} (run ${runId}): ${problem}`)
  })
  const [wrong] = yield* Effect.all([
    Effect.forEach(plays, ({ index, scenario }) => scenario === undefined ? Effect.succeed([]) : one(index, scenario), {
      concurrency: 4
    }),
    killing
  ], { concurrency: 2 })
  const problems = wrong.flat()
  for (const detail of problems) yield* say({ check: "chaos", verdict: "fault", detail })
  if (problems.length === 0) {
    const events = [...seen.values()].reduce((sum, { size }) => sum + size, 0)
    yield* say({
      check: "chaos",
      verdict: "ok",
      detail: `${Output.counted(runs, "run")} over ${
        Output.counted(kills, "kill")
      }, seed ${seed}: ${events} events seen, none lost`
    })
  } else yield* say({ check: "chaos", verdict: "note", detail: `the same kills again: --seed ${seed}` })
}, Effect.scoped)
