// The events of one run that wait for their commit. RunWrites adds to it; events that come within one turn of the writer
// travel in one write, and none is added to a write that the writer has taken.
import type { Event, Usage } from "../../run/Event.ts"
import type { Changes, Commit } from "../../store/RunStore.ts"

/** How many events may wait in one write. */
const tailLimit = 256

/** A write that is in line and can still be added to. */
interface Open {
  readonly writerTurn: number
  readonly events: Array<Event>
  readonly set: { -readonly [Name in keyof Changes]: Changes[Name] }
  readonly write: Commit
}

const none: ReadonlyArray<Event> = []

export class EventTail {
  private open: Open | undefined

  /** Adds an event to the write in line, with how far the run has come. Returns false when there is none that it could join. */
  join(event: Event, turn: number, emitted: number, usage: Usage | undefined): boolean {
    const { open } = this
    if (open === undefined || open.writerTurn !== turn || open.events.length >= tailLimit) return false
    open.events.push(event)
    open.set.emitted = emitted
    if (usage !== undefined) open.set.usage = usage
    return true
  }

  /** Begins a write with an event; `commitOf` makes it. */
  begin(
    event: Event,
    set: Changes,
    turn: number,
    commitOf: (parts: Pick<Commit, "events" | "set">) => Commit
  ): Commit {
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
