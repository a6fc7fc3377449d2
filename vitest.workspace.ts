import { readdirSync } from "node:fs"
import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"

const pathOf = (name: string) => new URL(name, import.meta.url).pathname

const shared = {
  testTimeout: 30_000,
  hookTimeout: 30_000,
  teardownTimeout: 30_000,
  // Processes that tests start read their modules as they were compiled the time before.
  env: { NODE_COMPILE_CACHE: pathOf("build/compile-cache") }
}

/** Starts a PostgreSQL and a Redis for all files. */
const withServices = { globalSetup: [pathOf("packages/stores/test/services.ts")] }

const names = readdirSync(pathOf("packages"), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name)

const usesServices = new Set(["stores", "cli"])

const packages = names.map((name) => ({
  test: {
    name,
    root: `packages/${name}`,
    include: ["test/**/*.test.ts"],
    // Files share what they import, and the process that runs their commands: both take as long to start as most files run.
    isolate: false,
    ...(usesServices.has(name) ? withServices : {}),
    ...shared
  }
}))

/**
 * The suites of the protocols a second time, on a store that takes a while to commit and is ahead of the process then.
 * Without those that store nothing, or whose server is another process.
 */
const sqlite = {
  test: {
    name: "protocols-sqlite",
    root: "packages/protocols",
    include: ["test/**/*.test.ts"],
    exclude: ["AppTest", "Headers", "RestDocument", "SchemaReferences"].map((name) => `**/${name}.test.ts`),
    isolate: false,
    ...shared,
    env: { ...shared.env, TEST_STORE: "sqlite" }
  }
}

/** The files share a worker: each has an app of its own, and leaves no global changed. */
const examples = {
  test: {
    name: "examples",
    root: ".",
    isolate: false,
    include: ["examples/*/**/*.test.ts"],
    ...withServices,
    ...shared
  }
}

const trialsOf = (name: string, options: object) => ({
  // A process starts in a second on a machine that has nothing else to do.
  test: {
    name,
    root: ".",
    isolate: false,
    ...withServices,
    ...shared,
    env: { ...shared.env, MODEL_HISTORIES: "300" },
    testTimeout: 120_000,
    ...options
  }
})

const everyTrial = ["packages/*/test/**/*.trials.ts", "examples/*/*.trials.ts"]

/** Trials that have deadlines or count what happens in a time: each has the machine to itself. */
const alone = [
  "A2aKilled",
  "AuditOutbox",
  "Chaos",
  "Cluster",
  "ClusterEngine",
  "CommitPoints",
  "Crashes",
  "Failures",
  "FilesKilled",
  "Lease",
  "LoopPoints",
  "RateCounters",
  "Schedules"
].map((name) => `packages/*/test/**/${name}.trials.ts`)

/** `npm run trials`: servers that are killed, stopped and spread over nodes, other languages, and the suites of others. */
const trials = [
  trialsOf("trials", { include: everyTrial, exclude: alone, sequence: { groupOrder: 1 } }),
  trialsOf("trials-alone", { include: alone, fileParallelism: false, sequence: { groupOrder: 2 } })
]

export default defineConfig({
  // Tests wait for sockets, timers and processes: with one file for each core, cores would be idle.
  test: { projects: [...packages, sqlite, examples, ...trials], maxWorkers: availableParallelism() + 3 }
})
