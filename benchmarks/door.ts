/**
 * CPU that the whole door adds to a call: everything on against everything off, alternating in one run. With `TRACED=yes`,
 * the CPU that telemetry adds: everything on with a collector against everything on without.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import { loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { checkDoor, checkFile } from "./door/everythingOn.ts"
import { startIdentity } from "./door/identity.ts"
import { median } from "./durable/measure.ts"
import { type Load, send } from "./load.ts"
import { start } from "./process.ts"

const pairs = Number(process.env["PAIRS"] ?? 3)
const rounds = Number(process.env["ROUNDS"] ?? 6)
const requests = Number(process.env["REQUESTS"] ?? 2_000)
const only = process.env["ONLY"] ?? ""
const concurrency = 16
const traced = process.env["TRACED"] === "yes"
const [what, atMostMillis] = traced ? ["telemetry", 0.15] : ["the door", 0.25]
/** Rounds that warm a process up. */
const warming = 3

const agents = [
  { agent: "echo", name: "" },
  { agent: "paid", name: ", with a call of a model" }
]
const identity = await startIdentity()
const tokens = { good: identity.tokenFor(["desk"]), idle: identity.tokenFor([]) }
const collector = createServer((request, response) => request.resume().on("end", () => response.end()))
await new Promise<void>((resolve) => collector.listen(0, "127.0.0.1", resolve))
const address = collector.address()
const endpoint = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`

const folder = mkdtempSync(join(tmpdir(), "bench-door-"))
try {
  console.log(`load before: ${loadavg().map((one) => one.toFixed(1)).join(" ")}`)
  for (const store of ["memory", "SQLite"]) {
    for (const durable of [false, true]) {
      const name = `${store}, ${durable ? "durable" : "not durable"}`
      if (name.startsWith(only)) await compare(name, store, durable)
    }
  }
} finally {
  identity.stop()
  collector.close()
  collector.closeAllConnections()
  rmSync(folder, { recursive: true })
}

/** Two processes differ for as long as they live, so each pair is a fresh one. */
async function compare(name: string, store: string, durable: boolean) {
  const costs = agents.map(() => ({ off: new Array<number>(), on: new Array<number>() }))
  for (let pair = 0; pair < pairs; pair++) await measurePair(costs, join(folder, `${name}-${pair}`), store, durable)
  for (const [index, { off, on }] of costs.entries()) {
    const added = on.map((cost, round) => cost - (off[round] ?? NaN)).sort((a, b) => a - b)
    const [least, most] = [Math.floor(added.length / 4), Math.floor(added.length * 3 / 4)].map((at) => added[at])
    console.log(
      `${name}${agents[index]?.name}: off ${median(off).toFixed(3)} ms CPU a call, on ${median(on).toFixed(3)} ms, ` +
        `${what} ${median(added).toFixed(3)} ms (half of the rounds ${least?.toFixed(3)} to ${most?.toFixed(3)}; ` +
        `at most ${atMostMillis}); load ${loadavg()[0]?.toFixed(1)}`
    )
  }
}

async function measurePair(
  costs: ReadonlyArray<Record<"off" | "on", Array<number>>>,
  path: string,
  store: string,
  durable: boolean
) {
  const fileOf = (door: string) => store === "memory" ? "" : `${path}-${door}.db`
  const doors = ["off", "on"] as const
  const started = await Promise.all(doors.map(async (door) => ({
    door,
    server: await start("door", "", "", {
      DOOR: traced ? "on" : door,
      OTEL_SDK_DISABLED: String(!traced || door === "off"),
      OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
      STORE: fileOf(door),
      ISSUER: identity.issuer,
      DURABLE: durable ? "yes" : "no"
    })
  })))
  try {
    for (let round = -warming; round < rounds; round++) {
      for (const [index, { agent }] of agents.entries()) {
        for (const { door, server } of round % 2 === 0 ? started : started.toReversed()) {
          const before = server.cpuMillis()
          await send(server.url, loadOf(agent), requests, concurrency)
          if (round >= 0) costs[index]?.[door].push((server.cpuMillis() - before) / requests)
        }
      }
    }
    const calls = (warming + rounds) * requests
    for (const { door, server } of started) {
      if (door === "on") await checkDoor(server.url, tokens, { calls: calls * agents.length, paid: calls })
    }
  } finally {
    for (const { server } of started) server.stop()
  }
  await sleep(500)
  for (const door of doors) {
    const asked = door === "on" ? 1 : 0
    if (durable) checkFile(fileOf(door), (warming + rounds) * requests * agents.length + asked)
  }
}

function loadOf(agent: string): Load {
  return {
    path: `/agents/${agent}`,
    body: { text: "hello" },
    expect: "hello",
    headers: { authorization: `Bearer ${tokens.good}` }
  }
}
