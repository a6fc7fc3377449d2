/**
 * The default language model: the one that the environment names, the offline model otherwise.
 *
 * @since 0.1.0
 */
import { type Config, Effect, Layer } from "effect"
import type * as HttpClient from "effect/http/HttpClient"
import * as Models from "../models/Models.ts"
import type { ModelUnavailable } from "../models/ModelUnavailable.ts"
import * as OfflineModel from "./OfflineModel.ts"

/**
 * Provides the model that `FASTAGENTIC_MODEL` names and the offline model without a name or a key, with the HTTP client
 * left open.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoDeps: Layer.Layer<
  OfflineModel.Services,
  Config.ConfigError | ModelUnavailable,
  HttpClient.HttpClient
> = Layer.unwrap(
  Effect.map(Models.configuredName, (name) => name === undefined ? OfflineModel.layer : Models.layerNoDeps(name))
)

/**
 * Provides the model that `FASTAGENTIC_MODEL` names and the offline model without a name or a key.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<OfflineModel.Services, Config.ConfigError | ModelUnavailable> = Layer.unwrap(
  Effect.map(Models.configuredName, (name) => name === undefined ? OfflineModel.layer : Models.layer(name))
)
