// `WWW-Authenticate` challenges of RFC 9110, RFC 6750 and RFC 9728, shared by REST, MCP and A2A.
import type { Auth, Scheme } from "@fastagentic/core/door/Auth"
import type { Credentials } from "@fastagentic/core/run/Credentials"
import type { Forbidden } from "@fastagentic/core/run/RunError"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { isScopeToken, metadataUrl } from "./protectedResource.ts"
import type { PublicAddress } from "./publicAddress.ts"

/** Fields of the bearer challenge; one without a value is left out. */
interface Fields {
  readonly resource_metadata?: string | undefined
  readonly scope?: string | undefined
}

/** One challenge for each scheme that the server accepts; a bearer token that was sent is marked as invalid. */
export const challengeOf = (schemes: ReadonlyArray<Scheme>, sent: Credentials, fields: Fields = {}): string => {
  const error = sent.bearer === undefined ? [] : ["realm=\"agents\"", "error=\"invalid_token\""]
  const bearer = ["Bearer", [...error, ...written(fields)].join(", ")].join(" ").trim()
  const known = { bearer, apiKey: "ApiKey realm=\"agents\"", mutualTls: "ClientCertificate realm=\"agents\"" }
  const challenges = schemes.map((scheme) => known[scheme])
  return challenges.length === 0 ? "Bearer" : challenges.join(", ")
}

/** All scopes of the operation; empty when no scope is missing, because no other token would help. */
export const challengeFor = (
  { missing, needed = missing }: Pick<Forbidden, "missing" | "needed">,
  fields: Fields = {}
): Record<string, string> => {
  const scope = needed.filter(isScopeToken).join(" ")
  return missing.some(isScopeToken)
    ? { "www-authenticate": `${insufficient}, ${written({ scope, ...fields }).join(", ")}` }
    : {}
}

const insufficient = "Bearer realm=\"agents\", error=\"insufficient_scope\""

/** A value in quotes: addresses come from requests. */
const written = (fields: Fields) =>
  Object.entries(fields).flatMap(([name, value]) =>
    value === undefined || value === "" ? [] : [`${name}="${value.replaceAll(/["\\]/gu, encodeURIComponent)}"`]
  )

/** Adds the server's challenges to a refusal of REST or A2A; one that no credentials of the server would meet is removed. */
export const withChallenges = (
  { issuers, schemes }: Pick<Auth["Service"], "issuers" | "schemes">,
  sent: Credentials,
  address: PublicAddress,
  response: HttpServerResponse.HttpServerResponse
): HttpServerResponse.HttpServerResponse => {
  if (response.status !== 401 && response.status !== 403) return response
  const fields = { resource_metadata: metadataUrl(issuers, address, "") }
  if (response.status === 401) return HttpServerResponse.setHeader(response, header, challengeOf(schemes, sent, fields))
  const challenge = response.headers[header]
  if (challenge === undefined) return response
  return schemes.includes("bearer")
    ? HttpServerResponse.setHeader(response, header, [challenge, ...written(fields)].join(", "))
    : HttpServerResponse.removeHeader(response, header)
}

const header = "www-authenticate"
