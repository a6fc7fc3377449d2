/**
 * The command line: `fastagentic`.
 *
 * @since 0.1.0
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Console, Effect, Exit, Layer, Logger, Predicate, Struct } from "effect"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import manifest from "../package.json" with { type: "json" }
import * as ErrorText from "./ErrorText.ts"
import * as HelpPages from "./internal/helpPages.ts"
import * as LogLine from "./LogLine.ts"

/** Each command is loaded when it is called, because an app has hundreds of modules that no other command needs. */
const commands = {
  new: () => import("./NewCommand.ts"),
  run: () => import("./RunCommand.ts"),
  dev: () => import("./DevCommand.ts"),
  call: () => import("./CallCommand.ts"),
  chat: () => import("./ChatCommand.ts"),
  runs: () => import("./RunsCommand.ts"),
  tail: () => import("./TailCommand.ts"),
  export: () => import("./ExportCommand.ts"),
  store: () => import("./StoreCommand.ts"),
  approvals: () => import("./ApprovalsCommand.ts"),
  test: () => import("./TestCommand.ts"),
  check: () => import("./CheckCommand.ts"),
  doctor: () => import("./DoctorCommand.ts"),
  keys: () => import("./KeysCommand.ts"),
  principals: () => import("./PrincipalsCommand.ts"),
  push: () => import("./PushCommand.ts"),
  audit: () => import("./AuditCommand.ts")
}

const isName = (name: string): name is keyof typeof commands => Object.hasOwn(commands, name)

/** The command that is called, or all of them for their help and for names that come near a misspelt one. */
const load = (args: ReadonlyArray<string>) => {
  const [name = ""] = args
  const called = isName(name) ? [name] : Struct.keys(commands)
  return Effect.promise(() => Promise.all(called.map((one) => commands[one]())))
}

const rootOf = (loaded: Effect.Success<ReturnType<typeof load>>) =>
  Command.make("fastagentic").pipe(
    Command.withDescription("The deployment layer for agents"),
    Command.withSubcommands(loaded.map(({ command }) => command))
  )

/**
 * The help of every command as text, for those who pack the command.
 *
 * @category conversions
 * @since 0.1.0
 */
export const helpPages = (canColor: boolean) =>
  Effect.flatMap(load([]), (loaded) => HelpPages.render(rootOf(loaded), main, canColor))

/** A wrong call prints one line on stderr, not a page of help. */
const presenter = CliOutput.layerPresenter({
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? Console.error(`fastagentic: ${event.errors.map(ErrorText.ofUsage).join("; ")}`)
      : CliOutput.defaultPresenter.present(event)
})

/** Logs never go to stdout: in stdio mode it belongs to the protocol, otherwise to the banner. */
const logging = Layer.merge(
  Logger.layer([process.stderr.isTTY ? Logger.consolePretty() : Logger.withConsoleError(LogLine.logger)]),
  Layer.succeed(Logger.LogToStderr, true)
)

/**
 * The command with these arguments: it prints its output on stdout, and its logs and the line of its failure on stderr.
 *
 * @category running
 * @since 0.1.0
 */
export const main = (args: ReadonlyArray<string>) =>
  load(args).pipe(
    Effect.flatMap((loaded) => Command.runWith(rootOf(loaded), { version: manifest.version })(args)),
    Effect.tapError((error) =>
      typeof error === "object" && error !== null && "_tag" in error && error._tag === "ShowHelp"
        ? Effect.void
        : Console.error(`fastagentic: ${ErrorText.of(error)}`)
    ),
    Effect.tapDefect((defect) => {
      const place = ErrorText.placeOf(defect)
      const line = place === undefined ? Effect.void : Console.error(`fastagentic: ${place}: ${ErrorText.of(defect)}`)
      return Effect.andThen(line, Effect.logFatal("fastagentic failed unexpectedly", defect))
    }),
    Effect.provide([NodeServices.layer, presenter, logging])
  )

/**
 * Runs the command of this process. The first signal stops a server gracefully, a second one of any kind at once.
 *
 * @category running
 * @since 0.1.0
 */
export const run = (): void => {
  let seen = 0
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      seen++
      if (seen > 1) process.exit(130)
    })
  }
  NodeRuntime.runMain(main(process.argv.slice(2)), {
    disableErrorReporting: true,
    teardown: (exit, onExit) => onExit(codeOf(exit))
  })
}

/** The errors of checks that found what they were asked to look for. */
const negative = ["TrailBroken", "TrailUnproven", "RunsStranded", "ToolsRefused", "FaultsFound", "RunEnded"]

const tagOf = (error: unknown) => Predicate.hasProperty(error, "_tag") ? String(error._tag) : ""

/**
 * The exit code: 0 for success or a requested stop, 1 for a defect, a broken audit log, runs that would not resume or a run
 * that failed, 2 for wrong usage or configuration, 3 for a run that waits for a decision.
 *
 * @category running
 * @since 0.1.0
 */
export const codeOf = (exit: Exit.Exit<unknown, unknown>) => {
  if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return 0
  const failures = exit.cause.reasons.filter(Cause.isFailReason)
  if (failures.some(({ error }) => tagOf(error) === "RunWaits")) return 3
  return failures.length > 0 && failures.every(({ error }) => !negative.includes(tagOf(error))) ? 2 : 1
}
