// The random numbers of a handler outside of steps: made from the run and the place, so that a replay draws the same ones.
// LiveRun provides them where a place is entered. They are no secret and must not be used as one.
import type { Random } from "effect/Random"

export class SeededRandom implements Random {
  private readonly seed: string
  private state: number | undefined

  constructor(seed: string) {
    this.seed = seed
  }

  nextDoubleUnsafe() {
    return ((this.next() >>> 5) * 67_108_864 + (this.next() >>> 6)) / 9_007_199_254_740_992
  }

  nextIntUnsafe() {
    return Math.floor(this.nextDoubleUnsafe() * (Number.MAX_SAFE_INTEGER - Number.MIN_SAFE_INTEGER + 1)) +
      Number.MIN_SAFE_INTEGER
  }

  private next() {
    const state = this.state = ((this.state ?? hash(this.seed)) + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
}

const hash = (text: string) => {
  let sum = 0x811c9dc5
  for (let index = 0; index < text.length; index++) sum = Math.imul(sum ^ text.charCodeAt(index), 0x01000193)
  return sum >>> 0
}
