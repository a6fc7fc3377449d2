// JSON-RPC 2.0 over HTTP, of versions 1.0 and 0.3: one request, answered once or by a stream of answers.
import { decoder } from "@fastagentic/core/base/Validation"
import type { Caller } from "@fastagentic/core/door/Caller"
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import { Effect, Predicate, Schema } from "effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { type BodyLimits, readJson } from "./A2aBody.ts"
import * as A2aError from "./A2aError.ts"
import { type Name, names, type Operations } from "./A2aOperations.ts"
import * as A2aReply from "./A2aReply.ts"
import { JsonRpcRequest, RequestId, type StreamResponse } from "./A2aSchema.ts"
import * as A2aStream from "./A2aStream.ts"
import * as A2aV03 from "./A2aV03.ts"
import { type Version, versionOf } from "./A2aVersion.ts"

/** How a version names the operations and writes answers, updates and errors. */
interface Wire {
  readonly method: (name: string) => { readonly name: Name; readonly params: (params: unknown) => unknown } | undefined
  readonly unknown: string
  readonly answer: (answer: A2aReply.Answer) => unknown
  readonly update: (update: StreamResponse, closesWhenAsked: boolean) => unknown
  readonly error: (error: A2aError.A2aError, id: RequestId, traceId: string) => unknown
}

/**
 * Answers one HTTP request.
 *
 * **Details**
 *
 * The body is read after the caller is authenticated, so others learn only that credentials are required. A notification
 * is carried out and gets 204.
 */
export const handle = (runtime: Runtime["Service"], operations: Operations, limits: BodyLimits) => {
  const wires: { readonly [V in Version]: Wire } = {
    "1.0": {
      method: (method) => methods.get(method),
      unknown: "in A2A 1.0",
      answer: A2aReply.toJson,
      update: (update) => update,
      error: A2aError.toResponse
    },
    "0.3": {
      method: (method) => A2aV03.methods.get(method),
      unknown: "in A2A 0.3, which a request without the header A2A-Version speaks",
      answer: A2aV03.answer,
      update: A2aV03.update,
      error: (error, id, traceId) => ({ jsonrpc: "2.0", id, error: A2aV03.error(error, traceId) })
    }
  }
  return (request: HttpServerRequest, call: A2aReply.Call): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
    const { caller } = call
    let id: RequestId | undefined = null
    let wire = wires["1.0"]
    const answer = Effect.gen(function*() {
      // Authenticated once for everything that the request does.
      const admitted = yield* runtime.authenticate(caller)
      const json = yield* readJson(request, limits)
      id = idOf(json)
      const rpc = yield* readRequest(json)
      id = rpc.id
      const version = yield* versionOf(request)
      wire = wires[version]
      const method = wire.method(rpc.method)
      if (method === undefined) {
        return yield* A2aError.methodNotFound(`there is no method "${rpc.method}" ${wire.unknown}`)
      }
      const operation = operations[method.name]
      const known = { ...call, caller: admitted, version }
      const params = method.params(rpc.params)
      if (rpc.id === undefined) {
        yield* operation(known, withoutWaiting(params))
        return HttpServerResponse.empty()
      }
      return respond(yield* operation(known, params), rpc.id, wire, caller)
    })
    return answer.pipe(
      Effect.catchCause((cause) =>
        Effect.map(A2aStream.errorOf(cause, caller), (error) => refuse(error, id, wire, caller))
      )
    )
  }
}

const methods: ReadonlyMap<string, NonNullable<ReturnType<Wire["method"]>>> = new Map(
  names.map((name) => [name, { name, params: (params) => params }])
)

const isId = Schema.is(RequestId)
const idOf = (json: unknown): RequestId => Predicate.hasProperty(json, "id") && isId(json.id) ? json.id : null

const decodeRequest = decoder(JsonRpcRequest, "ignore")

const readRequest = (json: unknown) =>
  Array.isArray(json)
    ? Effect.fail(A2aError.invalidRequest("batches are not served"))
    : Effect.mapError(decodeRequest(json), (error) =>
      A2aError.invalidRequest("the body is not a JSON-RPC 2.0 request", { violations: A2aError.violationsOf(error) }))

const withoutWaiting = (params: unknown) => {
  if (!Predicate.isObject(params)) return params
  const configuration = Predicate.hasProperty(params, "configuration") ? params.configuration : undefined
  return {
    ...params,
    configuration: { ...(Predicate.isObject(configuration) ? configuration : {}), returnImmediately: true }
  }
}

const respond = (reply: A2aReply.Reply, id: RequestId, wire: Wire, caller: Caller) => {
  if (reply._tag !== "Updates") {
    return HttpServerResponse.jsonUnsafe({ jsonrpc: "2.0", id, result: wire.answer(reply) })
  }
  const prefix = `data: {"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":`
  return A2aStream.respond(reply.updates, {
    update: (update) => `${prefix}${JSON.stringify(wire.update(update, reply.closesWhenAsked))}}`,
    error: (error) => `data: ${JSON.stringify(wire.error(error, id, caller.traceId))}`
  }, caller)
}

const refuse = (error: A2aError.A2aError, id: RequestId | undefined, wire: Wire, caller: Caller) => {
  const { headers } = error
  if (id === undefined) return HttpServerResponse.empty({ status: error.status === 200 ? 204 : error.status, headers })
  return HttpServerResponse.jsonUnsafe(wire.error(error, id, caller.traceId), { status: error.status, headers })
}
