// Reads the `OTEL_*` variables of one signal.
import { Config, Effect, Option, Schema } from "effect"

export type Signal = "TRACES" | "METRICS" | "LOGS"

/** The destination of a signal and its options. */
export interface Settings {
  /** Its name in metrics and logs. */
  readonly destination: string
  readonly signal: Signal
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly json: boolean
  readonly gzip: boolean
  readonly timeoutMillis: number
  readonly delayMillis: number
  readonly batchSize: number
  readonly queueSize: number
}

const ofSignal = <A>(signal: Signal, name: string, make: (path: string) => Config.Config<A>) =>
  Config.option(Config.orElse(
    make(`OTEL_EXPORTER_OTLP_${signal}_${name}`),
    () => make(`OTEL_EXPORTER_OTLP_${name}`)
  ))

const count = (name: string, otherwise: number) =>
  Config.schema(Schema.Int.check(Schema.isGreaterThan(0)).pipe(Schema.encodeTo(Schema.FiniteFromString)), name).pipe(
    Config.withDefault(otherwise)
  )

const endpointOf = (signal: Signal) =>
  Config.option(Config.orElse(
    Config.URL(`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`),
    () =>
      Config.map(Config.URL("OTEL_EXPORTER_OTLP_ENDPOINT"), (base) => {
        const url = new URL(base)
        url.pathname = `${url.pathname.replace(/\/$/u, "")}/v1/${signal.toLowerCase()}`
        return url
      })
  ))

/** The configuration of a signal; none when it is not exported. */
export const settingsOf = Effect.fnUntraced(function*(
  signal: Signal
): Effect.fn.Return<Settings | undefined, Config.ConfigError> {
  const disabled = yield* Config.Boolean("OTEL_SDK_DISABLED").pipe(Config.withDefault(false))
  const exporters = yield* Config.String(`OTEL_${signal}_EXPORTER`).pipe(Config.withDefault("otlp"))
  const endpoint = Option.getOrUndefined(yield* endpointOf(signal))
  if (disabled || endpoint === undefined || !exporters.split(",").some((name) => name.trim() === "otlp")) {
    return undefined
  }
  const protocol = Option.getOrElse(yield* ofSignal(signal, "PROTOCOL", Config.String), () => "http/protobuf")
  if (protocol !== "http/protobuf" && protocol !== "http/json") {
    yield* Effect.annotateLogs(
      Effect.logWarning("Telemetry stays off: OTLP is supported over http/protobuf and http/json"),
      { signal, protocol }
    )
    return undefined
  }
  const headers = Option.getOrElse(yield* ofSignal(signal, "HEADERS", Config.String), () => "")
  const compression = Option.getOrElse(yield* ofSignal(signal, "COMPRESSION", Config.String), () => "none")
  const timeout = Option.getOrElse(yield* ofSignal(signal, "TIMEOUT", Config.Int), () => 10_000)
  return {
    ...(yield* queueOf(signal)),
    destination: "collector",
    signal,
    url: endpoint.toString(),
    headers: pairsOf(headers),
    json: protocol === "http/json",
    gzip: compression === "gzip",
    timeoutMillis: timeout
  }
})

/** How long items of a signal wait, and how many. */
export const queueOf = Effect.fnUntraced(function*(signal: Signal) {
  const group = signal === "LOGS" ? "BLRP" : "BSP"
  return {
    delayMillis: signal === "METRICS"
      ? yield* count("OTEL_METRIC_EXPORT_INTERVAL", 60_000)
      : yield* count(`OTEL_${group}_SCHEDULE_DELAY`, signal === "LOGS" ? 1_000 : 5_000),
    batchSize: yield* count(`OTEL_${group}_MAX_EXPORT_BATCH_SIZE`, 512),
    queueSize: yield* count(`OTEL_${group}_MAX_QUEUE_SIZE`, 8_192)
  }
})

/** `a=1,b=two%20words`. */
export const pairsOf = (text: string): Record<string, string> =>
  Object.fromEntries(
    text.split(",").flatMap((pair) => {
      const at = pair.indexOf("=")
      return at < 1 ? [] : [[pair.slice(0, at).trim(), decoded(pair.slice(at + 1).trim())]]
    })
  )

const decoded = (text: string) => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
