// Decides whether an answer of a model is one: an empty or refused answer is a typed end of the loop. modelCall.ts stores the
// decision with the answer, so that a replay ends as the run did.
import { AnswerEmpty, AnswerRefused } from "@fastagentic/core/run/ModelEnd"
import { Effect } from "effect"
import * as AiError from "effect/ai/AiError"
import type { Answer } from "./answer.ts"
import type { Message } from "./message.ts"

/** The field that an answer without words gets. */
export const ending = ({ finishReason, isSilent }: Message): Pick<Answer, "end"> => {
  if (finishReason === "content-filter") return { end: "refused" }
  return isSilent ? { end: "empty" } : {}
}

/** Fails where an answer is none. */
export const endOf = ({ end, finishReason, text }: Answer): Effect.Effect<void, AnswerEmpty | AnswerRefused> => {
  switch (end) {
    case "empty":
      return Effect.fail(new AnswerEmpty({ finishReason }))
    case "refused":
      return Effect.fail(new AnswerRefused({ text }))
    default:
      return Effect.void
  }
}

/** A provider may refuse with an error instead of an answer. */
export const asRefusal = (error: AiError.AiError): AiError.AiError | AnswerRefused =>
  error.reason._tag === "ContentPolicyError" ? new AnswerRefused({ text: "" }) : error
