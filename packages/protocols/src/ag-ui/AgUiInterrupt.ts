// An open question as an interrupt of AG-UI, with the schema of its answer.
import { DateTime, type Schema } from "effect"
import { questionId } from "../chat/ChatIds.ts"
import type { Asked } from "../chat/Pause.ts"

export const interruptOf = (runId: string, { mayDecide, question: { notice } }: Asked) => {
  const { arguments: args, expiresAt, kind, message, name, responseSchema, risk, rule, toolCallId, url } = notice
  return {
    id: questionId(runId, notice.id),
    reason: kind === "input" ? "input_required" : notice.tool === undefined ? "confirmation" : "tool_call",
    message: message ?? name,
    ...(toolCallId === undefined ? {} : { toolCallId }),
    responseSchema: kind === "input" && isObject(responseSchema) ? responseSchema : approvalSchema,
    ...(expiresAt === undefined ? {} : { expiresAt: DateTime.formatIso(DateTime.makeUnsafe(expiresAt)) }),
    metadata: {
      name,
      mayDecide,
      ...(url === undefined ? {} : { url }),
      ...(args === undefined ? {} : { arguments: args }),
      ...(risk === undefined ? {} : { risk }),
      ...(rule === undefined ? {} : { rule })
    }
  }
}

const approvalSchema = {
  type: "object",
  properties: { approved: { type: "boolean" }, editedArgs: { type: "object" }, reason: { type: "string" } },
  required: ["approved"]
}

export const isObject = (value: Schema.Json | undefined): value is { readonly [key: string]: Schema.Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value)
