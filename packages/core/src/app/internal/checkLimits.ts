// Checks declared budget limits when a budget is built. An invalid limit stops the start.
import { Effect } from "effect"
import type { Limit, Options } from "../../budget/Budget.ts"
import { FusionError } from "../Fusion.ts"

/** Rejects invalid limits at start; an invalid limit would silently limit nothing. */
export const checkLimits = Effect.fnUntraced(function*(limits: ReadonlyArray<Limit>, { maxOutputTokens = 1 }: Options) {
  const refuse = (declaration: string, problem: string) => new FusionError({ declaration, problem })
  const names = new Set<string>()
  for (const limit of limits) {
    const problem = names.has(limit.name) ? "two limits have this name" : problemOf(limit)
    if (problem !== undefined) return yield* refuse(`budget "${limit.name}"`, problem)
    names.add(limit.name)
  }
  if (!Number.isSafeInteger(maxOutputTokens) || maxOutputTokens < 1) {
    return yield* refuse("budgets", "maxOutputTokens is a whole number from 1 on")
  }
})

const problemOf = ({ hard, name, per, soft = 0 }: Limit): string | undefined => {
  if (name === "") return "a limit has a name"
  if (per.length === 0) return "a limit is per something"
  if (!isAmount(hard) || !isAmount(soft)) return "an amount is a number of dollars from 0 on"
  return soft > hard ? `soft (${soft}) is more than hard (${hard}), so it would never hold` : undefined
}

const isAmount = (value: number) => Number.isFinite(value) && value >= 0
