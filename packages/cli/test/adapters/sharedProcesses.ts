// Performs plays in two Python processes that all tests of a file share, because one takes a second to load a framework. The
// servers of a test get them in turn: a run that resumes elsewhere meets a process that knows nothing of it.
import { Python } from "@fastagentic/adapters/python"
import { Effect, Exit, Layer, Scope } from "effect"
import { fileURLToPath } from "node:url"
import { afterAll } from "vitest"
import { type Fixture, Play } from "../../src/adapter-contract.ts"
import * as AppParts from "../../src/internal/contract/appParts.ts"
import { Subject } from "../../src/internal/contract/stage.ts"
import { servePlay } from "./playServer.ts"

const cwd = fileURLToPath(new URL("python", import.meta.url))

/** Performs with the agent of an entrypoint; that of a factory gets the model and the tools of the app. */
export const performing = (
  interpreter: string,
  entrypoint: string,
  { isFactory = false }: { readonly isFactory?: boolean } = {}
): Fixture["perform"] => {
  const scope = Scope.makeUnsafe()
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  const start = Effect.gen(function*() {
    const current = { play: new Play() }
    const port = yield* servePlay(() => current.play)
    const env = { PLAY_PORT: String(port) }
    // Whether a run is durable is said by the run, so the handler of one declaration is that of both.
    const options = { entrypoint, interpreter, cwd, env }
    const handler = yield* Layer.build(
      isFactory
        ? Layer.provide(
          Python.layer(Subject, { ...options, toolkit: AppParts.toolkit }),
          AppParts.layer(() => current.play)
        )
        : Python.layer(Subject, options)
    )
    return { current, handler }
  }).pipe(Scope.provide(scope))
  const processes = [Effect.runSync(Effect.cached(start)), Effect.runSync(Effect.cached(start))]
  let turn = 0
  return (_agent, play) =>
    Layer.effectContext(
      Effect.map(processes[turn++ % 2] ?? start, ({ current, handler }) => {
        current.play = play
        return handler
      })
    )
}
