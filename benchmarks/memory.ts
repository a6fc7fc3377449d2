/** Resident memory of the server after 5,000 and after 50,000 runs. */
import { send } from "./load.ts"
import { start } from "./process.ts"

const load = { path: "/agents/echo/stream", body: { text: "one two three four five" }, expect: "event: done" }
const server = await start("fastagentic")
try {
  await send(server.url, load, 5_000, 16)
  const early = server.rssMiB()
  await send(server.url, load, 45_000, 16)
  const late = server.rssMiB()
  const growth = (late / early - 1) * 100
  console.log(
    `RSS after 5,000 runs ${early.toFixed(0)} MiB, after 50,000 ${late.toFixed(0)} MiB: ${growth.toFixed(1)} %`
  )
} finally {
  server.stop()
}
