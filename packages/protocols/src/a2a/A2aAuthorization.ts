// The token that a remote agent wants, by its card and the metadata of its server (RFC 9728), and the headers that carry it.
// A2aRemote asks. A card never chooses the issuer: it would get the secrets of the app there.
import { decoder } from "@fastagentic/core/base/Validation"
import type { TokenSource } from "@fastagentic/core/door/TokenSource"
import { Effect, Redacted, Schema } from "effect"
import type { A2aClient } from "./A2aClient.ts"
import { notA2a, RemoteRefused, unavailable } from "./A2aClientError.ts"
import type { Headers, Place } from "./A2aClientWire.ts"

/** The address and scopes of a token. */
export const Wanted = Schema.Struct({ resource: Schema.String, scopes: Schema.Array(Schema.String) })
export type Wanted = typeof Wanted.Type

const Requirements = Schema.optionalKey(Schema.Array(Schema.Struct({
  schemes: Schema.Record(Schema.String, Schema.Struct({ list: Schema.optionalKey(Schema.Array(Schema.String)) }))
})))
/** Those of version 0.3. */
const Security = Schema.optionalKey(Schema.Array(Schema.Record(Schema.String, Schema.Array(Schema.String))))
const decodeCard = decoder(
  Schema.Struct({
    securitySchemes: Schema.optionalKey(Schema.Record(Schema.String, Schema.Unknown)),
    securityRequirements: Requirements,
    security: Security,
    skills: Schema.optionalKey(Schema.Array(Schema.Struct({
      id: Schema.String,
      securityRequirements: Requirements,
      security: Security
    })))
  }),
  "ignore"
)
type Card = Effect.Success<ReturnType<typeof decodeCard>>

const Bearer = Schema.String.check(Schema.isPattern(/^bearer$/iu))
const decodeBearer = Schema.decodeUnknownOption(Schema.Union([
  Schema.Struct({ oauth2SecurityScheme: Schema.Unknown }),
  Schema.Struct({ openIdConnectSecurityScheme: Schema.Unknown }),
  Schema.Struct({ httpAuthSecurityScheme: Schema.Struct({ scheme: Bearer }) }),
  Schema.Struct({ type: Schema.Literals(["oauth2", "openIdConnect"]) }),
  Schema.Struct({ type: Schema.Literal("http"), scheme: Bearer })
]))

/** The requirements in both versions of a card, each with the scopes of its schemes. */
const requirementsOf = ({ security, securityRequirements }: Pick<Card, "security" | "securityRequirements">) =>
  securityRequirements?.map(({ schemes }) =>
    Object.entries(schemes).map(([name, { list = [] }]) => ({ name, scopes: list }))
  ) ?? security?.map((schemes) => Object.entries(schemes).map(([name, scopes]) => ({ name, scopes }))) ?? []

/** The scopes of the first requirement that a bearer token meets; nothing where the card asks for no credentials. */
const scopesOf = Effect.fnUntraced(function*(card: object, skill: string | undefined) {
  const read = yield* Effect.mapError(decodeCard(card), () => notA2a("its card is not of A2A"))
  const schemes = Object.entries(read.securitySchemes ?? {})
  if (schemes.length === 0) return undefined
  const bearers = new Set(schemes.flatMap(([name, scheme]) => decodeBearer(scheme)._tag === "Some" ? [name] : []))
  const own = requirementsOf(read.skills?.find(({ id }) => id === skill) ?? {})
  const required = own.length === 0 ? requirementsOf(read) : own
  const met = required.find((schemes) => schemes.every(({ name }) => bearers.has(name)))
  if (met === undefined && (required.length > 0 || bearers.size === 0)) {
    return yield* new RemoteRefused({ code: "NO_BEARER_TOKEN", message: "its card takes no bearer token" })
  }
  return [...new Set(met?.flatMap(({ scopes }) => scopes) ?? [])]
})

/** The token that a skill of a card wants at an interface. */
export const wantedOf = Effect.fnUntraced(function*(
  client: A2aClient,
  card: { readonly url: string; readonly json: object },
  place: Place,
  skill: string | undefined
) {
  const scopes = yield* scopesOf(card.json, skill)
  if (scopes === undefined) return undefined
  // An address of gRPC has no documents: they are at that of the card.
  const address = place.binding === "GRPC" ? new URL(card.url).origin : place.url
  return { resource: (yield* client.resourceOf(address)) ?? address, scopes }
})

/** The headers with a token that the interface wants, and the way to replace one that it has not accepted. */
export const headersOf = (
  source: TokenSource,
  plain: Effect.Effect<Headers>,
  wanted: () => Wanted | undefined
) => {
  let shown: Redacted.Redacted | undefined
  const tokenFor = (wanted: Wanted) =>
    Effect.mapError(source.token(wanted), (error) =>
      error._tag === "TokenRefused"
        ? new RemoteRefused({ code: error.code, message: error.message })
        : unavailable(error.message))
  const headers = Effect.gen(function*() {
    const [known, now] = [yield* plain, wanted()]
    if (now === undefined) return known
    shown = yield* tokenFor(now)
    return { ...known, authorization: `Bearer ${Redacted.value(shown)}` }
  })
  /** Whether there is another token to try with. */
  const unauthorized = Effect.gen(function*() {
    const [now, refused] = [wanted(), shown]
    if (now === undefined || refused === undefined) return false
    yield* source.rejected(refused)
    return (yield* tokenFor(now)) !== refused
  })
  return { headers, unauthorized }
}
