// A client of A2A for A2aRemote and AgentRegistry: reads a card, chooses an interface of it, and sends, reads, follows and cancels
// tasks over its binding. It knows version 1.0 alone; the wires translate.
import { decoder } from "@fastagentic/core/base/Validation"
import { Effect, Option, Predicate, Schema, Stream } from "effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { notA2a, type RemoteError, RemoteRefused } from "./A2aClientError.ts"
import type { Connections } from "./A2aClientGrpc.ts"
import * as A2aClientHttp from "./A2aClientHttp.ts"
import type { Headers, Place, Wire } from "./A2aClientWire.ts"
import * as A2aInterfaces from "./A2aInterfaces.ts"
import { type Message, Part, type TaskPushNotificationConfig, TaskStatus } from "./A2aSchema.ts"
import * as A2aVerify from "./A2aVerify.ts"

/** The keys of which one has to have signed a card, or the address of their JSON Web Key Set. */
export type Keys = string | ReadonlyArray<A2aVerify.PublicKey>

/** The card at an address that is known already. */
export type KnownCard = (url: string) => Effect.Effect<object | undefined>

export type A2aClient = ReturnType<typeof make>

export const make = (
  client: HttpClient.HttpClient,
  { connections, headers, keys, known = () => Effect.undefined, origins, unauthorized }: {
    readonly headers: Effect.Effect<Headers, RemoteError>
    /** Asked when credentials were refused: whether the headers are others now, so that the request may be sent again. */
    readonly unauthorized?: Effect.Effect<boolean, RemoteError> | undefined
    /** The origins besides that of the card that its interfaces may have. */
    readonly origins: ReadonlyArray<string>
    /** The keys of cards; without them a card is taken as its server gives it. */
    readonly keys?: Keys | undefined
    readonly known?: KnownCard | undefined
    /** The connections of gRPC; interfaces of gRPC are passed over without them. */
    readonly connections?: Connections | undefined
  }
) => {
  const http = A2aClientHttp.make(client, headers)
  const grpc: Effect.Effect<Wire, RemoteRefused> = connections === undefined
    ? Effect.fail(new RemoteRefused({ code: "NO_GRPC", message: "gRPC is not used here" }))
    : connections(headers)

  const wireOf = ({ binding }: Place): Effect.Effect<Wire, RemoteRefused> =>
    binding === "GRPC" ? grpc : Effect.succeed(binding === "JSONRPC" ? http.rpc : http.rest)

  const keySet = Effect.suspend(() =>
    typeof keys === "string"
      // The keys may be those of a third party, which gets no credentials.
      ? Effect.map(
        Effect.flatMap(http.exchange(HttpClientRequest.get(keys)), decodeWith(decodeKeys, "key set")),
        ({ keys }) => keys.flatMap((key) => Option.toArray(decodeKey(key)))
      )
      : Effect.succeed(keys ?? [])
  )

  /** The JSON of the card at an address, signed by one of the keys where there are any. */
  const card = Effect.fnUntraced(function*(at: string): Effect.fn.Return<object, RemoteError> {
    const json = yield* http.call(HttpClientRequest.get(at))
    if (!Predicate.isObject(json)) return yield* notA2a("its card is no object")
    if (keys !== undefined && !(yield* A2aVerify.isSigned(json, yield* keySet))) {
      const message = "its card has no signature by a key that is trusted"
      return yield* new RemoteRefused({ code: "CARD_NOT_SIGNED", message })
    }
    return json
  })

  /** The card at an address: the one that is known already, or that its server gives. */
  const cardAt = (at: string): Effect.Effect<object, RemoteError> =>
    Effect.flatMap(known(at), (json) => json === undefined ? card(at) : Effect.succeed(json))

  /** The resource of which an address is a part (RFC 9728), where its server names one. It never is one of another server. */
  const resourceOf = Effect.fnUntraced(function*(at: string): Effect.fn.Return<string | undefined, RemoteError> {
    const { origin, pathname } = new URL(at)
    for (const path of new Set([pathname.replace(/\/+$/u, ""), ""])) {
      const json = yield* Effect.catchTag(
        http.exchange(HttpClientRequest.get(`${origin}/.well-known/oauth-protected-resource${path}`)),
        "RemoteRefused",
        () => Effect.undefined
      )
      const { resource } = Option.getOrElse(decodeResource(json), () => ({ resource: "" }))
      const isOfServer = URL.canParse(resource) && new URL(resource).origin === origin
      if (isOfServer && (at === resource || at.startsWith(resource.replace(/\/*$/u, "/")))) return resource
    }
    return undefined
  })

  /** The interface of a card that is called, and whether its agent notifies of tasks. */
  const resolve = Effect.fnUntraced(function*(at: string, wanted: Place["binding"] | undefined) {
    const read = yield* decodeWith(A2aInterfaces.decodeCard, "card")(yield* cardAt(at))
    const allowed = new Set([at, ...origins].flatMap((url) => URL.canParse(url) ? [new URL(url).origin] : []))
    const notifies = read.capabilities?.pushNotifications === true
    if (wanted === undefined) {
      const place = yield* A2aInterfaces.choose(read, allowed, ["JSONRPC", "HTTP+JSON", "GRPC"])
      if (place.binding !== "GRPC" || (yield* Effect.isSuccess(grpc))) return { place, notifies }
    }
    if (wanted === "GRPC") yield* grpc
    const bindings = wanted === undefined ? ["JSONRPC", "HTTP+JSON"] as const : [wanted]
    return { place: yield* A2aInterfaces.choose(read, allowed, bindings), notifies }
  })

  const call: Wire["call"] = (place, name, params) => {
    const sent = Effect.flatMap(wireOf(place), (wire) => wire.call(place, name, params))
    return unauthorized === undefined ? sent : Effect.catchIf(
      sent,
      (error) => error._tag === "RemoteRefused" && error.unauthorized === true,
      (error) => Effect.flatMap(unauthorized, (isOther) => isOther ? sent : Effect.fail(error))
    )
  }

  const send = (
    place: Place,
    message: Message,
    skillId: string | undefined,
    push?: TaskPushNotificationConfig | undefined
  ) =>
    call(place, "SendMessage", {
      message,
      configuration: {
        returnImmediately: true,
        historyLength: 0,
        ...(push === undefined ? {} : { taskPushNotificationConfig: push })
      },
      ...(skillId === undefined ? {} : { metadata: { skillId } })
    }).pipe(Effect.flatMap(decodeWith(decodeSent, "answer")))

  const get = (place: Place, id: string) =>
    Effect.flatMap(call(place, "GetTask", { id, historyLength: 0 }), decodeWith(decodeTask, "task"))

  const cancel = (place: Place, id: string) => call(place, "CancelTask", { id })

  /** The updates of a task as they come, until the connection or the task ends. */
  const updates = (place: Place, id: string): Stream.Stream<RemoteUpdate, RemoteError> =>
    Stream.unwrap(Effect.map(wireOf(place), (wire) => wire.subscribe(place, { id }))).pipe(
      Stream.mapEffect(decodeWith(decodeUpdate, "update"))
    )

  return { card, cardAt, resourceOf, resolve, send, get, cancel, updates }
}

/** The parts of a task that are read: servers of others leave out fields that this one always has. */
const RemoteArtifact = Schema.Struct({
  artifactId: Schema.String,
  name: Schema.optionalKey(Schema.String),
  parts: Schema.Array(Part)
})
export type RemoteArtifact = typeof RemoteArtifact.Type

const RemoteStatus = Schema.Struct({
  state: TaskStatus.fields.state,
  message: Schema.optionalKey(Schema.Struct({ messageId: Schema.String, parts: Schema.Array(Part) }))
})
export type RemoteStatus = typeof RemoteStatus.Type

const RemoteTask = Schema.Struct({
  id: Schema.NonEmptyString,
  status: RemoteStatus,
  artifacts: Schema.optionalKey(Schema.Array(RemoteArtifact))
})
export type RemoteTask = typeof RemoteTask.Type

/** A direct message is an answer without a task. */
const RemoteMessage = Schema.Struct({ parts: Schema.Array(Part) })

const RemoteSent = Schema.Union([Schema.Struct({ task: RemoteTask }), Schema.Struct({ message: RemoteMessage })])
export type RemoteSent = typeof RemoteSent.Type

const RemoteUpdate = Schema.Union([
  ...RemoteSent.members,
  Schema.Struct({ statusUpdate: Schema.Struct({ status: RemoteStatus }) }),
  Schema.Struct({
    artifactUpdate: Schema.Struct({
      artifact: RemoteArtifact,
      append: Schema.optionalKey(Schema.Boolean),
      lastChunk: Schema.optionalKey(Schema.Boolean)
    })
  })
])
export type RemoteUpdate = typeof RemoteUpdate.Type

const decodeResource = Schema.decodeUnknownOption(Schema.Struct({ resource: Schema.String }))
const decodeKeys = decoder(Schema.Struct({ keys: Schema.Array(Schema.Unknown) }), "ignore")
/** Keys of other kinds are not used. */
const decodeKey = Schema.decodeUnknownOption(A2aVerify.PublicKey)
const decodeTask = decoder(RemoteTask, "ignore")
const decodeUpdate = decoder(RemoteUpdate, "ignore")
const decodeSent = decoder(RemoteSent, "ignore")

const decodeWith =
  <A>(decode: (json: unknown) => Effect.Effect<A, Schema.SchemaError>, what: string) => (json: unknown) =>
    Effect.mapError(decode(json), () => notA2a(`its ${what} is not of A2A`))
