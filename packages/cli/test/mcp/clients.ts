// The MCP clients of others, in an installation of their own under build/, which is made once for each list of releases.
import { execFileSync, spawn } from "node:child_process"
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const own = fileURLToPath(new URL("clients/", import.meta.url))
const folder = fileURLToPath(new URL("../../../../build/mcp-clients/", import.meta.url))

/** The folder of the packages, or why there is none. */
export const installed = (): { readonly folder: string } | { readonly reason: string } => {
  const lock = readFileSync(join(own, "package-lock.json"), "utf8")
  const marker = join(folder, "package-lock.json")
  const isThere = existsSync(join(folder, "node_modules/.package-lock.json")) && existsSync(marker) &&
    readFileSync(marker, "utf8") === lock
  if (!isThere) {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    for (const file of ["package.json", "package-lock.json"]) copyFileSync(join(own, file), join(folder, file))
    // npm's variables describe the workspace that runs the tests.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/iu.test(name)))
    try {
      execFileSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
        cwd: folder,
        env,
        stdio: "pipe",
        timeout: 300_000
      })
    } catch (error) {
      rmSync(folder, { recursive: true, force: true })
      return { reason: `the MCP clients cannot be installed: ${String(error).split("\n")[0]}` }
    }
  }
  copyFileSync(join(own, "aiSdk.mjs"), join(folder, "aiSdk.mjs"))
  return { folder }
}

export const scriptOf = (name: string) => join(own, name)

export interface Ended {
  readonly code: number | null
  readonly output: string
  readonly errors: string
}

/** Runs a client to its end. */
export const run = (command: string, args: ReadonlyArray<string>, cwd = folder): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: ["ignore", "pipe", "pipe"], timeout: 60_000 })
    let [output, errors] = ["", ""]
    child.stdout.setEncoding("utf8").on("data", (text: string) => output += text)
    child.stderr.setEncoding("utf8").on("data", (text: string) => errors += text)
    child.once("error", reject)
    child.once("close", (code) => resolve({ code, output, errors }))
  })
