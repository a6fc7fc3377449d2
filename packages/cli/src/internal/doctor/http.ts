// The requests of `fastagentic doctor`: bounded in time, redirects not followed, failures in words without stacks.
import { Effect, Option, Redacted } from "effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as ErrorText from "../../ErrorText.ts"

const limit = "10 seconds"

export const problemOf = (error: unknown): string => {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
  return ErrorText.of(cause)
}

const send = Effect.fnUntraced(function*(request: HttpClientRequest.HttpClientRequest) {
  const client = yield* HttpClient.HttpClient
  return yield* client.execute(request).pipe(
    Effect.mapError(problemOf),
    Effect.timeoutOrElse({ duration: limit, orElse: () => Effect.fail(`no answer in ${limit}`) })
  )
})

export const get = (url: string) => send(HttpClientRequest.get(url, { headers: { accept: "application/json" } }))

/** A request of MCP, with the headers of the transport. */
export const post = (
  url: string,
  body: unknown,
  { session, token, version }: {
    readonly token: Option.Option<Redacted.Redacted>
    readonly session?: string | undefined
    readonly version?: string
  }
) =>
  send(
    HttpClientRequest.bodyJsonUnsafe(
      HttpClientRequest.post(url, {
        headers: {
          accept: "application/json, text/event-stream",
          ...(Option.isSome(token) ? { authorization: `Bearer ${Redacted.value(token.value)}` } : {}),
          ...(session === undefined ? {} : { "mcp-session-id": session }),
          ...(version === undefined ? {} : { "mcp-protocol-version": version })
        }
      }),
      body
    )
  )
