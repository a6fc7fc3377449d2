/**
 * Signatures of agent cards for `fastagentic run`: the variable `FASTAGENTIC_CARD_KEY`, as a layer.
 *
 * @since 0.1.0
 */
import { CardSigner } from "@fastagentic/protocols/a2a"
import { Config, Effect, Layer, Redacted, Schema } from "effect"

/** A key is not 64 hex digits. @category errors @since 0.1.0 */
export class InvalidCardKey extends Schema.TaggedError<InvalidCardKey>()("InvalidCardKey", {}) {
  override get message() {
    return "FASTAGENTIC_CARD_KEY has to be 64 hex digits, as `openssl rand -hex 32` makes them, or several with commas"
  }
}

const isKey = Schema.is(CardSigner.PrivateKey)

/**
 * Signs cards with the keys of the environment, and not at all when there are none.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig: Layer.Layer<never, Config.ConfigError | InvalidCardKey> = Layer.unwrap(
  Effect.gen(function*() {
    const given = yield* Config.withDefault(Config.Redacted("FASTAGENTIC_CARD_KEY"), Redacted.make(""))
    const [first, ...others] = Redacted.value(given).split(",").map((key) => key.trim()).filter((key) => key !== "")
    if (first === undefined) return Layer.empty
    if (![first, ...others].every(isKey)) return yield* new InvalidCardKey()
    return CardSigner.CardSigner.layer([Redacted.make(first), ...others.map((key) => Redacted.make(key))])
  })
)
