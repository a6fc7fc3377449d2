import { Functions } from "@fastagentic/adapters/functions"
import { Schema } from "effect"
import { suite } from "../../src/adapter-contract.ts"

suite("An async generator", {
  capabilities: Functions.capabilities,
  denial: "run",
  sees: { models: false, tools: false },
  perform: (agent, play) =>
    Functions.layer(agent, async function*({ question }, run) {
      for (let answers = 0;; answers++) {
        const { calls, texts } = await run.step(
          `model ${answers}`,
          async (signal) => {
            const { calls, texts } = await play.answer(answers, JSON.stringify(question), signal)
            return { calls: calls.map(({ args, id, name }) => ({ args, id, name })), texts: [...texts] }
          }
        )
        yield* texts
        for (const { args, id, name } of calls) {
          if (name === "pay") await run.interrupt("pay", { schema: Schema.Json })
          await run.step(id, (signal) => play.work(name, args, signal))
        }
        if (calls.length === 0) return texts.join("")
      }
    })
})
