import type { Scheme } from "@fastagentic/core/door/Auth"
import type { Credentials } from "@fastagentic/core/run/Credentials"
import type { Forbidden } from "@fastagentic/core/run/RunError"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

/** One challenge of RFC 9110 for each way in; a bearer token that was shown was not good enough. */
export const challengeOf = (schemes: ReadonlyArray<Scheme>, shown: Credentials): string => {
  const bearer = shown.bearer === undefined ? "Bearer" : "Bearer realm=\"agents\", error=\"invalid_token\""
  const known = { bearer, apiKey: "ApiKey realm=\"agents\"", mutualTls: "ClientCertificate realm=\"agents\"" }
  const challenges = schemes.map((scheme) => known[scheme])
  return challenges.length === 0 ? "Bearer" : challenges.join(", ")
}

/** What a token needs more, as RFC 6750 says it; no token helps where no scope is missing. */
export const challengeFor = ({ missing }: Pick<Forbidden, "missing">): Record<string, string> => {
  const scope = missing.filter(isScopeToken).join(" ")
  const challenge = `Bearer realm="agents", error="insufficient_scope", scope="${scope}"`
  return scope === "" ? {} : { "www-authenticate": challenge }
}

/** A refusal asks for more scopes only where tokens are taken. */
export const asTaken = (
  schemes: ReadonlyArray<Scheme>,
  response: HttpServerResponse.HttpServerResponse
): HttpServerResponse.HttpServerResponse =>
  response.status !== 403 || schemes.includes("bearer")
    ? response
    : HttpServerResponse.removeHeader(response, "www-authenticate")

const isScopeToken = (scope: string) => /^[\x21\x23-\x5B\x5D-\x7E]+$/u.test(scope)
