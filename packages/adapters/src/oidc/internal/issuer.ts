// Reads the issuer's metadata and keys over HTTP.
import { Effect, Option, Schema } from "effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { OidcUnavailable } from "../OidcUnavailable.ts"
import * as Bounded from "./bounded.ts"

const Metadata = Schema.Struct({
  issuer: Schema.String,
  jwks_uri: Schema.String,
  introspection_endpoint: Schema.optionalKey(Schema.String)
})

/** The issuer's metadata. */
export type Metadata = typeof Metadata.Type

const Key = Schema.Struct({
  kty: Schema.Literals(["RSA", "EC", "OKP"]),
  kid: Schema.optionalKey(Schema.String),
  alg: Schema.optionalKey(Schema.String),
  use: Schema.optionalKey(Schema.String),
  key_ops: Schema.optionalKey(Schema.mutable(Schema.Array(Schema.String))),
  crv: Schema.optionalKey(Schema.String),
  n: Schema.optionalKey(Schema.String),
  e: Schema.optionalKey(Schema.String),
  x: Schema.optionalKey(Schema.String),
  y: Schema.optionalKey(Schema.String)
})

/** A public key. */
export type Key = typeof Key.Type

const Keys = Schema.Struct({ keys: Schema.Array(Schema.Json) })
const decodeKey = Schema.decodeUnknownOption(Key)

const TIMEOUT = "5 seconds"

/** A document of the issuer, or `undefined` when there is none at this address. */
const read = Effect.fnUntraced(function*<A>(
  issuer: string,
  url: string,
  schema: Schema.ConstraintDecoder<A>
): Effect.fn.Return<A | undefined, OidcUnavailable, HttpClient.HttpClient> {
  const client = yield* HttpClient.HttpClient
  const fail = (problem: string) => new OidcUnavailable({ issuer, problem })
  return yield* Bounded.send(client, HttpClientRequest.get(url, { acceptJson: true })).pipe(
    Effect.mapError((error) => {
      const refusal = Bounded.refusalIn(error)
      return refusal === undefined
        ? fail(`${url} does not answer`)
        : new OidcUnavailable({ issuer, problem: `${refusal.message} (rule ${refusal.rule})`, rule: refusal.rule })
    }),
    Effect.flatMap((response) => {
      if (response.status === 404) return Effect.undefined
      return response.status === 200
        ? Effect.mapError(
          Bounded.json(response, schema),
          () => fail(`${url} is not what it should be`)
        )
        : Effect.fail(fail(`${url} answers ${response.status}`))
    }),
    Effect.timeoutOrElse({
      duration: TIMEOUT,
      orElse: () => Effect.fail(fail(`${url} does not answer in time`))
    })
  )
})

/** OpenID Connect discovery, or else that of OAuth (RFC 8414). */
const published = Effect.fnUntraced(function*<A extends { readonly issuer: string }>(
  issuer: string,
  schema: Schema.ConstraintDecoder<A>,
  addressesOf: (metadata: A) => ReadonlyArray<string>
) {
  const metadata = (yield* read(issuer, `${issuer.replace(/\/$/u, "")}/.well-known/openid-configuration`, schema)) ??
    (yield* read(issuer, oauthAddress(issuer), schema))
  const fail = (problem: string) => new OidcUnavailable({ issuer, problem })
  if (metadata === undefined) return yield* fail("it publishes no configuration")
  if (metadata.issuer !== issuer) return yield* fail(`it calls itself ${metadata.issuer}`)
  if (issuer.startsWith("https:") && !addressesOf(metadata).every((url) => url.startsWith("https:"))) {
    return yield* fail("its addresses are not all https")
  }
  return metadata
})

/** The metadata by which tokens of callers are checked. */
export const discover = (issuer: string) =>
  published(issuer, Metadata, ({ introspection_endpoint, jwks_uri }) => [jwks_uri, introspection_endpoint ?? jwks_uri])

const TokenMetadata = Schema.Struct({
  issuer: Schema.String,
  token_endpoint: Schema.String,
  token_endpoint_auth_methods_supported: Schema.optionalKey(Schema.Array(Schema.String))
})

/** The metadata by which this app gets tokens. */
export const discoverTokens = (issuer: string) =>
  published(issuer, TokenMetadata, ({ token_endpoint }) => [token_endpoint])

const oauthAddress = (issuer: string) => {
  const { origin, pathname } = new URL(issuer)
  return `${origin}/.well-known/oauth-authorization-server${pathname === "/" ? "" : pathname}`
}

/** The public keys; other published keys are ignored. */
export const readKeys = Effect.fnUntraced(function*({ issuer, jwks_uri }: Metadata) {
  const published = yield* read(issuer, jwks_uri, Keys)
  const keys = (published?.keys ?? []).flatMap((key) => Option.toArray(decodeKey(key)))
  return keys.length > 0 ? keys : yield* new OidcUnavailable({ issuer, problem: `${jwks_uri} has no keys` })
})
