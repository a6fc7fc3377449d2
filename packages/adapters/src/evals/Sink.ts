/**
 * A service that keeps the scores of runs.
 *
 * @since 0.1.0
 */
import type { Config, Effect, Option, Scope } from "effect"
import type * as HttpClient from "effect/http/HttpClient"
import type { ServiceFailed } from "../services/internal/jsonService.ts"

/** A score on its way to a service. @category models @since 0.1.0 */
export interface Scored {
  readonly runId: string
  readonly agent: string
  readonly name: string
  readonly value: number
  readonly explanation?: string | undefined
  /** The trace of the run, when it has one. */
  readonly traceId?: string | undefined
  readonly at: number
}

/** @category models @since 0.1.0 */
export interface Sink {
  readonly name: string
  readonly connect: Effect.Effect<
    (scored: Scored) => Effect.Effect<void, ServiceFailed>,
    never,
    HttpClient.HttpClient | Scope.Scope
  >
}

/** A sink from the environment; none when its variable is not set. @category models @since 0.1.0 */
export type FromConfig = Effect.Effect<Option.Option<Sink>, Config.ConfigError>
