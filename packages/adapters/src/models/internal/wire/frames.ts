// Writes what the package reads: chunks, errors and whole completions of the chat completions API.
import { statusIn, wordsOf } from "../words.ts"
import type { Call, Mended, Message } from "./chunk.ts"
import { withName } from "./unnamed.ts"

/** The code of an error event that stands for a connection that ended too early. */
export const connectionLost = "fastagentic_connection_lost"

/** The code of an error event that stands for text that is no answer of this API. */
export const malformed = "fastagentic_malformed"

const frame = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`

export const errorFrame = (message: string, code: string): string => frame({ error: { message, code } })

/** An error of any shape as the one that the package knows. */
export const errorFields = (error: unknown) => {
  const words = wordsOf(error)
  return {
    error: {
      message: words.message ?? "the provider reported an error",
      type: words.type,
      code: statusIn(words) ?? words.code,
      param: words.parameter
    }
  }
}

export const errorOf = (error: unknown): string => frame(errorFields(error))

export const chunkFrame = ({ created, id, message, model, reason, usage }: Mended): string =>
  frame({ id, created, model, choices: [{ index: 0, delta: message, finish_reason: reason }], usage })

/** The chunk of an answer whose server never gave a reason for its end. */
export const endFrame = (reason: string, calls: ReadonlyArray<Call>): string =>
  frame({ choices: [{ index: 0, delta: { tool_calls: calls }, finish_reason: reason }] })

const whole = (message: Message | undefined) => ({
  ...message,
  tool_calls: message?.tool_calls?.map(withName)
})

export const completion = ({ created, id, message, model, reason, usage }: Mended) => ({
  id,
  created,
  model,
  choices: [{
    index: 0,
    message: whole(message),
    finish_reason: reason ?? ((message?.tool_calls?.length ?? 0) > 0 ? "tool_calls" : "stop")
  }],
  usage
})
