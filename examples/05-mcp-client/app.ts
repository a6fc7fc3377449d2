import { Effect, Layer, Schema } from "effect"
import { Agent, App } from "fastagentic"
import { DefaultModel, ModelLoop } from "fastagentic/effect-ai"
import { McpRemote } from "fastagentic/mcp"
import process from "node:process"
import { fileURLToPath } from "node:url"

/** The support desk of the first example, as an MCP server that is a process of this app. */
export class SupportDesk extends McpRemote.Service<SupportDesk>()("desk") {}

const command = fileURLToPath(import.meta.resolve("fastagentic/bin"))
const desk = fileURLToPath(new URL("../01-support/app.ts", import.meta.url))

export const SupportDeskLayer = McpRemote.layer(SupportDesk, {
  command: process.execPath,
  args: [command, "run", desk, "--mode", "stdio", "--store", "memory"],
  // The first definitions of the tools are kept here; a model reads no others.
  pins: fileURLToPath(new URL("desk.mcp.json", import.meta.url)),
  rules: ({ name }) => name === "find_order" || name === "search_orders" ? {} : "hidden"
})

export class Courier extends Agent.make("courier", {
  description: "Says where orders are",
  payload: { question: Schema.NonEmptyString },
  success: Schema.String
}) {}

export const CourierLayer = Courier.toLayer(({ question }) =>
  ModelLoop.run({ prompt: question, toolkit: McpRemote.toolkit(SupportDesk) }).pipe(
    Effect.map(({ text }) => text),
    Effect.orDie
  )
)

export class Delivery extends App.make("delivery", { version: "1.0.0", agents: [Courier] }) {}

export default Delivery.provide(
  CourierLayer.pipe(Layer.provide([DefaultModel.layer, Layer.orDie(SupportDeskLayer)]))
)
