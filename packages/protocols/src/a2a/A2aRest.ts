// The HTTP+JSON binding: paths of version 1.0, and those of version 0.3 below `/v1`. A path and a method name an operation,
// whose params come from the path, the query and the body.
import type { Caller } from "@fastagentic/core/door/Caller"
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import { Effect, Predicate } from "effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { type BodyLimits, readJson, readOptionalJson } from "./A2aBody.ts"
import * as A2aError from "./A2aError.ts"
import type { Name, Operations } from "./A2aOperations.ts"
import * as A2aReply from "./A2aReply.ts"
import type { StreamResponse } from "./A2aSchema.ts"
import * as A2aStream from "./A2aStream.ts"
import * as A2aV03 from "./A2aV03.ts"
import * as A2aV03Proto from "./A2aV03Proto.ts"
import { notServed, type Version, versionOf } from "./A2aVersion.ts"

type Params = { readonly [name: string]: unknown }

/** How a version reads requests and writes answers, updates and errors. */
interface Wire {
  readonly send: (body: unknown) => unknown
  readonly pushConfig: (body: unknown) => unknown
  readonly answer: (answer: A2aReply.Answer) => unknown
  readonly update: (update: StreamResponse, closesWhenAsked: boolean) => unknown
  readonly error: (error: A2aError.A2aError, traceId: string) => unknown
  /** The body of the event that ends a stream with an error. */
  readonly streamError: (error: A2aError.A2aError, traceId: string) => unknown
}

const wires: { readonly [V in Version]: Wire } = {
  "1.0": {
    send: (body) => body,
    pushConfig: (body) => body,
    answer: A2aReply.toJson,
    update: (update) => update,
    error: A2aError.toStatus,
    streamError: A2aError.toStatus
  },
  "0.3": {
    send: (body) => A2aV03.toSend(body, true),
    pushConfig: A2aV03.toPushConfig,
    answer: A2aV03Proto.answer,
    update: A2aV03Proto.update,
    error: A2aV03.error,
    streamError: A2aV03.error
  }
}

/** An operation at a path and a method. */
interface Route {
  readonly name: Name
  readonly params: Params
  readonly body: "message" | "config" | "optional" | "none"
}

/** The first parts of the paths of the binding, which name no agent. */
export const isRestPath = (first: string) =>
  first === "v1" || first === "tasks" || first === "extendedAgentCard" || first.startsWith("message:")

/** Answers one request, whose path is given by its decoded parts below that of the protocol. */
export const handle = (runtime: Runtime["Service"], operations: Operations, limits: BodyLimits) =>
(
  request: HttpServerRequest,
  parts: ReadonlyArray<string>,
  call: A2aReply.Call
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  const { caller } = call
  const isV03 = parts[0] === "v1"
  const wire = wires[isV03 ? "0.3" : "1.0"]
  const answer = Effect.gen(function*() {
    const admitted = yield* runtime.authenticate(caller)
    const routes = routesOf(isV03 ? parts.slice(1) : parts, isV03)
    if (routes.size === 0) return yield* A2aError.noSuchPath("there is no operation of A2A at this path")
    const route = routes.get(request.method)
    if (route === undefined) {
      const allow = [...routes.keys()].join(", ")
      return yield* A2aError.methodNotAllowed(`this path takes ${allow}`, { headers: { allow } })
    }
    const version = yield* versionOf(request)
    if (version !== (isV03 ? "0.3" : "1.0")) return yield* notServed(version, isV03 ? "0.3" : "1.0")
    const known = { ...call, caller: admitted, version }
    const params = { ...(yield* paramsOf(request, route, wire, limits)), ...route.params }
    return respond(yield* operations[route.name](known, params), wire, request, caller)
  })
  return Effect.catchCause(
    answer,
    (cause) =>
      Effect.map(
        A2aStream.errorOf(cause, caller),
        (error) => write(wire.error(error, caller.traceId), request, { status: error.http, headers: error.headers })
      )
  )
}

/** The operations at a path by their methods. */
const routesOf = ([first = "", second, third, fourth, ...more]: ReadonlyArray<string>, isV03: boolean) => {
  const none: ReadonlyMap<string, Route> = new Map()
  const only = (...routes: ReadonlyArray<readonly [string, Route]>) => more.length > 0 ? none : new Map(routes)
  const route = (name: Name, params: Params = {}, body: Route["body"] = "none"): Route => ({ name, params, body })
  if (second === undefined) {
    switch (first) {
      case "message:send":
        return only(["POST", route("SendMessage", {}, "message")])
      case "message:stream":
        return only(["POST", route("SendStreamingMessage", {}, "message")])
      case "tasks":
        return only(["GET", route("ListTasks")])
      default:
        return first === (isV03 ? "card" : "extendedAgentCard") ? only(["GET", route("GetExtendedAgentCard")]) : none
    }
  }
  if (first !== "tasks") return none
  if (third === undefined) {
    const [, id = "", verb = ""] = /^(.*):(cancel|subscribe)$/u.exec(second) ?? []
    if (verb === "cancel") return only(["POST", route("CancelTask", { id }, "optional")])
    if (verb === "subscribe") {
      return only(["GET", route("SubscribeToTask", { id })], ["POST", route("SubscribeToTask", { id }, "optional")])
    }
    return only(["GET", route("GetTask", { id: second })])
  }
  if (third !== "pushNotificationConfigs") return none
  const taskId = second
  return fourth === undefined
    ? only(
      ["GET", route("ListTaskPushNotificationConfigs", { taskId })],
      ["POST", route("CreateTaskPushNotificationConfig", { taskId }, "config")]
    )
    : only(
      ["GET", route("GetTaskPushNotificationConfig", { taskId, id: fourth })],
      ["DELETE", route("DeleteTaskPushNotificationConfig", { taskId, id: fourth })]
    )
}

const paramsOf = (request: HttpServerRequest, { body }: Route, wire: Wire, limits: BodyLimits) => {
  switch (body) {
    case "none":
      return Effect.succeed(queryOf(request.url))
    case "optional":
      return Effect.map(readOptionalJson(request, limits), asParams)
    case "message":
      return Effect.map(readJson(request, limits), (body) => asParams(wire.send(body)))
    case "config":
      return Effect.map(readJson(request, limits), (body) => asParams(wire.pushConfig(body)))
  }
}

/** A body that is no object has none of the fields that are required. */
const asParams = (body: unknown): Params => Predicate.isObject(body) && !Array.isArray(body) ? { ...body } : {}

const queryOf = (url: string): Params => {
  const [, query = ""] = url.split("?", 2)
  return Object.fromEntries(
    [...new URLSearchParams(query)].map(([name, value]) => [name, words.has(value) ? words.get(value) : value])
  )
}

const words: ReadonlyMap<string, boolean> = new Map([["true", true], ["false", false]])

const respond = (reply: A2aReply.Reply, wire: Wire, request: HttpServerRequest, caller: Caller) => {
  if (reply._tag !== "Updates") {
    // The card of a caller is of nobody else.
    const headers = reply._tag === "Card" ? { "cache-control": "private, max-age=60" } : {}
    return write(wire.answer(reply), request, { status: 200, headers })
  }
  return A2aStream.respond(reply.updates, {
    update: (update) => `data: ${JSON.stringify(wire.update(update, reply.closesWhenAsked))}`,
    error: (error) => `event: error\ndata: ${JSON.stringify(wire.streamError(error, caller.traceId))}`
  }, caller)
}

/** The protocol's own name of JSON is for clients that ask for it; all others know the general one. */
const write = (
  body: unknown,
  { headers: { accept = "" } }: HttpServerRequest,
  options: { readonly status: number; readonly headers: Readonly<Record<string, string>> }
) =>
  HttpServerResponse.text(JSON.stringify(body), {
    ...options,
    contentType: accept.includes("application/a2a+json") ? "application/a2a+json" : "application/json"
  })
