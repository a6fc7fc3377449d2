/** The peers are no part of the product's installation: they come when they are measured for the first time. */
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"

export const folder = join(import.meta.dirname, "../peers")

/** Installs the peers from their own lock file, or says why there are none. */
export const install = (): string | undefined => {
  if (process.env["PEERS"] === "none") return "PEERS=none"
  if (existsSync(join(folder, "node_modules/.package-lock.json"))) return undefined
  console.log("installing the peers into benchmarks/peers, some 240 MB …")
  // What npm says to its scripts is about the workspace that runs this one.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/iu.test(name)))
  const { error, signal, status, stderr } = spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
    cwd: folder,
    env,
    encoding: "utf8",
    timeout: 300_000
  })
  if (status === 0) return undefined
  return `npm ci in benchmarks/peers: ${error?.message ?? signal ?? stderr.trim().split("\n").slice(0, 2).join(" ")}`
}

/** The Restate server's program itself: its wrapper in Node would be measured too. */
export const restateServer = () => {
  const path = `node_modules/@restatedev/restate-server-${process.platform}-${process.arch}/bin/restate-server`
  return existsSync(join(folder, path)) ? join(folder, path) : undefined
}
