// Pseudo-random numbers from a seed.
export interface Random {
  /** From 0 to below 1. */
  readonly next: () => number
  readonly between: (least: number, most: number) => number
  readonly pick: <A>(items: ReadonlyArray<A>) => A | undefined
}

/** Mulberry32. */
export const makeRandom = (seed: number): Random => {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6D2B79F5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  return {
    next,
    between: (least, most) => least + next() * (most - least),
    pick: (items) => items[Math.floor(next() * items.length)]
  }
}
