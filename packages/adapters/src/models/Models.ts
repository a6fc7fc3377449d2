/**
 * Language models by name, each through the package of its provider.
 *
 * @since 0.1.0
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { NamedModels } from "@fastagentic/core/run/NamedModels"
import { Config, Context, Effect, Layer, Option, Redacted } from "effect"
import * as HttpClient from "effect/http/HttpClient"
import type { Mode } from "../adapter/OutputMode.ts"
import { baseOf } from "./internal/baseUrl.ts"
import { isHalf, resolve, type Resolved, server } from "./internal/modelName.ts"
import { baseUrlVariable, openaiServer, type Provider, providers } from "./internal/providers.ts"
import { type Limits, makeFetch } from "./internal/transport.ts"
import { ModelUnavailable } from "./ModelUnavailable.ts"
import * as ProviderModel from "./ProviderModel.ts"

export { type Limits, ModelUnavailable }

/**
 * The model that is used at OpenAI when no name is given.
 *
 * @category constants
 * @since 0.1.0
 */
export const defaultModel = "gpt-4.1-mini"

/**
 * Settings of a model that override its environment.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly apiKey?: Redacted.Redacted | undefined
  readonly baseUrl?: string | undefined
  readonly settings?: ProviderModel.Settings | undefined
  readonly limits?: Limits | undefined
  /** Whether a cost that the answer states counts; by default it does for gateways and servers of one's own. */
  readonly gatewayCost?: boolean | undefined
  /** How the model is asked for an answer of a schema; by default as its provider allows for this model. */
  readonly outputMode?: Mode | undefined
}

/** An empty variable counts as not set. */
const variable = (name: string): Effect.Effect<Redacted.Redacted | undefined, Config.ConfigError> =>
  Effect.map(
    Config.option(Config.Redacted(name)),
    (value) => Option.getOrUndefined(Option.filter(value, (text) => Redacted.value(text).trim() !== ""))
  )

const text = (name: string) =>
  Effect.map(variable(name), (value) => value === undefined ? undefined : Redacted.value(value))

const isMissing = (cause: unknown, name: string): boolean =>
  cause instanceof Error && "code" in cause && cause.code === "ERR_MODULE_NOT_FOUND" && cause.message.includes(name)

interface Found extends Resolved {
  readonly settings: Provider
  readonly baseUrl: string | undefined
}

const find = Effect.fnUntraced(function*(name: string, options: Options) {
  const own = options.baseUrl ?? (yield* text("OPENAI_BASE_URL"))
  const resolved = resolve(name, own !== undefined)
  const settings = resolved?.provider === server ? openaiServer : providers[resolved?.provider ?? ""]
  if (resolved === undefined || settings === undefined) {
    const problem = `${isHalf(name) ? "no model is named" : "no such provider"}; write provider:model with one of ${
      Object.keys(providers).join(", ")
    }`
    return yield* new ModelUnavailable({ model: name, problem })
  }
  const baseUrl = resolved.provider === server
    ? own
    : options.baseUrl ?? (yield* text(baseUrlVariable(resolved.provider))) ?? settings.defaultBaseUrl
  if (baseUrl !== undefined && baseOf(baseUrl) === undefined) {
    return yield* new ModelUnavailable({ model: name, problem: `the base URL has to begin with http:// or https://` })
  }
  return { ...resolved, baseUrl, settings } satisfies Found
})

/** The values of a provider's variables; a key that is given in code stands for the first of them. */
const readSecrets = Effect.fnUntraced(function*(name: string, { needs, reads = [] }: Provider, options: Options) {
  const secrets = new Map<string, Redacted.Redacted>()
  const [key] = needs[0] ?? reads
  if (options.apiKey !== undefined && key !== undefined) secrets.set(key, options.apiKey)
  for (const names of [...needs, ...reads.map((read) => [read])]) {
    for (const read of names) {
      const value = secrets.has(read) ? undefined : yield* variable(read)
      if (value !== undefined) secrets.set(read, value)
    }
  }
  const missing = needs.find((names) => !names.some((read) => secrets.has(read) || isBaseUrl(read, options)))
  if (missing !== undefined) {
    return yield* new ModelUnavailable({ model: name, problem: `${missing.join(" or ")} is not set` })
  }
  return secrets
})

const isBaseUrl = (name: string, { baseUrl }: Options) => name.endsWith("_BASE_URL") && baseUrl !== undefined

const make = Effect.fnUntraced(function*(name: string, options: Options, files: "own client" | "guarded") {
  const { baseUrl, model, provider, settings } = yield* find(name, options)
  const secrets = yield* readSecrets(name, settings, options)
  const client = yield* HttpClient.HttpClient
  const access = {
    model,
    baseUrl,
    fetch: makeFetch(client, options.limits ?? {}),
    value: (read: string) => {
      const secret = secrets.get(read)
      return secret === undefined ? undefined : Redacted.value(secret)
    }
  }
  const made = yield* Effect.tryPromise({
    try: () => settings.make(access),
    catch: (cause) =>
      new ModelUnavailable({
        model: name,
        problem: isMissing(cause, settings.package)
          ? `its package is not installed; run: npm install ${settings.package}`
          : `its package refuses it: ${cause instanceof Error ? cause.message : String(cause)}`
      })
  })
  return ProviderModel.layer(made, {
    ...settings.options,
    provider: provider === "openai-chat" || provider === server ? "openai" : provider,
    settings: { ...settings.options?.settings, ...options.settings },
    gatewayCost: options.gatewayCost ?? settings.options?.gatewayCost,
    outputMode: options.outputMode ?? (settings.takesSchema?.test(model) === true ? "json-without-tools" : "tool"),
    ...(files === "guarded" ? {} : { files: client }),
    secrets: [...secrets].flatMap(([read, secret]) => /KEY|TOKEN|SECRET/u.test(read) ? [secret] : [])
  })
})

/**
 * Provides a model by its name, such as `"anthropic:claude-opus-4-8"`, with the HTTP client left open.
 *
 * **When to use**
 *
 * Use with `Egress.layer` where somebody other than the operator chooses base URLs. Files behind URLs in prompts are fetched
 * with the same client.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoDeps = (
  name: string,
  options: Options = {}
): Layer.Layer<ProviderModel.Services, ModelUnavailable | Config.ConfigError, HttpClient.HttpClient> =>
  Layer.unwrap(make(name, options, "own client"))

/** Undici's own limits of five minutes are off: `Limits` hold. */
const Client = Layer.provide(NodeHttpClient.layerUndiciNoDispatcher, NodeHttpClient.dispatcherLayerGlobal)

/**
 * Provides a model by its name, such as `"anthropic:claude-opus-4-8"`.
 *
 * **Details**
 *
 * The key is read from the provider's variable, such as `ANTHROPIC_API_KEY`, and another base URL from
 * `ANTHROPIC_BASE_URL`. The provider's package is an optional peer, loaded here.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  name: string,
  options: Options = {}
): Layer.Layer<ProviderModel.Services, ModelUnavailable | Config.ConfigError> =>
  Layer.provide(Layer.unwrap(make(name, options, "guarded")), Client)

/**
 * Provides several models under names of the app's own, the first of them as the default: `ModelLoop.run({ model })`, an
 * `llm` hook and a budget choose among them.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNamed = (
  names: { readonly [name: string]: string | (Options & { readonly model: string }) }
): Layer.Layer<ProviderModel.Services, ModelUnavailable | Config.ConfigError> =>
  Layer.effectContext(Effect.gen(function*() {
    const models: Record<string, Context.Context<ProviderModel.Services>> = {}
    for (const [name, given] of Object.entries(names)) {
      models[name] = yield* Layer.build(typeof given === "string" ? layer(given) : layer(given.model, given))
    }
    const [first] = Object.values(models)
    if (first === undefined) return yield* new ModelUnavailable({ model: "of the app", problem: "no name was given" })
    return Context.add(first, NamedModels, models)
  }))

/**
 * The name in `FASTAGENTIC_MODEL`; `gpt-4.1-mini` when only OpenAI's variables are set; none without any.
 *
 * @category accessors
 * @since 0.1.0
 */
export const configuredName: Effect.Effect<string | undefined, Config.ConfigError> = Effect.gen(function*() {
  const name = yield* text("FASTAGENTIC_MODEL")
  if (name !== undefined) return name
  const hasOpenAi = (yield* variable("OPENAI_API_KEY")) ?? (yield* variable("OPENAI_BASE_URL"))
  return hasOpenAi === undefined ? undefined : defaultModel
})
