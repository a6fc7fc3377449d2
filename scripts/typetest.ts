/** Runs the type tests on TypeScript 6: the native compiler has no JavaScript API for TSTyche to drive. */
import { spawnSync } from "node:child_process"

const { status } = spawnSync("tstyche", process.argv.slice(2), {
  stdio: "inherit",
  env: { ...process.env, TSTYCHE_TYPESCRIPT_MODULE: "typescript6" }
})

process.exitCode = status ?? 1
