import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Play, suite } from "../../src/adapter-contract.ts"
import { ClaudeAgents } from "../../src/claude.ts"
import * as Stage from "../../src/internal/contract/stage.ts"
import { fakeQuery } from "./fakeClaude.ts"

const settings = { prompt: ({ question }: { readonly question: string }) => question, approve: ["pay"] }

suite("The Claude Agent SDK, with a stand-in for its process", {
  capabilities: ClaudeAgents.capabilities,
  declares: false,
  perform: (agent, play) => ClaudeAgents.layer(agent, fakeQuery(play), settings)
})

describe("a session of the Claude Agent SDK", () => {
  it.live("gets the options of the app, the hooks of both, and an environment without the server's own variables", () =>
    Effect.gen(function*() {
      const play = new Play()
      const seen: Array<Record<string, unknown>> = []
      const events: Array<string> = []
      const query = fakeQuery(play)
      const options = (run: ClaudeAgents.Runtime) => ({
        model: run.runId,
        env: { SHOP: "yes" },
        hooks: {
          PreToolUse: [{
            hooks: [async (input: Record<string, unknown>) => {
              events.push(String(input["tool_name"]))
              return {}
            }]
          }]
        }
      })
      process.env.FASTAGENTIC_KEY = "secret"
      yield* Effect.addFinalizer(() => Effect.sync(() => delete process.env.FASTAGENTIC_KEY))
      const server = yield* Stage.serve({
        durable: false,
        play,
        perform: (agent) =>
          ClaudeAgents.layer(agent, (asked: Parameters<typeof query>[0]) => {
            seen.push({ ...asked.options })
            return query(asked)
          }, { ...settings, options })
      })
      const runId = yield* server.start("plain")
      assert.strictEqual((yield* server.ended(runId)).state, "completed")
      const { env, includePartialMessages, model, settingSources } = Object(seen[0])
      assert.deepStrictEqual({ model, includePartialMessages, settingSources }, {
        model: runId,
        includePartialMessages: true,
        settingSources: []
      })
      assert.strictEqual(env.SHOP, "yes")
      assert.isUndefined(env.FASTAGENTIC_KEY)
      assert.isString(env.CLAUDE_CONFIG_DIR)
      assert.deepStrictEqual(events, ["look", "refund"])
      const costs = (yield* server.journal(runId)).flatMap((event) => event.type === "custom" ? [event.data] : [])
      assert.deepStrictEqual(costs, [{ name: "claude cost", value: { costUsd: 0.01 } }])
    }).pipe(Effect.scoped))
})
