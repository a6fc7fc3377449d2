// The MCP clients of others, in an installation of their own.
import { spawn } from "node:child_process"
import { copyFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { installIn } from "../installation.ts"

const own = fileURLToPath(new URL("clients/", import.meta.url))
const folder = fileURLToPath(new URL("../../../../build/mcp-clients/", import.meta.url))

/** The folder of the packages, or why there is none. */
export const installed = (): { readonly folder: string } | { readonly reason: string } => {
  const found = installIn("mcp-clients", own)
  if ("folder" in found) copyFileSync(join(own, "aiSdk.mjs"), join(folder, "aiSdk.mjs"))
  return found
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
