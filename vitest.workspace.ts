import { readdirSync } from "node:fs"
import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"

const pathOf = (name: string) => new URL(name, import.meta.url).pathname

export const shared = {
  testTimeout: 30_000,
  hookTimeout: 30_000,
  teardownTimeout: 30_000,
  // Processes that tests start read their modules as they were compiled the time before.
  env: { NODE_COMPILE_CACHE: pathOf("build/compile-cache") }
}

/** Starts a PostgreSQL and a Redis for all files. */
export const withServices = { globalSetup: [pathOf("packages/stores/test/services.ts")] }

const names = readdirSync(pathOf("packages"), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name)

const usesServices = new Set(["stores", "cli"])

const packages = names.map((name) => ({
  test: {
    name,
    root: `packages/${name}`,
    include: ["test/**/*.test.ts"],
    // Files share what they import: it takes as long to load as most files take to run. The command line has handlers of
    // its process, which would outlive a file.
    isolate: name === "cli",
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
    exclude: ["**/A2aCard.test.ts", "**/AppTest.test.ts", "**/McpStdio.test.ts", "**/RestDocument.test.ts"],
    isolate: false,
    ...shared,
    env: { ...shared.env, TEST_STORE: "sqlite" }
  }
}

const examples = {
  test: { name: "examples", root: ".", include: ["examples/*/**/*.test.ts"], ...withServices, ...shared }
}

export default defineConfig({
  // Tests wait for sockets, timers and processes: with one file at a time a core would be idle.
  test: { projects: [...packages, sqlite, examples], maxWorkers: Math.max(2, availableParallelism()) }
})
