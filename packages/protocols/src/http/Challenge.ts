// What a caller is told to show instead: the `WWW-Authenticate` header of RFC 9110.
import type { Scheme } from "@fastagentic/core/door/Auth"
import * as Credentials from "@fastagentic/core/run/Credentials"
import { Effect } from "effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { asTaken, challengeOf } from "../internal/challenge.ts"
import type { Route } from "./RequestContext.ts"

const HEADER = "www-authenticate"

/** A route whose challenges say what this server takes. */
export const withSchemes = (schemes: ReadonlyArray<Scheme>, route: Route): Route => (runtime) =>
  Effect.flatMap(route(runtime), (response) =>
    response.status !== 401
      ? Effect.succeed(asTaken(schemes, response))
      : Effect.map(
        HttpServerRequest.HttpServerRequest,
        ({ headers }) =>
          HttpServerResponse.setHeader(response, HEADER, challengeOf(schemes, Credentials.fromHeaders(headers)))
      ))
