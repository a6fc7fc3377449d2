import { Deferred, Effect, Fiber } from "effect"
import { separator } from "../../runtime/internal/names.ts"
import type { Recording } from "./replay.ts"

type RecordedUse = readonly [what: string, seq: number]

/**
 * Lets a handler have what is recorded in the order in which it was committed: what was asked for too early waits until
 * what comes before it has been asked for. So what goes on side by side is no change, and what has changed places is one.
 */
export class Order {
  /** What the handler does differently. */
  problem: string | undefined
  private readonly places: ReadonlyMap<string, number>
  private readonly line: ReadonlyArray<RecordedUse>
  private readonly asked = new Set<string>()
  private readonly askedBy = new WeakMap<object, string>()
  private readonly held = new Map<string, Deferred.Deferred<void>>()
  /** What was let go although something before it had not been asked for. */
  private early: ReadonlyArray<string> | undefined
  private next = 0

  constructor({ events, interrupts, steps }: Recording) {
    const asked = new Map(events.flatMap((event) => event.type === "interrupt" ? [[event.data.id, event.seq]] : []))
    const places = [
      ...steps.map(({ name, seq }): RecordedUse => [`step "${name}"`, seq]),
      ...interrupts.flatMap(({ id, name }): ReadonlyArray<RecordedUse> => {
        const seq = asked.get(id)
        return seq === undefined ? [] : [[`interrupt "${name}"`, seq]]
      })
      // What was done inside of a step is not asked for again.
    ].filter(([what]) => !what.includes(separator))
    this.line = places.toSorted(([, a], [, b]) => a - b)
    this.places = new Map(places)
  }

  ask(what: string) {
    this.asked.add(what)
    const fiber = Fiber.getCurrent()
    if (fiber !== undefined) this.askedBy.set(fiber, what)
    const early = this.early?.find((one) => this.placeOf(what) < this.placeOf(one))
    if (early !== undefined) this.problem ??= `comes to ${early} before ${what}, which was committed before it`
    for (const [one, turn] of this.held) if (this.hasTurn(one)) this.letGo(one, turn)
  }

  /** Waits for the turn of what this fiber has just got. */
  readonly turn = Effect.suspend(() => {
    const fiber = Fiber.getCurrent()
    const what = fiber === undefined ? undefined : this.askedBy.get(fiber)
    if (what === undefined || this.hasTurn(what)) return Effect.void
    const turn = Deferred.makeUnsafe<void>()
    this.held.set(what, turn)
    return Deferred.await(turn)
  })

  get holds() {
    return this.held.size > 0
  }

  /** Nobody else asks for anything: from here on the order is the handler's. */
  giveUp() {
    this.early = [...this.held.keys()]
    for (const [one, turn] of this.held) this.letGo(one, turn)
  }

  private letGo(what: string, turn: Deferred.Deferred<void>) {
    this.held.delete(what)
    Deferred.doneUnsafe(turn, Effect.void)
  }

  private hasTurn(what: string) {
    if (this.early !== undefined) return true
    while (this.asked.has(this.line[this.next]?.[0] ?? "")) this.next++
    const [, first] = this.line[this.next] ?? ["", Infinity]
    return this.placeOf(what) <= first
  }

  /** What has no place, because it was inherited or nobody knows, is in nobody's way. */
  private placeOf(what: string) {
    return this.places.get(what) ?? -1
  }
}
