/**
 * Loads the file that a user passes to the command line.
 *
 * @since 0.1.0
 */
import { App } from "@fastagentic/core"
import { Effect, Layer, Schema } from "effect"
import { existsSync } from "node:fs"
import { resolve } from "node:path"
import { pathToFileURL } from "node:url"
import * as ErrorText from "./ErrorText.ts"

/** The file cannot be served. @category errors @since 0.1.0 */
export class UnusableFile extends Schema.TaggedError<UnusableFile>()("UnusableFile", {
  file: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.file}: ${this.problem}`
  }
}

/** An app with its handlers, of any type. @category models @since 0.1.0 */
export type AnyRunnable = App.Runnable<App.Any, never, unknown>

/** `agent.py:agent`; a file alone has its agent under the name `agent`. */
const python = /^(?<path>.+\.py)(?::(?<name>[\p{ID_Continue}.]+))?$/u

/** How long a file and what it imports may take; a top-level `await` that never ends would be waited for without end. */
const longestLoad = "30 seconds"

/** The model that `FASTAGENTIC_MODEL` names, for factories. */
const defaultModel = async () => (await import("@fastagentic/adapters/effect-ai")).DefaultModel

/** An agent of Python as an app of its own. */
const loadPython = Effect.fnUntraced(function*(path: string, name: string) {
  if (!existsSync(resolve(path))) return yield* new UnusableFile({ file: path, problem: "there is no such file" })
  // Loaded here, so that other apps start without it.
  const { Python } = yield* Effect.promise(() => import("@fastagentic/adapters/python"))
  const { agent, isFactory, layer } = yield* Python.discover({ entrypoint: `${path}:${name}` }).pipe(
    Effect.mapError(({ entrypoint, problem }) => new UnusableFile({ file: entrypoint, problem }))
  )
  const handlers = isFactory ? Layer.provide(layer, (yield* Effect.promise(defaultModel)).layer) : layer
  // cast: an app that is found at run time has handlers of any type.
  return App.make(agent.identifier, { version: "0.0.0", agents: [agent] }).provide(handlers) as unknown as AnyRunnable
})

/**
 * Imports a file and returns its default export, which has to be `App.provide(…)`; an agent of Python, such as
 * `agent.py:agent`, needs no such file.
 *
 * @category constructors
 * @since 0.1.0
 */
export const load = Effect.fnUntraced(function*(file: string): Effect.fn.Return<AnyRunnable, UnusableFile> {
  const script = python.exec(file)?.groups
  if (script?.path !== undefined) return yield* loadPython(script.path, script.name ?? "agent")
  const path = resolve(file)
  if (!existsSync(path)) return yield* new UnusableFile({ file, problem: "there is no such file" })
  const module: unknown = yield* Effect.tryPromise({
    try: () => import(pathToFileURL(path).href),
    catch: (cause) => {
      const place = ErrorText.placeOf(cause)
      const where = place === undefined ? "" : `, ${place}`
      return new UnusableFile({ file, problem: `cannot be loaded${where}: ${ErrorText.of(cause)}` })
    }
  }).pipe(Effect.timeoutOrElse({
    duration: longestLoad,
    orElse: () =>
      Effect.fail(
        new UnusableFile({
          file,
          problem: `is not loaded after ${longestLoad}; an await at the top level of it or of its imports does not end`
        })
      )
  }))
  const exported = typeof module === "object" && module !== null && "default" in module ? module.default : undefined
  return App.isRunnable(exported)
    ? exported
    : yield* new UnusableFile({
      file,
      problem: "exports no app; write `export default MyApp.provide(handlers)`"
    })
})
