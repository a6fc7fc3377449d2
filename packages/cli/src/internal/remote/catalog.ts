// The field of an agent's payload that a message fills, as the server says it: `chat` asks once.
import { Effect, Option, Redacted, Schema } from "effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Server from "./server.ts"

const Chat = Schema.Union([
  Schema.Struct({
    field: Schema.String,
    takes: Schema.Literals(["text", "content"]),
    requires: Schema.Array(Schema.String)
  }),
  Schema.Struct({ problem: Schema.String })
])

const Catalog = Schema.Struct({
  items: Schema.Array(Schema.Struct({ identifier: Schema.String, chat: Chat }))
})
const Problem = Schema.Struct({ title: Schema.String, detail: Schema.optionalKey(Schema.String) })

export const chatOf = Effect.fnUntraced(function*(server: Server.Server, agent: string) {
  const { token, url } = server
  const client = yield* HttpClient.HttpClient
  const refused = (problem: string) => new Server.NotDone({ problem })
  const request = HttpClientRequest.get(`${url.replace(/\/+$/u, "")}/agents`)
  const response = yield* client.execute(
    Option.isNone(token) ? request : HttpClientRequest.bearerToken(request, Redacted.value(token.value))
  ).pipe(Effect.mapError(() => refused(`no answer from ${Server.placeOf(url)}`)))
  const json = yield* Effect.mapError(response.json, () => refused(`an answer that is no JSON (${response.status})`))
  if (response.status !== 200) {
    const problem = Option.getOrUndefined(Schema.decodeUnknownOption(Problem)(json))
    return yield* refused(problem?.detail ?? problem?.title ?? `status ${response.status}`)
  }
  const { items } = yield* Effect.mapError(
    Schema.decodeUnknownEffect(Catalog)(json),
    () => refused("the server has no list of agents that this version knows")
  )
  const found = items.find(({ identifier }) => identifier === agent)
  if (found === undefined) {
    const names = items.map(({ identifier }) => identifier).join(", ")
    return yield* refused(`there is no agent "${agent}"; there is ${names === "" ? "none" : names}`)
  }
  return "problem" in found.chat ? yield* refused(found.chat.problem) : found.chat
})
