/**
 * Sends the traces of runs to several destinations at once, each in the attributes that it reads.
 *
 * @since 0.1.0
 */
import * as TelemetryContent from "@fastagentic/core/telemetry/TelemetryContent"
import { Config, Context, Duration, Effect, Layer, Option, Redacted, Tracer } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as OtlpResource from "effect/observability/OtlpResource"
import * as Egress from "../egress/Egress.ts"
import { queueOf, settingsOf } from "../otlp/internal/environment.ts"
import { describe } from "../otlp/internal/resource.ts"
import * as Sampler from "../otlp/internal/sampler.ts"
import * as Targets from "../otlp/internal/targets.ts"
import type { Destination, FromConfig } from "./Destination.ts"
import { viewFor } from "./internal/view.ts"

/** @category options @since 0.1.0 */
export interface Options {
  /** The service name, unless `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` is set. */
  readonly serviceName: string
  readonly serviceVersion?: string | undefined
  /** Destinations, or those that are on when the environment has their variable. */
  readonly destinations: ReadonlyArray<Destination | FromConfig>
  /** Whether spans carry prompts, answers, arguments and results, redacted. Default false. */
  readonly content?: boolean | undefined
  /** Addresses and networks of destinations that are not public. */
  readonly allow?: ReadonlyArray<string> | undefined
}

/**
 * The tracer of an app whose spans go to every destination that is on, and to the collector of the `OTEL_*` variables.
 *
 * **Details**
 *
 * No run waits for a destination or fails with it. Each has a bounded queue of its own; spans that find no room or that it
 * refuses are counted in `fastagentic_telemetry_lost_total` and logged. Without a destination the layer provides nothing.
 * `OTEL_SDK_DISABLED` switches all of them off.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<never, Config.ConfigError | Egress.UnknownNetwork> =>
  Layer.unwrap(Effect.gen(function*() {
    const disabled = yield* Config.Boolean("OTEL_SDK_DISABLED").pipe(Config.withDefault(false))
    const found = yield* Effect.forEach(
      options.destinations,
      (one) => Effect.isEffect(one) ? one : Effect.succeedSome(one)
    )
    const destinations = disabled ? [] : found.flatMap((one) => Option.toArray(one))
    if (destinations.length === 0) return Layer.empty
    const tracer = Layer.effect(Tracer.Tracer, make(options, destinations)).pipe(
      Layer.provide(Egress.layer({ allow: options.allow, timeout: "Infinity", maxResponseSize: 1_048_576 }))
    )
    return options.content === true ? Layer.merge(tracer, TelemetryContent.layer) : tracer
  }))

const make = Effect.fnUntraced(function*(options: Options, destinations: ReadonlyArray<Destination>) {
  const client = yield* HttpClient.HttpClient
  const named = yield* describe(options)
  const queue = yield* queueOf("TRACES")
  const collector = yield* settingsOf("TRACES")
  const resource = yield* OtlpResource.fromConfig(named)
  const targets = yield* Effect.forEach(destinations, (destination) =>
    Effect.map(
      OtlpResource.fromConfig({
        ...named,
        attributes: destination.resource({ serviceName: OtlpResource.serviceNameUnsafe(resource) })
      }),
      (resource): Targets.Target => ({
        settings: {
          ...queue,
          destination: destination.name,
          signal: "TRACES",
          url: destination.url,
          headers: Object.fromEntries(
            Object.entries(destination.headers).map(([name, value]) => [name, Redacted.value(value)])
          ),
          json: false,
          gzip: true,
          timeoutMillis: Duration.toMillis(destination.timeout)
        },
        resource,
        client,
        agentsOnly: destination.spans === "agents",
        view: viewFor(destination)
      })
    ))
  const all = collector === undefined ? targets : [...targets, {
    settings: collector,
    resource,
    client: Context.get(yield* Layer.build(FetchHttpClient.layer), HttpClient.HttpClient),
    agentsOnly: false,
    view: undefined
  }]
  return yield* Targets.make(all, yield* Sampler.fromConfig)
})
