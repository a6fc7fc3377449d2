/**
 * `fastagentic test <file>`: checks an app's contract and plays its scenarios against recorded traces.
 *
 * @since 0.1.0
 */
import type { App } from "@fastagentic/core"
import { Credentials } from "@fastagentic/core"
import { AppTest } from "@fastagentic/protocols/http"
import { Config, Effect, Option, Path, Redacted, Schema } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as AppFile from "./AppFile.ts"
import * as DurationFlag from "./DurationFlag.ts"
import * as Finding from "./internal/doctor/finding.ts"
import * as Output from "./internal/output.ts"
import * as Server from "./internal/remote/server.ts"
import * as Chaos from "./internal/test/chaos.ts"
import * as Contract from "./internal/test/contract.ts"
import * as Golden from "./internal/test/golden.ts"
import * as Play from "./internal/test/play.ts"
import * as Scenario from "./internal/test/scenario.ts"
import * as Trace from "./internal/test/trace.ts"

const count = (name: string, description: string) =>
  Flag.Int(name).pipe(
    Flag.withSchema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 10_000 }))),
    Flag.withDescription(description),
    Flag.optional
  )

class NeedsChaos extends Schema.TaggedError<NeedsChaos>()("NeedsChaos", { flags: Schema.Array(Schema.String) }) {
  override get message() {
    return `${this.flags.join(" and ")} without --chaos; add --chaos, which kills the app`
  }
}

const flags = {
  file: Argument.String("file").pipe(Argument.withDescription("A module whose default export is App.provide(…)")),
  scenarios: Flag.String("scenarios").pipe(
    Flag.withDescription("The folder of the scenarios and of what was recorded"),
    Flag.withDefault("scenarios")
  ),
  update: Flag.Boolean("update").pipe(
    Flag.withDescription("Record the contract and the traces as they are now"),
    Flag.withDefault(false)
  ),
  timeout: Flag.String("timeout").pipe(
    Flag.withDescription("How long a scenario may take"),
    Flag.withDefault("30s")
  ),
  chaos: Flag.Boolean("chaos").pipe(
    Flag.withDescription("Also serve the app, and kill it while the scenarios play"),
    Flag.withDefault(false)
  ),
  seed: Flag.Int("seed").pipe(Flag.withDescription("The kills of an earlier --chaos again"), Flag.optional),
  kills: count("kills", "How often --chaos kills the app, 5 times by default"),
  runs: count("runs", "How many runs --chaos plays, 20 by default"),
  token: Flag.Redacted("token").pipe(
    Flag.withDescription("A token or API key for an app that asks for one; better given as FASTAGENTIC_TOKEN"),
    Flag.withFallbackConfig(Config.Redacted("FASTAGENTIC_TOKEN")),
    Flag.optional
  ),
  json: Output.json
}

/** The differences between a run and what its scenario expects. */
const unexpected = ({ expect = {} }: Scenario.Definition, { run }: Play.Played): ReadonlyArray<string> => [
  ...(expect.state === undefined || expect.state === run.state ? [] : [`it is ${run.state}, not ${expect.state}`]),
  ...(expect.output === undefined
    ? []
    : Golden.differences(expect.output, run.output).map((line) => `output ${line.replace("recorded", "expected")}`)),
  ...(expect.error === undefined || expect.error === run.error?.tag
    ? []
    : [`its error is ${run.error?.tag ?? "none"}, not ${expect.error}`])
]

/** Whether the runs of a scenario are kept when the process ends. */
const lasts = (app: App.Any, definition: Scenario.Definition) =>
  "agent" in definition && app.agents.some(({ durable, identifier }) => identifier === definition.agent && durable)

/** @category commands @since 0.1.0 */
export const command = Command.make(
  "test",
  flags,
  ({ json, ...options }) => Finding.report(json, (say) => walk(options, say))
).pipe(
  Command.withDescription(
    "Check the contract of an app, play its scenarios, and kill it with --chaos; exit code 1 for a fault"
  ),
  Command.provide(FetchHttpClient.layer)
)

interface Options {
  readonly file: string
  readonly scenarios: string
  readonly update: boolean
  readonly timeout: string
  readonly chaos: boolean
  readonly seed: Option.Option<number>
  readonly kills: Option.Option<number>
  readonly runs: Option.Option<number>
  readonly token: Option.Option<Redacted.Redacted>
}

const walk = Effect.fnUntraced(function*(options: Options, unsafe: Finding.Say) {
  const { chaos, file, kills, runs, scenarios: folder, token, update } = options
  const path = yield* Path.Path
  const needless = Object.entries({ kills, runs, seed: options.seed }).filter(([, value]) => Option.isSome(value))
  if (!chaos && needless.length > 0) return yield* new NeedsChaos({ flags: needless.map(([name]) => `--${name}`) })
  const say = Finding.without(token, unsafe)
  const timeout = yield* DurationFlag.parse("timeout", options.timeout)
  const runnable = yield* AppFile.load(file)
  const scenarios = yield* Scenario.load(folder)
  const client = yield* AppTest.client(runnable, { credentials: credentialsOf(token) })
  yield* Contract.check({ url: AppTest.url, token }, { folder, update, say }).pipe(
    // The address of requests is whole there.
    Effect.provideService(
      HttpClient.HttpClient,
      HttpClient.mapRequestInput(client.http, HttpClientRequest.updateUrl((url) => url.replace(AppTest.url, "")))
    )
  )
  const http = HttpClient.mapRequest(client.http, Server.authorized(token))
  const target: Play.Target = { http, runs: client.runs, patient: (call) => call }
  const ends: Array<Scenario.Scenario & { readonly state: string }> = []
  for (const scenario of scenarios) {
    const { definition, name } = scenario
    const check = `scenario ${name}`
    const played = yield* Effect.result(Play.play(target, definition, { key: `test-${name}`, timeout }))
    if (played._tag === "Failure") {
      yield* say({ check, verdict: "fault", detail: played.failure.message })
      continue
    }
    ends.push({ ...scenario, state: played.success.run.state })
    for (const detail of unexpected(definition, played.success)) yield* say({ check, verdict: "fault", detail })
    const trace = Trace.of(played.success.events, definition.redact)
    yield* Contract.reported(path.join(folder, "traces", `${name}.json`), trace, { check, update, say })
  }
  if (scenarios.length === 0) yield* say({ check: "scenarios", verdict: "note", detail: `${folder} has none` })
  if (!chaos) return
  const durable = ends.filter(({ definition }) => lasts(runnable.app, definition))
  if (durable.length === 0) {
    return yield* say({ check: "chaos", verdict: "fault", detail: "there is no scenario of a durable agent to play" })
  }
  const seed = Option.getOrElse(options.seed, () => Math.floor(Math.random() * 1_000_000))
  yield* Chaos.run(durable, {
    file,
    seed,
    kills: Option.getOrElse(kills, () => 5),
    runs: Option.getOrElse(runs, () => 20),
    timeout,
    token,
    say
  }).pipe(
    Effect.catchTag("NotPlayed", ({ message }) => say({ check: "chaos", verdict: "fault", detail: message }))
  )
}, Effect.scoped)

const credentialsOf = (token: Option.Option<Redacted.Redacted>): Credentials.Credentials =>
  Option.match(token, {
    onNone: () => Credentials.none,
    onSome: (bearer) => ({ bearer: Redacted.make(Redacted.value(bearer)) })
  })
