/** The same workflow as a Restate handler. The Restate server calls it, clients call the Restate server. */
import * as restate from "@restatedev/restate-sdk"
import { createServer } from "node:http2"
import { work } from "../servers/work.ts"

const walker = restate.service({
  name: "walker",
  handlers: {
    walk: async (ctx: restate.Context, { millis, steps }: { readonly steps: number; readonly millis: number }) => {
      for (let step = 1; step <= steps; step++) await ctx.run(`step ${step}`, () => work(step, millis))
      return { walked: steps }
    }
  }
})

createServer(restate.createEndpointHandler({ services: [walker] }))
  .listen(Number(process.env["PORT"]), "127.0.0.1", () => process.send?.("ready"))
