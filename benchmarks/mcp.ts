/**
 * CPU of a call of MCP 2026-07-28 behind the whole door, beside the SDK's low-level server alone, in one run; with `heap`, the
 * heap of a server over many calls and sessions.
 */
import { createServer } from "node:http"
import { loadavg } from "node:os"
import { startIdentity } from "./door/identity.ts"
import { median } from "./durable/measure.ts"
import { send } from "./load.ts"
import { modern, rest } from "./mcp/calls.ts"
import { heap } from "./mcp/heap.ts"
import { start } from "./process.ts"

const rounds = Number(process.env["ROUNDS"] ?? 8)
const requests = Number(process.env["REQUESTS"] ?? 2_000)
const only = process.env["ONLY"] ?? ""
const concurrency = 16
/** Rounds that warm a process up. */
const warming = 4

const identity = await startIdentity()
const token = identity.tokenFor(["desk"])
const collector = createServer((request, response) => request.resume().on("end", () => response.end()))
await new Promise<void>((resolve) => collector.listen(0, "127.0.0.1", resolve))
const address = collector.address()
const endpoint = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`

const on = { ISSUER: identity.issuer, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }
const off = { DOOR: "off", OTEL_SDK_DISABLED: "true" }
const contenders = [
  { name: "SDK alone, 1 tool", command: "mcpBare", env: { TOOLS: "1" }, load: modern(token) },
  { name: "SDK alone, 300 tools", command: "mcpBare", env: { TOOLS: "300" }, load: modern(token) },
  { name: "everything on, 1 tool", command: "mcp", env: { ...on, TOOLS: "1" }, load: modern(token) },
  { name: "everything on, 300 tools", command: "mcp", env: { ...on, TOOLS: "300" }, load: modern(token) },
  { name: "nothing on, 1 tool", command: "mcp", env: { ...off, TOOLS: "1" }, load: modern(token) },
  { name: "everything on, the same tool over REST", command: "mcp", env: { ...on, TOOLS: "1" }, load: rest(token) },
  { name: "nothing on, the same tool over REST", command: "mcp", env: { ...off, TOOLS: "1" }, load: rest(token) },
  { name: "floor: the run on node:http", command: "runAlone", env: {}, load: rest(token) },
  { name: "floor: node:http", command: "raw", env: {}, load: rest(token) }
] as const

const compare = async () => {
  const servers = await Promise.all(
    contenders.filter(({ name }) => name.includes(only)).map(async (contender) => ({
      ...contender,
      costs: new Array<number>(),
      server: await start(contender.command, "memory", "", contender.env)
    }))
  )
  try {
    for (let round = -warming; round < rounds; round++) {
      for (const { costs, load, server } of round % 2 === 0 ? servers : servers.toReversed()) {
        const before = server.threadMillis()
        await send(server.url, load, requests, concurrency)
        if (round >= 0) costs.push((server.threadMillis() - before) / requests)
      }
    }
    const floor = median(servers[0]?.costs ?? [])
    for (const { costs, name } of servers) {
      const range = `${Math.min(...costs).toFixed(3)} to ${Math.max(...costs).toFixed(3)}`
      console.log(
        `${name}: ${median(costs).toFixed(3)} ms CPU a call (${range}), ${
          (median(costs) / floor).toFixed(2)
        } x the first`
      )
    }
  } finally {
    for (const { server } of servers) server.stop()
  }
}

try {
  console.log(`load before: ${loadavg().map((one) => one.toFixed(1)).join(" ")}`)
  await (process.argv.includes("heap") ? heap(on, token) : compare())
} finally {
  identity.stop()
  collector.close()
  collector.closeAllConnections()
}
