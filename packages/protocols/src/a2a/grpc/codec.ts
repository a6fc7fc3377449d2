// The wire of gRPC: messages of both versions of A2A from and to their JSON, and statuses with details. Operations know JSON
// alone, so gRPC adds no second form of them.
import type { DescMessage, JsonValue } from "@bufbuild/protobuf"
import { Predicate } from "effect"
import { type Name, names } from "../A2aOperations.ts"
import type { Version } from "../A2aVersion.ts"
import { parseProto } from "./parseProto.ts"
import { protoRpc } from "./protoRpc.ts"
import { protoV03 } from "./protoV03.ts"
import { protoV1 } from "./protoV1.ts"

/** The library that the codecs are made with; it is an optional peer. */
export interface Library {
  readonly protobuf: typeof import("@bufbuild/protobuf")
  readonly wkt: typeof import("@bufbuild/protobuf/wkt")
}

/** A method of a service, with the codecs of its messages. */
export interface Method {
  readonly version: Version
  readonly name: Name
  /** The path of its requests, such as `/lf.a2a.v1.A2AService/GetTask`. */
  readonly path: string
  readonly read: (bytes: Uint8Array) => unknown
  readonly write: (json: unknown) => Uint8Array
  /** The other side of both, for a client. */
  readonly writeRequest: (json: unknown) => Uint8Array
  readonly readAnswer: (bytes: Uint8Array) => unknown
}

export interface Codec {
  readonly methods: ReadonlyArray<Method>
  /** The bytes of a status with details, for `grpc-status-details-bin`. */
  readonly status: (status: {
    readonly code: number
    readonly message: string
    readonly details: ReadonlyArray<unknown>
  }) => Uint8Array
  /** The reason of the `ErrorInfo` of a status of others, whose other details may be of any type. */
  readonly reasonOf: (status: Uint8Array) => string | undefined
}

const services = [["1.0", "lf.a2a.v1.A2AService"], ["0.3", "a2a.v1.A2AService"]] as const

const namesOfV03: ReadonlyMap<string, Name> = new Map<string, Name>([
  ["TaskSubscription", "SubscribeToTask"],
  ["ListTaskPushNotificationConfig", "ListTaskPushNotificationConfigs"],
  ["GetAgentCard", "GetExtendedAgentCard"]
])

const nameOf = (method: string): Name => {
  const name = namesOfV03.get(method) ?? names.find((one) => one === method)
  if (name === undefined) throw new Error(`there is no operation "${method}"`)
  return name
}

/** A text without halves of characters. */
const unicode = (text: string) => text.replaceAll(/\p{Surrogate}/gu, "\ufffd")

/** The same JSON with texts that are Unicode. */
const wellFormed = (json: unknown): unknown => {
  if (typeof json === "string") return unicode(json)
  if (Array.isArray(json)) return json.map(wellFormed)
  if (!Predicate.isObject(json)) return json
  return Object.fromEntries(Object.entries(json).map(([key, value]) => [unicode(key), wellFormed(value)]))
}

export const make = ({ protobuf, wkt }: Library): Codec => {
  const { create, createFileRegistry, fromBinary, fromJson, toBinary, toJson } = protobuf
  const known = [
    wkt.file_google_protobuf_struct,
    wkt.file_google_protobuf_timestamp,
    wkt.file_google_protobuf_duration,
    wkt.file_google_protobuf_any,
    wkt.file_google_protobuf_empty
  ]
  const registry = createFileRegistry(
    ...[["a2a.proto", protoV1], ["a2a_v0_3.proto", protoV03], ["rpc.proto", protoRpc]].map(([name = "", text = ""]) =>
      createFileRegistry(
        create(wkt.FileDescriptorProtoSchema, parseProto(name, text, known.map(({ proto }) => proto.name))),
        (wanted) => known.find(({ proto }) => proto.name === wanted)
      )
    )
  )
  const messageOf = (schema: DescMessage, json: unknown) =>
    // cast: the JSON of answers is made here; what is not JSON of the message is refused by the library.
    fromJson(schema, json as JsonValue, { ignoreUnknownFields: true, registry })
  const write = (schema: DescMessage) => (json: unknown) => {
    try {
      return toBinary(schema, messageOf(schema, json))
    } catch {
      // Halves of characters, which JSON can say, are no text of protocol buffers.
      return toBinary(schema, messageOf(schema, wellFormed(json)))
    }
  }
  const methods = services.flatMap(([version, typeName]) =>
    (registry.getService(typeName)?.methods ?? []).map(({ input, name, output }): Method => ({
      version,
      name: nameOf(name),
      path: `/${typeName}/${name}`,
      read: (bytes) => toJson(input, fromBinary(input, bytes, { readUnknownFields: false })),
      write: write(output),
      writeRequest: write(input),
      // Fields that a message has by default are there: an answer is read like the JSON of the other bindings.
      readAnswer: (bytes) =>
        toJson(output, fromBinary(output, bytes, { readUnknownFields: false }), { alwaysEmitImplicit: true })
    }))
  )
  const rpc = (name: string) => {
    const message = registry.getMessage(`google.rpc.${name}`)
    if (message === undefined) throw new Error(`google.rpc.${name} is missing`)
    return message
  }
  const [status, opaque, info] = [rpc("Status"), rpc("OpaqueStatus"), rpc("ErrorInfo")]
  const jsonOf = (schema: DescMessage, bytes: Uint8Array): unknown => toJson(schema, fromBinary(schema, bytes))
  const reasonOf = (bytes: Uint8Array): string | undefined => {
    try {
      const found = jsonOf(opaque, bytes)
      const details: unknown = Predicate.hasProperty(found, "details") ? found.details : []
      for (const one of Array.isArray(details) ? details : []) {
        if (!String(Object(one).typeUrl).endsWith("/google.rpc.ErrorInfo")) continue
        const read = jsonOf(info, Buffer.from(String(Object(one).value ?? ""), "base64"))
        if (Predicate.hasProperty(read, "reason")) return String(read.reason)
      }
    } catch {
      // Details that are no status say nothing.
    }
    return undefined
  }
  return { methods, status: write(status), reasonOf }
}
