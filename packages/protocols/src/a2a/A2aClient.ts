// A client of A2A 1.0 for A2aRemote: reads a card, and sends, reads and cancels tasks over JSON-RPC or HTTP+JSON. Answers are
// decoded by the schemas of the server, and what a remote agent says about an error is passed on as its text alone.
import { decoder } from "@fastagentic/core/base/Validation"
import { Effect, Option, Predicate, Schema, Stream } from "effect"
import * as Sse from "effect/encoding/Sse"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { Artifact, type Message, StreamResponse, Task } from "./A2aSchema.ts"
import * as A2aVerify from "./A2aVerify.ts"

/** The remote agent could not be reached, or answered with something else than A2A: it may do so later. */
export class RemoteUnavailable extends Schema.TaggedError<RemoteUnavailable>()("RemoteUnavailable", {
  message: Schema.String
}) {}

/** The remote agent refused a call for good. */
export class RemoteRefused extends Schema.TaggedError<RemoteRefused>()("RemoteRefused", {
  code: Schema.String,
  message: Schema.String
}) {}

export type RemoteError = RemoteUnavailable | RemoteRefused

/** The interface of a card to which tasks are sent. */
export const Place = Schema.Struct({
  url: Schema.String,
  binding: Schema.Literals(["JSONRPC", "HTTP+JSON"]),
  /** Sent with every request, when the card says so. */
  tenant: Schema.optionalKey(Schema.String)
})
export type Place = typeof Place.Type

export type Headers = Readonly<Record<string, string>>

/** The keys of which one has to have signed a card, or the address of their JSON Web Key Set. */
export type Keys = string | ReadonlyArray<A2aVerify.PublicKey>

/** The card at an address that is known already. */
export type KnownCard = (url: string) => Effect.Effect<object | undefined>

const limit = "30 seconds"
/** A stream that says nothing for so long may be one that nobody writes to any more: the task is read again. */
const idleLimit = "1 minute"

export type A2aClient = ReturnType<typeof make>

export const make = (
  client: HttpClient.HttpClient,
  { headers, keys, known = () => Effect.undefined, origins }: {
    readonly headers: Effect.Effect<Headers>
    /** The origins besides that of the card that its interfaces may have. */
    readonly origins: ReadonlyArray<string>
    /** The keys of cards; without them a card is taken as its server gives it. */
    readonly keys?: Keys | undefined
    readonly known?: KnownCard | undefined
  }
) => {
  const call = (request: HttpClientRequest.HttpClientRequest) =>
    Effect.flatMap(headers, (headers) => exchange(HttpClientRequest.setHeaders(request, headers)))

  const exchange = Effect.fnUntraced(function*(request: HttpClientRequest.HttpClientRequest) {
    const sent = request.pipe(
      HttpClientRequest.setHeaders({ accept: "application/a2a+json, application/json", "a2a-version": "1.0" })
    )
    const { status, text } = yield* client.execute(sent).pipe(
      Effect.flatMap((response) => Effect.map(response.text, (text) => ({ status: response.status, text }))),
      Effect.timeout(limit),
      Effect.mapError(() => unavailable("it gives no answer"))
    )
    const json = yield* Effect.try({
      try: (): unknown => JSON.parse(text),
      catch: () => unavailable(`it answers ${status} without JSON`)
    })
    const error = Predicate.hasProperty(json, "error") ? json.error : undefined
    if (error === undefined && status < 400) return json
    return yield* refusalOf(status, error)
  })

  const keySet = Effect.suspend(() =>
    typeof keys === "string"
      // The keys may be those of a third party, which gets no credentials.
      ? Effect.map(
        Effect.flatMap(exchange(HttpClientRequest.get(keys)), decodeWith(decodeKeys, "key set")),
        ({ keys }) => keys.flatMap((key) => Option.toArray(decodeKey(key)))
      )
      : Effect.succeed(keys ?? [])
  )

  /** The JSON of the card at an address, signed by one of the keys where there are any. */
  const card = Effect.fnUntraced(function*(at: string): Effect.fn.Return<object, RemoteError> {
    const json = yield* call(HttpClientRequest.get(at))
    if (!Predicate.isObject(json)) return yield* unavailable("its card is no object")
    if (keys !== undefined && !(yield* A2aVerify.isSigned(json, yield* keySet))) {
      const message = "its card has no signature by a key that is trusted"
      return yield* new RemoteRefused({ code: "CARD_NOT_SIGNED", message })
    }
    return json
  })

  /** The first interface of a card that this client speaks. Requests have credentials, so a card names no other server. */
  const resolve = Effect.fnUntraced(function*(at: string): Effect.fn.Return<Place, RemoteError> {
    const read = yield* decodeWith(decodeCard, "card")((yield* known(at)) ?? (yield* card(at)))
    const allowed = new Set([at, ...origins].flatMap((url) => URL.canParse(url) ? [new URL(url).origin] : []))
    let elsewhere: string | undefined
    for (const { protocolBinding, protocolVersion, tenant = "", url } of read.supportedInterfaces) {
      if (!protocolVersion.startsWith("1.") || !URL.canParse(url)) continue
      if (protocolBinding !== "JSONRPC" && protocolBinding !== "HTTP+JSON") continue
      const { origin } = new URL(url)
      if (allowed.has(origin)) return { url, binding: protocolBinding, ...(tenant === "" ? {} : { tenant }) }
      elsewhere ??= origin
    }
    if (elsewhere !== undefined) {
      const message = `its card names another server, ${elsewhere}, which is not one of the origins that are allowed`
      return yield* new RemoteRefused({ code: "OTHER_ORIGIN", message })
    }
    return yield* new RemoteRefused({
      code: "NO_INTERFACE",
      message: "its card offers no A2A 1.0 over JSON-RPC or HTTP+JSON"
    })
  })

  const rpc = ({ tenant, url }: Place, method: string, given: { readonly [key: string]: Schema.Json }) => {
    const params = tenant === undefined ? given : { ...given, tenant }
    return Effect.map(
      call(
        HttpClientRequest.post(url).pipe(HttpClientRequest.bodyJsonUnsafe({ jsonrpc: "2.0", id: 1, method, params }))
      ),
      (json) => Predicate.hasProperty(json, "result") ? json.result : undefined
    )
  }

  /** The address of HTTP+JSON, where the tenant is a part of the path. */
  const base = ({ tenant, url }: Place) => tenant === undefined ? url : `${url}/${encodeURIComponent(tenant)}`

  const send = (place: Place, message: Message, skillId: string | undefined) => {
    const params = {
      message,
      configuration: { returnImmediately: true, historyLength: 0 },
      ...(skillId === undefined ? {} : { metadata: { skillId } })
    }
    const sent = place.binding === "JSONRPC"
      ? rpc(place, "SendMessage", params)
      : call(HttpClientRequest.post(`${base(place)}/message:send`).pipe(HttpClientRequest.bodyJsonUnsafe(params)))
    return Effect.flatMap(sent, decodeWith(decodeSent, "answer"))
  }

  const get = (place: Place, id: string) =>
    Effect.flatMap(
      place.binding === "JSONRPC"
        ? rpc(place, "GetTask", { id, historyLength: 0 })
        : call(HttpClientRequest.get(`${base(place)}/tasks/${encodeURIComponent(id)}?historyLength=0`)),
      decodeWith(decodeTask, "task")
    )

  const cancel = (place: Place, id: string) =>
    place.binding === "JSONRPC"
      ? rpc(place, "CancelTask", { id })
      : call(HttpClientRequest.post(`${base(place)}/tasks/${encodeURIComponent(id)}:cancel`))

  /** The updates of a task as they come, until the connection or the task ends. */
  const updates = (place: Place, id: string): Stream.Stream<StreamResponse, RemoteError> =>
    Stream.unwrap(Effect.gen(function*() {
      const request = place.binding === "JSONRPC"
        ? HttpClientRequest.post(place.url).pipe(HttpClientRequest.bodyJsonUnsafe({
          jsonrpc: "2.0",
          id: 1,
          method: "SubscribeToTask",
          params: place.tenant === undefined ? { id } : { id, tenant: place.tenant }
        }))
        : HttpClientRequest.get(`${base(place)}/tasks/${encodeURIComponent(id)}:subscribe`)
      const sent = request.pipe(
        HttpClientRequest.setHeaders({ accept: "text/event-stream", "a2a-version": "1.0" }),
        HttpClientRequest.setHeaders(yield* headers)
      )
      const broken = () => unavailable("its stream broke off")
      const response = yield* client.execute(sent).pipe(Effect.timeout(limit), Effect.mapError(broken))
      if (response.headers["content-type"]?.startsWith("text/event-stream") !== true) {
        return yield* new RemoteRefused({ code: "NO_STREAM", message: "it streams no updates of this task" })
      }
      return response.stream.pipe(
        Stream.decodeText(),
        Stream.pipeThroughChannel(Sse.decode({ maxEventSize: 16 * 1_048_576 })),
        Stream.timeout(idleLimit),
        Stream.mapError(broken),
        Stream.mapEffect(({ data }) =>
          Effect.flatMap(
            Effect.try({ try: (): unknown => JSON.parse(data), catch: broken }),
            (json) => decodeWith(decodeUpdate, "update")(Predicate.hasProperty(json, "result") ? json.result : json)
          )
        )
      )
    }))

  return { card, resolve, send, get, cancel, updates }
}

/** The parts of a card that this client uses: all others may be of any form. */
const decodeCard = decoder(
  Schema.Struct({
    supportedInterfaces: Schema.Array(Schema.Struct({
      url: Schema.String,
      protocolBinding: Schema.String,
      protocolVersion: Schema.String,
      tenant: Schema.optionalKey(Schema.String)
    }))
  }),
  "ignore"
)
const decodeKeys = decoder(Schema.Struct({ keys: Schema.Array(Schema.Unknown) }), "ignore")
/** Keys of other kinds are not used. */
const decodeKey = Schema.decodeUnknownOption(A2aVerify.PublicKey)
const decodeTask = decoder(Task, "ignore")
const decodeUpdate = decoder(StreamResponse, "ignore")
/** A direct message is an answer without a task. */
const decodeSent = decoder(
  Schema.Union([
    Schema.Struct({ task: Task }),
    Schema.Struct({ message: Schema.Struct({ parts: Artifact.fields.parts }) })
  ]),
  "ignore"
)

const decodeWith =
  <A>(decode: (json: unknown) => Effect.Effect<A, Schema.SchemaError>, what: string) => (json: unknown) =>
    Effect.mapError(decode(json), () => unavailable(`its ${what} is not A2A 1.0`))

const unavailable = (message: string) => new RemoteUnavailable({ message })

/** Refusals that another try may change are like no answer. */
const refusalOf = (status: number, error: unknown): Effect.Effect<never, RemoteError> => {
  const { code, details, data, message } = Predicate.isObject(error) ? { ...emptyError, ...error } : emptyError
  const info = [details, data].flatMap((list: unknown) => Array.isArray(list) ? list : []).find((one: unknown) =>
    Predicate.hasProperty(one, "reason")
  )
  const reason = Predicate.hasProperty(info, "reason") ? String(info.reason) : String(code ?? status)
  const text = typeof message === "string" ? message.slice(0, 500) : `it answers ${status}`
  return status === 429 || status >= 500 || code === -32603
    ? Effect.fail(unavailable(text))
    : Effect.fail(new RemoteRefused({ code: reason, message: text }))
}

const emptyError: Readonly<Record<"code" | "details" | "data" | "message", unknown>> = {
  code: undefined,
  details: undefined,
  data: undefined,
  message: undefined
}
