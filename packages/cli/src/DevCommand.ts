/**
 * `fastagentic dev <file>`: serves an app while it is written, and asks for its approvals in the terminal.
 *
 * @since 0.1.0
 */
import { Config, Effect, Option, Schedule } from "effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import { spawn } from "node:child_process"
import * as Inbox from "./internal/remote/inbox.ts"
import * as Lines from "./internal/remote/lines.ts"
import * as FreePort from "./internal/watch/freePort.ts"
import * as Watcher from "./internal/watch/watcher.ts"
import * as RunCommand from "./RunCommand.ts"

/** A CI job has nobody who looks at a page. */
const isTerminal = () => process.stdout.isTTY && process.env["CI"] === undefined

const opener: Partial<Record<NodeJS.Platform, ReadonlyArray<string>>> = {
  darwin: ["open"],
  win32: ["cmd", "/c", "start", ""]
}

/** A machine without a browser is no failure. */
const openPage = (url: string) =>
  Effect.sync(() => {
    const [command = "xdg-open", ...args] = opener[process.platform] ?? []
    spawn(command, [...args, url], { stdio: "ignore", detached: true }).once("error", () => {}).unref()
  })

const untilUp = Effect.fnUntraced(function*(url: string) {
  const client = HttpClient.filterStatusOk(yield* HttpClient.HttpClient)
  yield* Effect.retry(client.get(`${url}/health`), { schedule: Schedule.spaced("200 millis") })
})

/** @category commands @since 0.1.0 */
export const command = Command.make(
  "dev",
  {
    ...RunCommand.served,
    open: Flag.Boolean("open").pipe(
      Flag.withDescription("Open the page of the API in a browser; a terminal opens it unless --no-open is given"),
      Flag.optional
    )
  },
  Effect.fnUntraced(function*({ host, open, prefix, ...options }) {
    const port = yield* FreePort.or(options.port)
    const reached = host === "0.0.0.0" ? "127.0.0.1" : host === "::" || host === "::1" ? "[::1]" : host
    const url = `http://${reached}:${port}${Option.getOrElse(prefix, () => "")}`
    const token = yield* Config.option(Config.Redacted("FASTAGENTIC_TOKEN"))
    const opened = Effect.andThen(
      untilUp(url),
      Option.getOrElse(open, isTerminal) ? openPage(`${url}/docs`) : Effect.void
    )
    yield* Effect.forkScoped(Effect.ignore(opened))
    yield* Effect.forkScoped(Effect.ignore(Inbox.serve({ url, token }, yield* Lines.make)))
    return yield* Watcher.serve(RunCommand.watchedArgs(port))
  }, Effect.scoped)
).pipe(
  Command.withDescription("Serve an app while you write it: reloads, the page of the API, approvals in the terminal"),
  Command.provide(FetchHttpClient.layer)
)
