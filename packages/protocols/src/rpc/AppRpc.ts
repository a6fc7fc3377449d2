/**
 * The app as a group of effect/rpc: agents, tools, resources, prompts, runs and threads, typed by the declarations alone.
 *
 * @since 0.1.0
 */
import type * as Agent from "@fastagentic/core/app/Agent"
import type * as App from "@fastagentic/core/app/App"
import type * as PromptTemplate from "@fastagentic/core/app/PromptTemplate"
import type * as Resource from "@fastagentic/core/app/Resource"
import { Runtime } from "@fastagentic/core/operations/Runtime"
import * as Credentials from "@fastagentic/core/run/Credentials"
import * as Event from "@fastagentic/core/run/Event"
import { Effect, Layer, Redacted, Schema } from "effect"
import type * as Tool from "effect/ai/Tool"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcGroup from "effect/rpc/RpcGroup"
import type * as RpcSchema from "effect/rpc/RpcSchema"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Socket from "effect/socket/Socket"
import { ClientError, RunSuspended } from "../http/ClientError.ts"
import * as Schemas from "../http/Schemas.ts"
import * as RpcHandlers from "./RpcHandlers.ts"
import * as RpcOperations from "./RpcOperations.ts"

/** A schema with all that effect/rpc asks of one. @category utility types @since 0.1.0 */
export type Full<S extends Schema.Constraint> = S extends Schema.Top ? S : Schema.Codec<S["Type"], S["Encoded"]>

/** The errors of a call that waits: its own, a run that waits for decisions, all others. @category models @since 0.1.0 */
export type CallError<E extends Schema.Constraint> = Schema.Union<
  readonly [Full<E>, typeof RunSuspended, typeof ClientError]
>

/** The errors of a stream, and of what is read. @category models @since 0.1.0 */
export type ReadError<E extends Schema.Constraint> = Schema.Union<readonly [Full<E>, typeof ClientError]>

/** The three calls of an agent: for its answer, for its events, and without waiting. @category models @since 0.1.0 */
export type OfAgent<A extends Agent.Any> = A extends Agent.Any ?
    | Rpc.Rpc<
      `agents/${A["identifier"]}`,
      Full<A["payloadSchema"]>,
      Full<A["successSchema"]>,
      CallError<A["errorSchema"]>
    >
    | Rpc.Rpc<
      `agents/${A["identifier"]}/stream`,
      Full<A["payloadSchema"]>,
      RpcSchema.Stream<typeof Event.RunEvent, ReadError<A["errorSchema"]>>
    >
    | Rpc.Rpc<`agents/${A["identifier"]}/runs`, Full<A["payloadSchema"]>, typeof Schemas.Run, typeof ClientError>
  : never

/** @category models @since 0.1.0 */
export type OfTool<T extends Tool.Any> = T extends Tool.Any ? Rpc.Rpc<
    `tools/${T["name"]}`,
    Full<T["parametersSchema"]>,
    Full<T["successSchema"]>,
    CallError<T["failureSchema"]>
  >
  : never

/** @category models @since 0.1.0 */
export type OfResource<R extends Resource.Any> = R extends Resource.Any ? Rpc.Rpc<
    `resources/${R["identifier"]}`,
    Full<R["paramsSchema"]>,
    Full<R["successSchema"]>,
    ReadError<R["errorSchema"]>
  >
  : never

/** @category models @since 0.1.0 */
export type OfPrompt<P extends PromptTemplate.Any> = P extends PromptTemplate.Any ? Rpc.Rpc<
    `prompts/${P["identifier"]}`,
    Full<P["paramsSchema"]>,
    typeof Messages,
    typeof ClientError
  >
  : never

/** All calls of an app. @category models @since 0.1.0 */
export type OfApp<A extends App.Any> =
  | OfAgent<A["agents"][number]>
  | OfTool<A["tools"]["tools"][keyof A["tools"]["tools"]]>
  | OfResource<A["resources"][number]>
  | OfPrompt<A["prompts"][number]>
  | typeof RpcOperations.all[number]

const Messages = Schema.Array(
  Schema.Struct({ role: Schema.Literals(["user", "assistant"]), text: Schema.String })
)

/**
 * The group of an app, for the clients of effect/rpc.
 *
 * **Details**
 *
 * The headers of a call are those of REST: `idempotency-key`, `x-thread-id`, `x-timeout`, and also `x-priority` and
 * `x-start-at`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A extends App.Any>(app: A): RpcGroup.RpcGroup<OfApp<A>> => {
  const group = RpcGroup.make(
    ...app.agents.flatMap(ofAgent),
    ...Object.values(app.tools.tools).map(ofTool),
    ...app.resources.map(({ errorSchema, identifier, paramsSchema, successSchema }) =>
      Rpc.make(`resources/${identifier}`, {
        payload: full(paramsSchema),
        success: full(successSchema),
        error: Schema.Union([full(errorSchema), ClientError])
      })
    ),
    ...app.prompts.map(({ identifier, paramsSchema }) =>
      Rpc.make(`prompts/${identifier}`, { payload: full(paramsSchema), success: Messages, error: ClientError })
    ),
    ...RpcOperations.all
  )
  // cast: the declarations are erased here; each call has the schemas that its type is made of.
  return group as unknown as RpcGroup.RpcGroup<OfApp<A>>
}

const ofAgent = ({ errorSchema, identifier, payloadSchema, successSchema }: Agent.Any) => {
  const payload = full(payloadSchema)
  const error = full(errorSchema)
  return [
    Rpc.make(`agents/${identifier}`, {
      payload,
      success: full(successSchema),
      error: Schema.Union([error, RunSuspended, ClientError])
    }),
    Rpc.make(`agents/${identifier}/stream`, {
      payload,
      success: Event.RunEvent,
      error: Schema.Union([error, ClientError]),
      stream: true
    }),
    Rpc.make(`agents/${identifier}/runs`, { payload, success: Schemas.Run, error: ClientError })
  ]
}

const ofTool = ({ failureSchema, name, parametersSchema, successSchema }: Tool.Any) =>
  Rpc.make(`tools/${name}`, {
    payload: full(parametersSchema),
    success: full(successSchema),
    error: Schema.Union([full(failureSchema), RunSuspended, ClientError])
  })

// Declarations take schemas without services only.
const full = (schema: Schema.Constraint) => Schema.make<Schema.Codec<unknown>>(schema.ast)

/**
 * Serves the calls of an app over any protocol of effect/rpc, such as that of a worker. `Mount` serves them at `/rpc`.
 *
 * **Details**
 *
 * Each call passes the door; its caller's credentials are in the headers of the call.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerServer: Layer.Layer<never, never, Runtime | RpcServer.Protocol> = Layer.unwrap(
  Effect.map(Runtime, (runtime) => {
    const { group, handlers } = RpcHandlers.serve(runtime)
    return Layer.provide(RpcServer.layer(group, { disableTracing: true }), handlers)
  })
)

/** The address of the app and the caller's credentials. @category models @since 0.1.0 */
export interface ClientOptions {
  readonly url: string
  readonly credentials?: Credentials.Credentials
}

const addressOf = (url: string) => `${url.replace(/\/+$/u, "")}/rpc`

/**
 * The connection of a client of effect/rpc to a served app: one request for each call.
 *
 * **Example** (A typed client)
 *
 * ```ts fragment
 * const client = yield* RpcClient.make(AppRpc.make(Shop))
 * const answer = yield* client["agents/support"]({ message: "Where is order 1042?" })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerHttp = (
  { credentials = Credentials.none, url }: ClientOptions
): Layer.Layer<RpcClient.Protocol, never, HttpClient.HttpClient> =>
  RpcClient.layerProtocolHttp({ url: addressOf(url) }).pipe(
    Layer.provide([
      RpcSerialization.layerNdjson,
      Layer.effect(
        HttpClient.HttpClient,
        Effect.map(
          HttpClient.HttpClient,
          (client) =>
            HttpClient.filterStatusOk(
              HttpClient.mapRequest(client, HttpClientRequest.setHeaders(headersOf(credentials)))
            )
        )
      )
    ])
  )

const headersOf = ({ apiKey, bearer }: Credentials.Credentials): Record<string, string> => ({
  ...(bearer === undefined ? {} : { authorization: `Bearer ${Redacted.value(bearer)}` }),
  ...(apiKey === undefined ? {} : { "x-api-key": Redacted.value(apiKey) })
})

/**
 * The same over one WebSocket, which is opened again when it breaks. Its credentials are those of the handshake, which the
 * constructor of the WebSocket sends; pages of browsers cannot send any.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWebSocket = (
  { url }: Pick<ClientOptions, "url">
): Layer.Layer<RpcClient.Protocol, never, Socket.WebSocketConstructor> =>
  RpcClient.layerProtocolSocket().pipe(
    Layer.provide([Socket.layerWebSocket(addressOf(url).replace(/^http/u, "ws")), RpcSerialization.layerNdjson])
  )
