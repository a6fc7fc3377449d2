// LangGraph's own suite of checkpointers on ours: each checkpointer is one of a run, and what it reads comes from a fork of
// that run, so it went through the store and the way of a resumed run.
import { LangGraph } from "@fastagentic/adapters/langgraph"
import type { RunStore as Port } from "@fastagentic/core/store/RunStore"
import { Postgres } from "@fastagentic/stores/postgres"
import { Redis } from "@fastagentic/stores/redis"
import { Sqlite } from "@fastagentic/stores/sqlite"
import * as PostgresServer from "@fastagentic/stores/test/postgres/server"
import * as RedisServer from "@fastagentic/stores/test/redis/server"
import { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint"
import { Effect, Exit, Layer, ManagedRuntime, Scope } from "effect"
import { Agent, App, Audit, Auth, Budget, Caller, RateLimit, Runtime } from "fastagentic"
import { join } from "node:path"
import * as Vitest from "vitest"
import { temporaryFolder } from "../process.ts"

class Keeper extends Agent.make("keeper", { description: "Lends its checkpointer", payload: {} }) {}

type Config = Parameters<BaseCheckpointSaver["getTuple"]>[0]

/** Runs whose graphs do nothing but lend their checkpointers. */
const makeLender = () => {
  const lent = new Map<string, (saver: BaseCheckpointSaver) => void>()
  const early = new Map<string, BaseCheckpointSaver>()
  const graph = (run: LangGraph.Runtime): LangGraph.Graph<object, object> => ({
    invoke: () => Promise.reject(new Error("not asked for")),
    stream: (_input, { configurable, signal }) => {
      const saver = configurable["__pregel_checkpointer"]
      if (!(saver instanceof BaseCheckpointSaver)) throw new Error("the graph gets no checkpointer")
      const waiting = lent.get(run.runId)
      if (waiting === undefined) early.set(run.runId, saver)
      else waiting(saver)
      return new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason))
      })
    }
  })
  const saverOf = (runId: string) => {
    const there = early.get(runId)
    return there === undefined
      ? new Promise<BaseCheckpointSaver>((resolve) => lent.set(runId, resolve))
      : Promise.resolve(there)
  }
  return { graph, saverOf }
}

const caller = Caller.make("local")

const open = async (store: Layer.Layer<Port, unknown>) => {
  const lender = makeLender()
  const app = App.make("savers", { version: "1", agents: [Keeper] })
  const runtime = ManagedRuntime.make(Layer.orDie(
    Runtime.layer(app, { grace: 0 }).pipe(
      Layer.provide(LangGraph.layer(Keeper, lender.graph, { input: () => ({}), output: () => "" })),
      Layer.provide([store, Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited, Audit.layerMemory])
    )
  ))
  const service = await runtime.runPromise(Runtime.Runtime)
  const started: Array<string> = []
  const lend = async (run: Effect.Effect<Runtime.Started, unknown>) => {
    const { run: { runId } } = await runtime.runPromise(Effect.orDie(run))
    started.push(runId)
    return { runId, saver: await lender.saverOf(runId) }
  }

  /** Writes to one run and reads from its forks. */
  class Kept extends BaseCheckpointSaver {
    private readonly writer: BaseCheckpointSaver
    private readonly runId: string
    private reader: Promise<{ readonly saver: BaseCheckpointSaver }> | undefined

    constructor({ runId, saver }: { readonly runId: string; readonly saver: BaseCheckpointSaver }) {
      super()
      this.writer = saver
      this.runId = runId
    }

    private async read() {
      this.reader ??= lend(service.fork(caller, this.runId, {}))
      return (await this.reader).saver
    }

    private async write<A>(change: Promise<A>) {
      this.reader = undefined
      const done = await change
      this.reader = undefined
      return done
    }

    async getTuple(config: Config) {
      return (await this.read()).getTuple(config)
    }
    async *list(config: Config, options?: Parameters<BaseCheckpointSaver["list"]>[1]) {
      yield* (await this.read()).list(config, options)
    }
    override async getDeltaChannelHistory(options: Parameters<BaseCheckpointSaver["getDeltaChannelHistory"]>[0]) {
      return (await this.read()).getDeltaChannelHistory(options)
    }
    put(...args: Parameters<BaseCheckpointSaver["put"]>) {
      return this.write(this.writer.put(...args))
    }
    putWrites(...args: Parameters<BaseCheckpointSaver["putWrites"]>) {
      return this.write(this.writer.putWrites(...args))
    }
    deleteThread(thread: string) {
      return this.write(this.writer.deleteThread(thread))
    }
  }

  const make = async () =>
    new Kept(await lend(service.start(caller, { kind: "agent", identifier: "keeper", payload: {} })))
  const release = () =>
    runtime.runPromise(Effect.forEach(started.splice(0), (runId) => Effect.ignore(service.cancel(caller, runId)), {
      concurrency: "unbounded",
      discard: true
    }))
  return { make, release, close: () => runtime.dispose() }
}

type Opened = Awaited<ReturnType<typeof open>>

// The suite takes them from the global object.
const { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } = Vitest
const names = { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it }
Object.assign(globalThis, names)
afterAll(() => {
  for (const name of Object.keys(names)) Reflect.deleteProperty(globalThis, name)
})
const { deltaChannelHistoryTests, validate } = await import("@langchain/langgraph-checkpoint-validation")

const suite = (name: string, store: Effect.Effect<Layer.Layer<Port, unknown>, never, Scope.Scope>) => {
  const scope = Effect.runSync(Scope.make())
  let opened: Opened | undefined
  beforeAll(async () => {
    opened = await open(await Effect.runPromise(Scope.provide(store, scope)))
  })
  afterAll(async () => {
    await opened?.close()
    await Effect.runPromise(Scope.close(scope, Exit.void))
  })
  const needed = () => {
    if (opened === undefined) throw new Error("the store is not open")
    return opened
  }
  const initializer = {
    checkpointerName: name,
    createCheckpointer: () => needed().make(),
    destroyCheckpointer: () => needed().release()
  }
  validate(initializer)
  deltaChannelHistoryTests(initializer)
}

describe("Checkpoints of LangGraph on SQLite", () => {
  suite("SQLite", Effect.sync(() => Sqlite.layer({ filename: join(temporaryFolder(), "runs.db") })))
})

PostgresServer.describeWithServer("Checkpoints of LangGraph on PostgreSQL", () => {
  suite("PostgreSQL", Effect.map(PostgresServer.database, (url) => Postgres.layer({ url })))
})

RedisServer.describeWithServer("Checkpoints of LangGraph on Redis", () => {
  suite("Redis", Effect.map(RedisServer.options, (shared) => Redis.layer(shared)))
})
