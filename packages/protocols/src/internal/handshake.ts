// Checks the handshake of a WebSocket before the host's library does, which would answer without problem details and
// without the security headers. Called by the WebSocket route.
import { Effect } from "effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Problem from "../http/Problem.ts"

const token = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/iu

/** Names of protocols, each once. */
const areProtocols = (header: string) => {
  const names = header.split(",").map((name) => name.trim())
  return new Set(names).size === names.length && names.every((name) => token.test(name))
}

const checks: ReadonlyArray<readonly [string, (value: string) => boolean]> = [
  ["sec-websocket-key", (value) => /^[+/0-9a-z]{22}==$/iu.test(value)],
  ["sec-websocket-version", (value) => value === "13" || value === "8"]
]

export const checkHandshake = (
  { headers, method }: HttpServerRequest
): Effect.Effect<void, Problem.UpgradeRequired | Problem.BadHandshake> => {
  if (method !== "GET" || headers["upgrade"]?.toLowerCase() !== "websocket") {
    return Effect.fail(new Problem.UpgradeRequired())
  }
  const bad = checks.find(([name, isValid]) => !isValid(headers[name] ?? ""))
  if (bad !== undefined) return Effect.fail(new Problem.BadHandshake({ header: bad[0] }))
  const protocols = headers["sec-websocket-protocol"]
  return protocols === undefined || areProtocols(protocols)
    ? Effect.void
    : Effect.fail(new Problem.BadHandshake({ header: "sec-websocket-protocol" }))
}
