/**
 * A destination of traces: its endpoint, its credentials, and the attributes that it reads.
 *
 * @since 0.1.0
 */
import { Config, Duration, Effect, Option, Redacted, type Schema } from "effect"

/** A span as a destination sees it when it adds attributes. @category models @since 0.1.0 */
export interface SpanFacts {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  /** When it began, in nanoseconds since 1970. */
  readonly startTime: bigint
  readonly operation: "model" | "agent" | "tool" | "node" | "guardrail" | "other"
  readonly attributes: ReadonlyMap<string, unknown>
  /** The run that it belongs to, unless it belongs to the door or the store. */
  readonly run: {
    readonly runId: string
    readonly attempt?: number
    readonly agent?: string
    readonly user?: string
    readonly tenant?: string
    /** The thread. */
    readonly session?: string
  } | undefined
  /** Whether it is the first span of its run. */
  readonly isRoot: boolean
  /** The spans above it, from the closest, among those that the destination receives. */
  readonly above: ReadonlyArray<Pick<SpanFacts, "spanId" | "traceId" | "startTime" | "isRoot" | "run">>
}

/** @category models @since 0.1.0 */
export interface Destination {
  /** Its name in metrics and logs. */
  readonly name: string
  /** The endpoint of OTLP/HTTP that batches of spans are posted to. */
  readonly url: string
  readonly headers: Readonly<Record<string, Redacted.Redacted>>
  /** `agents`: those of runs, nodes, models and tools. `all`: also those of the door and the store. */
  readonly spans: "agents" | "all"
  readonly timeout: Duration.Duration
  /** Added to the resource. */
  readonly resource: (app: { readonly serviceName: string }) => Readonly<Record<string, string>>
  /** Added to a span. */
  readonly attributes: (span: SpanFacts) => Readonly<Record<string, Schema.Json | undefined>>
}

/** Options of every destination. @category options @since 0.1.0 */
export interface Common {
  /** The time limit of one post. Default 10 seconds. */
  readonly timeout?: Duration.Input | undefined
}

/** A destination from the environment; none when its variable is not set. @category models @since 0.1.0 */
export type FromConfig = Effect.Effect<Option.Option<Destination>, Config.ConfigError>

/**
 * A plain collector or any other OTLP/HTTP endpoint, beside the one of the `OTEL_*` variables.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: Common & Partial<Omit<Destination, "timeout" | "headers">> & {
    readonly name: string
    readonly url: string
    readonly headers?: Readonly<Record<string, Redacted.Redacted>>
  }
): Destination => ({
  headers: {},
  spans: "all",
  resource: () => ({}),
  attributes: () => ({}),
  ...options,
  timeout: Duration.fromInputUnsafe(options.timeout ?? "10 seconds")
})
