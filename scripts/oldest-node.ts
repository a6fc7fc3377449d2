/**
 * Smoke and the tests of core, protocols and SQLite on the oldest Node that `engines` allows. It is installed below build/,
 * and called by its path: npm would put the workspace's own Node before it.
 */
import { execFileSync, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { root } from "./internal/workspace.ts"

const { engines } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
const version = `${String(engines.node).replace(">=", "")}.0`
const system = `${process.platform === "win32" ? "win" : process.platform}-${process.arch}`
const folder = join(root, "build/oldest-node")
const node = join(folder, `node_modules/node-${system}/bin/node`)

const installed = () =>
  existsSync(node) && execFileSync(node, ["--version"], { encoding: "utf8" }).trim() === `v${version}`

if (!installed()) {
  mkdirSync(folder, { recursive: true })
  const where = ["--prefix", folder, "--no-save", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"]
  spawnSync("npm", ["install", ...where, `node-${system}@${version}`], { cwd: folder, stdio: "inherit" })
  if (!installed()) throw new Error(`Node ${version} could not be installed`)
}

const runs = (...words: ReadonlyArray<string>): boolean =>
  spawnSync(node, words, { cwd: root, stdio: "inherit" }).status === 0

const app = ["packages/cli/src/bin.ts", "run", "examples/01-support/app.ts", "--mode", "http"]
const report = ["--reporter=default", "--reporter=json", "--outputFile.json=build/tests-oldest-node.json"]
const projects = ["core", "protocols", "stores"].flatMap((name) => ["--project", name])
const files = ["packages/core/", "packages/protocols/", "packages/stores/test/sqlite/"]

const smoke = runs("scripts/smoke.ts", node, ...app)
const tests = runs(
  "node_modules/vitest/vitest.mjs",
  "run",
  "--config",
  "vitest.workspace.ts",
  ...projects,
  ...report,
  ...files
)
console.log(`Node ${version}: smoke ${smoke ? "ok" : "FAILED"}, tests ${tests ? "ok" : "FAILED"}`)
if (!smoke || !tests) process.exitCode = 1
