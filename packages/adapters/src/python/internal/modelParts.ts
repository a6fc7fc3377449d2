// The pieces of an answer as the worker sends them; modelRequests.ts gives them to the run as parts of effect/ai.
import { Schema } from "effect"
import * as Response from "effect/ai/Response"

const count = Schema.Int

const decode = Schema.decodeUnknownSync(Schema.Union([
  Schema.Struct({
    type: Schema.Literals(["text-delta", "reasoning-delta", "tool-params-delta"]),
    id: Schema.String,
    delta: Schema.String
  }),
  Schema.Struct({ type: Schema.Literal("tool-params-start"), id: Schema.String, name: Schema.String }),
  Schema.Struct({ type: Schema.Literal("tool-call"), id: Schema.String, name: Schema.String, params: Schema.Json }),
  Schema.Struct({
    type: Schema.Literal("finish"),
    reason: Response.FinishReason,
    /** Absent when the model reports none. */
    usage: Schema.optionalKey(Schema.Struct({
      inputTokens: count,
      outputTokens: count,
      cacheReadTokens: count,
      cacheWriteTokens: count,
      reasoningTokens: count
    }))
  })
]))

/** Throws for anything that is no piece. */
export const modelPart = (piece: unknown): Response.AnyPart => {
  const part = decode(piece)
  switch (part.type) {
    case "text-delta":
    case "reasoning-delta":
    case "tool-params-delta":
      return Response.makePart(part.type, { id: part.id, delta: part.delta })
    case "tool-params-start":
      return Response.makePart(part.type, { id: part.id, name: part.name, providerExecuted: false })
    case "tool-call":
      return Response.makePart(part.type, {
        id: part.id,
        name: part.name,
        params: part.params,
        providerExecuted: false
      })
    case "finish": {
      const { cacheReadTokens, cacheWriteTokens, inputTokens, outputTokens, reasoningTokens }: Partial<
        NonNullable<typeof part.usage>
      > = part.usage ?? {}
      return Response.makePart("finish", {
        reason: part.reason,
        response: undefined,
        usage: new Response.Usage({
          inputTokens: {
            total: inputTokens,
            uncached: undefined,
            cacheRead: cacheReadTokens,
            cacheWrite: cacheWriteTokens
          },
          outputTokens: { total: outputTokens, text: undefined, reasoning: reasoningTokens }
        })
      })
    }
  }
}
