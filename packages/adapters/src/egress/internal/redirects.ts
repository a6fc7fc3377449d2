// Follows redirects for the egress client; each hop passes the same rules.
import { Effect, Option, Stream } from "effect"
import * as Headers from "effect/http/Headers"
import * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as UrlParams from "effect/http/UrlParams"
import { EgressRefused } from "../EgressRefused.ts"

/** Headers that another origin may receive: content negotiation, never credentials. */
const harmless = new Set(["accept", "accept-language", "user-agent"])

/** Follows redirects, each as a request of its own that has to pass the same rules. */
export const followSafely = (client: HttpClient.HttpClient, limit: number): HttpClient.HttpClient => {
  const follow = (
    request: HttpClientRequest.HttpClientRequest,
    hops: number
  ): Effect.Effect<HttpClientResponse, HttpClientError.HttpClientError> =>
    Effect.flatMap(client.postprocess(Effect.succeed(request)), (response) => {
      const location = response.headers["location"]
      if (response.status < 300 || response.status >= 400 || location === undefined) return Effect.succeed(response)
      const from = new URL(response.request.url)
      const refuse = (problem: string) =>
        Effect.fail(
          new HttpClientError.HttpClientError({
            reason: new HttpClientError.TransportError({
              request,
              cause: new EgressRefused({ origin: from.origin, rule: "redirect", problem })
            })
          })
        )
      if (!URL.canParse(location, from)) return refuse("leads to what is not a URL")
      if (hops === limit) return refuse(`leads on after ${limit} redirects`)
      const to = new URL(location, from)
      if (from.protocol === "https:" && to.protocol !== "https:") return refuse("leads away from https")
      const next = redirected(request, response.status, to, from.origin === to.origin)
      if (next === undefined) return refuse("leads a request with a body to another origin")
      return Effect.andThen(discard(response), follow(next, hops + 1))
    })
  return HttpClient.makeWith(Effect.flatMap((request) => follow(request, 0)), client.preprocess)
}

const redirected = (
  request: HttpClientRequest.HttpClientRequest,
  status: number,
  to: URL,
  sameOrigin: boolean
): HttpClientRequest.HttpClientRequest | undefined => {
  const asGet = (status === 303 && request.method !== "HEAD") || (status < 303 && request.method === "POST")
  if (!asGet && !sameOrigin && request.body._tag !== "Empty") return undefined
  const headers = Object.entries(request.headers).filter(([name]) =>
    sameOrigin ? !asGet || !name.startsWith("content-") : harmless.has(name)
  )
  return HttpClientRequest.makeWith(
    asGet ? "GET" : request.method,
    to.href.replace(/#.*$/u, ""),
    UrlParams.empty,
    Option.none(),
    Headers.fromInput(headers),
    asGet ? HttpBody.empty : request.body
  )
}

/** Releases the connection, or closes it when a large body is still to come. */
const discard = (response: HttpClientResponse) =>
  Effect.ignore(Effect.timeout(Stream.runDrain(response.stream), "1 second"))
