// `WWW-Authenticate` challenges of RFC 9110 and RFC 6750, shared by REST, MCP and A2A.
import type { Scheme } from "@fastagentic/core/door/Auth"
import type { Credentials } from "@fastagentic/core/run/Credentials"
import type { Forbidden } from "@fastagentic/core/run/RunError"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

/** One challenge for each scheme that the server accepts; a bearer token that was sent is marked as invalid. */
export const challengeOf = (schemes: ReadonlyArray<Scheme>, sent: Credentials): string => {
  const bearer = sent.bearer === undefined ? "Bearer" : "Bearer realm=\"agents\", error=\"invalid_token\""
  const known = { bearer, apiKey: "ApiKey realm=\"agents\"", mutualTls: "ClientCertificate realm=\"agents\"" }
  const challenges = schemes.map((scheme) => known[scheme])
  return challenges.length === 0 ? "Bearer" : challenges.join(", ")
}

/** The scopes that the token lacks; empty when no scope is missing, because no other token would help. */
export const challengeFor = ({ missing }: Pick<Forbidden, "missing">): Record<string, string> => {
  const scope = missing.filter(isScopeToken).join(" ")
  const challenge = `Bearer realm="agents", error="insufficient_scope", scope="${scope}"`
  return scope === "" ? {} : { "www-authenticate": challenge }
}

/** Removes a challenge for more scopes on a server that accepts no bearer tokens. */
export const withoutUnusedChallenge = (
  schemes: ReadonlyArray<Scheme>,
  response: HttpServerResponse.HttpServerResponse
): HttpServerResponse.HttpServerResponse =>
  response.status !== 403 || schemes.includes("bearer")
    ? response
    : HttpServerResponse.removeHeader(response, "www-authenticate")

const isScopeToken = (scope: string) => /^[\x21\x23-\x5B\x5D-\x7E]+$/u.test(scope)
