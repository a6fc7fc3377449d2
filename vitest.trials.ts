// `npm run trials`: real processes that are killed, stopped and spread over nodes. They wait for minutes and have deadlines,
// so each has the machine to itself.
import { defineConfig } from "vitest/config"
import { shared, withServices } from "./vitest.workspace.ts"

const trials = { name: "trials", root: ".", include: ["packages/*/test/**/*.trials.ts"], ...withServices, ...shared }

export default defineConfig({ test: { projects: [{ test: trials }], maxWorkers: 1 } })
