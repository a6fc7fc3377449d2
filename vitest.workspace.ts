import { readdirSync } from "node:fs"
import { defineConfig } from "vitest/config"

const timeouts = { testTimeout: 30_000, hookTimeout: 30_000, teardownTimeout: 30_000 }

const packages = readdirSync(new URL("packages", import.meta.url), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => ({
    test: { name: entry.name, root: `packages/${entry.name}`, include: ["test/**/*.test.ts"], ...timeouts }
  }))

const examples = { test: { name: "examples", root: ".", include: ["examples/*/**/*.test.ts"], ...timeouts } }

export default defineConfig({
  test: { projects: [...packages, examples] }
})
