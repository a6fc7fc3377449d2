/** The same workflow in DBOS, behind a bare HTTP server. */
import { DBOS } from "@dbos-inc/dbos-sdk"
import { createServer } from "node:http"
import { answerInside } from "../servers/inside.ts"
import { work } from "../servers/work.ts"

const walk = DBOS.registerWorkflow(async (steps: number, millis: number) => {
  for (let step = 1; step <= steps; step++) {
    await DBOS.runStep(() => work(step, millis), { name: `step ${step}` })
  }
  return { walked: steps }
}, { name: "walk" })

DBOS.setConfig({
  name: "walk",
  systemDatabaseUrl: process.env["STORE"] ?? "",
  applicationVersion: "1.0.0",
  logLevel: "error"
})
await DBOS.launch()

createServer(async (request, response) => {
  let text = ""
  for await (const chunk of request) text += chunk
  const { millis, steps } = Object(JSON.parse(text))
  const body = JSON.stringify(await walk(steps, millis))
  response.writeHead(200, { "content-type": "application/json" })
  response.end(body)
}).listen(Number(process.env["PORT"]), "127.0.0.1", () => answerInside((steps) => walk(steps, 0)))
