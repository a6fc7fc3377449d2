// Gives each tool call of a message its own identity. A provider's id is none: hosts use one id for several calls of a
// message, or again in a later turn. The provider's id stays in the prompt where it is unique there.
import type * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"

/** A call of the message that is read now. */
export interface Named {
  /** Its id in the prompt. */
  readonly id: string
  readonly toolCallId: string
  readonly name: string
  /** The arguments that have arrived, as text. */
  text: string
}

export class CallIds {
  /** The calls whose arguments arrive, by the provider's id, the earliest first. */
  private readonly arriving = new Map<string, Array<Named>>()
  private readonly last = new Map<string, Named>()
  private readonly taken: Set<string>
  private readonly idOf: () => string

  constructor(prompt: Prompt.Prompt, idOf: () => string) {
    this.taken = new Set(
      prompt.content.flatMap((message) =>
        message.role !== "assistant"
          ? []
          : message.content.flatMap((part) => part.type === "tool-call" ? [part.id] : [])
      )
    )
    this.idOf = idOf
  }

  /** The call that a part belongs to. */
  of(part: Response.AnyPart): Named | undefined {
    switch (part.type) {
      case "tool-params-start": {
        const call = this.begin(part.id, part.name)
        if (part.providerExecuted !== true) this.arriving.set(part.id, [...this.arriving.get(part.id) ?? [], call])
        return call
      }
      case "tool-params-delta": {
        const call = this.last.get(part.id)
        if (call !== undefined) call.text += part.delta
        return call
      }
      case "tool-call": {
        const [first, ...others] = this.arriving.get(part.id) ?? []
        this.arriving.set(part.id, others)
        return first ?? this.begin(part.id, part.name)
      }
      case "tool-result":
        return this.last.get(part.id)
      default:
        return undefined
    }
  }

  /** The calls whose arguments began to arrive and did not end. */
  get cut(): ReadonlyArray<Named> {
    return [...this.arriving.values()].flat()
  }

  private begin(providerId: string, name: string): Named {
    const toolCallId = this.idOf()
    const id = providerId === "" || this.taken.has(providerId) ? toolCallId : providerId
    this.taken.add(id)
    const call: Named = { id, toolCallId, name, text: "" }
    this.last.set(providerId, call)
    return call
  }
}
