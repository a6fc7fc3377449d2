// Adds a sentence to the system prompt of a loop, after the app's own words; final.ts and untrusted.ts use it. It stays one
// message, because some providers take only one, and a prompt that has the sentence is left as it is.
import * as Prompt from "effect/ai/Prompt"

export const addToSystem = (prompt: Prompt.Prompt, text: string): Prompt.Prompt => {
  const at = prompt.content.findIndex(({ role }) => role === "system")
  const system = prompt.content[at]
  if (system?.role !== "system") return Prompt.setSystem(prompt, text)
  if (system.content.includes(text)) return prompt
  const { content, options } = system
  return Prompt.fromMessages(
    prompt.content.with(at, Prompt.systemMessage({ content: `${content}\n\n${text}`, options }))
  )
}
