// Gives each use of a name in a run its key: the place, the name, and a count when a place uses the name again. LiveRun
// asks it for every step, pause and branch. A key never depends on scheduling: where it would, the use is refused.
import { Fiber } from "effect"
import { AmbiguousName } from "../../run/RunError.ts"

/** A position in a run: at its top, in a named branch, or inside of a step. */
export interface Place {
  /** The prefix of all keys in this place, and the name of the place in events; both are empty at the top. */
  readonly prefix: string
  readonly address: string
  /** The key of the step around it, if there is one. */
  readonly step: string | undefined
  readonly parent: Place | undefined
  /** The fiber that entered the place: it only waits for fibers that it has forked there. */
  fiber: Fiber.Fiber<unknown, unknown> | undefined
  /** Whether it is a step whose body runs. */
  isRunning: boolean
  /** How many pauses are parked in it. */
  parks: number
}

export const top = (): Place => placeOf("", "", undefined, undefined)

const placeOf = (prefix: string, address: string, step: string | undefined, parent: Place | undefined): Place => ({
  prefix,
  address,
  step,
  parent,
  fiber: undefined,
  isRunning: false,
  parks: 0
})

/** Stands between the key of a step and the names inside of it. */
export const separator = " › "

export const insideStep = (parent: Place, key: string): Place => placeOf(key + separator, key, key, parent)

export const insideScope = (parent: Place, key: string): Place => placeOf(`${key}/`, key, parent.step, parent)

/** Whether an adapter chose this place for a part of its work: a part that is through is not entered again, and its words stand. */
export const isPart = (address: string): boolean => /(?:^|\/| › )~/u.test(address)

/** No database keeps U+0000 or half of a character in a key, and a model may have chosen the name. */
const storable = (name: string): string => unstorable.test(name) ? name.replaceAll(unstorableAll, "\uFFFD") : name

const unstorable = /[\0\p{Surrogate}]/u
const unstorableAll = new RegExp(unstorable, "gu")

/** The key of the first use of a name; one that ends like a count has one, so that no second use of another has its key. */
const firstKey = (full: string): string => full.includes("#") && /#\d+$/u.test(full) ? `${full}#1` : full

interface Use {
  count: number
  /** The fibers that have used the name and may be alive: one, or several. */
  fibers: Fiber.Fiber<unknown, unknown> | Set<Fiber.Fiber<unknown, unknown>> | undefined
  burst: number
}

const fibersOf = ({ fibers }: Use): Iterable<Fiber.Fiber<unknown, unknown>> =>
  fibers === undefined ? [] : fibers instanceof Set ? fibers : [fibers]

const addFiber = (use: Use, fiber: Fiber.Fiber<unknown, unknown>) => {
  if (use.fibers === undefined) use.fibers = fiber
  else if (use.fibers instanceof Set) use.fibers.add(fiber)
  else if (use.fibers !== fiber) use.fibers = new Set([use.fibers, fiber])
}

const removeFiber = (use: Use, fiber: Fiber.Fiber<unknown, unknown>) => {
  if (use.fibers instanceof Set) use.fibers.delete(fiber)
  else if (use.fibers === fiber) use.fibers = undefined
}

export type NameKind = "step" | "interrupt"

export class Names {
  private readonly uses = { step: new Map<string, Use>(), interrupt: new Map<string, Use>() }
  private burst = 0
  private inBurst = false

  /**
   * The key of this use of a name: the second `plan` of a place is `plan#2`, and no other name has that key. A name that
   * the runtime chose itself (`implied`) may be used by fibers that start at the same moment: their order is that of the
   * code.
   */
  use(kind: NameKind, place: Place, name: string, implied = false): string | AmbiguousName {
    const full = place.prefix + storable(name)
    const known = this.uses[kind].get(full)
    const fiber = Fiber.getCurrent()
    const burst = implied ? this.currentBurst() : 0
    if (known === undefined) {
      this.uses[kind].set(full, { count: 1, fibers: fiber, burst })
      return firstKey(full)
    }
    if (fiber !== undefined && !(implied && known.burst === burst) && isShared(known, fiber, place)) {
      return new AmbiguousName({ name, place: place.prefix })
    }
    known.count++
    known.burst = burst
    if (fiber !== undefined) addFiber(known, fiber)
    return `${full}#${known.count}`
  }

  /** The key that the next use of a name will get. */
  next(kind: NameKind, place: Place, name: string): string {
    const full = place.prefix + storable(name)
    const known = this.uses[kind].get(full)
    return known === undefined ? firstKey(full) : `${full}#${known.count + 1}`
  }

  /**
   * Whether a fiber is the one that entered the step around a place, or the run, and waits for no other: then nothing
   * beside it can come to use a name.
   */
  isAlone(place: Place, fiber: Fiber.Fiber<unknown, unknown>): boolean {
    let outer = place
    while (outer.parent !== undefined && outer.address !== place.step) outer = outer.parent
    if (outer.fiber !== fiber || hasChildren(fiber)) return false
    for (const uses of [this.uses.step, this.uses.interrupt]) {
      for (const use of uses.values()) {
        for (const other of fibersOf(use)) {
          if (other !== fiber && !isAround(other, place) && other.pollUnsafe() === undefined) return false
        }
      }
    }
    return true
  }

  /** A number that changes as soon as the code that runs now has given way. */
  private currentBurst() {
    if (!this.inBurst) {
      this.inBurst = true
      this.burst++
      queueMicrotask(() => {
        this.inBurst = false
      })
    }
    return this.burst
  }
}

/** Whether another fiber that is alive and does not wait for this one has used the name. */
const isShared = (use: Use, fiber: Fiber.Fiber<unknown, unknown>, place: Place) => {
  for (const other of fibersOf(use)) {
    if (other === fiber || isAround(other, place)) continue
    if (other.pollUnsafe() === undefined) return true
    removeFiber(use, other)
  }
  return false
}

/**
 * Whether a fiber has forked others that are alive. Effect says it of no fiber but in this field, which is undefined until the
 * first of them. Of a fiber without the field it is not known, so that it may have some.
 */
export const hasChildren = (fiber: object): boolean => {
  if (!Reflect.has(fiber, "_children")) return true
  const children: unknown = Reflect.get(fiber, "_children")
  return children === undefined ? false : !(children instanceof Set) || children.size > 0
}

const isAround = (fiber: Fiber.Fiber<unknown, unknown>, place: Place) => {
  for (let around: Place | undefined = place; around !== undefined; around = around.parent) {
    if (around.fiber === fiber) return true
  }
  return false
}
