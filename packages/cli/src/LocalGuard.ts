/**
 * Keeps web pages away from a server without authentication.
 *
 * @since 0.1.0
 */
import { Auth, Caller } from "@fastagentic/core"
import { Effect } from "effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

/** Whether an address can be reached from this machine only. @category predicates @since 0.1.0 */
export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || host === "[::1]" || /^127(?:\.\d{1,3}){3}$/u.test(host)

/**
 * Without an auth layer a request acts as the local user, so it has to come from this machine's own programs and pages: a
 * foreign `Host` (a name that was rebound to this address) or a foreign `Origin` is refused with 403.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = HttpRouter.middleware(
  Effect.gen(function*() {
    const { open } = yield* Auth.Auth
    return (handled) =>
      open
        ? Effect.flatMap(
          HttpServerRequest.HttpServerRequest,
          ({ headers }) =>
            isLocal(headers["host"], headers["origin"])
              ? handled
              : Effect.succeed(refusal(Caller.make("rest", { traceparent: headers["traceparent"] })))
        )
        : handled
  }),
  { global: true }
)

const isLocal = (host: string | undefined, origin: string | undefined) =>
  isLoopback((host ?? "").replace(/:\d+$/u, "")) && (origin === undefined || isLoopback(hostnameOf(origin)))

const hostnameOf = (url: string) => URL.canParse(url) ? new URL(url).hostname : ""

const refusal = ({ traceId }: Caller.Caller) =>
  HttpServerResponse.jsonUnsafe({
    type: "urn:fastagentic:error:Forbidden",
    title: "Forbidden",
    status: 403,
    detail: "without an auth layer only this machine's own programs and pages are served",
    error: { _tag: "Forbidden", rule: "local", missing: [] },
    traceId
  }, { status: 403, contentType: "application/problem+json", headers: { "x-trace-id": traceId } })
