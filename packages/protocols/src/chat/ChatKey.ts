// The idempotency key of a message: the same message of the same chat with the same payload is one run.
import { Effect, type Schema } from "effect"

export const of = (
  protocol: string,
  parts: ReadonlyArray<Schema.Json | undefined>
): Effect.Effect<string> =>
  Effect.map(
    Effect.promise(() =>
      globalThis.crypto.subtle.digest(
        "SHA-256",
        new TextEncoder().encode(JSON.stringify(parts.map((part) => part ?? null)))
      )
    ),
    (digest) =>
      `${protocol}:${Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("")}`
  )
