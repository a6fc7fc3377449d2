/** The app that asks, on standard input and output, and on a port that it prints on standard error. */
import { NodeRuntime } from "@effect/platform-node"
import { Credentials } from "@fastagentic/core"
import { McpStdio } from "@fastagentic/protocols/mcp"
import { Effect, Layer, Redacted } from "effect"
import process from "node:process"
import { lasting, serveAsking } from "./asking.ts"

const credentials: Credentials.Credentials = { apiKey: Redacted.make(process.env["KEY"] ?? "") }

Effect.scoped(Effect.gen(function*() {
  yield* McpStdio.claimStdout
  const { context, url } = yield* serveAsking(yield* lasting)
  console.log(`url ${url} `)
  yield* Layer.build(
    Layer.effectDiscard(McpStdio.run({ credentials })).pipe(Layer.provide(Layer.succeedContext(context)))
  )
  // Connections to its port stay open for seconds; how a server ends is the subject of McpStdio.trials.ts.
  process.exit()
})).pipe(NodeRuntime.runMain)
