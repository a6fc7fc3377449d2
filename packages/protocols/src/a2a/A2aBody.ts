// Reads the JSON body of a request of A2A within its limits; both bindings call it once the caller is known.
import { Effect } from "effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import { bodyText, closing } from "../internal/bodyText.ts"
import type { RequestLimits } from "../internal/requestLimits.ts"
import * as A2aError from "./A2aError.ts"

export type BodyLimits = Pick<RequestLimits, "bodyBytes" | "bodyMillis">

/** The JSON of the body. */
export const readJson = (
  request: HttpServerRequest,
  limits: BodyLimits
): Effect.Effect<unknown, A2aError.A2aError> =>
  isJson(request)
    ? Effect.flatMap(read(request, limits), parse)
    : Effect.fail(A2aError.notJson("the body has to be application/json or application/a2a+json"))

/** The JSON of the body of an operation that needs none; nothing when it is empty, whatever its type. */
export const readOptionalJson = (
  request: HttpServerRequest,
  limits: BodyLimits
): Effect.Effect<unknown, A2aError.A2aError> =>
  Effect.flatMap(read(request, limits), (text) => {
    if (text.trim() === "") return Effect.undefined
    return isJson(request) ? parse(text) : Effect.fail(A2aError.notJson("the body has to be application/json"))
  })

const isJson = ({ headers }: HttpServerRequest) =>
  /^application\/(.+\+)?json *(;|$)/iu.test(headers["content-type"] ?? "")

const read = (request: HttpServerRequest, limits: BodyLimits): Effect.Effect<string, A2aError.A2aError> =>
  Effect.mapError(bodyText(request, limits), (unread) => {
    switch (unread) {
      case "TooLarge":
        return A2aError.bodyTooLarge(`the body is larger than ${limits.bodyBytes} bytes`)
      case "TooSlow":
        return A2aError.bodyTooSlow(`the body did not arrive within ${limits.bodyMillis} ms`, { headers: closing })
      case "Unreadable":
        return A2aError.parseError("the body could not be read")
    }
  })

const parse = (text: string) =>
  Effect.try({
    try: (): unknown => JSON.parse(text),
    catch: () => A2aError.parseError("the body is not JSON")
  })
