// Walks to an MCP server as a client does: a first request, the way to a token where one is needed, the handshake, the list
// of tools. `fastagentic doctor mcp` prints each step.
import { Effect, Option, type Redacted, Schema } from "effect"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import { walk as authorization } from "./authorization.ts"
import type { Say } from "./finding.ts"
import { post, textOf } from "./http.ts"

const version = "2025-06-18"

const hello = {
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: { protocolVersion: version, capabilities: {}, clientInfo: { name: "fastagentic-doctor", version: "1" } }
}

const Initialized = Schema.Struct({
  result: Schema.Struct({
    protocolVersion: Schema.String,
    serverInfo: Schema.Struct({ name: Schema.String, version: Schema.String })
  })
})
const Tools = Schema.Struct({ result: Schema.Struct({ tools: Schema.Array(Schema.Struct({ name: Schema.String })) }) })
const Failed = Schema.Struct({ error: Schema.Struct({ code: Schema.Int, message: Schema.String }) })

/** The message of an answer, which is JSON or the last event of a stream. */
const messageOf = (response: HttpClientResponse.HttpClientResponse) =>
  Effect.flatMap(textOf(response), (text) => {
    const isStream = (response.headers["content-type"] ?? "").startsWith("text/event-stream")
    const data = isStream ? [...text.matchAll(/^data: ?(.*)$/gmu)].at(-1)?.[1] ?? "" : text
    return Effect.mapError(Schema.decodeEffect(Schema.fromJsonString(Schema.Json))(data), () => "its answer is no JSON")
  })

const expected = <A>(response: HttpClientResponse.HttpClientResponse, schema: Schema.Codec<A, unknown>) =>
  Effect.flatMap(messageOf(response), (message) => {
    const failed = Schema.decodeUnknownOption(Failed)(message)
    if (Option.isSome(failed)) return Effect.fail(`error ${failed.value.error.code}: ${failed.value.error.message}`)
    return response.status === 200
      ? Effect.mapError(Schema.decodeUnknownEffect(schema)(message), () => "its answer is not that of MCP")
      : Effect.fail(`status ${response.status}`)
  })

export const walk = Effect.fnUntraced(function*(url: string, token: Option.Option<Redacted.Redacted>, say: Say) {
  const none = { token: Option.none<Redacted.Redacted>() }
  const first = yield* Effect.option(
    Effect.tapError(post(url, hello, none), (detail) =>
      say({
        check: "server",
        verdict: "fault",
        detail: `${url} does not answer: ${detail}`,
        remedy: "Is it running there?"
      }))
  )
  if (Option.isNone(first)) return
  const { headers, status } = first.value
  if (status >= 300 && status < 400) {
    yield* say({
      check: "server",
      verdict: "fault",
      detail: `it redirects to ${headers["location"] ?? "nowhere"}; clients do not send a token there`,
      remedy: "Give clients the address that answers."
    })
    return
  }
  const needsToken = status === 401
  yield* say({ check: "server", verdict: "ok", detail: needsToken ? `${url} asks for a token` : `${url} answers` })
  if (needsToken) {
    const passes = yield* authorization(url, first.value, say)
    if (Option.isNone(token)) {
      yield* say({
        check: "token",
        verdict: passes ? "note" : "fault",
        detail: "the walk ends here, because no token was given",
        remedy: "Set FASTAGENTIC_TOKEN to try the rest."
      })
      return
    }
  }
  yield* talk(url, needsToken ? token : Option.none(), say)
})

const talk = Effect.fnUntraced(function*(url: string, token: Option.Option<Redacted.Redacted>, say: Say) {
  const fault = (check: string, remedy?: string) => (detail: string) =>
    say({ check, verdict: "fault", detail, ...(remedy === undefined ? {} : { remedy }) })
  const answered = yield* post(url, hello, { token }).pipe(
    Effect.flatMap((response) =>
      response.status === 401 || response.status === 403
        ? Effect.fail(`the token is refused: ${response.headers["www-authenticate"] ?? `status ${response.status}`}`)
        : Effect.map(expected(response, Initialized), ({ result }) => ({
          ...result,
          session: response.headers["mcp-session-id"]
        }))
    ),
    Effect.tapError(fault("handshake", "Look at the audience, the issuer, the scopes and the expiry of the token.")),
    Effect.option
  )
  if (Option.isNone(answered)) return
  const { protocolVersion, serverInfo: { name, version: release }, session } = answered.value
  yield* say({ check: "handshake", verdict: "ok", detail: `${name} ${release} speaks ${protocolVersion}` })
  const options = { token, session, version: protocolVersion }
  yield* Effect.ignore(post(url, { jsonrpc: "2.0", method: "notifications/initialized" }, options))
  yield* post(url, { jsonrpc: "2.0", id: 2, method: "tools/list", params: {} }, options).pipe(
    Effect.flatMap((response) => expected(response, Tools)),
    Effect.matchEffect({
      onFailure: fault("tools"),
      onSuccess: ({ result: { tools } }) =>
        say({
          check: "tools",
          verdict: tools.length === 0 ? "note" : "ok",
          detail: tools.length === 0 ? "none that this caller may see" : tools.map(({ name }) => name).join(", ")
        })
    })
  )
})
