// Releases recorded steps in the order of their commits; replay uses it, so parallel steps count as unchanged.
import { Deferred, Effect, Fiber } from "effect"
import { separator } from "../../runtime/internal/names.ts"
import type { Recording } from "./replay.ts"

type RecordedUse = readonly [what: string, seq: number]

/**
 * Lets a handler have what is recorded in the order in which it was committed: what was asked for too early waits until
 * what comes before it has been asked for. So what goes on side by side is no change, and what has changed places is one.
 */
export class Order {
  /** The difference of the handler. */
  problem: string | undefined
  private readonly places: ReadonlyMap<string, number>
  private readonly line: ReadonlyArray<RecordedUse>
  private readonly asked = new Set<string>()
  private readonly askedBy = new WeakMap<object, string>()
  private readonly held = new Map<string, Deferred.Deferred<void>>()
  /** The step that was released although an earlier one had not been requested. */
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
      // Work inside of a step is not requested again.
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
    for (const [one, turn] of this.held) if (this.hasTurn(one)) this.release(one, turn)
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

  /** No other request is open: from here on the handler decides the order. */
  giveUp() {
    this.early = [...this.held.keys()]
    for (const [one, turn] of this.held) this.release(one, turn)
  }

  private release(what: string, turn: Deferred.Deferred<void>) {
    this.held.delete(what)
    Deferred.doneUnsafe(turn, Effect.void)
  }

  private hasTurn(what: string) {
    if (this.early !== undefined) return true
    while (this.asked.has(this.line[this.next]?.[0] ?? "")) this.next++
    const [, first] = this.line[this.next] ?? ["", Infinity]
    return this.placeOf(what) <= first
  }

  /** A step without a place, because it was inherited or is unknown, blocks nothing. */
  private placeOf(what: string) {
    return this.places.get(what) ?? -1
  }
}
