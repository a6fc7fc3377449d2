/**
 * Files of callers, and large values where an app asks for it, in a PostgreSQL database.
 *
 * @since 0.1.0
 */
import * as BlobStore from "@fastagentic/core/store/BlobStore"
import { Clock, Effect, Layer, Schema } from "effect"
import type { MigrationError } from "effect/sql/Migrator"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import { answered } from "./internal/withTimeout.ts"
import * as migrations from "./migrations.ts"

/** How many bytes a row has at most. */
const chunkBytes = 256 * 1_024

/** How many blobs a page of the list has. */
const pageSize = 256

/**
 * Blobs on a given `SqlClient`; the tables must exist.
 *
 * **Details**
 *
 * A blob is a row and its bytes in chunks, written in one transaction. Bytes that are there are not written again.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<BlobStore.BlobStore["Service"], never, SqlClient> = Effect.map(SqlClient, (sql) => {
  const chunk = Effect.fnUntraced(function*(key: string, position: number) {
    const rows = yield* sql`SELECT bytes FROM blob_chunks WHERE key = ${key} AND position = ${position}`
    return (yield* decodeChunks(rows))[0]?.bytes
  })

  const read = Effect.fnUntraced(function*(key: string) {
    const [found] = yield* Effect.flatMap(
      sql`SELECT key, size::float8 AS size, at::float8 AS at FROM blobs WHERE key = ${key}`,
      decodeListed
    )
    if (found === undefined) return undefined
    const bytes = new Uint8Array(found.bytes)
    for (let at = 0; at < found.bytes; at += chunkBytes) {
      const part = yield* chunk(key, at / chunkBytes)
      // A blob that was removed meanwhile is as good as removed before.
      if (part === undefined || at + part.length > bytes.length) return undefined
      bytes.set(part, at)
    }
    return bytes
  })

  const write = (key: string, bytes: Uint8Array) =>
    sql.withTransaction(Effect.gen(function*() {
      const at = yield* Clock.currentTimeMillis
      const written = yield* sql`
        INSERT INTO blobs (key, size, at) VALUES (${key}, ${bytes.length}, ${at})
        ON CONFLICT (key) DO NOTHING RETURNING key`
      if (written.length === 0) return yield* sql`UPDATE blobs SET at = ${at} WHERE key = ${key}`
      for (let from = 0; from < bytes.length; from += chunkBytes) {
        const part = bytes.slice(from, from + chunkBytes)
        yield* sql`INSERT INTO blob_chunks (key, position, bytes) VALUES (${key}, ${from / chunkBytes}, ${part})`
      }
    }))

  return BlobStore.make({
    write: (key, bytes) => Effect.asVoid(answered(`put blob ${key}`)(write(key, bytes))),
    read: (key) => answered(`get blob ${key}`)(read(key)),
    start: (key, length) =>
      answered(`get the start of blob ${key}`)(Effect.map(chunk(key, 0), (bytes) => bytes?.slice(0, length))),
    list: (after) =>
      answered("list blobs")(Effect.flatMap(
        sql`SELECT key, size::float8 AS size, at::float8 AS at FROM blobs WHERE key > ${after} ORDER BY key LIMIT ${pageSize}`,
        decodeListed
      )),
    has: (key) =>
      answered(`look for blob ${key}`)(
        Effect.map(sql`SELECT key FROM blobs WHERE key = ${key}`, ({ length }) => length > 0)
      ),
    remove: (key) => Effect.asVoid(answered(`remove blob ${key}`)(sql`DELETE FROM blobs WHERE key = ${key}`))
  })
})

/**
 * Creates the tables when needed.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoClient: Layer.Layer<BlobStore.BlobStore, MigrationError | SqlError, SqlClient> = Layer.effect(
  BlobStore.BlobStore,
  make
).pipe(Layer.provide(migrations.layer))

const decodeChunks = Schema.decodeUnknownEffect(Schema.Array(Schema.Struct({ bytes: Schema.Uint8Array })))

const decodeRows = Schema.decodeUnknownEffect(
  Schema.Array(Schema.Struct({ key: Schema.String, size: Schema.Int, at: Schema.Int }))
)

const decodeListed = (rows: unknown) =>
  Effect.map(decodeRows(rows), (rows) => rows.map(({ at, key, size }): BlobStore.Listed => ({ key, bytes: size, at })))
