// The remote agents that a piece of work has passed through, so that servers that delegate to each other do not go round in
// circles. A message to a remote agent has them in its metadata, as digests: the next server learns no addresses of others.
import * as Run from "@fastagentic/core/run/Run"
import { Effect, Option, Schema } from "effect"
import type { Place } from "./A2aClientWire.ts"

const key = "urn:fastagentic:chain:1"

/** Anything else in the metadata of others is no chain. */
const Chain = Schema.Array(Schema.String.check(Schema.isPattern(/^[0-9a-f]{32}$/u))).check(Schema.isMaxLength(64))
const decode = Schema.decodeUnknownOption(Schema.Struct({ metadata: Schema.Struct({ [key]: Chain }) }))

export type Chain = typeof Chain.Type

/** The chain that has led to this run, by the message that its tree began with. */
export const current: Effect.Effect<Chain, never, Run.CurrentRun> = Effect.map(
  Run.rootMessage,
  (message) => Option.match(decode(message), { onNone: () => [], onSome: ({ metadata }) => metadata[key] })
)

/** The metadata of a message that passes the chain on. */
export const metadataOf = (chain: Chain): { readonly [key: string]: Schema.Json } => ({ [key]: chain })

export type Refusal = "CIRCULAR_DELEGATION" | "DELEGATION_TOO_DEEP"

/** The chain with a further agent, or the reason that it is not called. */
export const extended = Effect.fnUntraced(function*(
  chain: Chain,
  { tenant = "", url }: Place,
  skill: string | undefined,
  depth: number
): Effect.fn.Return<Chain, Refusal> {
  const digest = yield* digestOf(JSON.stringify([url, tenant, skill ?? ""]))
  if (chain.includes(digest)) return yield* Effect.fail("CIRCULAR_DELEGATION" as const)
  if (chain.length >= depth) return yield* Effect.fail("DELEGATION_TOO_DEEP" as const)
  return [...chain, digest]
})

const digestOf = (text: string) =>
  Effect.map(
    Effect.promise(() => globalThis.crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))),
    (digest) => Array.from(new Uint8Array(digest, 0, 16), (byte) => byte.toString(16).padStart(2, "0")).join("")
  )
