// Reads what an issuer answers, within bounds: no redirect is followed, because it would carry credentials elsewhere, and a
// body has a limit. issuer.ts, introspection.ts and tokenEndpoint.ts call it.
import { Effect, Predicate, Schema, Stream } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import { EgressRefused } from "../../egress/EgressRefused.ts"

/** The largest answer of an issuer, in bytes. */
export const bodyLimit = 1_048_576

/** Sends a request; a redirect is an answer. */
export const send = (client: HttpClient.HttpClient, request: HttpClientRequest.HttpClientRequest) =>
  Effect.provideService(client.execute(request), FetchHttpClient.RequestInit, { redirect: "manual" })

/** The refusal of `Egress` in the error of a request; an address that takes too long may be reached later. */
export const refusalIn = (error: unknown): EgressRefused | undefined => {
  const reason = Predicate.hasProperty(error, "reason") ? error.reason : undefined
  const cause = Predicate.hasProperty(reason, "cause") ? reason.cause : undefined
  return cause instanceof EgressRefused && cause.rule !== "time" ? cause : undefined
}

class TooLarge extends Schema.TaggedError<TooLarge>()("TooLarge", {}) {}

/** The JSON of a body that is not over the limit. */
export const json = <A>(response: HttpClientResponse, schema: Schema.ConstraintDecoder<A>) => {
  const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(schema))
  const empty = { size: 0, parts: new Array<Uint8Array>() }
  return response.stream.pipe(
    Stream.runFoldEffect(() => empty, (read, part) => {
      const size = read.size + part.byteLength
      if (size > bodyLimit) return Effect.fail(new TooLarge())
      read.parts.push(part)
      return Effect.succeed({ size, parts: read.parts })
    }),
    Effect.flatMap(({ parts, size }) => decode(textOf(parts, size)))
  )
}

const textOf = (parts: ReadonlyArray<Uint8Array>, size: number) => {
  const whole = new Uint8Array(size)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.byteLength
  }
  return new TextDecoder().decode(whole)
}
