// The events that earlier attempts emitted in one place and that still stand. LiveRun asks it before it emits: an event
// that was said is not said again, and the first one that differs supersedes the rest.
import type { Fiber, Schema } from "effect"
import { canonical } from "../../base/internal/canonical.ts"
import { covers, type Event, isSaid, type RunEvent } from "../../run/Event.ts"
import { separator } from "./names.ts"

/** The numbers of the first and the last of some events of one place. */
export interface Range {
  readonly from: number
  readonly to: number
}

export class EarlierWords {
  private readonly events: ReadonlyArray<RunEvent>
  private readonly isDone: Array<boolean>
  private first = 0
  /** The position of each branch of this attempt; branches may say theirs in another order than before. */
  private readonly last = new Map<object | undefined, number>()

  constructor(events: ReadonlyArray<RunEvent>) {
    this.events = events
    this.isDone = events.map(() => false)
  }

  /** Whether something is left that was not said again. */
  get isOpen() {
    return this.first < this.events.length
  }

  /** Whether this attempt has said something here. */
  get isEntered() {
    return this.last.size > 0
  }

  /** Nothing when the event was said before; otherwise the events that it supersedes. */
  say(event: Event, fiber: Fiber.Fiber<unknown, unknown> | undefined): ReadonlyArray<Range> | undefined {
    if (!this.isOpen) return []
    const after = this.last.get(fiber) ?? -1
    for (let index = Math.max(this.first, after + 1); index < this.events.length; index++) {
      const earlier = this.events[index]
      if (this.isDone[index] === true || earlier === undefined || !isSame(earlier, event)) continue
      this.last.set(fiber, index)
      this.isDone[index] = true
      this.advance()
      return undefined
    }
    this.last.set(fiber, after)
    // Several branches may speak here: the words that are left can belong to one that has yet to say them again.
    return this.last.size === 1 ? this.drop() : []
  }

  /** Supersedes all that was not said again. */
  end(): ReadonlyArray<Range> {
    return this.drop()
  }

  private drop(): ReadonlyArray<Range> {
    const ranges: Array<Range> = []
    let open = false
    for (let index = this.first; index < this.events.length; index++) {
      const seq = this.events[index]?.seq ?? 0
      const previous = ranges.at(-1)
      if (this.isDone[index] === true) open = false
      else if (open && previous !== undefined) ranges[ranges.length - 1] = { from: previous.from, to: seq }
      else {
        ranges.push({ from: seq, to: seq })
        open = true
      }
      this.isDone[index] = true
    }
    this.advance()
    return ranges
  }

  private advance() {
    while (this.first < this.events.length && this.isDone[this.first] === true) this.first++
  }
}

/** The words that stand, by the place that said them. A step with an outcome does not run again, so its words are left out. */
export const earlierWords = (
  events: ReadonlyArray<RunEvent>,
  steps: ReadonlySet<string>
): ReadonlyMap<string, EarlierWords> => {
  const places = new Map<string, Array<RunEvent>>()
  for (const event of events) {
    if (event.type === "superseded" && event.place === undefined) {
      const { data } = event
      places.set(data.place, places.get(data.place)?.filter((earlier) => !covers(data, earlier)) ?? [])
      continue
    }
    const place = event.place ?? ""
    if (!isSaid(event) || isOver(place, steps)) continue
    // A step that runs again spends again.
    if (event.type === "usage" && event.place !== undefined) continue
    const known = places.get(place)
    if (known === undefined) places.set(place, [event])
    else known.push(event)
  }
  return new Map([...places].map(([place, said]) => [place, new EarlierWords(said)]))
}

const isOver = (place: string, steps: ReadonlySet<string>) => {
  if (place === "") return false
  if (steps.has(place)) return true
  for (let at = place.lastIndexOf(separator); at > 0; at = place.lastIndexOf(separator, at - 1)) {
    if (steps.has(place.slice(0, at))) return true
  }
  return false
}

/** Whether an event says what an earlier one has said. */
export const isSame = (earlier: RunEvent, event: Event): boolean => {
  if (earlier.type !== event.type) return false
  if (earlier.type === "token" && event.type === "token" && earlier.data.delta !== event.data.delta) return false
  return contentOf(earlier) === contentOf(event)
}

/** How long something took differs each time, and says nothing else. */
const contentOf = ({ data, path }: Pick<Event, "data" | "path">) => {
  const { durationMs: _durationMs, ...rest }: Record<string, Schema.Json> = { ...data }
  return canonical({ path: path ?? [], rest })
}
