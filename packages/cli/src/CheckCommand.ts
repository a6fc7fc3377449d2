/**
 * `fastagentic check <file> [--against <store>]`: checks the tools of a file against the rules of MCP hosts, and whether the runs of
 * a store can resume with its code.
 *
 * @since 0.1.0
 */
import { type App, Replay } from "@fastagentic/core"
import { HostRules } from "@fastagentic/protocols/mcp"
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

/** Some hosts would refuse tools; the printed lines name them. @category errors @since 0.1.0 */
export class ToolsRefused extends Schema.TaggedError<ToolsRefused>()("ToolsRefused", { count: Schema.Int }) {
  override get message() {
    return `${this.count} ${this.count === 1 ? "rule of MCP hosts is" : "rules of MCP hosts are"} broken`
  }
}

const checkTools = Effect.fnUntraced(function*(app: App.Any, json: boolean) {
  const findings = yield* HostRules.check(app)
  for (const finding of findings) yield* Output.print(json, finding, ({ problem, tool }) => `${tool}: ${problem}`)
  if (findings.length > 0) return yield* new ToolsRefused({ count: findings.length })
  if (!json) yield* Console.log("the tools keep the rules of known MCP hosts")
})

const verdicts = ["ok", "migrates", "pinned", "diverges", "undeclared", "damaged"] as const

/** @category commands @since 0.1.0 */
export const command = Command.make(
  "check",
  {
    file: Argument.String("file").pipe(Argument.withDescription("A module whose default export is App.provide(…)")),
    against: StoreFlags.flag("against").pipe(Flag.optional),
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
    if (Option.isNone(against)) return yield* checkTools(app, json)
    const { reading } = yield* Store.existing(against.value)
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
).pipe(Command.withDescription(
  "Check the tools of a file for MCP hosts, or with --against replay the runs of a store with its code; exit code 1 when one fails"
))
