/**
 * Prices and context windows of models of 34 providers, from `@pydantic/genai-prices`, and overrides from a file.
 *
 * @since 0.1.0
 */
import { Prices } from "@fastagentic/core"
import type { Usage } from "@fastagentic/core/run/Event"
import { PriceUnknown } from "@fastagentic/core/run/RunError"
import { Config, Effect, Layer, Option, Schema } from "effect"
import { readFile } from "node:fs/promises"

/** The override file cannot be used. @category errors @since 0.1.0 */
export class PriceFileInvalid extends Schema.TaggedError<PriceFileInvalid>()("PriceFileInvalid", {
  filename: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `the price file ${this.filename} cannot be used: ${this.reason}`
  }
}

/** @category models @since 0.1.0 */
export interface Options {
  /** Dollars per million tokens, by `model` or `provider/model`. */
  readonly overrides?: Prices.Table | undefined
  /** A JSON file of the same shape; the overrides given here take precedence. */
  readonly filename?: string | undefined
}

/** The offline model costs nothing. */
const own: Prices.Table = { "offline-planner": { input: 0, output: 0 } }

/**
 * Prices that are part of the package: nothing is fetched. The table is loaded when a price is first requested.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<Prices.Prices, PriceFileInvalid> =>
  Layer.effect(
    Prices.Prices,
    Effect.gen(function*() {
      const file = options.filename === undefined ? {} : yield* read(options.filename)
      const table: Prices.Table = { ...own, ...file, ...options.overrides }
      const library = yield* Effect.cached(Effect.promise(() => import("@pydantic/genai-prices")))
      return {
        costUsd: Effect.fnUntraced(function*({ model, provider }, usage) {
          const price = Prices.find(table, { model, provider })
          if (price !== undefined) return Prices.costOf(price, usage)
          const found = calculated(yield* library, { model, provider }, tokensOf(usage))
          return found === null ? yield* new PriceUnknown({ model }) : found.total_price
        }),
        contextWindow: Effect.fnUntraced(function*(model) {
          const own = Prices.find(table, model)?.contextWindow
          return own ?? calculated(yield* library, model, { input_tokens: 0 })?.model.context_window
        })
      }
    })
  )

/** The entry of a model, at its own provider where that is known. */
const calculated = (
  { calcPrice }: typeof import("@pydantic/genai-prices"),
  { model, provider }: Prices.Model,
  tokens: Parameters<typeof calcPrice>[0]
) => (provider === undefined ? null : calcPrice(tokens, model, { providerId: provider })) ?? calcPrice(tokens, model)

/**
 * Uses the override file that `FASTAGENTIC_PRICES` names, if any.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig: Layer.Layer<Prices.Prices, PriceFileInvalid | Config.ConfigError> = Layer.unwrap(
  Effect.map(
    Config.option(Config.String("FASTAGENTIC_PRICES")),
    (filename) => layer(Option.isSome(filename) && filename.value !== "" ? { filename: filename.value } : {})
  )
)

const tokensOf = ({ cacheReadTokens, cacheWriteTokens, inputTokens, outputTokens }: Usage) => ({
  input_tokens: inputTokens,
  output_tokens: outputTokens,
  ...(cacheReadTokens === undefined ? {} : { cache_read_tokens: cacheReadTokens }),
  ...(cacheWriteTokens === undefined ? {} : { cache_write_tokens: cacheWriteTokens })
})

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Prices.Table), { onExcessProperty: "error" })

const read = (filename: string) => {
  const invalid = (cause: unknown) =>
    new PriceFileInvalid({ filename, reason: cause instanceof Error ? cause.message : String(cause) })
  return Effect.tryPromise({ try: () => readFile(filename, "utf8"), catch: invalid }).pipe(
    Effect.flatMap((text) => Effect.mapError(decode(text), invalid))
  )
}
