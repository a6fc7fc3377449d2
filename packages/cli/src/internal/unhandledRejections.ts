// Catches promises that user code leaves without a handler: one forgotten `await` must not end the process and with it every
// run that it drives. Server.ts and the command use it; an exception that is thrown outside of a promise still ends it.
import { Runtime } from "@fastagentic/core"
import { Effect, Layer } from "effect"
import process from "node:process"

const shown = 5

export const layer: Layer.Layer<never, never, Runtime.Runtime> = Layer.effectDiscard(Effect.gen(function*() {
  const runtime = yield* Runtime.Runtime
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  const report = (reason: unknown) => {
    fork(Effect.flatMap(runtime.suspects, ([likeliest, ...others]) => {
      const message = Effect.logError("A promise was rejected and nothing handled it", reason)
      if (likeliest === undefined) return message
      const alsoPossible = others.slice(0, shown).map(({ runId }) => runId)
      const { agent, runId } = likeliest
      return Effect.annotateLogs(message, { runId, agent, ...(alsoPossible.length === 0 ? {} : { alsoPossible }) })
    }))
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => process.on("unhandledRejection", report)),
    () => Effect.sync(() => process.off("unhandledRejection", report))
  )
}))
