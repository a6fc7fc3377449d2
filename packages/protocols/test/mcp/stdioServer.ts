/** The fixture on standard input and output; other output goes to standard error, or a test fails. */
import { NodeRuntime } from "@effect/platform-node"
import { Auth, Caller, OpenLimits, Principal, Runtime } from "@fastagentic/core"
import { McpStdio } from "@fastagentic/protocols/mcp"
import { Context, Effect, Layer, Redacted } from "effect"
import fs, { writeSync } from "node:fs"
import process from "node:process"
import { layerRuntime } from "../fixture.ts"

const right = Redacted.make("right")
const shown = process.env["KEY"]

const auth = shown === undefined
  ? Auth.layerNone
  : Auth.layerKeys([{ key: right, principal: Principal.local }])

const credentials = shown === undefined ? {} : { apiKey: Redacted.make(shown) }

const limits = Layer.succeed(OpenLimits.OpenLimits, {
  ...Context.get(Context.empty(), OpenLimits.OpenLimits),
  notes: Number(process.env["NOTES"] ?? 100)
})

const watch = Effect.gen(function*() {
  const runtime = yield* Runtime.Runtime
  const seen = new Map<string, string>()
  while (true) {
    for (const run of (yield* runtime.list(Caller.make("local", { credentials }), { limit: 50 })).items) {
      if (seen.get(run.runId) !== run.state) console.log(`run ${run.runId} ${run.agent} ${run.state}`)
      seen.set(run.runId, run.state)
    }
    yield* Effect.sleep("10 millis")
  }
})

const Main = Layer.effectDiscard(Effect.gen(function*() {
  yield* Effect.forkScoped(Effect.ignore(watch))
  yield* McpStdio.run({ credentials })
}))

Effect.scoped(Effect.gen(function*() {
  yield* McpStdio.claimStdout
  yield* Effect.log("starting")
  writeSync(1, "noise of a library\n")
  fs.writeSync(1, "more noise\n")
  yield* Layer.build(Layer.provide(Main, [layerRuntime(auth), limits]))
})).pipe(NodeRuntime.runMain)
