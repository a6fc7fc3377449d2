// The texts of users that a model has not answered yet, and the prompt with other texts in their places.
import * as Prompt from "effect/ai/Prompt"

const unanswered = ({ content }: Prompt.Prompt) => content.findLastIndex(({ role }) => role === "assistant") + 1

export const userTexts = (prompt: Prompt.Prompt): ReadonlyArray<string> =>
  prompt.content.slice(unanswered(prompt)).flatMap((message) =>
    message.role === "user"
      ? message.content.flatMap((part) => part.type === "text" && part.text.trim() !== "" ? [part.text] : [])
      : []
  )

/** The prompt with the texts of `userTexts` exchanged. */
export const withUserTexts = (prompt: Prompt.Prompt, texts: ReadonlyArray<string>): Prompt.Prompt => {
  const from = unanswered(prompt)
  let at = 0
  return Prompt.fromMessages(prompt.content.map((message, index) =>
    index < from || message.role !== "user"
      ? message
      : Prompt.makeMessage("user", {
        content: message.content.map((part) =>
          part.type === "text" && part.text.trim() !== ""
            ? Prompt.makePart("text", { text: texts[at++] ?? part.text, options: part.options })
            : part
        ),
        options: message.options
      })
  ))
}
