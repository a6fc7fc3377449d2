/** The process that the suite starts for each scenario: it passes the scenario on to the client, and prints what it tells. */
import process from "node:process"

const asked = new URL(process.argv[2] ?? "")
asked.searchParams.set("url", process.argv.at(-1) ?? "")
asked.searchParams.set("scenario", process.env["MCP_CONFORMANCE_SCENARIO"] ?? "")
asked.searchParams.set("context", process.env["MCP_CONFORMANCE_CONTEXT"] ?? "{}")
const response = await fetch(asked)
console.log(await response.text())
process.exitCode = response.ok ? 0 : 1
