// The wire of gRPC for the client of remote agents, both versions. A connection goes to an address that `HostLookup` has given for
// its host, and is kept for the next call. A2aRemote makes one for each remote agent where the packages of gRPC are installed.
import { HostLookup, type Lookup } from "@fastagentic/core/base/HostLookup"
import type { CallOptions, Client, Metadata, ServiceError } from "@grpc/grpc-js"
import { Effect, Predicate, RcMap, type Scope, Stream } from "effect"
import { lookup as systemLookup } from "node:dns/promises"
import { isIPv6 } from "node:net"
import { createSecureContext } from "node:tls"
import {
  certificateRefused,
  egressRefused,
  notA2a,
  type RemoteError,
  RemoteRefused,
  textOf,
  unavailable
} from "./A2aClientError.ts"
import { answerOf, updateOf } from "./A2aClientHttp.ts"
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
import type { Method } from "./grpc/codec.ts"
import * as GrpcLibrary from "./grpc/library.ts"

/** Connections of gRPC, which live as long as the scope. */
export type Connections = (headers: Effect.Effect<Headers, RemoteError>) => Effect.Effect<Wire, RemoteRefused>

export const make: Effect.Effect<Connections, never, Scope.Scope> = Effect.gen(function*() {
  const lookup = (yield* HostLookup) ?? anyAddress
  // Most remote agents are called over HTTP: the packages are loaded for the first that is not.
  const opened = yield* Effect.cached(Effect.mapError(GrpcLibrary.load, notInstalled))
  const clients = yield* RcMap.make({
    lookup: (url: string) =>
      Effect.acquireRelease(
        Effect.flatMap(opened, (library) => connect(library, lookup, new URL(url))),
        (client) => Effect.sync(() => client.close())
      ),
    idleTimeToLive: "1 minute"
  })
  return Effect.fnUntraced(function*(headers) {
    const library = yield* opened
    return wireOf(library, headers, (url, use) =>
      RcMap.get(clients, url).pipe(
        Effect.flatMap(use),
        // The name may lead elsewhere by the next try.
        Effect.tapError((error) => error._tag === "RemoteUnavailable" ? RcMap.invalidate(clients, url) : Effect.void)
      ))
  })
})

type With = <A>(
  url: string,
  use: (client: Client) => Effect.Effect<A, RemoteError>
) => Effect.Effect<A, RemoteError, Scope.Scope>

const wireOf = (
  { codec, grpc }: GrpcLibrary.GrpcLibrary,
  headers: Effect.Effect<Headers, RemoteError>,
  withClient: With
): Wire => {
  const methodOf = (place: Place, name: string): Method => {
    const version = versionOf(place)
    const found = codec.methods.find((method) => method.name === name && method.version === version)
    if (found === undefined) throw new Error(`there is no operation ${name} in version ${version}`)
    return found
  }

  const metadataOf = (place: Place, headers: Headers): Metadata => {
    const metadata = new grpc.Metadata()
    for (const [name, value] of Object.entries(headers)) {
      if (!ofTransport.has(name.toLowerCase())) metadata.set(name, value)
    }
    if (versionOf(place) === "1.0") metadata.set("a2a-version", "1.0")
    return metadata
  }

  const failureOf = (error: unknown): RemoteError => {
    if (!isServiceError(error)) return unavailable("its stream broke off")
    const details = error.metadata?.get("grpc-status-details-bin")[0]
    const reason = Buffer.isBuffer(details) ? codec.reasonOf(details) : undefined
    const name = grpc.status[error.code] ?? "UNKNOWN"
    const text = textOf(error.details || `it answers ${name}`)
    if (name === "UNAVAILABLE" && certificateProblem.test(error.details)) return certificateRefused(text)
    return mayChange(name, reason) && !error.details.startsWith("Received message larger than max")
      ? unavailable(text)
      : new RemoteRefused({
        code: reason ?? name,
        message: text,
        ...(name === "UNAUTHENTICATED" ? { unauthorized: true } : {})
      })
  }

  const read = (method: Method, bytes: Uint8Array) =>
    Effect.try({ try: () => method.readAnswer(bytes), catch: () => notA2a("its answer is not of A2A") })

  return {
    call: (place, name, params) =>
      Effect.scoped(Effect.gen(function*() {
        const metadata = metadataOf(place, yield* headers)
        const method = methodOf(place, name)
        const bytes = yield* withClient(place.url, (client) =>
          Effect.callback<Uint8Array, RemoteError>((resume) => {
            const options: CallOptions = { deadline: Date.now() + callMillis }
            const request = bytesOf(method.writeRequest(paramsOf(place, name, params)))
            const call = client.makeUnaryRequest(
              method.path,
              bytesOf,
              (answer): Uint8Array => answer,
              request,
              metadata,
              options,
              (error, answer) =>
                resume(
                  error === null
                    ? Effect.succeed(answer ?? new Uint8Array())
                    : Effect.fail(failureOf(error))
                )
            )
            return Effect.sync(() => call.cancel())
          }))
        return answerOf(place, name, yield* read(method, bytes))
      })),
    subscribe: (place, params) =>
      Stream.unwrap(Effect.gen(function*() {
        const metadata = metadataOf(place, yield* headers)
        const method = methodOf(place, "SubscribeToTask")
        const request = bytesOf(method.writeRequest(paramsOf(place, "SubscribeToTask", params)))
        const call = yield* withClient(place.url, (client) =>
          Effect.sync(() =>
            client.makeServerStreamRequest(
              method.path,
              bytesOf,
              (answer): Uint8Array => answer,
              request,
              metadata
            )
          ))
        yield* Effect.addFinalizer(() => Effect.sync(() => call.cancel()))
        return Stream.fromAsyncIterable<Uint8Array, RemoteError>(call, failureOf).pipe(
          Stream.timeout(idleLimit),
          Stream.mapEffect((bytes) => Effect.map(read(method, bytes), (json) => updateOf(place, json)))
        )
      }))
  }
}

const paramsOf = (place: Place, name: string, params: Params): unknown => {
  const { tenant } = place
  if (versionOf(place) === "1.0") return tenant === undefined ? params : { ...params, tenant }
  if (name === "SendMessage") return A2aClientV03.toProto(params)
  const { historyLength, id } = params
  return { name: `tasks/${String(id)}`, ...(name === "GetTask" ? { historyLength } : {}) }
}

const connect = Effect.fnUntraced(function*(
  { grpc }: GrpcLibrary.GrpcLibrary,
  lookup: Lookup,
  { host, hostname, port, protocol }: URL
): Effect.fn.Return<Client, RemoteError> {
  const name = hostname.replace(/^\[(.*)\]$/u, "$1")
  const addresses = yield* Effect.mapError(lookup(name), ({ message, rule }) => egressRefused(message, rule))
  if (addresses.length === 0) return yield* unavailable("its host is not known")
  const isTls = protocol === "https:"
  // The roots are those of Node, as for every other connection of this process.
  return new grpc.Client(
    targetOf(addresses, port || (isTls ? "443" : "80")),
    isTls ? grpc.credentials.createFromSecureContext(createSecureContext()) : grpc.credentials.createInsecure(),
    {
      "grpc.default_authority": host,
      ...(isTls ? { "grpc.ssl_target_name_override": name } : {}),
      // The addresses were checked: a proxy of the environment would reach others.
      "grpc.enable_http_proxy": 0,
      "grpc.service_config_disable_resolution": 1,
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_retries": 0,
      "grpc.enable_channelz": 0,
      "grpc.max_receive_message_length": messageBytes,
      "grpc.max_send_message_length": -1
    }
  )
})

/** One family is tried: addresses of both cannot be in one target. */
const targetOf = (addresses: ReadonlyArray<string>, port: string) => {
  const v4 = addresses.filter((address) => !isIPv6(address))
  return v4.length > 0
    ? `ipv4:${v4.map((address) => `${address}:${port}`).join(",")}`
    : `ipv6:${addresses.map((address) => `[${address}]:${port}`).join(",")}`
}

const anyAddress: Lookup = (hostname) =>
  Effect.tryPromise(() => systemLookup(hostname, { all: true })).pipe(
    Effect.map((answers) => answers.map(({ address }) => address)),
    Effect.orElseSucceed(() => [])
  )

const notInstalled = (name: string) =>
  new RemoteRefused({
    code: "NO_GRPC",
    message: `install @grpc/grpc-js and @bufbuild/protobuf to call it over gRPC; ${name} cannot be loaded`
  })

/** Headers of HTTP that gRPC makes itself, or that it has no use for. */
const ofTransport: ReadonlySet<string> = new Set([
  "host",
  "connection",
  "content-type",
  "content-length",
  "te",
  "accept"
])

/** The statuses of a server that is away or busy. A budget or a size is the same at the next try. */
const mayChange = (status: string, reason: string | undefined) =>
  status === "RESOURCE_EXHAUSTED" ? reason === undefined || reason === "RATE_LIMITED" : passing.has(status)

const passing: ReadonlySet<string> = new Set([
  "UNAVAILABLE",
  "DEADLINE_EXCEEDED",
  "INTERNAL",
  "UNKNOWN",
  "CANCELLED",
  "ABORTED",
  "DATA_LOSS"
])

/** The library gives the problem of a connection as a text alone. */
const certificateProblem = /^No connection established\b.*\bcertificate/isu

const isServiceError = (error: unknown): error is ServiceError =>
  Predicate.hasProperty(error, "code") && typeof error.code === "number" && Predicate.hasProperty(error, "details")

const bytesOf = (message: Uint8Array) => Buffer.from(message.buffer, message.byteOffset, message.byteLength)
