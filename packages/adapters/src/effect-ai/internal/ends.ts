// Decides whether an answer of a model is one: an empty or refused answer is a typed end of the loop, and so is a provider's
// refusal. modelCall.ts stores the decision with the answer, so that a replay ends as the run did.
import { AnswerEmpty, AnswerRefused, ContextExceeded } from "@fastagentic/core/run/ModelEnd"
import { Effect } from "effect"
import type * as AiError from "effect/ai/AiError"
import { excessIn } from "../../adapter/internal/contextWords.ts"
import { toJson } from "../../adapter/Json.ts"
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

/** Classes of errors whose words are about something else than the prompt. */
const isOfAccount = ({ _tag }: AiError.AiErrorReason) =>
  _tag === "RateLimitError" || _tag === "QuotaExhaustedError" || _tag === "AuthenticationError"

/** A provider may refuse with an error instead of an answer. */
export const asRefusal = (error: AiError.AiError, model: string): AiError.AiError | AnswerRefused | ContextExceeded => {
  const { reason } = error
  if (reason._tag === "ContentPolicyError") return new AnswerRefused({ text: "" })
  const excess = isOfAccount(reason) ? undefined : excessIn(`${error.message} ${JSON.stringify(toJson(reason))}`)
  return excess === undefined ? error : new ContextExceeded({ model, isEstimate: false, ...excess })
}
