/**
 * The default language model: a provider when a key is configured, the offline model otherwise.
 *
 * @since 0.1.0
 */
import { Config, Effect, Layer, Option, Redacted } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type * as HttpClient from "effect/http/HttpClient"
import * as OpenAiCompatible from "../openai/OpenAiCompatible.ts"
import * as OfflineModel from "./OfflineModel.ts"

/**
 * Provides a provider when `OPENAI_API_KEY` is set and the offline model otherwise, with the HTTP client left open.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoDeps: Layer.Layer<OfflineModel.Services, Config.ConfigError, HttpClient.HttpClient> = Layer.unwrap(
  Effect.map(
    Config.option(Config.Redacted("OPENAI_API_KEY")),
    (key) => Option.exists(key, (key) => Redacted.value(key) !== "") ? OpenAiCompatible.layerConfig : OfflineModel.layer
  )
)

/**
 * Provides a provider when `OPENAI_API_KEY` is set and the offline model otherwise.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<OfflineModel.Services, Config.ConfigError> = Layer.provide(
  layerNoDeps,
  FetchHttpClient.layer
)
