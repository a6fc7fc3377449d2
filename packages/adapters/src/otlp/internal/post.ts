// Posts one batch to its destination, and decides by the answer whether it is sent again, in halves, or not.
import { Effect, Option, Schema } from "effect"
import type { HttpBody } from "effect/http/HttpBody"
import type * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import type { Settings } from "./environment.ts"
import { rejectedIn } from "./rejected.ts"

/** The destination's refusal of a batch. */
export class Refused extends Schema.TaggedError<Refused>()("Refused", {
  reason: Schema.String,
  next: Schema.Literals(["again", "split", "never"]),
  afterMillis: Schema.optionalKey(Schema.Finite)
}) {
  override get message() {
    return this.reason
  }
}

/** A destination that asks for a longer pause is asked again after this one. */
const longestPause = 600_000

/** Posts a body; the answer says how many of its items were rejected nevertheless. */
export const post = (client: HttpClient.HttpClient, settings: Settings, body: HttpBody) => {
  const request = HttpClientRequest.setBody(HttpClientRequest.post(settings.url, { headers: settings.headers }), body)
  const ready = settings.gzip ? HttpClientRequest.compressBody(request, "gzip") : Effect.succeed(request)
  return Effect.scoped(
    Effect.flatMap(ready, (compressed) =>
      Effect.flatMap(client.execute(compressed), (response) =>
        Effect.map(
          Effect.option(response.arrayBuffer),
          (content) => ({ response, content: Option.getOrElse(content, () => new ArrayBuffer(0)) })
        )))
  ).pipe(
    Effect.timeout(settings.timeoutMillis),
    Effect.catchCause(() =>
      Effect.fail(new Refused({ reason: `${settings.destination} cannot be reached`, next: "again" }))
    ),
    Effect.flatMap(({ content, response }) =>
      response.status >= 200 && response.status < 300
        ? Effect.succeed(rejectedIn(new Uint8Array(content), response.headers["content-type"]))
        : Effect.fail(refusalOf(settings.destination, response))
    )
  )
}

const refusalOf = (destination: string, { headers, status }: HttpClientResponse) => {
  const afterMillis = pauseIn(headers["retry-after"])
  return new Refused({
    reason: `${destination} answers ${status}`,
    next: status === 413
      ? "split"
      : status === 408 || status === 429 || status >= 502
      ? "again"
      : "never",
    ...(afterMillis === undefined ? {} : { afterMillis })
  })
}

/** `Retry-After` in seconds or as a date. */
const pauseIn = (text: string | undefined) => {
  if (text === undefined) return undefined
  const millis = /^\d+$/u.test(text.trim()) ? Number(text) * 1_000 : Date.parse(text) - Date.now()
  return Number.isFinite(millis) ? Math.min(longestPause, Math.max(0, millis)) : undefined
}
