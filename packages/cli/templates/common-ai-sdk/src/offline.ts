import { simulateReadableStream } from "ai"
import { MockLanguageModelV4 } from "ai/test"

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

const usage = {
  inputTokens: { total: 10, noCache: undefined, cacheRead: undefined, cacheWrite: undefined },
  outputTokens: { total: 10, text: undefined, reasoning: undefined }
}

/** A model that needs no key and no network. */
export const offline = new MockLanguageModelV4({
  provider: "offline",
  modelId: "offline",
  doStream: async ({ prompt }) => {
    const { orderId, text, tool } = replyTo(JSON.stringify(prompt.filter(({ role }) => role !== "system")))
    if (tool !== undefined) {
      return {
        stream: simulateReadableStream({
          chunks: [
            { type: "tool-call", toolCallId: "call-1", toolName: tool, input: JSON.stringify({ orderId }) },
            { type: "finish", finishReason: { unified: "tool-calls", raw: undefined }, usage }
          ]
        })
      }
    }
    const words = text.split(/(?<= )/u).map((delta) => ({ type: "text-delta" as const, id: "1", delta }))
    return {
      stream: simulateReadableStream({
        chunks: [
          { type: "text-start", id: "1" },
          ...words,
          { type: "text-end", id: "1" },
          { type: "finish", finishReason: { unified: "stop", raw: undefined }, usage }
        ]
      })
    }
  }
})
