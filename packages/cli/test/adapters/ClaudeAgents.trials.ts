import { Effect, Layer } from "effect"
import { type Play, suite } from "../../src/adapter-contract.ts"
import { ClaudeAgents } from "../../src/claude.ts"
import { claudeCode, load, serveModel } from "./claudeCode.ts"
import { describeWith } from "./interpreters.ts"

const names = ["look", "refund", "pay"] as const

describeWith("the Claude Agent SDK", claudeCode(), (path) =>
  suite("The Claude Agent SDK, with its process", {
    capabilities: ClaudeAgents.capabilities,
    declares: false,
    perform: (agent, play: Play) =>
      Layer.unwrap(Effect.gen(function*() {
        const sdk = yield* Effect.promise(() => load(path))
        const url = yield* serveModel(play)
        const options = ({ signal }: ClaudeAgents.Runtime) => ({
          model: "play-1",
          tools: [],
          allowedTools: names.map((name) => `mcp__shop__${name}`),
          env: { ANTHROPIC_BASE_URL: url, ANTHROPIC_API_KEY: "none", CLAUDE_CODE_MAX_RETRIES: "0" },
          mcpServers: {
            shop: sdk.createSdkMcpServer({
              name: "shop",
              alwaysLoad: true,
              tools: names.map((name) =>
                sdk.tool(name, "Works", { order: sdk.number() }, async (args: { readonly order: number }) => ({
                  content: [{ type: "text", text: await play.work(name, args, signal) }]
                }))
              )
            })
          }
        })
        return ClaudeAgents.layer(agent, sdk.query, {
          prompt: ({ question }) => question,
          options,
          approve: ["mcp__shop__pay"]
        })
      }))
  }))
