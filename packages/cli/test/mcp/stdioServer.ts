/** The remote server as a process: official, on standard input and output, in the generation that its client asks for. */
import { serveStdio } from "@modelcontextprotocol/server/stdio"
import { readFileSync } from "node:fs"
import process from "node:process"
import { look, refund, type RemoteTool, said, serverOf } from "./remoteServer.ts"

const none = { type: "object" }

const environment: RemoteTool = {
  definition: { name: "environment", inputSchema: none, annotations: { readOnlyHint: true } },
  work: () => said(JSON.stringify({ pid: process.pid, names: Object.keys(process.env) }))
}

const die: RemoteTool = {
  definition: { name: "die", inputSchema: none, annotations: { destructiveHint: false } },
  work: () => {
    process.stderr.write("about to die\n")
    return process.exit(7)
  }
}

/** Words that the test may change between two starts. */
const words = process.env["SHOP_WORDS"]
const described = words === undefined
  ? look
  : { ...look, definition: { ...look.definition, description: readFileSync(words, "utf8") } }

const world = { tools: [described, refund, environment, die], begun: [] }
serveStdio(() => serverOf(world))
