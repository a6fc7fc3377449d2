// The messages of LangChain as a model of the app reads them.
import { assert, describe, it } from "@effect/vitest"
import { AIMessage } from "@langchain/core/messages"
import { promptOf } from "../../../src/langgraph/internal/messages.ts"

const signed = { anthropic: { signature: "s" } }

const answer = (content: string, order: number) =>
  new AIMessage({
    content,
    tool_calls: [{ id: "c1", name: "pay", args: { order }, type: "tool_call" }],
    additional_kwargs: {
      fastagentic: [
        { type: "reasoning", text: "hm", metadata: signed },
        { type: "text", text: "I pay." },
        { type: "tool-call", id: "c1", name: "pay", arguments: { order: 7 } }
      ]
    }
  })

const said = (message: AIMessage) => JSON.stringify(promptOf([message]).content)

describe("an answer of a model of the app", () => {
  it("goes back to the model with what its provider attached to it", () => {
    assert.include(said(answer("I pay.", 7)), "\"signature\":\"s\"")
  })

  it("is what its message says once middleware has edited a text or a call", () => {
    assert.notInclude(said(answer("I [redacted].", 7)), "I pay.")
    assert.include(said(answer("I pay.", 5)), "\"order\":5")
    assert.notInclude(said(answer("I pay.", 5)), "\"order\":7")
  })
})
