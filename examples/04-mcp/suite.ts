import { spawn } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

/** One line of a scenario's report. */
interface Check {
  readonly id: string
  readonly status: string
  readonly errorMessage?: string
}

/** The scenarios that ran, and what failed in them. */
export interface Report {
  readonly scenarios: ReadonlySet<string>
  readonly failures: ReadonlyArray<string>
  readonly output: string
}

const command = fileURLToPath(
  new URL("dist/index.js", import.meta.resolve("@modelcontextprotocol/conformance/package.json"))
)

/** Runs the official conformance suite against a server. */
export const conformance = (url: string, ...args: ReadonlyArray<string>): Promise<Report> => {
  const folder = mkdtempSync(join(tmpdir(), "mcp-conformance-"))
  const child = spawn(process.execPath, [command, "server", "--url", url, "-o", folder, ...args], {
    stdio: ["ignore", "pipe", "pipe"]
  })
  let output = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => output += text)
  child.stderr.setEncoding("utf8").on("data", (text: string) => output += text)
  return new Promise((resolve, reject) => {
    child.once("error", reject)
    child.once("close", () => {
      const report = { ...reportIn(folder), output }
      rmSync(folder, { recursive: true, force: true })
      resolve(report)
    })
  })
}

/** Each scenario has a folder, whose name ends with the time at which it ran. */
const reportIn = (folder: string): Pick<Report, "failures" | "scenarios"> => {
  const scenarios = new Set<string>()
  const failures: Array<string> = []
  for (const name of readdirSync(folder)) {
    const scenario = name.replace(/^server-/u, "").replace(/-\d{4}-\d\d-\d\dT[\dZ-]+$/u, "")
    scenarios.add(scenario)
    const checks: ReadonlyArray<Check> = JSON.parse(readFileSync(join(folder, name, "checks.json"), "utf8"))
    for (const { errorMessage = "", id, status } of checks) {
      if (status === "FAILURE" || status === "WARNING") failures.push(`${scenario}: ${id}: ${errorMessage}`)
    }
  }
  return { scenarios, failures }
}
