// The requests of `fastagentic doctor`: bounded in time and size, redirects not followed, failures in words without stacks.
import { Effect, Option, Redacted, Stream } from "effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as ErrorText from "../../ErrorText.ts"

const limit = "10 seconds"

/** The longest body that is read, in bytes: lists of tools are large. */
const maxBytes = 8_388_608

/** Whether an address that a server names is one that a client may ask. */
export const isHttp = (url: string) => /^https?:/iu.test(url) && URL.canParse(url)

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

/** The text of an answer, which may come without an end. */
export const textOf = (response: HttpClientResponse.HttpClientResponse) =>
  Effect.suspend(() => {
    const decoder = new TextDecoder()
    let size = 0
    return response.stream.pipe(
      Stream.mapError(problemOf),
      Stream.runFoldEffect(() => "", (text, part) => {
        size += part.byteLength
        return size > maxBytes
          ? Effect.fail(`its answer is longer than ${maxBytes} bytes`)
          : Effect.succeed(text + decoder.decode(part, { stream: true }))
      }),
      Effect.timeoutOrElse({ duration: limit, orElse: () => Effect.fail(`its answer has no end after ${limit}`) })
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
