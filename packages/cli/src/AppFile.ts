/**
 * Loads the file that a user passes to the command line.
 *
 * @since 0.1.0
 */
import { App } from "@fastagentic/core"
import { Effect, Schema } from "effect"
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

/**
 * Imports a file and returns its default export, which has to be `App.provide(…)`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const load = Effect.fnUntraced(function*(file: string): Effect.fn.Return<AnyRunnable, UnusableFile> {
  const path = resolve(file)
  if (!existsSync(path)) return yield* new UnusableFile({ file, problem: "there is no such file" })
  const module: unknown = yield* Effect.tryPromise({
    try: () => import(pathToFileURL(path).href),
    catch: (cause) =>
      new UnusableFile({
        file,
        problem: `cannot be loaded: ${ErrorText.of(cause)}`
      })
  })
  const exported = typeof module === "object" && module !== null && "default" in module ? module.default : undefined
  return App.isRunnable(exported)
    ? exported
    : yield* new UnusableFile({
      file,
      problem: "exports no app; write `export default MyApp.provide(handlers)`"
    })
})
