// The gRPC binding of both versions behind the face of the other wires, by the official descriptors and the client of grpc-js.
// Requests are ProtoJSON, and answers are read back into the form of 1.0.
import {
  create,
  createFileRegistry,
  type DescMethod,
  fromBinary,
  fromJson,
  type JsonValue,
  toBinary,
  toJson
} from "@bufbuild/protobuf"
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire"
import {
  file_google_protobuf_empty,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema
} from "@bufbuild/protobuf/wkt"
import * as grpc from "@grpc/grpc-js"
import { Effect } from "effect"
import { official03, official1 } from "./officialProto.ts"
import {
  type Answered,
  fromTask,
  fromUpdate,
  type Json,
  list,
  object,
  type Operation,
  sentBy03,
  type Wire
} from "./wires.ts"

export const descriptors = {
  "1.0": fromBinary(FileDescriptorProtoSchema, Buffer.from(official1, "base64")),
  "0.3": fromBinary(FileDescriptorProtoSchema, Buffer.from(official03, "base64"))
} as const

const wellKnown = [file_google_protobuf_empty, file_google_protobuf_struct, file_google_protobuf_timestamp]
export const registryOf = (version: "1.0" | "0.3") =>
  createFileRegistry(create(FileDescriptorSetSchema, {
    file: [...wellKnown.map(({ proto }) => proto), descriptors[version]]
  }))

const methods = {
  "1.0": {
    send: "SendMessage",
    stream: "SendStreamingMessage",
    get: "GetTask",
    list: "ListTasks",
    cancel: "CancelTask",
    subscribe: "SubscribeToTask",
    card: "GetExtendedAgentCard",
    pushCreate: "CreateTaskPushNotificationConfig",
    pushGet: "GetTaskPushNotificationConfig",
    pushList: "ListTaskPushNotificationConfigs",
    pushDelete: "DeleteTaskPushNotificationConfig"
  },
  "0.3": {
    send: "SendMessage",
    stream: "SendStreamingMessage",
    get: "GetTask",
    list: "",
    cancel: "CancelTask",
    subscribe: "TaskSubscription",
    card: "GetAgentCard",
    pushCreate: "CreateTaskPushNotificationConfig",
    pushGet: "GetTaskPushNotificationConfig",
    pushList: "ListTaskPushNotificationConfig",
    pushDelete: "DeleteTaskPushNotificationConfig"
  }
} as const

type Call = keyof typeof methods["1.0"]

/** Enums that the descriptors do not know are numbers of no meaning on the wire. */
const encodable = (call: Call, params: Json): Json => {
  const { message, status } = params
  const role = object(message)["role"]
  return {
    ...params,
    ...(call === "list" && typeof status === "string" && !status.startsWith("TASK_STATE_") ? { status: 99 } : {}),
    ...(role === undefined || String(role).startsWith("ROLE_") ? {} : { message: { ...object(message), role: 99 } })
  }
}

const paramsOf = (version: "1.0" | "0.3", call: Call, given: Json): Json => {
  const params = encodable(call, given)
  if (version === "1.0") return params
  const { authentication, historyLength, id, taskId, ...config } = params
  switch (call) {
    case "send":
    case "stream":
      return sentBy03(params, true)
    case "pushCreate": {
      const { credentials, scheme } = object(authentication)
      const auth = authentication === undefined ? {} : { authentication: { schemes: [scheme], credentials } }
      return {
        parent: `tasks/${String(taskId)}`,
        ...(id === undefined ? {} : { configId: id }),
        config: { pushNotificationConfig: { ...config, ...auth } }
      }
    }
    case "pushGet":
    case "pushDelete":
      return { name: `tasks/${String(taskId)}/pushNotificationConfigs/${String(id)}` }
    case "pushList":
      return { parent: `tasks/${String(taskId)}` }
    case "card":
    case "list":
      return {}
    default:
      return { name: `tasks/${String(id)}`, ...(historyLength === undefined ? {} : { historyLength }) }
  }
}

/** The address of gRPC, and the agent that is called, as the cards say them. */
const placeOf = (url: string) =>
  Effect.promise(async () => {
    const [origin = "", agent] = url.split("/a2a")
    const at = `${origin}${agent ? `/a2a${agent}` : ""}/.well-known/agent-card.json`
    const card: unknown = await (await fetch(at)).json()
    const { tenant, url: address } = list(object(card)["supportedInterfaces"]).map(object)
      .find(({ protocolBinding }) => protocolBinding === "GRPC") ?? {}
    return { address: String(address), tenant: typeof tenant === "string" ? { tenant } : {} }
  })

const metadataOf = (version: string, headers: Record<string, string>) => {
  const metadata = new grpc.Metadata()
  if (version === "1.0") metadata.set("a2a-version", "1.0")
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value)
  return metadata
}

/** The status of HTTP that says the same; tests of all bindings compare it. */
const statuses: Partial<Record<grpc.status, number>> = {
  [grpc.status.UNAUTHENTICATED]: 401,
  [grpc.status.PERMISSION_DENIED]: 403,
  [grpc.status.NOT_FOUND]: 404,
  [grpc.status.ALREADY_EXISTS]: 409,
  [grpc.status.RESOURCE_EXHAUSTED]: 429,
  [grpc.status.UNAVAILABLE]: 503
}

/** The values of a field of text or bytes in a message. */
const fieldsOf = (bytes: Uint8Array, wanted: number): ReadonlyArray<Buffer> => {
  const reader = new BinaryReader(bytes)
  const found: Array<Buffer> = []
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    if (field === wanted && type === WireType.LengthDelimited) found.push(Buffer.from(reader.bytes()))
    else reader.skip(type)
  }
  return found
}

/** `ErrorInfo.reason` and the fields of `BadRequest`, by their numbers. */
const detailsOf = (error: grpc.ServiceError) => {
  const [bytes] = error.metadata.get("grpc-status-details-bin")
  const status = bytes instanceof Buffer ? bytes : Buffer.alloc(0)
  const detail = (type: string) =>
    fieldsOf(status, 3).filter((any) => String(fieldsOf(any, 1)[0]) === `type.googleapis.com/google.rpc.${type}`)
      .flatMap((any) => fieldsOf(any, 2))
  return {
    text: status.toString("utf8"),
    reason: detail("ErrorInfo").flatMap((info) => fieldsOf(info, 1)).join(),
    fields: detail("BadRequest").flatMap((bad) => fieldsOf(bad, 1)).flatMap((one) => fieldsOf(one, 1)).map(String)
  }
}

const refusalOf = (error: grpc.ServiceError): Answered => {
  const { fields, reason, text } = detailsOf(error)
  const headers = new Headers()
  for (const [name, value] of Object.entries(error.metadata.getMap())) {
    if (typeof value === "string") headers.set(name, value)
  }
  return {
    status: statuses[error.code] ?? 400,
    headers,
    json: { message: error.details, details: text },
    result: undefined,
    error: { code: error.code, reason, fields }
  }
}

export const grpcWire = (version: "1.0" | "0.3"): Wire => {
  const registry = registryOf(version)
  const service = registry.getService(version === "1.0" ? "lf.a2a.v1.A2AService" : "a2a.v1.A2AService")
  const methodOf = (call: Call): DescMethod => {
    const method = service?.methods.find(({ name }) => name === methods[version][call])
    if (method === undefined) throw new Error(`gRPC ${version} has no ${call}`)
    return method
  }
  const open = (url: string, call: Call, params: Json) =>
    Effect.map(placeOf(url), ({ address, tenant }) => {
      const { input, name, output, parent } = methodOf(call)
      const json = { ...paramsOf(version, call, params), ...tenant }
      // cast: tests give JSON.
      const bytes = Buffer.from(toBinary(input, fromJson(input, json as JsonValue)))
      return {
        client: new grpc.Client(address, grpc.credentials.createInsecure()),
        path: `/${parent.typeName}/${name}`,
        bytes,
        read: (message: Buffer): Json => object(toJson(output, fromBinary(output, message)))
      }
    })
  const result = (operation: Operation, json: Json) => {
    if (operation === "list") return { tasks: [], nextPageToken: "", totalSize: 0, ...json }
    const task = json["task"] ?? json
    if (["send", "get", "cancel"].includes(operation)) return version === "1.0" ? task : fromTask(task)
    return json
  }
  return {
    name: `gRPC ${version}`,
    version,
    binding: "gRPC",
    call: (url, operation, params, headers = {}) =>
      Effect.flatMap(
        open(url, operation, params),
        ({ bytes, client, path, read }) =>
          Effect.callback<Answered>((resume) => {
            let initial = new grpc.Metadata()
            const unary = client.makeUnaryRequest(
              path,
              (message: Buffer) => message,
              (message: Buffer) => message,
              bytes,
              metadataOf(version, headers),
              (error, message) => {
                client.close()
                if (error !== null) return resume(Effect.succeed(refusalOf(error)))
                const json = read(message ?? Buffer.alloc(0))
                const entries = Object.entries(initial.getMap()).map(([name, value]) => [name, String(value)] as const)
                resume(Effect.succeed({
                  status: 200,
                  headers: new Headers(Object.fromEntries(entries)),
                  json,
                  result: result(operation, json),
                  error: undefined
                }))
              }
            )
            unary.on("metadata", (metadata: grpc.Metadata) => {
              initial = metadata
            })
          })
      ),
    stream: (url, operation, params, headers = {}) =>
      Effect.map(open(url, operation === "send" ? "stream" : "subscribe", params), ({ bytes, client, path, read }) => {
        const stream = client.makeServerStreamRequest(
          path,
          (message: Buffer) => message,
          (message: Buffer) => message,
          bytes,
          metadataOf(version, headers)
        )
        let failed: grpc.ServiceError | undefined
        let hasBegun = false
        stream.on("error", (error: grpc.ServiceError) => {
          failed = error
          client.close()
        })
        stream.on("end", () => client.close())
        const all = stream[Symbol.asyncIterator]()
        const next = async () => {
          const one = await all.next().catch(() => undefined)
          if (one?.value === undefined) {
            if (failed !== undefined && hasBegun && failed.code !== grpc.status.CANCELLED) throw failed
            return undefined
          }
          hasBegun = true
          const json = read(one.value)
          return { id: undefined, data: version === "1.0" ? json : fromUpdate(json) }
        }
        return { stream, next, failure: () => failed }
      }).pipe(Effect.flatMap(({ failure, next, stream }) =>
        Effect.promise(async () => {
          const first = await next()
          const error = failure()
          const waiting = first === undefined ? [] : [first]
          const one = async () => waiting.shift() ?? await next()
          return {
            response: new Response(null),
            refused: first === undefined && error !== undefined ? refusalOf(error) : undefined,
            events: {
              next: Effect.promise(one),
              rest: Effect.promise(async () => {
                const found = []
                for (let each = await one(); each !== undefined; each = await one()) found.push(each)
                return found
              }),
              close: Effect.sync(() => stream.cancel())
            }
          }
        })
      ))
  }
}

export const grpcWires: ReadonlyArray<Wire> = [grpcWire("1.0"), grpcWire("0.3")]
