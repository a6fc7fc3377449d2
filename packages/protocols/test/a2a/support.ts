import { Message, SendMessageRequest, StreamResponse, Task } from "@a2a-js/sdk"
import {
  type Client,
  ClientFactory,
  ClientFactoryOptions,
  DefaultAgentCardResolver,
  JsonRpcTransportFactory
} from "@a2a-js/sdk/client"
import type { Auth } from "@fastagentic/core"
import { A2aSchema, GrpcServer } from "@fastagentic/protocols/a2a"
import { Effect, Layer, Schema } from "effect"
import { layerRuntime, mounted, serve } from "../fixture.ts"

export const start = (auth?: Layer.Layer<Auth.Auth>) => serve(mounted("a2a").pipe(Layer.provide(layerRuntime(auth))))

/** The same with gRPC on a free port of its own, which the cards name. */
export const startWithGrpc = (auth?: Layer.Layer<Auth.Auth>) =>
  serve(
    mounted("a2a").pipe(
      Layer.provide(GrpcServer.GrpcServer.layer({ port: 0 })),
      Layer.provide(layerRuntime(auth))
    )
  )

/** The SDK's client for a card; `headers` are sent with every request. */
export const connect = (url: string, path?: string, headers: Record<string, string> = {}) => {
  const fetchImpl: typeof fetch = (input, init) => {
    const all = new Headers(init?.headers)
    for (const [name, value] of Object.entries(headers)) all.set(name, value)
    return fetch(input, { ...init, headers: all })
  }
  const options = ClientFactoryOptions.createFrom(ClientFactoryOptions.default, {
    transports: [new JsonRpcTransportFactory({ fetchImpl })],
    cardResolver: new DefaultAgentCardResolver({ fetchImpl })
  })
  return Effect.promise(() => new ClientFactory(options).createFromUrl(url, path))
}

let messages = 0

export interface Options {
  readonly messageId?: string
  readonly skill?: string
  readonly taskId?: string
  readonly contextId?: string
  readonly configuration?: Record<string, unknown>
}

/** The wire form of a request that sends text, or a data part. */
export const request = (content: string | Record<string, unknown>, options: Options = {}) =>
  requestOf([typeof content === "string" ? { text: content } : { data: content }], options)

const requestOf = (parts: ReadonlyArray<Record<string, unknown>>, options: Options) => {
  const { configuration, contextId, messageId = `message-${++messages}`, skill, taskId } = options
  return {
    message: {
      messageId,
      role: "ROLE_USER",
      parts,
      ...(taskId === undefined ? {} : { taskId }),
      ...(contextId === undefined ? {} : { contextId })
    },
    ...(configuration === undefined ? {} : { configuration }),
    ...(skill === undefined ? {} : { metadata: { skillId: skill } })
  }
}

const decodeTask = Schema.decodeUnknownEffect(A2aSchema.Task)
const decodeUpdate = Schema.decodeUnknownEffect(A2aSchema.StreamResponse)

/** Sends through the SDK, and checks the answer against the schema of the wire. */
export const send = (client: Client, content: string | Record<string, unknown>, options: Options = {}) =>
  Effect.flatMap(
    Effect.promise(() => client.sendMessage(SendMessageRequest.fromJSON(request(content, options)))),
    (sent) => "messageId" in sent ? Effect.die(Message.toJSON(sent)) : decodeTask(Task.toJSON(sent))
  )

/** Sends parts through the SDK. */
export const sendParts = (client: Client, parts: ReadonlyArray<Record<string, unknown>>, options: Options = {}) =>
  Effect.flatMap(
    Effect.promise(() => client.sendMessage(SendMessageRequest.fromJSON(requestOf(parts, options)))),
    (sent) => "messageId" in sent ? Effect.die(Message.toJSON(sent)) : decodeTask(Task.toJSON(sent))
  )

export const sendPartsFails = (client: Client, parts: ReadonlyArray<Record<string, unknown>>, options: Options = {}) =>
  failing(() => client.sendMessage(SendMessageRequest.fromJSON(requestOf(parts, options))))

/** The updates of a stream that parts begin. */
export const streamParts = (client: Client, parts: ReadonlyArray<Record<string, unknown>>, options: Options = {}) =>
  Effect.flatMap(
    Effect.promise(async () => {
      const updates: Array<StreamResponse> = []
      const stream = client.sendMessageStream(SendMessageRequest.fromJSON(requestOf(parts, options)))
      for await (const update of stream) updates.push(update)
      return updates
    }),
    Effect.forEach((update) => decodeUpdate(StreamResponse.toJSON(update)))
  )

export const sendFails = (client: Client, content: string | Record<string, unknown>, options: Options = {}) =>
  failing(() => client.sendMessage(SendMessageRequest.fromJSON(request(content, options))))

/** The refusal of a call. */
export const failing = (call: () => Promise<unknown>) =>
  Effect.flip(Effect.tryPromise({
    try: call,
    catch: (error) => {
      const { data, envelopeCode = 0, message = "", name = "" } = Object(error)
      return { name, code: envelopeCode, message, data }
    }
  }))

export const getTask = (client: Client, id: string, historyLength?: number) =>
  Effect.flatMap(
    Effect.promise(() => client.getTask({ tenant: "", id, historyLength })),
    (task) => decodeTask(Task.toJSON(task))
  )

export const cancelTask = (client: Client, id: string) =>
  Effect.flatMap(
    Effect.promise(() => client.cancelTask({ tenant: "", id, metadata: undefined })),
    (task) => decodeTask(Task.toJSON(task))
  )

/** The events of a stream of the SDK, all or up to a given one. */
export const collect = (
  stream: AsyncGenerator<StreamResponse, void, undefined>,
  until: (update: A2aSchema.StreamResponse) => boolean = () => false
) =>
  Effect.gen(function*() {
    const updates: Array<A2aSchema.StreamResponse> = []
    while (true) {
      const next = yield* Effect.promise(() => stream.next())
      if (next.done === true) return updates
      const update = yield* decodeUpdate(StreamResponse.toJSON(next.value))
      updates.push(update)
      if (!until(update)) continue
      yield* Effect.promise(() => stream.return())
      return updates
    }
  })

export const sendStream = (client: Client, content: string | Record<string, unknown>, options: Options = {}) =>
  client.sendMessageStream(SendMessageRequest.fromJSON(request(content, options)))

export const subscribe = (client: Client, id: string) => client.resubscribeTask({ tenant: "", id })

/** The states that a stream goes through. */
export const states = (updates: ReadonlyArray<A2aSchema.StreamResponse>) =>
  updates.flatMap((update) => {
    if ("task" in update) return [update.task.status.state]
    return "statusUpdate" in update ? [update.statusUpdate.status.state] : []
  })

/** An artifact's text, assembled from the stream. */
export const textOf = (updates: ReadonlyArray<A2aSchema.StreamResponse>, artifactId: string) => {
  let text = ""
  for (const update of updates) {
    if ("task" in update) text = partsText(update.task.artifacts?.find((one) => one.artifactId === artifactId))
    if (!("artifactUpdate" in update) || update.artifactUpdate.artifact.artifactId !== artifactId) continue
    const { append, artifact } = update.artifactUpdate
    text = append === true ? text + partsText(artifact) : partsText(artifact)
  }
  return text
}

export const partsText = (of: { readonly parts: ReadonlyArray<A2aSchema.Part> } | undefined) =>
  of?.parts.map((part) => part.text ?? "").join("") ?? ""

/** The first task of a stream. */
export const taskOf = (updates: ReadonlyArray<A2aSchema.StreamResponse>) => {
  const [first] = updates
  if (first === undefined || !("task" in first)) throw new Error("a stream begins with its task")
  return first.task
}

/** A request without the SDK. */
export const post = (url: string, body: unknown, headers: Record<string, string> = {}) =>
  Effect.promise(() =>
    fetch(url, {
      method: "POST",
      body: typeof body === "string" ? body : JSON.stringify(body),
      headers: { "content-type": "application/json", "a2a-version": "1.0", ...headers }
    })
  )

export const json = (response: Response): Effect.Effect<Record<string, unknown>> =>
  Effect.promise(() => response.json())

const ErrorResponse = Schema.Struct({
  jsonrpc: Schema.Literal("2.0"),
  id: A2aSchema.RequestId,
  error: Schema.Struct({
    code: Schema.Int,
    message: Schema.String,
    data: Schema.Array(Schema.Struct({
      "@type": Schema.String,
      reason: Schema.optionalKey(Schema.String),
      domain: Schema.optionalKey(Schema.String),
      metadata: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
      fieldViolations: Schema.optionalKey(
        Schema.Array(Schema.Struct({ field: Schema.String, description: Schema.String }))
      )
    }))
  })
})

/** The code and reason of a refusal. */
export const refusal = (response: Response) =>
  Effect.gen(function*() {
    const { error, id } = yield* Schema.decodeUnknownEffect(ErrorResponse)(yield* json(response))
    const info = error.data.find((one) => one.reason !== undefined)
    return {
      status: response.status,
      id,
      code: error.code,
      reason: info?.reason,
      message: error.message,
      metadata: info?.metadata ?? {},
      fields: error.data.flatMap((one) => one.fieldViolations ?? []).map(({ field }) => field)
    }
  })
