// The walk of an MCP client that has no token yet: the challenge of the server, the metadata of the resource (RFC 9728) and
// of its authorization servers (RFC 8414, OpenID discovery). It ends at the first step that a client cannot pass.
import { Effect, Schema } from "effect"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import type { Say } from "./finding.ts"
import { get, isHttp, problemOf, textOf } from "./http.ts"

const Resource = Schema.fromJsonString(Schema.Struct({
  resource: Schema.String,
  authorization_servers: Schema.optionalKey(Schema.Array(Schema.String)),
  scopes_supported: Schema.optionalKey(Schema.Array(Schema.String))
}))

const Issuer = Schema.fromJsonString(Schema.Struct({
  issuer: Schema.String,
  authorization_endpoint: Schema.optionalKey(Schema.String),
  token_endpoint: Schema.optionalKey(Schema.String),
  registration_endpoint: Schema.optionalKey(Schema.String),
  client_id_metadata_document_supported: Schema.optionalKey(Schema.Boolean),
  code_challenge_methods_supported: Schema.optionalKey(Schema.Array(Schema.String))
}))

/** How many authorization servers are looked at: a document may name any number. */
const maxIssuers = 10

/** The same document at an origin with the path inserted, as RFC 8414 and RFC 9728 say. */
const inserted = (name: string, url: string) => {
  const { origin, pathname } = new URL(url)
  return `${origin}/.well-known/${name}${pathname === "/" ? "" : pathname.replace(/\/+$/u, "")}`
}

const challengeOf = (response: HttpClientResponse.HttpClientResponse) => response.headers["www-authenticate"] ?? ""

const found = Effect.fnUntraced(function*<A>(url: string, schema: Schema.Codec<A, string>) {
  if (!isHttp(url)) return yield* Effect.fail("this is no http address")
  const response = yield* get(url)
  if (response.status !== 200) return yield* Effect.fail(`status ${response.status}`)
  const text = yield* textOf(response)
  return yield* Effect.mapError(Schema.decodeEffect(schema)(text), problemOf)
})

/** Walks from a 401 to what a client needs for a token. Returns whether a client can get there. */
export const walk = Effect.fnUntraced(function*(url: string, refused: HttpClientResponse.HttpClientResponse, say: Say) {
  const challenge = challengeOf(refused)
  const [, named] = /\bresource_metadata="?([^",\s]+)/u.exec(challenge) ?? []
  if (!/^bearer\b/iu.test(challenge)) {
    yield* say({
      check: "challenge",
      verdict: "fault",
      detail: challenge === "" ? "a 401 without WWW-Authenticate" : "WWW-Authenticate names no Bearer scheme",
      remedy: "Answer 401 with `WWW-Authenticate: Bearer resource_metadata=\"…\"`."
    })
  } else {
    yield* say(
      named === undefined
        ? {
          check: "challenge",
          verdict: "note",
          detail: "it names no resource_metadata, so that clients look at the well-known addresses"
        }
        : { check: "challenge", verdict: "ok", detail: named }
    )
  }
  const places = named === undefined
    ? [inserted("oauth-protected-resource", url), `${new URL(url).origin}/.well-known/oauth-protected-resource`]
    : [URL.parse(named, url)?.href ?? named]
  const resource = yield* firstOf(places, Resource, "resource metadata", say)
  if (resource === undefined) return false
  const covers = url === resource.value.resource || url.startsWith(resource.value.resource.replace(/\/*$/u, "/"))
  yield* say({
    check: "resource",
    verdict: covers ? "ok" : "fault",
    detail: covers ? resource.value.resource : `${resource.value.resource} is not the address of this server`,
    ...(covers
      ? {}
      : { remedy: `Clients ask for a token of "resource" (RFC 8707): it has to be ${url}, or a prefix of it.` })
  })
  const issuers = [...new Set(resource.value.authorization_servers)]
  if (issuers.length === 0) {
    yield* say({
      check: "authorization server",
      verdict: "fault",
      detail: "the metadata names none",
      remedy: "Name the issuer in authorization_servers."
    })
    return false
  }
  if (issuers.length > maxIssuers) {
    yield* say({
      check: "authorization server",
      verdict: "note",
      detail: `the metadata names ${issuers.length}; the first ${maxIssuers} are looked at`
    })
  }
  let isReachable = true
  for (const one of issuers.slice(0, maxIssuers)) isReachable = (yield* authorization(one, say)) && isReachable
  return isReachable && covers
})

const authorization = Effect.fnUntraced(function*(issuer: string, say: Say) {
  if (!isHttp(issuer)) {
    yield* say({
      check: `issuer ${issuer}`,
      verdict: "fault",
      detail: "this is no http address",
      remedy: "Name the issuer in authorization_servers by its https address."
    })
    return false
  }
  const places = [
    inserted("oauth-authorization-server", issuer),
    inserted("openid-configuration", issuer),
    `${issuer.replace(/\/+$/u, "")}/.well-known/openid-configuration`
  ]
  const metadata = yield* firstOf([...new Set(places)], Issuer, `metadata of ${issuer}`, say)
  if (metadata === undefined) return false
  const { value } = metadata
  const faults = [
    value.issuer === issuer ? undefined : `its issuer is ${value.issuer}, which clients refuse (RFC 8414)`,
    value.authorization_endpoint === undefined ? "it has no authorization_endpoint" : undefined,
    value.token_endpoint === undefined ? "it has no token_endpoint" : undefined,
    value.code_challenge_methods_supported?.includes("S256") === true
      ? undefined
      : "it does not say that it supports PKCE with S256, which MCP clients require"
  ].filter((fault) => fault !== undefined)
  for (const detail of faults) yield* say({ check: `issuer ${issuer}`, verdict: "fault", detail })
  const registers = value.registration_endpoint !== undefined || value.client_id_metadata_document_supported === true
  if (faults.length === 0) yield* say({ check: `issuer ${issuer}`, verdict: "ok", detail: "endpoints, PKCE with S256" })
  if (!registers) {
    yield* say({
      check: `issuer ${issuer}`,
      verdict: "note",
      detail: "it registers no clients: each of them needs a client id that you give it"
    })
  }
  return faults.length === 0
})

/** The first of these documents that is there. */
const firstOf = Effect.fnUntraced(function*<A>(
  places: ReadonlyArray<string>,
  schema: Schema.Codec<A, string>,
  check: string,
  say: Say
) {
  const problems: Array<string> = []
  for (const place of places) {
    const answer = yield* Effect.match(found(place, schema), {
      onFailure: (problem) => void problems.push(`${place}: ${problem}`),
      onSuccess: (value) => ({ value, place })
    })
    if (answer !== undefined) {
      yield* say({ check, verdict: "ok", detail: place })
      return answer
    }
  }
  yield* say({ check, verdict: "fault", detail: problems.join("; "), remedy: "Serve the document there as JSON." })
  return undefined
})
