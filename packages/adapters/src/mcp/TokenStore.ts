/**
 * The place of an app's OAuth tokens. It holds encrypted bytes only.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import { readWhole, writeWhole } from "./internal/wholeFile.ts"

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
  load: Effect.tryPromise(() => readWhole(path)),
  save: (bytes) => Effect.tryPromise(() => writeWhole(path, bytes, 0o600))
})
