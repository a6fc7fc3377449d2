import { Python } from "@fastagentic/adapters/python"
import { Effect, Layer } from "effect"
import { fileURLToPath } from "node:url"
import { suite } from "../../src/adapter-contract.ts"
import { servePlay } from "./playServer.ts"

const folder = fileURLToPath(new URL("python", import.meta.url))

suite("A Python generator", {
  capabilities: Python.callable,
  denial: "run",
  sees: { models: false, tools: false },
  perform: (agent, play) =>
    Layer.unwrap(Effect.map(servePlay(play), (port) =>
      Python.layer(agent, {
        entrypoint: "function.py:agent",
        cwd: folder,
        env: { PLAY_PORT: String(port) }
      })))
})
