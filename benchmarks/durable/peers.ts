// Installs the peers on first use; they are not part of the product's installation.
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"

export const folder = join(import.meta.dirname, "../peers")

/** Installs the peers from their own lock file, or returns the reason why it cannot. */
export const install = (): string | undefined => {
  if (process.env["PEERS"] === "none") return "PEERS=none"
  if (existsSync(join(folder, "node_modules/.package-lock.json"))) return undefined
  console.log("installing the peers into benchmarks/peers, some 240 MB …")
  // npm's variables describe the workspace that runs this script.
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

/** The Restate server's own binary: its Node wrapper would be measured too. */
export const restateServer = () => {
  const path = `node_modules/@restatedev/restate-server-${process.platform}-${process.arch}/bin/restate-server`
  return existsSync(join(folder, path)) ? join(folder, path) : undefined
}
