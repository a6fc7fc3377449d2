// The version that a request speaks: its header, else its query parameter, else 0.3. Both bindings call it.
import { Effect } from "effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as A2aError from "./A2aError.ts"

export type Version = "1.0" | "0.3"

/** Patch numbers do not count. */
export const versionOf = ({ headers, url }: HttpServerRequest): Effect.Effect<Version, A2aError.A2aError> => {
  const asked = (headers["a2a-version"] || versionInQuery(url) || "0.3").trim()
  const [, version] = /^(1\.0|0\.3)(?:\.\d+)?$/u.exec(asked) ?? []
  return version === "1.0" || version === "0.3" ? Effect.succeed(version) : Effect.fail(notServed(asked, "1.0, 0.3"))
}

export const notServed = (version: string, supported: string) =>
  A2aError.versionNotSupported(`A2A ${version} is not served here, send A2A-Version: 1.0`, {
    metadata: { version, supported }
  })

const versionInQuery = (url: string) =>
  url.includes("?") ? new URLSearchParams(url.split("?", 2)[1]).get("A2A-Version") : null
