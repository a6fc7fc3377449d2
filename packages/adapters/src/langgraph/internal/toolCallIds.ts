// Gives each tool call of a graph its own identity in the journal. The id of a model is none: hosts use one for several calls
// of a message, or again in a later turn. The first call under an id keeps it; session.ts names the events with it.
import type { Event } from "@fastagentic/core"
import { Schema } from "effect"

const Requested = Schema.Struct({ toolCallId: Schema.String, name: Schema.String })

type Requested = typeof Requested.Type

/** The identities of calls, as the run stores them with each checkpoint. */
export const Snapshot = Schema.Struct({
  uses: Schema.Array(Schema.Tuple([Schema.String, Schema.Int])),
  requested: Schema.Array(Schema.Tuple([Schema.String, Schema.Array(Requested)]))
})

export type Snapshot = typeof Snapshot.Type

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

  /** The identities that a resumed graph needs: how often each id was used, and the calls that no tool has answered. */
  get snapshot(): Snapshot {
    return { uses: [...this.uses], requested: [...this.requested].filter(([, calls]) => calls.length > 0) }
  }

  restore({ requested, uses }: Snapshot) {
    for (const [id, use] of uses) this.uses.set(id, use)
    this.requested.clear()
    for (const [id, calls] of requested) this.requested.set(id, [...calls])
  }

  isRequested(id: string): boolean {
    return (this.requested.get(id)?.length ?? 0) > 0
  }

  /** The ids of models that are taken, for the models of the app. */
  readonly used = {
    has: (id: string) => this.uses.has(id),
    add: (id: string) => {
      this.uses.set(id, Math.max(1, this.uses.get(id) ?? 0))
    }
  }

  /** Notes a call of a model of the app, whose ids are unique in the run. */
  request(id: string, name: string) {
    this.used.add(id)
    if (!this.isRequested(id)) this.listOf(this.requested, id).push({ toolCallId: id, name })
  }

  /** The identity of the next call under an id of a model. */
  first(id: string): string {
    return this.requested.get(id)?.[0]?.toolCallId ?? id
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
