import type { Scheme } from "@fastagentic/core/Auth"
import type { Credentials } from "@fastagentic/core/Credentials"

/** One challenge of RFC 9110 for each way in; a bearer token that was shown was not good enough. */
export const challengeOf = (schemes: ReadonlyArray<Scheme>, shown: Credentials): string => {
  const bearer = shown.bearer === undefined ? "Bearer" : "Bearer realm=\"agents\", error=\"invalid_token\""
  const known = { bearer, apiKey: "ApiKey realm=\"agents\"", mutualTls: "ClientCertificate realm=\"agents\"" }
  const challenges = schemes.map((scheme) => known[scheme])
  return challenges.length === 0 ? "Bearer" : challenges.join(", ")
}

/** What a token needs more, as RFC 6750 says it. */
export const stepUp = (scopes: ReadonlyArray<string>): string =>
  `Bearer realm="agents", error="insufficient_scope", scope="${scopes.filter(isScopeToken).join(" ")}"`

const isScopeToken = (scope: string) => /^[\x21\x23-\x5B\x5D-\x7E]+$/u.test(scope)
