// The version that a request speaks: its header, else its query parameter, else 0.3. Bindings of HTTP call it; gRPC has a
// service for each version, and a header may only confirm it.
import { Effect } from "effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as A2aError from "./A2aError.ts"

export type Version = "1.0" | "0.3"

export const versionOf = ({ headers, url }: HttpServerRequest): Effect.Effect<Version, A2aError.A2aError> =>
  versionIn(headers["a2a-version"] || versionInQuery(url) || "0.3", ["1.0", "0.3"])

/** The version of a text, if it is one of those that are served there. Patch numbers do not count. */
export const versionIn = (
  text: string,
  served: ReadonlyArray<Version>
): Effect.Effect<Version, A2aError.A2aError> => {
  const asked = text.trim()
  const [, found] = /^(\d+\.\d+)(?:\.\d+)?$/u.exec(asked) ?? []
  const version = served.find((one) => one === found)
  return version === undefined ? Effect.fail(notServed(asked, served.join(", "))) : Effect.succeed(version)
}

export const notServed = (version: string, supported: string) =>
  A2aError.versionNotSupported(`A2A ${version} is not served here, send A2A-Version: ${supported.slice(0, 3)}`, {
    metadata: { version, supported }
  })

const versionInQuery = (url: string) =>
  url.includes("?") ? new URLSearchParams(url.split("?", 2)[1]).get("A2A-Version") : null
