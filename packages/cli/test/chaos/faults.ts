// The faults of stores, and the loop that strikes with one after the other. targets.ts says which faults a store has.
import { setTimeout as sleep } from "node:timers/promises"
import type { Blows } from "./nodes.ts"
import type { Random } from "./random.ts"
import type { Wire } from "./wire.ts"

/** A way in which a store fails; it works again once the promise is fulfilled. */
export type Fault = (random: Random) => Promise<void>

/** Strikes with one fault after the other. */
export const strike = async (faults: ReadonlyArray<Fault>, random: Random, blows: Blows, until: () => boolean) => {
  while (!until()) {
    await sleep(random.between(500, 2_500))
    const fault = random.pick(faults)
    if (fault === undefined || until()) continue
    blows.faults++
    await fault(random)
  }
}

/** The faults of the network: at one node, or at all of them. */
export const wireFaults = (wires: ReadonlyArray<Wire>): ReadonlyArray<Fault> => {
  const some = (random: Random) => {
    const one = random.pick(wires)
    return random.next() < 0.5 || one === undefined ? wires : [one]
  }
  const lose = (loss: Parameters<Wire["lose"]>[0], most: number): Fault => async (random) => {
    const millis = random.between(50, most)
    await Promise.all(some(random).map((wire) => wire.lose(loss, millis, random)))
  }
  return [
    async (random) => some(random).forEach((wire) => wire.cut(random, random.between(0.2, 1))),
    lose("away", 5_000),
    lose("requests", 1_000),
    lose("answers", 1_000),
    lose("stalled", 4_000)
  ]
}
