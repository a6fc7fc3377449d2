/**
 * The store of a server: `--store` or the variable `FASTAGENTIC_STORE`, as layers.
 *
 * @since 0.1.0
 */
import {
  ApiKeys,
  type Audit,
  AuditLog,
  type BlobStore,
  BudgetStore,
  Files,
  PushStore,
  RateCounters,
  RunBlobs,
  RunStore,
  ScheduleStore,
  SharedNotes
} from "@fastagentic/core"
import { Sqlite, SqliteClient, SqliteRunStore, SqliteWriter } from "@fastagentic/stores/sqlite"
import { Config, type Duration, Effect, Layer, Redacted, Schema } from "effect"
import { existsSync } from "node:fs"
import * as Blobs from "./Blobs.ts"
import * as Defaults from "./Defaults.ts"
import * as ErrorText from "./ErrorText.ts"

/** The value names no store. @category errors @since 0.1.0 */
export class UnknownStore extends Schema.TaggedError<UnknownStore>()("UnknownStore", { store: Schema.String }) {
  override get message() {
    return `--store ${this.store}: a store is "memory", the path of a SQLite file, or a postgres:// or redis:// URL`
  }
}

/** The cluster engine needs a SQL database. @category errors @since 0.1.0 */
export class EngineNeedsSql extends Schema.TaggedError<EngineNeedsSql>()("EngineNeedsSql", {}) {
  override get message() {
    return "--engine cluster needs a store that is the path of a SQLite file or a postgres:// URL"
  }
}

/** Another process owns the file. @category errors @since 0.1.0 */
export class StoreInUse extends Schema.TaggedError<StoreInUse>()("StoreInUse", { store: Schema.String }) {
  override get message() {
    return `${this.store} is in use: stop the server first`
  }
}

/** The store is unavailable. @category errors @since 0.1.0 */
export class UnusableStore extends Schema.TaggedError<UnusableStore>()("UnusableStore", {
  store: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.store} cannot be used: ${this.problem}`
  }
}

/** The services of every store. @category models @since 0.1.0 */
export type Services =
  | RunStore.RunStore
  | Files.Files
  | Audit.Audit
  | AuditLog.AuditLog
  | ApiKeys.ApiKeyStore
  | BudgetStore.BudgetStore
  | RateCounters.RateCounters
  | PushStore.PushStore
  | ScheduleStore.ScheduleStore
  | SharedNotes.SharedNotes

/** The services of a database; large values and files are kept beside it. */
type Database = Exclude<Services, Files.Files>

/** The services of a server, which keeps files itself. */
type Shared = Database | BlobStore.BlobStore

/** The engine that places runs: this node, or shards of a cluster. @category models @since 0.1.0 */
export type Engine = "local" | "cluster"

/** @category models @since 0.1.0 */
export interface NodeOptions {
  readonly engine?: Engine
  /** How long a node of a shared store keeps its runs after it was last heard of. */
  readonly lease?: Duration.Input | undefined
}

/** @category models @since 0.1.0 */
export interface Store {
  /** The name of the store without its password, for printing and logging. */
  readonly shown: string
  /** The path of a SQLite file. */
  readonly file?: string
  /** Whether the store keeps data over a restart. */
  readonly lasts: boolean
  /** Whether the store may contain data; a server is asked when its layer is built. */
  readonly isThere: () => boolean
  readonly layer: Layer.Layer<Services, StoreInUse | UnusableStore>
  /** Its runs, read only: a file is not created, changed or locked. */
  readonly reading: Layer.Layer<RunStore.RunStore, StoreInUse | UnusableStore>
}

/**
 * The store that a value names; it is opened when its layer is built.
 *
 * @category constructors
 * @since 0.1.0
 */
export const parse = (
  value: string,
  { engine = "local", lease }: NodeOptions = {}
): Effect.Effect<Store, UnknownStore | EngineNeedsSql> => {
  const spread = engine === "cluster"
  if (spread && (value === "memory" || /^rediss?:/iu.test(value))) return Effect.fail(new EngineNeedsSql())
  if (value === "memory") {
    return Effect.succeed({ shown: value, lasts: false, isThere: () => false, layer: memory, reading: memory })
  }
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//iu.exec(value)?.[1]?.toLowerCase()
  if (scheme === undefined) {
    // A URL whose scheme is misspelt or missing: a file of this name would be made, and its password printed.
    if (looksLikeUrl(value)) return Effect.fail(new UnknownStore({ store: "…" }))
    const blobs = blobsOf(Blobs.beside(value))
    const layer = Layer.provideMerge(blobs, sqlite(value, spread))
    const reading = Layer.provide(blobs, sqliteReading(value))
    return Effect.succeed({ shown: value, file: value, lasts: true, isThere: () => existsSync(value), layer, reading })
  }
  const open = servers[scheme]
  if (open === undefined) return Effect.fail(new UnknownStore({ store: `${scheme}://…` }))
  if (!URL.canParse(value)) return Effect.fail(new UnknownStore({ store: `${scheme}://… is not a URL` }))
  const url = new URL(value)
  // The rest of a password with one of # / ? would be in the path or after it, and be printed.
  const isCut = url.hash !== "" || [url.pathname, url.search].some((part) => part.includes("@"))
  if (isCut) {
    return Effect.fail(new UnknownStore({ store: `${scheme}://… has a password whose @ / ? # are not encoded` }))
  }
  const shown = withoutPassword(url)
  const layer = Layer.provideMerge(
    blobsOf(Blobs.inside),
    server(shown, () => open(Redacted.make(value), spread, lease))
  )
  return Effect.succeed({ shown, lasts: true, isThere: () => true, layer, reading: layer })
}

/**
 * The store that a value names, if it exists: a misspelt path does not create an empty store.
 *
 * @category constructors
 * @since 0.1.0
 */
export const existing = (value: string): Effect.Effect<Store, UnknownStore | EngineNeedsSql | UnusableStore> =>
  Effect.filterOrFail(
    parse(value),
    ({ isThere }) => isThere(),
    ({ lasts, shown }) =>
      new UnusableStore({ store: shown, problem: lasts ? "there is no such file" : "nothing is kept there" })
  )

/** Files and large values of runs go to `FASTAGENTIC_BLOBS`, or to the store's own place. */
const blobsOf = <R>(
  own: Blobs.Blobs<R>
): Layer.Layer<RunStore.RunStore | Files.Files, UnusableStore, RunStore.RunStore | R> => {
  const unusable = (error: unknown) => new UnusableStore({ store: "FASTAGENTIC_BLOBS", problem: problemOf(error) })
  return Layer.unwrap(Effect.map(
    Effect.mapError(Blobs.parse(own), unusable),
    ({ blobs, threshold }) =>
      RunBlobs.layer({ threshold }).pipe(
        Layer.provide(Layer.catch(blobs, (error) => Layer.effectContext(Effect.fail(unusable(error)))))
      )
  ))
}

const memory = Layer.mergeAll(
  RunStore.RunStore.layerMemory,
  Files.layerMemory,
  ApiKeys.ApiKeyStore.layerMemory,
  BudgetStore.BudgetStore.layerMemory,
  RateCounters.RateCounters.layerMemory,
  PushStore.PushStore.layerMemory,
  ScheduleStore.ScheduleStore.layerMemory,
  SharedNotes.SharedNotes.layerMemory,
  Defaults.layerAuditMemory,
  AuditLog.AuditLog.layerMemory
)

const sqlite = (filename: string, spread: boolean): Layer.Layer<Database, StoreInUse | UnusableStore> =>
  (spread
    ? Layer.unwrap(Effect.map(clustered, (stores) => stores.layerSqlite({ filename })))
    : Sqlite.layer({ filename })).pipe(or((error) => unusableFile(filename, error)))

const sqliteReading = (filename: string): Layer.Layer<RunStore.RunStore, StoreInUse | UnusableStore> =>
  Layer.effect(RunStore.RunStore, SqliteRunStore.make).pipe(
    Layer.provide(SqliteWriter.layer),
    Layer.provide(SqliteClient.layer({ filename, readonly: true, busyTimeout: "250 millis" })),
    or((error) => unusableFile(filename, error))
  )

const unusableFile = (store: string, error: { readonly _tag: string }) =>
  error._tag === "SqliteLocked" ? new StoreInUse({ store }) : new UnusableStore({ store, problem: problemOf(error) })

const postgres = async (
  url: Redacted.Redacted,
  spread: boolean,
  lease: Duration.Input | undefined
): Promise<Layer.Layer<Shared, unknown>> =>
  spread
    ? Layer.unwrap(Effect.zipWith(clustered, place, (stores, node) => stores.layerPostgres({ url, node, lease })))
    : (await import("@fastagentic/stores/postgres")).Postgres.layer({ url, lease })

const clustered = Effect.map(
  Effect.promise(() => import("@fastagentic/stores/cluster")),
  (module) => module.ClusterStores
)

/** The address at which the other nodes reach this one. */
const place = Config.all({
  host: Config.withDefault(Config.String("FASTAGENTIC_CLUSTER_HOST"), "127.0.0.1"),
  listen: Config.withDefault(Config.String("FASTAGENTIC_CLUSTER_LISTEN"), undefined),
  port: Config.withDefault(Config.Port("FASTAGENTIC_CLUSTER_PORT"), 0)
})

const redis = async (
  url: Redacted.Redacted,
  _spread: boolean,
  lease: Duration.Input | undefined
): Promise<Layer.Layer<Shared, unknown>> => (await import("@fastagentic/stores/redis")).Redis.layer({ url, lease })

const servers: Readonly<Record<string, typeof postgres | undefined>> = {
  postgres,
  postgresql: postgres,
  redis,
  rediss: redis
}

const server = (
  store: string,
  load: () => Promise<Layer.Layer<Shared, unknown>>
): Layer.Layer<Shared, UnusableStore> => {
  const loaded = Effect.tryPromise({
    try: load,
    catch: (cause) => new UnusableStore({ store, problem: missingPackage(cause) ?? problemOf(cause) })
  })
  return Layer.unwrap(Effect.map(loaded, or((error) => new UnusableStore({ store, problem: problemOf(error) }))))
}

const or = <E, E2>(make: (error: E) => E2) => <S>(layer: Layer.Layer<S, E>): Layer.Layer<S, E2> =>
  Layer.catch(layer, (error) => Layer.effectContext<S, E2, never>(Effect.fail(make(error))))

// words

/** Whether a value has a scheme of a server, or a user with a password. A Windows path has a single letter before its colon. */
const looksLikeUrl = (value: string) => /^[a-z][a-z0-9+.-]+:/iu.test(value) || /:[^@]*@/u.test(value)

const withoutPassword = ({ host, password, pathname, protocol, username }: URL) => {
  const user = password === "" ? username : `${username}:***`
  return `${protocol}//${user === "" ? "" : `${user}@`}${host}${pathname}`
}

/** A client that is an optional peer. */
const missingPackage = (cause: unknown) => {
  const name = /Cannot find package '([^']+)'/u.exec(String(cause))?.[1]
  return name === undefined ? undefined : `it needs a package: npm install ${name}`
}

/** The innermost cause of an error is the most specific; some errors have only a code. */
const problemOf = (error: unknown): string => {
  if (typeof error !== "object" || error === null) return String(error)
  if (error instanceof Config.ConfigError) return ErrorText.fromConfig(error)
  const inner = "reason" in error ? error.reason : "cause" in error ? error.cause : undefined
  const deeper = inner === undefined ? "" : problemOf(inner)
  if (deeper !== "") return deeper
  if ("message" in error && typeof error.message === "string" && error.message !== "") {
    return ErrorText.firstLine(error.message)
  }
  return "code" in error ? String(error.code) : ""
}
