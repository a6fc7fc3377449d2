// Adds the `WWW-Authenticate` challenges of the server to refusals; HttpProtocol wraps every route with it.
import type { Auth } from "@fastagentic/core/door/Auth"
import * as Credentials from "@fastagentic/core/run/Credentials"
import { Effect } from "effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import { withChallenges } from "../internal/challenge.ts"
import { PublicAddress } from "../internal/publicAddress.ts"
import type { Handler } from "./RequestContext.ts"

/** Wraps a handler so that its refusals name the credentials that this server accepts. */
export const withSchemes = (auth: Auth["Service"], handler: Handler): Handler => (runtime, limits) =>
  Effect.flatMap(handler(runtime, limits), (response) =>
    response.status !== 401 && response.status !== 403
      ? Effect.succeed(response)
      : Effect.map(
        Effect.all([HttpServerRequest.HttpServerRequest, PublicAddress]),
        ([{ headers }, address]) => withChallenges(auth, Credentials.fromHeaders(headers), address, response)
      ))
