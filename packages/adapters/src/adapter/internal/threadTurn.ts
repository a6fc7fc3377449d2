// The thread of a run as texts, for frameworks that get the whole conversation with each prompt; MastraAgents.ts and AgUi.ts
// send it before the prompt, and keep the prompt with its answer as the run's turn.
import { Content, Thread } from "@fastagentic/core"
import { Effect } from "effect"

/** The messages of the turns before, oldest first; calls of tools are left out. */
export const before = Effect.map(
  Thread.messages(),
  (messages) =>
    messages.flatMap((message) =>
      message.role === "user" || message.role === "assistant"
        ? [{ id: `${message.runId}-${message.position}`, role: message.role, content: Content.textOf(message.content) }]
        : []
    )
)

/** Keeps the turn. */
export const keep = (prompt: string, answer: string) =>
  Thread.add(
    { role: "user", content: [Content.text(prompt)] },
    { role: "assistant", content: [Content.text(answer)] }
  )
