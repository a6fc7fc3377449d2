/**
 * The cost of a call of a language model.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer, Schema } from "effect"
import type { Usage } from "../run/Event.ts"
import { PriceUnknown } from "../run/RunError.ts"

/** A model as it is called; the provider is a hint. @category models @since 0.1.0 */
export interface Model {
  readonly model: string
  readonly provider?: string | undefined
}

/** Dollars for so many tokens of a model, and how many tokens it reads. @category services @since 0.1.0 */
export class Prices extends Context.Service<Prices, {
  readonly costUsd: (model: Model, usage: Usage) => Effect.Effect<number, PriceUnknown>
  /** The most tokens of a prompt and its answer, where that is known. */
  readonly contextWindow: (model: Model) => Effect.Effect<number | undefined>
}>()("@fastagentic/core/budget/Prices") {}

const Rate = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))

/** Dollars per million tokens. Cache reads and writes cost as much as input unless they have their own price. @category schemas @since 0.1.0 */
export const Price = Schema.Struct({
  input: Rate,
  output: Rate,
  cacheRead: Schema.optionalKey(Rate),
  cacheWrite: Schema.optionalKey(Rate),
  /** Tokens of a prompt and its answer at most. */
  contextWindow: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThan(0)))
})

/** @category models @since 0.1.0 */
export type Price = typeof Price.Type

/** Prices by `model` or by `provider/model`, which goes first. @category schemas @since 0.1.0 */
export const Table = Schema.Record(Schema.String, Price)

/** @category models @since 0.1.0 */
export type Table = typeof Table.Type

/** The price that a table has for a model. @category accessors @since 0.1.0 */
export const find = (table: Table, { model, provider }: Model): Price | undefined => {
  const full = `${provider}/${model}`
  return Object.hasOwn(table, full) ? table[full] : Object.hasOwn(table, model) ? table[model] : undefined
}

/** The cost of tokens at a price; cache tokens are among the input tokens. @category accessors @since 0.1.0 */
export const costOf = (price: Price, usage: Usage): number => {
  const { cacheReadTokens = 0, cacheWriteTokens = 0, inputTokens, outputTokens } = usage
  const { cacheRead = price.input, cacheWrite = price.input, input, output } = price
  const plain = Math.max(0, inputTokens - cacheReadTokens - cacheWriteTokens)
  return (plain * input + cacheReadTokens * cacheRead + cacheWriteTokens * cacheWrite + outputTokens * output) / 1e6
}

/** Only the prices of a table: every other model has none. @category layers @since 0.1.0 */
export const layer = (table: Table): Layer.Layer<Prices> =>
  Layer.succeed(Prices, {
    costUsd: (model, usage) => {
      const price = find(table, model)
      return price === undefined
        ? Effect.fail(new PriceUnknown({ model: model.model }))
        : Effect.succeed(costOf(price, usage))
    },
    contextWindow: (model) => Effect.succeed(find(table, model)?.contextWindow)
  })
