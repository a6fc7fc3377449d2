// The events of one run that wait for their commit. RunWrites adds to it; events that come within one turn of the writer
// travel in one write, and none is added to a write that the writer has taken.
import type { Event } from "../../run/Event.ts"
import type { Changes, Commit } from "../../store/RunStore.ts"

/** How many events may wait in one write. */
const tailLimit = 256

/** A write that is in line and can still be added to. */
interface Open {
  readonly writerTurn: number
  readonly events: Array<Event>
  readonly set: Changes
  readonly write: Commit
}

const none: ReadonlyArray<Event> = []

export class EventTail {
  private open: Open | undefined

  /** Adds an event to the write in line. Returns a new write, which `commitOf` makes, when there is none that it could join. */
  add(
    event: Event,
    set: Changes,
    turn: number,
    commitOf: (parts: Pick<Commit, "events" | "set">) => Commit
  ): Commit | undefined {
    if (this.open?.writerTurn === turn && this.open.events.length < tailLimit) {
      this.open.events.push(event)
      Object.assign(this.open.set, set)
      return undefined
    }
    const events = [event]
    const write = commitOf({ events, set })
    this.open = { writerTurn: turn, events, set, write }
    return write
  }

  /** Takes the events of the write in line for the commit that follows it, if `withdraw` can take the write out of the line. */
  take(turn: number, withdraw: (write: Commit) => boolean): ReadonlyArray<Event> {
    const { open } = this
    this.open = undefined
    return open?.writerTurn === turn && withdraw(open.write) ? open.events : none
  }

  /** Ends the write in line: a commit follows it, and later events come after that commit. */
  close() {
    this.open = undefined
  }
}
