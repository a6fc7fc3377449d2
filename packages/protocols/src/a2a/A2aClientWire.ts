// The face that all bindings have for A2aClient: operations of version 1.0 with their params and answers in JSON. A wire of
// version 0.3 translates at its edge.
import { type Effect, Schema, type Stream } from "effect"
import type { RemoteError } from "./A2aClientError.ts"
import type { Version } from "./A2aVersion.ts"

/** The interface of a card to which tasks are sent. An address of gRPC has the scheme https with TLS, else http. */
export const Place = Schema.Struct({
  url: Schema.String,
  binding: Schema.Literals(["JSONRPC", "HTTP+JSON", "GRPC"]),
  /** 1.0 without it. */
  version: Schema.optionalKey(Schema.Literals(["1.0", "0.3"])),
  /** Sent with every request, when the card says so. */
  tenant: Schema.optionalKey(Schema.String)
})
export type Place = typeof Place.Type

export type Params = { readonly [key: string]: Schema.Json }

export type Headers = Readonly<Record<string, string>>

export interface Wire {
  readonly call: (
    place: Place,
    name: "SendMessage" | "GetTask" | "CancelTask",
    params: Params
  ) => Effect.Effect<unknown, RemoteError>
  /** The updates of a task as they come, until the connection or the task ends. */
  readonly subscribe: (place: Place, params: Params) => Stream.Stream<unknown, RemoteError>
}

/** How long a call may take. */
export const callMillis = 30_000

/** A stream that says nothing for so long may be one that nobody writes to any more: the task is read again. */
export const idleLimit = "1 minute"

/** The largest message of a remote agent. */
export const messageBytes = 16 * 1_048_576

export const versionOf = ({ version = "1.0" }: Place): Version => version
