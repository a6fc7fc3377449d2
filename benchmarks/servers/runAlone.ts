/** A floor: the same tool as `mcp.ts` on `node:http`, whose run the runtime makes without Effect's HTTP server and our protocols. */
import { Effect, Layer, ManagedRuntime, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { App, Audit, Auth, Budget, BudgetStore, Caller, RateLimit, RunStore, Runtime } from "fastagentic"
import { createServer, type IncomingMessage } from "node:http"

const Said = Schema.Struct({ message: Schema.String })
const Echo = Tool.make("echo", { description: "Says what you say", parameters: Said, success: Said })
const Tools = Toolkit.make(Echo)

const Stores = Layer.mergeAll(RunStore.RunStore.layerMemory, Audit.layerMemory, BudgetStore.BudgetStore.layerMemory)
const Open = Layer.mergeAll(Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited)

const runtime = ManagedRuntime.make(
  Runtime.layer(App.make("floor", { version: "1.0.0", tools: Tools })).pipe(
    Layer.provide(Tools.toLayer({ echo: ({ message }) => Effect.succeed({ message }) })),
    Layer.provide([Stores, Open])
  )
)
const service = await runtime.runPromise(Runtime.Runtime)

const call = (payload: unknown) =>
  Effect.flatMap(
    service.start(Caller.make("local"), { kind: "tool", identifier: "echo", payload }),
    (started) => started.settled
  )

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  let text = ""
  for await (const chunk of request.setEncoding("utf8")) text += chunk
  return text
}

process.on("SIGTERM", () => process.exit())

createServer(async (request, response) => {
  if (request.url === "/health") return void response.end("ok")
  const { output } = await runtime.runPromise(call(JSON.parse(await bodyOf(request))))
  response.writeHead(200, { "content-type": "application/json" })
  response.end(JSON.stringify(output))
}).listen(Number(process.env["PORT"]), "127.0.0.1")
