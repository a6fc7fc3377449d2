// Gives each tool call of a graph its own identity in the journal. The id of a model is none: hosts use one for several calls
// of a message, or again in a later turn. The first call under an id keeps it; session.ts names the events with it.
import type { Event } from "@fastagentic/core"

interface Requested {
  readonly toolCallId: string
  readonly name: string
}

export class ToolCallIds {
  private readonly uses = new Map<string, number>()
  /** The calls whose arguments arrive, by the id of the model, the earliest first. */
  private readonly arriving = new Map<string, Array<string>>()
  /** The calls that no tool has answered. */
  private readonly requested = new Map<string, Array<Requested>>()

  /** The event of a model's call under the identity of that call. */
  named(event: Event.Event): Event.Event {
    switch (event.type) {
      case "tool_call_start": {
        const toolCallId = this.begin(event.data.toolCallId)
        this.listOf(this.arriving, event.data.toolCallId).push(toolCallId)
        return { ...event, data: { ...event.data, toolCallId } }
      }
      case "tool_call_delta": {
        const { toolCallId: id } = event.data
        return { ...event, data: { ...event.data, toolCallId: this.arriving.get(id)?.at(-1) ?? id } }
      }
      case "tool_call": {
        const { name, toolCallId: id } = event.data
        const toolCallId = this.arriving.get(id)?.shift() ?? this.begin(id)
        this.listOf(this.requested, id).push({ toolCallId, name })
        return { ...event, data: { ...event.data, toolCallId } }
      }
      default:
        return event
    }
  }

  isRequested(id: string): boolean {
    return (this.requested.get(id)?.length ?? 0) > 0
  }

  /** The next call under an id of a model, which is answered now. */
  take(id: string): Requested | undefined {
    return this.requested.get(id)?.shift()
  }

  private begin(id: string) {
    const use = (this.uses.get(id) ?? 0) + 1
    this.uses.set(id, use)
    return use === 1 ? id : `${id}#${use}`
  }

  private listOf<A>(lists: Map<string, Array<A>>, id: string) {
    const list = lists.get(id) ?? []
    lists.set(id, list)
    return list
  }
}
