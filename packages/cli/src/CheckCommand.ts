/**
 * `fastagentic check <file> --against <store>`: checks whether the runs of a store can resume with the code of a file.
 *
 * @since 0.1.0
 */
import { Replay } from "@fastagentic/core"
import { Console, Effect, Layer, Option, Schema } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as AppFile from "./AppFile.ts"
import * as Output from "./internal/output.ts"
import * as StoreFlags from "./internal/storeFlags.ts"
import * as Store from "./Store.ts"

/** Some runs would not resume; the printed lines name them. @category errors @since 0.1.0 */
export class RunsStranded extends Schema.TaggedError<RunsStranded>()("RunsStranded", { count: Schema.Int }) {
  override get message() {
    return `${this.count} ${this.count === 1 ? "run does" : "runs do"} not go on with this code`
  }
}

const verdicts = ["ok", "migrates", "pinned", "diverges", "undeclared", "damaged"] as const

/** @category commands @since 0.1.0 */
export const command = Command.make(
  "check",
  {
    file: Argument.String("file").pipe(Argument.withDescription("A module whose default export is App.provide(…)")),
    against: StoreFlags.flag("against"),
    json: Output.json,
    limit: Flag.Int("limit").pipe(
      Flag.withSchema(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))),
      Flag.withDescription("How many runs to look at, the newest first"),
      Flag.withDefault(1_000)
    ),
    agent: Flag.String("agent").pipe(Flag.withDescription("Only the runs of this agent"), Flag.optional),
    finished: Flag.Boolean("finished").pipe(
      Flag.withDescription("Also runs that have completed"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(function*({ against, agent, file, finished, json, limit }) {
    const { app, handlers } = yield* AppFile.load(file)
    const { reading } = yield* Store.existing(against)
    const services = Layer.mergeAll(handlers, reading)
    const options = { limit, finished, ...(Option.isNone(agent) ? {} : { agent: agent.value }) }
    const findings = yield* Effect.scoped(
      Effect.flatMap(Layer.build(services), (context) => Effect.provideContext(Replay.check(app, options), context))
    )
    for (const finding of findings) {
      yield* Output.print(
        json,
        finding,
        ({ agent, detail, runId, state, verdict }) => `${runId} ${agent} ${state}: ${verdict}, ${detail}`
      )
    }
    const counts = verdicts.map((verdict) =>
      [verdict, findings.filter((one) => one.verdict === verdict).length] as const
    )
    const parts = counts.filter(([, count]) => count > 0).map(([verdict, count]) => `${count} ${verdict}`)
    if (!json) yield* Console.log(parts.length === 0 ? "no runs to check" : parts.join(", "))
    const stranded = findings.filter(({ verdict }) => verdict !== "ok" && verdict !== "migrates").length
    if (stranded > 0) return yield* new RunsStranded({ count: stranded })
  })
).pipe(Command.withDescription("Replay the runs of a store with the code of a file; exit code 1 when one cannot go on"))
