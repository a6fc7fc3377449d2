/**
 * The command line: `fastagentic`.
 *
 * @since 0.1.0
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Console, Effect, Exit, Layer, Logger } from "effect"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import manifest from "../package.json" with { type: "json" }
import * as ApprovalsCommand from "./ApprovalsCommand.ts"
import * as AuditCommand from "./AuditCommand.ts"
import * as CallCommand from "./CallCommand.ts"
import * as ChatCommand from "./ChatCommand.ts"
import * as CheckCommand from "./CheckCommand.ts"
import * as DevCommand from "./DevCommand.ts"
import * as DoctorCommand from "./DoctorCommand.ts"
import * as ErrorText from "./ErrorText.ts"
import * as ExportCommand from "./ExportCommand.ts"
import * as Session from "./internal/remote/session.ts"
import * as KeysCommand from "./KeysCommand.ts"
import * as LogLine from "./LogLine.ts"
import * as NewCommand from "./NewCommand.ts"
import * as PrincipalsCommand from "./PrincipalsCommand.ts"
import * as PushCommand from "./PushCommand.ts"
import * as RunCommand from "./RunCommand.ts"
import * as RunsCommand from "./RunsCommand.ts"
import * as StoreCommand from "./StoreCommand.ts"
import * as TailCommand from "./TailCommand.ts"

const root = Command.make("fastagentic").pipe(
  Command.withDescription("The deployment layer for agents"),
  Command.withSubcommands([
    NewCommand.command,
    RunCommand.command,
    DevCommand.command,
    CallCommand.command,
    ChatCommand.command,
    RunsCommand.command,
    TailCommand.command,
    ExportCommand.command,
    StoreCommand.command,
    ApprovalsCommand.command,
    CheckCommand.command,
    DoctorCommand.command,
    KeysCommand.command,
    PrincipalsCommand.command,
    PushCommand.command,
    AuditCommand.command
  ])
)

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
  Command.runWith(root, { version: manifest.version })(args).pipe(
    Effect.tapError((error) =>
      typeof error === "object" && error !== null && "_tag" in error && error._tag === "ShowHelp"
        ? Effect.void
        : Console.error(`fastagentic: ${ErrorText.of(error)}`)
    ),
    Effect.tapDefect((defect) => Effect.logFatal("fastagentic failed unexpectedly", defect)),
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

/** A check that found what it was asked to look for. */
const isNegative = (error: unknown) =>
  error instanceof AuditCommand.TrailBroken || error instanceof AuditCommand.TrailUnproven ||
  error instanceof CheckCommand.RunsStranded || error instanceof DoctorCommand.FaultsFound ||
  error instanceof Session.RunEnded

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
  if (failures.some(({ error }) => error instanceof Session.RunWaits)) return 3
  return failures.length > 0 && failures.every(({ error }) => !isNegative(error)) ? 2 : 1
}
