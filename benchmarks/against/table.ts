// The table of a comparison: medians of both sides, and the ratio of a round with its range. Called by compare.ts.
// A ratio is of two turns that stand side by side in time: medians of the sides may lie further apart.
import { median } from "../durable/measure.ts"
import type { Turn } from "./turn.ts"

export interface Round {
  readonly commit: Turn
  readonly tree: Turn
}

const columns: ReadonlyArray<{ readonly name: string; readonly of: (turn: Turn) => number; readonly digits: number }> =
  [
    { name: "CPU ms", of: (turn) => turn.cpuMillis, digits: 3 },
    { name: "requests/s", of: (turn) => turn.perSecond, digits: 0 },
    { name: "p50 ms", of: (turn) => turn.p50Millis, digits: 2 }
  ]

export const head = (commit: string) =>
  [
    `| measure | ${columns.map(({ name }) => `${name} ${commit} | tree | ratio (range)`).join(" | ")} |`,
    `|---|${"---|".repeat(columns.length * 3)}`
  ].join("\n")

export const row = (name: string, rounds: ReadonlyArray<Round>) => {
  const cells = columns.flatMap(({ digits, of }) => [
    median(rounds.map(({ commit }) => of(commit))).toFixed(digits),
    median(rounds.map(({ tree }) => of(tree))).toFixed(digits),
    ratioOf(rounds.map(({ commit, tree }) => of(tree) / of(commit)))
  ])
  return `| ${name} | ${cells.join(" | ")} |`
}

/** An asterisk marks a ratio whose range lies on one side of 1. */
const ratioOf = (ratios: ReadonlyArray<number>) => {
  const sorted = ratios.toSorted((a, b) => a - b)
  const outside = ranksOutside(sorted.length)
  const [low, high] = [sorted[outside] ?? NaN, sorted[sorted.length - 1 - outside] ?? NaN]
  const certain = sorted.length >= fewest && (low > 1 || high < 1)
  return `${median(ratios).toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)})${certain ? " *" : ""}`
}

/** Fewer rounds are too few: not even the whole range holds the median so often. */
const fewest = 8

/**
 * That many of the sorted ratios can be left out at either end, and the rest holds the median of all possible rounds in 99
 * of 100 comparisons: the median has as many rounds below it as a coin that is thrown `count` times has heads.
 */
const ranksOutside = (count: number) => {
  let [rank, probability, atMost] = [0, 0.5 ** count, 0.5 ** count]
  while (atMost <= 0.005) {
    probability *= (count - rank) / (rank + 1)
    atMost += probability
    rank++
  }
  return Math.max(0, rank - 1)
}
