// Calls a web handler with an HTTP request of Effect and converts its response; Endpoint uses it for the SDK.
import { Cause, Effect, Exit, Stream } from "effect"
import { ClientAbort } from "effect/http/HttpServerError"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

/**
 * Answers with the response of a web handler. The web request has no body, because the caller has read it.
 *
 * The request's signal aborts when the client disconnects, and not when the server shuts down.
 */
export const answer = (
  { headers, method }: { readonly headers: Readonly<Record<string, string>>; readonly method: string },
  handler: (request: Request) => Promise<Response>
): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.suspend(() => {
    const client = new AbortController()
    const request = new Request(`http://${headers["host"] ?? "localhost"}/`, {
      method,
      headers,
      signal: client.signal
    })
    return Effect.promise(() => handler(request)).pipe(
      Effect.onExit((exit) => abortIfGone(client, exit)),
      Effect.flatMap((response) => fromWeb(response, client))
    )
  })

const abortIfGone = (client: AbortController, exit: Exit.Exit<unknown, unknown>) =>
  Effect.sync(() => {
    if (Exit.isFailure(exit) && isClientAbort(exit.cause)) client.abort()
  })

/** Whether the client has disconnected; a server that stops interrupts its requests, too. */
export const isClientAbort = (cause: Cause.Cause<unknown>) =>
  cause.reasons.some((reason) => Cause.isInterruptReason(reason) && reason.annotations.has(ClientAbort.key))

const fromWeb = (response: Response, client: AbortController) => {
  const { body, status } = response
  const headers = Object.fromEntries(response.headers)
  if (body === null) return Effect.succeed(HttpServerResponse.empty({ status, headers }))
  const contentType = headers["content-type"] ?? "application/octet-stream"
  if (contentType.startsWith("text/event-stream")) {
    return Effect.succeed(HttpServerResponse.stream(streamOf(body, client), { status, headers, contentType }))
  }
  return Effect.map(
    Effect.promise(() => response.text()),
    (text) => HttpServerResponse.text(text, { status, headers, contentType })
  )
}

/** The signal aborts before the body is cancelled, so that the writer of the body knows the reason. */
const streamOf = (body: ReadableStream<Uint8Array>, client: AbortController) =>
  Stream.fromReadableStream({ evaluate: () => body, onError: (cause) => cause, releaseLockOnEnd: true }).pipe(
    Stream.onExit((exit) =>
      Effect.andThen(abortIfGone(client, exit), Effect.ignore(Effect.tryPromise(() => body.cancel())))
    )
  )
