/**
 * A `RunEngine` on `effect/workflow` and `effect/cluster`: every turn of a run is an execution, and its shard decides
 * on which node it runs.
 *
 * @since 0.1.0
 */
import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { RunEngine } from "@fastagentic/core/runtime/RunEngine"
import { Effect, Layer, Option, type Redacted } from "effect"
import * as ClusterWorkflowEngine from "effect/cluster/ClusterWorkflowEngine"
import * as HttpRunner from "effect/cluster/HttpRunner"
import * as RunnerAddress from "effect/cluster/RunnerAddress"
import * as RunnerHealth from "effect/cluster/RunnerHealth"
import * as Runners from "effect/cluster/Runners"
import * as RunnerStorage from "effect/cluster/RunnerStorage"
import * as Sharding from "effect/cluster/Sharding"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as SqlMessageStorage from "effect/cluster/SqlMessageStorage"
import * as SqlRunnerStorage from "effect/cluster/SqlRunnerStorage"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import type { ServeError } from "effect/http/HttpServerError"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import type { SqlClient } from "effect/sql/SqlClient"
import type { WorkflowEngine } from "effect/workflow/WorkflowEngine"
import { keepClean } from "./internal/cleaning.ts"
import * as NodeTls from "./internal/nodeTls.ts"
import { makeJoin } from "./internal/turnWorkflow.ts"

/**
 * The address at which other nodes reach this one.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** The name or address that other nodes use, `127.0.0.1` by default. */
  readonly host?: string | undefined
  /** The address to listen on, by default `host`. */
  readonly listen?: string | undefined
  /** The port of this node's runner; by default a free one. */
  readonly port?: number | undefined
}

/**
 * An engine on a given workflow engine and its tables.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoCluster: Layer.Layer<never, never, WorkflowEngine | SqlClient> = Layer.effect(
  RunEngine,
  Effect.gen(function*() {
    yield* keepClean(prefix)
    return { join: yield* makeJoin }
  })
)

/**
 * One process, with the engine's tables in the same database as the runs. Nothing listens.
 *
 * **Gotchas**
 *
 * Only this process may use the database, as with a file that `SqliteClient` opens `exclusive`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerEmbedded: Layer.Layer<never, never, SqlClient> = Layer.suspend(() =>
  layerNoCluster.pipe(
    Layer.provide(ClusterWorkflowEngine.layer),
    Layer.provide(Sharding.layer),
    Layer.provide(Runners.layerNoop),
    Layer.provide(messages),
    Layer.provide([RunnerStorage.layerMemory, RunnerHealth.layerNoop]),
    Layer.provide(ShardingConfig.layer({ ...timing, simulateRemoteSerialization: false }))
  )
)

/**
 * One of many nodes on one database, which speak to each other over WebSockets.
 *
 * **Details**
 *
 * Runs are spread over the nodes, wherever they were started. When a node is killed, the others continue its runs
 * within 5 seconds. A run that its node has not claimed after a second is claimed by the next node that polls.
 *
 * **Gotchas**
 *
 * All nodes on one database serve the same app. Nodes authenticate each other, and encrypt what they say, with a key in
 * their database: whoever reads the database is a node. A pooler that reassigns connections between transactions cannot hold the locks of shards.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerCluster = (options: Options = {}): Layer.Layer<never, ServeError, SqlClient> =>
  Layer.unwrap(Effect.map(Effect.orDie(NodeTls.readKey(prefix)), (key) => clustered(options, key)))

const clustered = (
  { host = "127.0.0.1", listen = host, port = 0 }: Options,
  key: Redacted.Redacted<string>
): Layer.Layer<never, ServeError, SqlClient> =>
  layerNoCluster.pipe(
    Layer.provide(ClusterWorkflowEngine.layer),
    Layer.provide(HttpRouter.serve(HttpRunner.layerWebsocketOptions({ path: "/" }), {
      disableListenLog: true,
      disableLogger: true
    })),
    Layer.provide(Layer.provide(RunnerHealth.layerPing, Runners.layerRpc)),
    Layer.provide(HttpRunner.layerClientProtocolWebsocket({ path: "/", https: true })),
    Layer.provide([messages, Layer.orDie(SqlRunnerStorage.layerWith({ prefix }))]),
    Layer.provide(NodeTls.layerConstructor(key)),
    Layer.provide([RpcSerialization.layerSchemaBinary({}), configured(host)]),
    Layer.provide(NodeHttpServer.layer(() => NodeTls.server(key), { host: listen, port }))
  )

/** The prefix of the engine's own tables, which are in the database of the runs and are not an API. */
const prefix = "fastagentic_engine"

const messages = Layer.provide(SqlMessageStorage.layerWith({ prefix }), NodeCrypto.layerDigest)

/** These times let a lost node lose its shards within a few seconds. */
const timing = {
  shardLockExpiration: "9 seconds",
  shardLockRefreshInterval: "3 seconds",
  refreshAssignmentsInterval: "1 second",
  runnerHealthCheckInterval: "1 second",
  entityMessagePollInterval: "2 seconds",
  // A turn ends when its run is claimed, which is fast.
  entityTerminationTimeout: "1 second",
  maxResidentEntities: "unbounded"
} as const

/** The port is known once the server listens. */
const configured = (host: string) =>
  Layer.effect(
    ShardingConfig.ShardingConfig,
    Effect.map(HttpServer.HttpServer, ({ address }) => ({
      ...ShardingConfig.defaults,
      ...timing,
      runnerAddress: Option.some(
        RunnerAddress.make(host, "port" in address ? address.port : 0)
      )
    }))
  )
