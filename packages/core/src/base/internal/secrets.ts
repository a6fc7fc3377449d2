// Comparing and hashing secrets without node:crypto; ApiKeys and Auth use it.
import { Effect } from "effect"

/** Compares in time that depends on the lengths only. */
export const sameSecret = (expected: string, actual: string) => {
  let difference = expected.length ^ actual.length
  for (let i = 0; i < actual.length; i++) {
    difference |= (expected.charCodeAt(i % expected.length) || 0) ^ actual.charCodeAt(i)
  }
  return difference === 0
}

const encoder = new TextEncoder()

/** SHA-256 in hex: enough for secrets that are long and random, and only for those. */
export const sha256 = (text: string): Effect.Effect<string> =>
  Effect.map(
    Effect.promise(() => globalThis.crypto.subtle.digest("SHA-256", encoder.encode(text))),
    (digest) => Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("")
  )
