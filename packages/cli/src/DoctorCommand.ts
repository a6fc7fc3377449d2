/**
 * `fastagentic doctor`: looks for what keeps an app from starting, or an MCP client from a server.
 *
 * @since 0.1.0
 */
import { Config, Effect } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as AppWalk from "./internal/doctor/app.ts"
import * as Finding from "./internal/doctor/finding.ts"
import { isHttp } from "./internal/doctor/http.ts"
import * as McpWalk from "./internal/doctor/mcp.ts"
import * as Output from "./internal/output.ts"
import * as Server from "./internal/remote/server.ts"
import * as RunCommand from "./RunCommand.ts"

/** @category errors @since 0.1.0 */
export { FaultsFound } from "./internal/doctor/finding.ts"

const { file, host, port, store } = RunCommand.served

const app = Command.make(
  "app",
  { file, host, port, store, json: Output.json },
  ({ json, ...options }) => Finding.report(json, (say) => AppWalk.walk(options, say))
).pipe(Command.withDescription("Look at all that a start of the app depends on, without serving it"))

const mcp = Command.make(
  "mcp",
  {
    url: Argument.String("url").pipe(Argument.withDescription("Where the MCP server answers, such as https://…/mcp")),
    token: Flag.Redacted("token").pipe(
      Flag.withDescription("A token for the rest of the walk; better given as FASTAGENTIC_TOKEN"),
      Flag.withFallbackConfig(Config.Redacted("FASTAGENTIC_TOKEN")),
      Flag.optional
    ),
    json: Output.json
  },
  Effect.fnUntraced(function*({ json, token, url }) {
    if (!isHttp(url)) {
      return yield* new Server.NotDone({ problem: "the address is no http URL" })
    }
    yield* Finding.report(json, (say) => McpWalk.walk(url, token, Finding.without(token, say)))
  })
).pipe(
  Command.withDescription(
    "Walk to an MCP server as a client does: challenge, metadata, issuer, token, handshake, tools"
  ),
  Command.provide(FetchHttpClient.layer),
  // Redirects are answers of their own, because a client does not send its token after them.
  Command.provideEffect(FetchHttpClient.RequestInit, Effect.succeed({ redirect: "manual" }))
)

/** @category commands @since 0.1.0 */
export const command = Command.make("doctor").pipe(
  Command.withDescription("Look for faults of an app, or on the way to an MCP server; exit code 1 when there are some"),
  Command.withSubcommands([app, mcp])
)
