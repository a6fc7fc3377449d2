// Adds the `WWW-Authenticate` challenges of the server to refusals; HttpProtocol wraps every route with it.
import type { Scheme } from "@fastagentic/core/door/Auth"
import * as Credentials from "@fastagentic/core/run/Credentials"
import { Effect } from "effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { challengeOf, withoutUnusedChallenge } from "../internal/challenge.ts"
import type { Handler } from "./RequestContext.ts"

const HEADER = "www-authenticate"

/** Wraps a handler so that its refusals name the credentials that this server accepts. */
export const withSchemes = (schemes: ReadonlyArray<Scheme>, handler: Handler): Handler => (runtime) =>
  Effect.flatMap(handler(runtime), (response) =>
    response.status !== 401
      ? Effect.succeed(withoutUnusedChallenge(schemes, response))
      : Effect.map(
        HttpServerRequest.HttpServerRequest,
        ({ headers }) =>
          HttpServerResponse.setHeader(response, HEADER, challengeOf(schemes, Credentials.fromHeaders(headers)))
      ))
