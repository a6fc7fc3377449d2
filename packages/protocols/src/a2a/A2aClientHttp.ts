// The wires of HTTP for the client of remote agents: JSON-RPC and HTTP+JSON, both versions. A2aClient calls it; the `HttpClient`
// decides which networks are reached.
import { Effect, Predicate, Schema, Stream } from "effect"
import * as Sse from "effect/encoding/Sse"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import {
  certificateProblemIn,
  certificateRefused,
  egressRefused,
  notA2a,
  refusalIn,
  type RemoteError,
  RemoteRefused,
  textOf,
  unavailable
} from "./A2aClientError.ts"
import * as A2aClientV03 from "./A2aClientV03.ts"
import {
  callMillis,
  type Headers,
  idleLimit,
  messageBytes,
  type Params,
  type Place,
  versionOf,
  type Wire
} from "./A2aClientWire.ts"

export const make = (client: HttpClient.HttpClient, headers: Effect.Effect<Headers, RemoteError>) => {
  const call = (request: HttpClientRequest.HttpClientRequest, version = "1.0") =>
    Effect.flatMap(headers, (headers) => exchange(HttpClientRequest.setHeaders(request, headers), version))

  /** The JSON of an answer; without the credentials of the remote agent. */
  const exchange = Effect.fnUntraced(function*(request: HttpClientRequest.HttpClientRequest, version = "1.0") {
    const sent = request.pipe(
      HttpClientRequest.setHeaders({
        accept: version === "1.0" ? "application/a2a+json, application/json" : "application/json",
        ...(version === "1.0" ? { "a2a-version": "1.0" } : {})
      })
    )
    const { status, text } = yield* client.execute(sent).pipe(
      Effect.flatMap((response) => Effect.map(response.text, (text) => ({ status: response.status, text }))),
      Effect.timeout(callMillis),
      Effect.mapError((error) => failureOf(error, "it gives no answer"))
    )
    const json = yield* Effect.try({ try: (): unknown => JSON.parse(text), catch: () => noJson(status) })
    const error = Predicate.hasProperty(json, "error") ? json.error : undefined
    if ((error === undefined || error === null) && status < 300) return json
    return yield* refusalOf(status, error ?? json)
  })

  const events = Effect.fnUntraced(function*(request: HttpClientRequest.HttpClientRequest, version: string) {
    const sent = request.pipe(
      HttpClientRequest.setHeaders({
        accept: "text/event-stream",
        ...(version === "1.0" ? { "a2a-version": "1.0" } : {})
      }),
      HttpClientRequest.setHeaders(yield* headers)
    )
    const broken = (error: unknown) => failureOf(error, "its stream broke off")
    const response = yield* client.execute(sent).pipe(Effect.timeout(callMillis), Effect.mapError(broken))
    if (response.headers["content-type"]?.startsWith("text/event-stream") !== true) {
      return yield* new RemoteRefused({ code: "NO_STREAM", message: "it streams no updates of this task" })
    }
    return response.stream.pipe(
      Stream.decodeText(),
      Stream.pipeThroughChannel(Sse.decode({ maxEventSize: messageBytes })),
      Stream.timeout(idleLimit),
      Stream.mapError(broken),
      Stream.mapEffect(({ data }) => Effect.try({ try: (): unknown => JSON.parse(data), catch: broken }))
    )
  })

  const rpcRequest = (place: Place, name: keyof typeof A2aClientV03.methods, given: Params) => {
    const { tenant, url } = place
    const is03 = versionOf(place) === "0.3"
    const params = is03
      ? name === "SendMessage" ? A2aClientV03.toRpc(given) : given
      : tenant === undefined
      ? given
      : { ...given, tenant }
    const method = is03 ? A2aClientV03.methods[name] : name
    return HttpClientRequest.post(url).pipe(HttpClientRequest.bodyJsonUnsafe({ jsonrpc: "2.0", id: 1, method, params }))
  }

  const rpc: Wire = {
    call: (place, name, given) =>
      Effect.map(
        call(rpcRequest(place, name, given), versionOf(place)),
        (json) => answerOf(place, name, Predicate.hasProperty(json, "result") ? json.result : undefined)
      ),
    subscribe: (place, given) =>
      Stream.unwrap(events(rpcRequest(place, "SubscribeToTask", given), versionOf(place))).pipe(
        Stream.map((json) => updateOf(place, Predicate.hasProperty(json, "result") ? json.result : json))
      )
  }

  /** The address of HTTP+JSON, where the tenant is a part of the path. */
  const base = (place: Place) => {
    const url = place.url.replace(/\/+$/u, "")
    if (versionOf(place) === "0.3") return url.endsWith("/v1") ? url : `${url}/v1`
    return place.tenant === undefined ? url : `${url}/${encodeURIComponent(place.tenant)}`
  }
  const task = (place: Place, { id }: Params) => `${base(place)}/tasks/${encodeURIComponent(String(id))}`

  const restRequest = (place: Place, name: "SendMessage" | "GetTask" | "CancelTask", given: Params) => {
    if (name === "GetTask") {
      return HttpClientRequest.get(`${task(place, given)}?historyLength=${given["historyLength"]}`)
    }
    if (name === "CancelTask") {
      return HttpClientRequest.post(`${task(place, given)}:cancel`).pipe(HttpClientRequest.bodyJsonUnsafe({}))
    }
    const body = versionOf(place) === "0.3" ? A2aClientV03.toProto(given) : given
    return HttpClientRequest.post(`${base(place)}/message:send`).pipe(HttpClientRequest.bodyJsonUnsafe(body))
  }

  const rest: Wire = {
    call: (place, name, given) =>
      Effect.map(
        call(restRequest(place, name, given), versionOf(place)),
        (json) => answerOf(place, name, json)
      ),
    subscribe: (place, given) =>
      Stream.unwrap(events(HttpClientRequest.get(`${task(place, given)}:subscribe`), versionOf(place))).pipe(
        Stream.map((json) => updateOf(place, json))
      )
  }

  return { call, exchange, rpc, rest }
}

/** The answer of an operation in version 1.0. */
export const answerOf = (place: Place, name: string, json: unknown): unknown =>
  versionOf(place) === "1.0" ? json : name === "SendMessage" ? A2aClientV03.sentOf(json) : A2aClientV03.taskOf(json)

export const updateOf = (place: Place, json: unknown): unknown =>
  versionOf(place) === "1.0" ? json : A2aClientV03.updateOf(json)

/** An address that egress refuses is refused the next time too; one that takes too long may be reached. */
const failureOf = (error: unknown, otherwise: string): RemoteError => {
  const problem = certificateProblemIn(error)
  if (problem !== undefined) return certificateRefused(problem)
  const refusal = refusalIn(error)
  return refusal === undefined || refusal.rule === "time"
    ? unavailable(otherwise)
    : egressRefused(`${refusal.reason} (rule ${refusal.rule})`, refusal.rule)
}

/** A server that is busy, starts or is away may answer otherwise later. */
const mayChange = (status: number) => status >= 500 || status === 408 || status === 425 || status === 429

const noJson = (status: number): RemoteError => {
  const message = `it answers ${status} without JSON`
  return mayChange(status)
    ? unavailable(message)
    : status < 300
    ? notA2a(message)
    : refused(String(status), message, status)
}

const refused = (code: string, message: string, status: number) =>
  new RemoteRefused({ code, message, ...(status === 401 ? { unauthorized: true } : {}) })

const Problem = Schema.Struct({
  code: Schema.optionalKey(Schema.Unknown),
  message: Schema.optionalKey(Schema.Unknown),
  details: Schema.optionalKey(Schema.Unknown),
  data: Schema.optionalKey(Schema.Unknown)
})
const isProblem = Schema.is(Problem)

/** Refusals that another try may change are like no answer. Version 0.3 says its reason beside the code. */
const refusalOf = (status: number, error: unknown): Effect.Effect<never, RemoteError> => {
  const { code, data, details, message }: typeof Problem.Type = isProblem(error) ? error : {}
  const info = [details, data].flatMap((list: unknown) => Array.isArray(list) ? list : [list]).find((one: unknown) =>
    Predicate.hasProperty(one, "reason")
  )
  const reason = Predicate.hasProperty(info, "reason") ? String(info.reason) : String(code ?? status)
  const text = typeof message === "string" ? textOf(message) : `it answers ${status}`
  return Effect.fail(mayChange(status) || code === -32603 ? unavailable(text) : refused(reason, text, status))
}
