/**
 * What a caller who is not known is told to show: the `WWW-Authenticate` header of RFC 9110.
 *
 * @since 0.1.0
 */
import type { Scheme } from "@fastagentic/core/Auth"
import * as Credentials from "@fastagentic/core/Credentials"
import { Effect } from "effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { Route } from "./Exchange.ts"

const HEADER = "www-authenticate"

/** One challenge for each way in; a bearer token that was shown was not good enough. @category accessors @since 0.1.0 */
export const of = (schemes: ReadonlyArray<Scheme>, shown: Credentials.Credentials): string => {
  const bearer = shown.bearer === undefined ? "Bearer" : "Bearer realm=\"agents\", error=\"invalid_token\""
  const known = { bearer, apiKey: "ApiKey realm=\"agents\"", mutualTls: "ClientCertificate realm=\"agents\"" }
  const challenges = schemes.map((scheme) => known[scheme])
  return challenges.length === 0 ? "Bearer" : challenges.join(", ")
}

/** A route whose challenges say what this server takes. @category combinators @since 0.1.0 */
export const withSchemes = (schemes: ReadonlyArray<Scheme>, route: Route): Route => (runtime) =>
  Effect.flatMap(route(runtime), (response) =>
    response.headers[HEADER] === undefined
      ? Effect.succeed(response)
      : Effect.map(
        HttpServerRequest.HttpServerRequest,
        ({ headers }) => HttpServerResponse.setHeader(response, HEADER, of(schemes, Credentials.fromHeaders(headers)))
      ))
