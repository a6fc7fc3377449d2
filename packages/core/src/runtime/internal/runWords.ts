// The words of one attempt: an event is said in its place unless an earlier attempt has said it there, and words that are not
// said again are superseded. LiveRun has one for all places; what passes here goes to RunWrites.
import { Effect, Fiber } from "effect"
import * as Event from "../../run/Event.ts"
import type { Range } from "./earlierWords.ts"
import type { LiveRun } from "./liveRun.ts"
import { isPart, type Place } from "./names.ts"

export class RunWords {
  /** How many events the handler has said outside of steps. */
  emitted: number
  private toSkip: number
  private readonly live: LiveRun

  constructor(live: LiveRun) {
    this.live = live
    // Runs of earlier versions only say how many events they have emitted.
    this.toSkip = live.history.places ? 0 : live.run.emitted
    this.emitted = live.run.emitted
  }

  /** Whether the handler says at its top what an earlier attempt has said. */
  get isRepeating(): boolean {
    return this.toSkip > 0 || this.live.history.words?.get("")?.isOpen === true
  }

  /** Says an event in a place, unless an earlier attempt has. The first event that differs supersedes the rest. */
  say(place: Place, event: Event.Event): Effect.Effect<void> {
    const isInStep = place.step !== undefined
    if (this.toSkip > 0 && !isInStep) {
      this.toSkip--
      return Effect.void
    }
    const { history, resting, writes } = this.live
    const earlier = history.words?.get(place.address)
    if (earlier === undefined || !earlier.isOpen || (isInStep && event.type === "usage")) return this.add(place, event)
    // The fibers of a framework say nothing about the order of its words: a part speaks with one voice.
    const superseded = earlier.say(event, isPart(place.address) ? undefined : Fiber.getCurrent())
    if (superseded === undefined) {
      resting.activity.moves++
      return Effect.void
    }
    return Effect.andThen(
      Effect.forEach(supersededBy(place.address, superseded), (one) => writes.append(one), { discard: true }),
      Effect.suspend(() => this.add(place, event))
    )
  }

  private add(place: Place, event: Event.Event): Effect.Effect<void> {
    const { writes } = this.live
    if (place.step === undefined) this.emitted++
    if (place.address !== "") return writes.append({ ...event, place: place.address })
    return writes.append(Event.isSaid(event) ? event : { ...event, place: "" })
  }

  /** Supersedes the words of earlier attempts that this one does not say, in all places that begin like this. */
  unsaid(prefix: string, address?: string): ReadonlyArray<Event.Event> {
    const { words } = this.live.history
    if (words === undefined) return []
    return [...words].flatMap(([place, earlier]) =>
      (place === address || place.startsWith(prefix)) && (earlier.isEntered || !isPart(place))
        ? supersededBy(place, earlier.end())
        : []
    )
  }

  /** Supersedes all that was said in a place, once it is committed and has its numbers. */
  retract({ address }: Place): Effect.Effect<void> {
    const { live } = this
    return live.ending !== undefined ? Effect.void : Effect.andThen(
      live.writes.commit({ events: [] }),
      Effect.suspend(() =>
        live.writes.append({ type: "superseded", data: { place: address, from: 1, to: live.run.seq } })
      )
    )
  }
}

const supersededBy = (place: string, ranges: ReadonlyArray<Range>): ReadonlyArray<Event.Event> =>
  ranges.map(({ from, to }) => ({ type: "superseded", data: { place, from, to } }))
