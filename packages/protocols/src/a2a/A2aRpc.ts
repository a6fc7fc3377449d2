// JSON-RPC 2.0 over HTTP: one request, answered once or by a stream of answers.
import { decoder } from "@fastagentic/core/base/Validation"
import type { Caller } from "@fastagentic/core/door/Caller"
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import { internalMessage, type RunError } from "@fastagentic/core/run/RunError"
import { Cause, Effect, Option, Predicate, Schema, Stream } from "effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { bodyText, closing } from "../internal/bodyText.ts"
import type { RequestLimits } from "../internal/requestLimits.ts"
import * as A2aError from "./A2aError.ts"
import type { Call, Method, Reply, Updates } from "./A2aMethods.ts"
import { JsonRpcRequest, RequestId } from "./A2aSchema.ts"

type Failure = A2aError.A2aError | RunError

/**
 * Answers one HTTP request.
 *
 * **Details**
 *
 * The body is read after the caller is authenticated, so others learn only that credentials are required. A notification
 * is carried out and gets 204.
 */
export const handle = (
  runtime: Runtime["Service"],
  methods: ReadonlyMap<string, Method>,
  limits: Pick<RequestLimits, "bodyBytes" | "bodyMillis">
) =>
(
  request: HttpServerRequest,
  call: Call
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  const { caller } = call
  let id: RequestId | undefined = null
  const answer = Effect.gen(function*() {
    // Authenticated once for everything that the request does.
    const known = { ...call, caller: yield* runtime.authenticate(caller) }
    const json = yield* readJson(request, limits)
    id = idOf(json)
    const rpc = yield* readRequest(json)
    id = rpc.id
    yield* knownVersion(request)
    const method = methods.get(rpc.method)
    if (method === undefined) return yield* A2aError.methodNotFound(`there is no method "${rpc.method}"`)
    if (rpc.id === undefined) {
      yield* method(known, withoutWaiting(rpc.params))
      return HttpServerResponse.empty()
    }
    return respond(yield* method(known, rpc.params), rpc.id, caller)
  })
  return answer.pipe(
    Effect.catchCause((cause) => Effect.map(errorOf(cause, caller), (error) => refuse(error, id, caller)))
  )
}

const readJson = (
  request: HttpServerRequest,
  limits: Pick<RequestLimits, "bodyBytes" | "bodyMillis">
): Effect.Effect<unknown, A2aError.A2aError> => {
  if (!/^application\/(.+\+)?json *(;|$)/iu.test(request.headers["content-type"] ?? "")) {
    return Effect.fail(A2aError.notJson("the body has to be application/json"))
  }
  return bodyText(request, limits).pipe(
    Effect.mapError((unread) => {
      switch (unread) {
        case "TooLarge":
          return A2aError.bodyTooLarge(`the body is larger than ${limits.bodyBytes} bytes`)
        case "TooSlow":
          return A2aError.bodyTooSlow(`the body did not arrive within ${limits.bodyMillis} ms`, { headers: closing })
        case "Unreadable":
          return A2aError.parseError("the body could not be read")
      }
    }),
    Effect.flatMap((text) =>
      Effect.try({
        try: (): unknown => JSON.parse(text),
        catch: () => A2aError.parseError("the body is not JSON")
      })
    )
  )
}

const isId = Schema.is(RequestId)
const idOf = (json: unknown): RequestId => Predicate.hasProperty(json, "id") && isId(json.id) ? json.id : null

const decodeRequest = decoder(JsonRpcRequest, "ignore")

const readRequest = (json: unknown) =>
  Array.isArray(json)
    ? Effect.fail(A2aError.invalidRequest("batches are not served"))
    : Effect.mapError(decodeRequest(json), (error) =>
      A2aError.invalidRequest("the body is not a JSON-RPC 2.0 request", { violations: A2aError.violationsOf(error) }))

/** No version means 0.3, by the specification. */
const knownVersion = (request: HttpServerRequest) => {
  const version = request.headers["a2a-version"] || versionInQuery(request.url) || "0.3"
  return /^1\.0(\.\d+)?$/u.test(version.trim()) ? Effect.void : Effect.fail(
    A2aError.versionNotSupported(`A2A ${version} is not served, send A2A-Version: 1.0`, {
      metadata: { version, supported: "1.0" }
    })
  )
}

const versionInQuery = (url: string) => new URLSearchParams(url.split("?", 2)[1]).get("A2A-Version")

const withoutWaiting = (params: unknown) => {
  if (!Predicate.isObject(params)) return params
  const configuration = Predicate.hasProperty(params, "configuration") ? params.configuration : undefined
  return {
    ...params,
    configuration: { ...(Predicate.isObject(configuration) ? configuration : {}), returnImmediately: true }
  }
}

const respond = (reply: Reply, id: RequestId, caller: Caller) =>
  reply._tag === "Result"
    ? HttpServerResponse.jsonUnsafe({ jsonrpc: "2.0", id, result: reply.result })
    : HttpServerResponse.stream(Stream.map(frames(reply.updates, id, caller), (text) => encoder.encode(text)), {
      contentType: "text/event-stream",
      headers: { "x-accel-buffering": "no" }
    })

const encoder = new TextEncoder()

/** A stream that cannot continue ends with an error as its last event. */
const frames = (updates: Stream.Stream<Updates, Failure>, id: RequestId, caller: Caller) => {
  const prefix = `data: {"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":`
  return updates.pipe(
    Stream.map((page) => {
      if (page.length === 0) return ":\n\n"
      let text = ""
      for (const update of page) text += `${prefix}${JSON.stringify(update)}}\n\n`
      return text
    }),
    Stream.catchCause((cause) =>
      Stream.fromEffect(Effect.map(
        errorOf(cause, caller),
        (error) => `data: ${JSON.stringify(A2aError.toResponse(error, id, caller.traceId))}\n\n`
      ))
    )
  )
}

/** The error that a caller gets for a cause. */
const errorOf = (cause: Cause.Cause<Failure>, caller: Caller): Effect.Effect<A2aError.A2aError> => {
  if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  if (error !== undefined) return Effect.succeed(error._tag === "RunError" ? A2aError.fromRunError(error) : error)
  return Effect.logError("An A2A request failed unexpectedly", cause).pipe(
    Effect.annotateLogs({ traceId: caller.traceId }),
    Effect.as(A2aError.internal(internalMessage))
  )
}

const refuse = (error: A2aError.A2aError, id: RequestId | undefined, caller: Caller) => {
  const { headers } = error
  if (id === undefined) return HttpServerResponse.empty({ status: error.status === 200 ? 204 : error.status, headers })
  return HttpServerResponse.jsonUnsafe(A2aError.toResponse(error, id, caller.traceId), {
    status: error.status,
    headers
  })
}
