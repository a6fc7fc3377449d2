// The running server that a command asks: its flags, its client, and its refusals as one line. Passwords of URLs stay out.
import { App, Credentials } from "@fastagentic/core"
import { Client } from "@fastagentic/protocols/http"
import { Config, Effect, Option, Redacted, Schema } from "effect"
import * as Flag from "effect/cli/Flag"
import * as HttpClientRequest from "effect/http/HttpClientRequest"

/** The server refused the request or did not answer. */
export class NotDone extends Schema.TaggedError<NotDone>()("NotDone", { problem: Schema.String }) {
  override get message() {
    return this.problem
  }
}

export const flags = {
  url: Flag.String("url").pipe(
    Flag.withDescription("Where the server answers"),
    Flag.withFallbackConfig(Config.String("FASTAGENTIC_URL")),
    Flag.withDefault("http://127.0.0.1:8000")
  ),
  token: Flag.Redacted("token").pipe(
    Flag.withDescription("A token or API key; better given as FASTAGENTIC_TOKEN"),
    Flag.withFallbackConfig(Config.Redacted("FASTAGENTIC_TOKEN")),
    Flag.optional
  )
}

export interface Server {
  readonly url: string
  readonly token: Option.Option<Redacted.Redacted>
}

/** A client for any app: runs are addressed by their ids. */
const Anything = App.make("anything", { version: "0.0.0" })

/** A client of an app; `retries` is how often in a row a broken connection is reopened. */
export const clientOf = <A extends App.Any>(app: A, { token, url }: Server, retries = 0) =>
  Client.make(app, {
    url,
    retries,
    credentials: Option.match(token, {
      onNone: () => Credentials.none,
      onSome: (token) => ({ ...Credentials.none, bearer: Redacted.make(Redacted.value(token)) })
    })
  })

export const runsOf = (server: Server, retries = 0) =>
  Effect.map(clientOf(Anything, server, retries), ({ runs }) => runs)

/** Requests that show the token. */
export const authorized = (token: Server["token"]) => (request: HttpClientRequest.HttpClientRequest) =>
  Option.match(token, {
    onNone: () => request,
    onSome: (bearer) => HttpClientRequest.bearerToken(request, Redacted.value(bearer))
  })

/** The line of a failed request. */
export const problemOf = ({ url }: Server, { message, reason }: Client.ClientError) =>
  new NotDone({ problem: reason._tag === "Disconnected" ? `no answer from ${placeOf(url)}` : message })

export const orRefused = <A, R>(server: Server, effect: Effect.Effect<A, Client.ClientError, R>) =>
  Effect.mapError(effect, (error) => problemOf(server, error))

/** The URL without its password. */
export const placeOf = (url: string) => URL.canParse(url) ? new URL(url).origin : "--url, which is no URL"
