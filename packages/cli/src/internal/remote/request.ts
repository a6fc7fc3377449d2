// Requests of commands that no typed client has: JSON in and out, refusals and silence as one line.
import { Effect, Option, Redacted, Schema } from "effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Server from "./server.ts"

const Problem = Schema.Struct({ title: Schema.String, detail: Schema.optionalKey(Schema.String) })

/** A refusal of JSON-RPC. */
const RpcProblem = Schema.Struct({ error: Schema.Struct({ message: Schema.String }) })

const decode = Schema.decodeEffect(Schema.fromJsonString(Schema.Json))

/** The answer itself, or the last message of a stream that ends with it, as MCP may answer. */
const dataOf = (type: string, text: string) =>
  type.startsWith("text/event-stream") ? [...text.matchAll(/^data: ?(.*)$/gmu)].at(-1)?.[1] ?? "" : text

export interface Request {
  readonly path: string
  /** The JSON of a `POST`; a `GET` without it. */
  readonly body?: Schema.Json
  readonly headers?: Readonly<Record<string, string>>
}

/** The JSON of a 2xx answer. */
export const json = Effect.fnUntraced(function*(server: Server.Server, { body, headers = {}, path }: Request) {
  const { token, url } = server
  const client = yield* HttpClient.HttpClient
  const refused = (problem: string) => new Server.NotDone({ problem })
  if (!URL.canParse(url)) return yield* refused("--url is no URL")
  const bare = HttpClientRequest.make(body === undefined ? "GET" : "POST")(`${url.replace(/\/+$/u, "")}${path}`, {
    headers: {
      ...headers,
      ...(Option.isNone(token) ? {} : { authorization: `Bearer ${Redacted.value(token.value)}` })
    }
  })
  const response = yield* client.execute(body === undefined ? bare : HttpClientRequest.bodyJsonUnsafe(bare, body)).pipe(
    Effect.mapError(() => refused(`no answer from ${Server.placeOf(url)}`))
  )
  const answer = yield* response.text.pipe(
    Effect.flatMap((text) => decode(dataOf(response.headers["content-type"] ?? "", text))),
    Effect.mapError(() => refused(`an answer that is no JSON (${response.status})`))
  )
  if (response.status >= 200 && response.status < 300) return answer
  const problem = Option.getOrUndefined(Schema.decodeUnknownOption(Problem)(answer))
  const rpc = Option.getOrUndefined(Schema.decodeUnknownOption(RpcProblem)(answer))
  return yield* refused(problem?.detail ?? problem?.title ?? rpc?.error.message ?? `status ${response.status}`)
})
