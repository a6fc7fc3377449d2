/** Runs every static check in order and reports all that fail, not only the first. */
import { spawnSync } from "node:child_process"

const steps = [
  "barrels:check",
  "types",
  "effect",
  "lint",
  "format:check",
  "knip",
  "deps",
  "lock:check",
  "sbom:check",
  "docs",
  "reference:check",
  "words",
  "typetest",
  "shape"
]

const failed = steps.filter((step) => {
  const started = performance.now()
  const { status } = spawnSync("npm", ["run", "--silent", step], { stdio: "inherit" })
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  console.log(`${status === 0 ? "ok  " : "FAIL"} ${step} (${seconds} s)`)
  return status !== 0
})

if (failed.length > 0) {
  console.error(`check: ${failed.length} of ${steps.length} failed: ${failed.join(", ")}`)
  process.exitCode = 1
} else {
  console.log(`check: all ${steps.length} passed`)
}
