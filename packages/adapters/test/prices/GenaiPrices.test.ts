import { assert, describe, it } from "@effect/vitest"
import { GenaiPrices } from "@fastagentic/adapters/prices"
import { type Event, Prices } from "@fastagentic/core"
import { ConfigProvider, Effect, Layer } from "effect"
import { mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const write = (text: string) => {
  const filename = join(mkdtempSync(join(tmpdir(), "fastagentic-")), "prices.json")
  writeFileSync(filename, text)
  return filename
}

const cost = (model: string, provider?: string, usage: Event.Usage = { inputTokens: 1_000_000, outputTokens: 0 }) =>
  Prices.Prices.use((prices) => prices.costUsd({ model, provider }, usage))

describe("GenaiPrices", () => {
  it.effect("current models have prices, with and without their provider, and for caches", () =>
    Effect.gen(function*() {
      assert.isAbove(yield* cost("gpt-4.1-mini", "openai"), 0)
      assert.strictEqual(yield* cost("gpt-4.1-mini", "a provider of one's own"), yield* cost("gpt-4.1-mini", "openai"))
      assert.isAbove(yield* cost("gpt-4.1-mini-2025-04-14"), 0)
      const usage = { inputTokens: 1_000, outputTokens: 0 }
      const read: Event.Usage = { ...usage, cacheReadTokens: 1_000 }
      const written: Event.Usage = { ...usage, cacheWriteTokens: 1_000 }
      const plain = yield* cost("claude-opus-4-8", "anthropic", usage)
      assert.isBelow(yield* cost("claude-opus-4-8", "anthropic", read), plain)
      assert.isAbove(yield* cost("claude-opus-4-8", "anthropic", written), plain)
      assert.strictEqual(yield* cost("offline-planner", "offline"), 0)
    }).pipe(Effect.provide(GenaiPrices.layer())))

  it.effect("an unknown model has no price", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(cost("gpt-nothing"))
      assert.deepInclude(error, { _tag: "PriceUnknown", model: "gpt-nothing" })
    }).pipe(Effect.provide(GenaiPrices.layer())))

  it.effect("prices in code override those of a file, which override the table", () => {
    const filename = write(`{ "gpt-4.1-mini": { "input": 7, "output": 0 }, "acme/own": { "input": 3, "output": 0 } }`)
    const config = ConfigProvider.layer(ConfigProvider.fromUnknown({ FASTAGENTIC_PRICES: filename }))
    return Effect.gen(function*() {
      const named = Effect.all([cost("gpt-4.1-mini", "openai"), cost("own", "acme")])
      assert.deepStrictEqual(yield* Effect.provide(named, Layer.provide(GenaiPrices.layerConfig, config)), [7, 3])
      const overrides = { own: { input: 1, output: 0 }, "acme/own": { input: 2, output: 0 } }
      const inCode = GenaiPrices.layer({ filename, overrides })
      assert.deepStrictEqual(yield* Effect.provide(named, inCode), [7, 2])
    })
  })

  it.effect("an invalid file is refused", () =>
    Effect.gen(function*() {
      for (
        const filename of [write("{ \"m\": { \"input\": -1, \"output\": 0 } }"), write("no"), "/nowhere/prices.json"]
      ) {
        const error = yield* Effect.flip(Effect.provide(cost("m"), GenaiPrices.layer({ filename })))
        assert.deepInclude(error, { _tag: "PriceFileInvalid", filename })
      }
    }))
})
