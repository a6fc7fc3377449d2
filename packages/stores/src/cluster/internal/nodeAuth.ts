// Authenticates nodes to each other with a secret that only readers of their database know; ClusterEngine puts it around its
// port and on its connections. The secret itself never crosses the network.
import { Clock, Effect, Layer, Redacted, Schedule } from "effect"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Socket from "effect/socket/Socket"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto"

const header = "x-fastagentic-node"

/** A proof is valid for this long, by the clocks of both nodes. */
const validMillis = 60_000

/** The secret of all nodes on a database: the first node writes it. */
export const readSecret = (prefix: string): Effect.Effect<Redacted.Redacted<string>, SqlError, SqlClient> =>
  Effect.gen(function*() {
    const sql = yield* SqlClient
    const table = sql(`${prefix}_secret`)
    yield* sql`CREATE TABLE IF NOT EXISTS ${table} (id INTEGER PRIMARY KEY, secret TEXT NOT NULL)`
    const fresh = randomBytes(32).toString("hex")
    yield* sql`INSERT INTO ${table} (id, secret) VALUES (1, ${fresh}) ON CONFLICT (id) DO NOTHING`
    const rows = yield* sql<{ readonly secret: string }>`SELECT secret FROM ${table} WHERE id = 1`
    return Redacted.make(rows[0]?.secret ?? fresh)
  }).pipe(
    // Two nodes that create the table at the same moment: one of them is refused.
    Effect.retry({ times: 5, schedule: Schedule.spaced("100 millis") })
  )

const proofOf = (secret: Redacted.Redacted<string>, at: number, nonce: string) =>
  createHmac("sha256", Redacted.value(secret)).update(`${at} ${nonce}`).digest("hex")

/** The headers of a node that connects to another. */
export const credentials = (secret: Redacted.Redacted<string>, at: number): Record<string, string> => {
  const nonce = randomBytes(16).toString("hex")
  return { [header]: `${at}.${nonce}.${proofOf(secret, at, nonce)}` }
}

const isNode = (secret: Redacted.Redacted<string>, given: string, now: number) => {
  const [at = "", nonce = "", proof = ""] = given.split(".")
  const expected = Buffer.from(proofOf(secret, Number(at), nonce))
  const found = Buffer.from(proof)
  return Math.abs(now - Number(at)) <= validMillis && found.length === expected.length &&
    timingSafeEqual(found, expected)
}

/** Refuses pages, which send an Origin, and callers without a proof. */
export const guard =
  (secret: Redacted.Redacted<string>) => <E, R>(app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
    Effect.gen(function*() {
      const { headers } = yield* HttpServerRequest.HttpServerRequest
      if (headers["origin"] !== undefined) return HttpServerResponse.empty({ status: 403 })
      const now = yield* Clock.currentTimeMillis
      return isNode(secret, headers[header] ?? "", now) ? yield* app : HttpServerResponse.empty({ status: 401 })
    })

/** Connections that carry a proof. */
export const layerConstructor = (
  secret: Redacted.Redacted<string>
): Layer.Layer<Socket.WebSocketConstructor, never, Socket.WebSocketConstructor> =>
  Layer.effect(
    Socket.WebSocketConstructor,
    Effect.gen(function*() {
      const connect = yield* Socket.WebSocketConstructor
      const clock = yield* Effect.clockWith(Effect.succeed)
      return (url, options) => {
        const given = typeof options === "string" || Array.isArray(options) ? { protocols: options } : options
        const headers = { ...given?.headers, ...credentials(secret, clock.currentTimeMillisUnsafe()) }
        return connect(url, { ...given, headers })
      }
    })
  )
