/**
 * The agents of other servers that an app knows, by the addresses of their cards. `GET /agents` lists them beside those of the
 * app.
 *
 * @since 0.1.0
 */
import { decoder } from "@fastagentic/core/base/Validation"
import { Context, Duration, Effect, Layer, Schema } from "effect"
import * as HttpClient from "effect/http/HttpClient"
import * as A2aClient from "./A2aClient.ts"
import { unavailable } from "./A2aClientError.ts"
import type * as A2aVerify from "./A2aVerify.ts"

/** @category options @since 0.1.0 */
export interface AgentOptions {
  /** The address of the agent's card. */
  readonly url: string
  /** The keys of which one has to have signed the card, or the address of their JSON Web Key Set. */
  readonly keys?: string | ReadonlyArray<A2aVerify.PublicKey> | undefined
  /** Headers of the request for the card. */
  readonly headers?: Effect.Effect<Readonly<Record<string, string>>> | undefined
  /** Whether the public AI Catalog names the agent too; not by default. */
  readonly listed?: boolean | undefined
}

/** An agent of another server, as its card describes it. @category models @since 0.1.0 */
export interface External {
  /** The name that the registry has for it. */
  readonly identifier: string
  /** The address of its card. */
  readonly url: string
  readonly title: string | undefined
  readonly description: string
  readonly version: string
  readonly tags: ReadonlyArray<string>
  readonly examples: ReadonlyArray<string>
  readonly skills: ReadonlyArray<string>
  /** Whether one of the keys of its options has signed the card. */
  readonly verified: boolean
  readonly listed: boolean
  /** When the card was last read, in milliseconds. */
  readonly readAt: number
}

/** @category services @since 0.1.0 */
export interface Registry {
  /** The agents whose cards are known. */
  readonly external: Effect.Effect<ReadonlyArray<External>>
  /** The JSON of the card at an address, if the registry has it. */
  readonly cardOf: (url: string) => Effect.Effect<object | undefined>
}

/** No agents by default. @category services @since 0.1.0 */
export const AgentRegistry = Context.Reference<Registry>("@fastagentic/protocols/a2a/AgentRegistry", {
  defaultValue: () => ({ external: Effect.succeed([]), cardOf: () => Effect.undefined })
})

/**
 * Knows agents by name, and reads their cards at the start and again each five minutes.
 *
 * **Details**
 *
 * A card that cannot be read is tried again after half a minute, and the last one that was is known for a day. A card without
 * the signature that its `keys` ask for is not known. The client has to refuse addresses of internal networks: `Egress` does.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  agents: { readonly [identifier: string]: AgentOptions },
  { refresh = "5 minutes" }: { readonly refresh?: Duration.Input } = {}
): Layer.Layer<never, never, HttpClient.HttpClient> =>
  Layer.effect(
    AgentRegistry,
    Effect.gen(function*() {
      const client = yield* HttpClient.HttpClient
      const known = new Map<string, { readonly external: External; readonly card: object }>()
      const pause = Duration.toMillis(refresh)

      const read = Effect.fnUntraced(function*(identifier: string, options: AgentOptions) {
        const { headers = Effect.succeed({}), keys, url } = options
        const card = yield* A2aClient.make(client, { headers, keys, origins: [] }).card(url)
        const described = yield* describe(card)
        const external = {
          identifier,
          url,
          title: described.name,
          description: described.description,
          version: described.version,
          tags: [...new Set(described.skills.flatMap(({ tags = [] }) => tags))],
          examples: described.skills.flatMap(({ examples = [] }) => examples),
          skills: described.skills.map(({ id }) => id),
          verified: keys !== undefined,
          listed: options.listed === true,
          readAt: Date.now()
        }
        known.set(identifier, { external, card })
      })

      const keep = ([identifier, options]: readonly [string, AgentOptions]) =>
        read(identifier, options).pipe(
          Effect.catchDefect(() => unavailable("its card cannot be read")),
          Effect.as(pause),
          Effect.catch((error) => {
            const last = known.get(identifier)
            const isTrusted = error._tag !== "RemoteRefused" || error.code !== "CARD_NOT_SIGNED"
            if (last !== undefined && (!isTrusted || Date.now() - last.external.readAt > longestAge)) {
              known.delete(identifier)
            }
            return Effect.as(
              Effect.logWarning(`The card of the agent "${identifier}" is not known: ${error.message}`),
              Math.min(pause, pauseAfterFailure)
            )
          }),
          Effect.flatMap(Effect.sleep),
          Effect.forever
        )

      yield* Effect.forEach(Object.entries(agents), (agent) => Effect.forkScoped(keep(agent)))
      return {
        external: Effect.sync(() => Object.keys(agents).flatMap((identifier) => known.get(identifier)?.external ?? [])),
        cardOf: (url) => Effect.sync(() => [...known.values()].find(({ external }) => external.url === url)?.card)
      }
    })
  )

const longestAge = 24 * 60 * 60 * 1_000
const pauseAfterFailure = 30_000

const Text = Schema.String.check(Schema.isMaxLength(10_000))
const Texts = Schema.Array(Text).check(Schema.isMaxLength(200))

/** The parts of a card that a list shows. */
const describe = decoder(
  Schema.Struct({
    name: Text,
    description: Text,
    version: Text,
    skills: Schema.Array(Schema.Struct({
      id: Text,
      tags: Schema.optionalKey(Texts),
      examples: Schema.optionalKey(Texts)
    })).check(Schema.isMaxLength(1_000))
  }),
  "ignore"
)
