// The answers of the model of one query as events of its run, from the stream of the Messages API. session.ts feeds it.
import { Event } from "@fastagentic/core"
import type { Schema } from "effect"
import * as Response from "effect/ai/Response"
import { fromText } from "../../adapter/Json.ts"
import * as PartEvents from "../../adapter/PartEvents.ts"
import type { StreamEvent } from "./wire.ts"

interface Block {
  readonly type: string
  readonly id: string
  readonly name: string
  text: string
}

interface Open {
  readonly callId: string
  readonly model: string
  readonly answer: PartEvents.Answer
  readonly blocks: Map<number, Block>
  usage: { inputTokens?: number; cacheReadTokens?: number; cacheWriteTokens?: number; outputTokens?: number }
  reason: Response.FinishReason
}

const reasons: Readonly<Record<string, Response.FinishReason>> = {
  end_turn: "stop",
  stop_sequence: "stop",
  tool_use: "tool-calls",
  max_tokens: "length",
  refusal: "content-filter"
}

/** Translates the events of answers, of which one is open at a time for each agent; `said` are calls that are known. */
export const make = (said: Set<string>) => {
  const open = new Map<string, Open>()

  /** A call is said once: its hook may come before the end of its block. */
  const call = (toolCallId: string, name: string, args: Schema.Json): ReadonlyArray<Event.Event> => {
    if (said.has(toolCallId)) return []
    said.add(toolCallId)
    return [Event.make("tool_call", { toolCallId, name, arguments: args })]
  }

  const finish = ({ answer, callId, model, reason, usage }: Open): ReadonlyArray<Event.Event> => {
    const part = Response.makePart("finish", {
      reason,
      response: undefined,
      usage: new Response.Usage({
        inputTokens: {
          // Anthropic counts what its cache has read and written beside the rest.
          total: (usage.inputTokens ?? 0) + (usage.cacheReadTokens ?? 0) + (usage.cacheWriteTokens ?? 0),
          uncached: usage.inputTokens,
          cacheRead: usage.cacheReadTokens,
          cacheWrite: usage.cacheWriteTokens
        },
        outputTokens: { total: usage.outputTokens, text: undefined, reasoning: undefined }
      })
    })
    const spent = PartEvents.usageOf(part)
    return [
      ...answer.events(part),
      Event.make("llm_end", { callId, finishReason: reason, ...(spent === undefined ? {} : { usage: spent }) }),
      ...(spent === undefined ? [] : [Event.make("usage", { callId, model, ...spent })])
    ]
  }

  const eventsOf = (event: StreamEvent, agent: string): ReadonlyArray<Event.Event> => {
    if (event.type === "message_start") {
      const { id, model, usage } = event.message
      const started: Open = {
        callId: id,
        model,
        answer: PartEvents.make(id),
        blocks: new Map(),
        usage: counted(usage),
        reason: "unknown"
      }
      open.set(agent, started)
      return [Event.make("llm_start", { callId: id, model, provider: "anthropic" })]
    }
    const current = open.get(agent)
    if (current === undefined) return []
    const { answer, blocks } = current
    switch (event.type) {
      case "content_block_start": {
        const { id = "", name = "", type } = event.content_block
        blocks.set(event.index, { type, id, name, text: "" })
        return type === "tool_use"
          ? answer.events(Response.makePart("tool-params-start", { id, name, providerExecuted: false }))
          : []
      }
      case "content_block_delta": {
        const { partial_json, text, thinking } = event.delta
        const id = String(event.index)
        if (text !== undefined) return answer.events(Response.makePart("text-delta", { id, delta: text }))
        if (thinking !== undefined) return answer.events(Response.makePart("reasoning-delta", { id, delta: thinking }))
        const block = blocks.get(event.index)
        if (partial_json === undefined || block?.type !== "tool_use") return []
        block.text += partial_json
        return answer.events(Response.makePart("tool-params-delta", { id: block.id, delta: partial_json }))
      }
      case "content_block_stop": {
        const block = blocks.get(event.index)
        if (block?.type !== "tool_use") return []
        return call(block.id, block.name, block.text === "" ? {} : fromText(block.text))
      }
      case "message_delta":
        current.usage = { ...current.usage, ...counted(event.usage) }
        current.reason = reasons[event.delta.stop_reason ?? ""] ?? current.reason
        return []
      case "message_stop":
        open.delete(agent)
        return finish(current)
    }
  }

  /** Events of an agent that another has started are its calls and what it spends; its words are not the answer. */
  const events = (event: StreamEvent, agent: string) => {
    const all = eventsOf(event, agent)
    return agent === "" ? all : all.filter(({ type }) => type !== "token" && type !== "reasoning_delta")
  }

  return { events, call }
}

type Usage = Extract<StreamEvent, { readonly type: "message_delta" }>["usage"]

const counted = (usage: Usage): Open["usage"] => {
  const counts = {
    inputTokens: usage?.input_tokens,
    outputTokens: usage?.output_tokens,
    cacheReadTokens: usage?.cache_read_input_tokens,
    cacheWriteTokens: usage?.cache_creation_input_tokens
  }
  return Object.fromEntries(Object.entries(counts).filter(([, value]) => typeof value === "number"))
}
