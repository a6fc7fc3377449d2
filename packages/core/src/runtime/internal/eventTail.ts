// The events of one run that wait for their commit. LiveRun adds to it; events that come within one turn of the writer
// travel in one write, and none is added to a write that the writer has taken.
import type { Event } from "../../run/Event.ts"
import type { Changes } from "../../store/RunStore.ts"

/** How many events may wait in one write. */
const tailLimit = 256

/** A write that is in line and can still be added to. */
interface Open {
  readonly writerTurn: number
  readonly events: Array<Event>
  readonly set: Changes
}

export class EventTail {
  private open: Open | undefined

  /** Adds an event to the write in line. Returns a new write when there is none that it could join. */
  add(
    event: Event,
    set: Changes,
    turn: number
  ): { readonly events: ReadonlyArray<Event>; readonly set: Changes } | undefined {
    if (this.open?.writerTurn === turn && this.open.events.length < tailLimit) {
      this.open.events.push(event)
      Object.assign(this.open.set, set)
      return undefined
    }
    this.open = { writerTurn: turn, events: [event], set }
    return this.open
  }

  /** Ends the write in line: a commit follows it, and later events come after that commit. */
  close() {
    this.open = undefined
  }
}
