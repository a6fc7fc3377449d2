// A digest of a JSON value that does not depend on the order of its keys: equal arguments of calls have equal digests.
import { Effect, Predicate } from "effect"
import * as Hex from "effect/encoding/Hex"

export const digestOf = (value: unknown): Effect.Effect<string> =>
  Effect.map(
    Effect.promise(() => globalThis.crypto.subtle.digest("SHA-256", new TextEncoder().encode(ordered(value)))),
    (bytes) => Hex.encode(new Uint8Array(bytes)).slice(0, 32)
  )

const ordered = (value: unknown): string =>
  JSON.stringify(
    value ?? {},
    (_, one: unknown) =>
      Predicate.isObject(one) && !Array.isArray(one)
        ? Object.fromEntries(Object.entries(one).toSorted(([a], [b]) => a < b ? -1 : 1))
        : one
  )
