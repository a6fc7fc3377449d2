/** CPU per request of the hot paths, compared with a raw node:http server in the same run, or with `--against REV` with a commit. */
import { asked } from "./against/asked.ts"
import { compare } from "./against/compare.ts"
import { http } from "./against/measures.ts"
import { type Load, send } from "./load.ts"
import { start } from "./process.ts"

const words = Array.from({ length: 20 }, (_, i) => `word${i}`).join(" ")
const loads: ReadonlyArray<{ readonly name: string; readonly load: Load; readonly atMostMillis: number }> = [
  {
    name: "echo streamed, 20 tokens",
    load: { path: "/agents/echo/stream", body: { text: words }, expect: "event: done" },
    atMostMillis: 0.6
  },
  {
    name: "paced streamed, 20 tokens one task each",
    load: { path: "/agents/paced/stream", body: { text: words }, expect: "event: done" },
    atMostMillis: 0.6
  },
  {
    name: "POST /tools/find_order",
    load: { path: "/tools/find_order", body: { orderId: 1042 }, expect: "shipped" },
    atMostMillis: 0.35
  }
]
const rounds = Number(process.env["ROUNDS"] ?? 5)
const requests = Number(process.env["REQUESTS"] ?? 4_000)
const concurrency = 16

const median = (values: ReadonlyArray<number>) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN

const besideRaw = async () => {
  const ours = await start("fastagentic")
  const raw = await start("raw")
  try {
    for (const { atMostMillis, load, name } of loads) {
      const costs = { ours: [] as Array<number>, raw: [] as Array<number> }
      const rates = { ours: [] as Array<number>, raw: [] as Array<number> }
      for (let round = 0; round <= rounds; round++) {
        for (const [key, server] of [["ours", ours], ["raw", raw]] as const) {
          const before = server.cpuMillis()
          const seconds = await send(server.url, load, requests, concurrency)
          // The first round only warms up.
          if (round === 0) continue
          costs[key].push((server.cpuMillis() - before) / requests)
          rates[key].push(requests / seconds)
        }
      }
      const [mine, floor] = [median(costs.ours), median(costs.raw)]
      console.log(
        `${name}: ${mine.toFixed(3)} ms CPU per request (at most ${atMostMillis}), raw ${floor.toFixed(3)} ms, ` +
          `${(mine / floor).toFixed(2)} x raw; ${Math.round(median(rates.ours))} and ${
            Math.round(median(rates.raw))
          } requests/s`
      )
    }
  } finally {
    ours.stop()
    raw.stop()
  }
}

const comparison = asked()
await (comparison === undefined ? besideRaw() : compare(comparison, () => http))
