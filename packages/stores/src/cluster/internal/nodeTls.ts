// Encrypts the connections between nodes, and authenticates both ends, with a key that only readers of their database know:
// TLS with a pre-shared key, so no node needs a certificate. ClusterEngine puts it on its port and on its connections. A
// caller without the key never reaches HTTP, and a page cannot speak this kind of TLS at all.
import * as NodeWS from "@effect/platform-node/NodeWS"
import { Effect, Layer, Redacted, Schedule } from "effect"
import * as Socket from "effect/socket/Socket"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { randomBytes } from "node:crypto"
import { createServer, type Server } from "node:https"
import type { PSKCallbackNegotation, TlsOptions } from "node:tls"

/** The key of all nodes on a database: the first node writes it. */
export const readKey = (prefix: string): Effect.Effect<Redacted.Redacted<string>, SqlError, SqlClient> =>
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

const identity = "node"

/** Node has pre-shared keys in TLS 1.2 only. The exchange is ephemeral: the key opens no recorded traffic. */
const suite = {
  ciphers: "ECDHE-PSK-CHACHA20-POLY1305",
  minVersion: "TLSv1.2",
  maxVersion: "TLSv1.2"
} as const

const bytesOf = (key: Redacted.Redacted<string>) => Buffer.from(Redacted.value(key), "hex")

/** The server of a node. A caller that does not finish the handshake is dropped. */
export const server = (key: Redacted.Redacted<string>): Server => {
  const options: TlsOptions = {
    ...suite,
    handshakeTimeout: 5_000,
    pskCallback: (_socket, given) => given === identity ? bytesOf(key) : null
  }
  return createServer(options)
}

/** The settings of a connection to a node. There is no certificate to check: the key proves who answers. */
export const connection = (key: Redacted.Redacted<string>) => ({
  ...suite,
  pskCallback: (): PSKCallbackNegotation => ({ psk: bytesOf(key), identity }),
  checkServerIdentity: () => false
})

export const layerConstructor = (key: Redacted.Redacted<string>): Layer.Layer<Socket.WebSocketConstructor> =>
  Layer.succeed(Socket.WebSocketConstructor, (url, options) => {
    const protocols = typeof options === "string" || Array.isArray(options) ? options : []
    return new NodeWS.WebSocket(url, protocols, connection(key))
  })
