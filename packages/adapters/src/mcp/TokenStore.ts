/**
 * The place of an app's OAuth tokens. It holds encrypted bytes only.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import { mkdir, readFile, rename, writeFile } from "node:fs/promises"
import { dirname } from "node:path"

/** @category models @since 0.1.0 */
export interface TokenStore {
  /** Nothing before the first `save`. */
  readonly load: Effect.Effect<Uint8Array | undefined, unknown>
  readonly save: (bytes: Uint8Array) => Effect.Effect<void, unknown>
}

/** Tokens that end with the process. @category constructors @since 0.1.0 */
export const memory = (): TokenStore => {
  let kept: Uint8Array | undefined
  return {
    load: Effect.sync(() => kept),
    save: (bytes) =>
      Effect.sync(() => {
        kept = bytes
      })
  }
}

/** Tokens in a file that only the user of the process reads. @category constructors @since 0.1.0 */
export const file = (path: string): TokenStore => ({
  load: Effect.tryPromise(() =>
    readFile(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined
      throw error
    })
  ),
  save: (bytes) =>
    Effect.tryPromise(async () => {
      await mkdir(dirname(path), { recursive: true })
      const beside = `${path}.${process.pid}.tmp`
      await writeFile(beside, bytes, { mode: 0o600 })
      await rename(beside, path)
    })
})
