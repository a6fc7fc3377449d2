import { type Model, type ModelProvider, type ModelRequest, Usage } from "@openai/agents"
import { assistantMessage, functionCall } from "@openai/agents/testing"

/** The reply to all that was said so far: the call of a tool, or the answer that its result allows. */
const replyTo = (heard: string) => {
  const [, state] = /"state\\*":\s*\\*"(\w+)/u.exec(heard) ?? []
  const [, orderId] = /order (\d+)/iu.exec(heard) ?? []
  const [verb] = /cancel/iu.exec(heard) ?? []
  if (orderId === undefined) return { text: "Which order is it? Name it as order 1042." }
  return state === undefined
    ? { tool: verb === undefined ? "find_order" : "cancel_order", orderId: Number(orderId) }
    : { text: `Order ${orderId} is ${state}.` }
}

const usage = { inputTokens: 10, outputTokens: 10, totalTokens: 20 }

const answer = ({ input }: ModelRequest) => {
  const { orderId, text, tool } = replyTo(JSON.stringify(input))
  const output = [tool === undefined ? assistantMessage(text) : functionCall(tool, { orderId }, { callId: "call-1" })]
  return { output, words: text?.split(/(?<= )/u) ?? [] }
}

/** A model that needs no key and no network. */
const model: Model = {
  getResponse: async (request) => ({ output: answer(request).output, usage: new Usage(usage) }),
  async *getStreamedResponse(request) {
    const { output, words } = answer(request)
    yield { type: "response_started" }
    for (const delta of words) yield { type: "output_text_delta", delta }
    yield { type: "response_done", response: { id: "1", output, usage } }
  }
}

export const offline: ModelProvider = { getModel: () => model }
