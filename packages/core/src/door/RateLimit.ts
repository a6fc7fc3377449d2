/**
 * The third stage of the door: how often.
 *
 * @since 0.1.0
 */
import { Context, type Duration, Layer } from "effect"
import type { Caller } from "./Caller.ts"

/** The callers whose calls are counted together. @category models @since 0.1.0 */
export type Dimension = "tenant" | "user" | "endpoint" | "protocol"

/**
 * So many calls in a window, for everybody who is the same by some dimensions.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rule {
  /** The name that refusals and the `RateLimit` headers show. */
  readonly name: string
  /**
   * `["tenant"]` gives each tenant a limit of its own, `["user", "endpoint"]` each user one for each endpoint, `[]`
   * makes all callers share one. Users of two tenants are two users.
   */
  readonly by: ReadonlyArray<Dimension>
  readonly limit: number
  readonly window: Duration.Input
  /** `fixed-window`, the default, counts from a first call on; `token-bucket` gives calls back one by one. */
  readonly algorithm?: "fixed-window" | "token-bucket" | undefined
  /** Only these: `agent/support`, `tool/find_order`, `resource/handbook`, `prompt/triage`. */
  readonly endpoints?: ReadonlyArray<string> | undefined
  readonly protocols?: ReadonlyArray<Caller["protocol"]> | undefined
  readonly tenants?: ReadonlyArray<string> | undefined
}

/** How a caller stands with one rule. @category models @since 0.1.0 */
export interface LimitUsage {
  readonly rule: string
  readonly limit: number
  readonly windowMillis: number
  readonly remaining: number
  /** The time until the whole limit is there again. */
  readonly resetMillis: number
}

/** The rules that hold; the runtime counts them in the store that has its runs. @category services @since 0.1.0 */
export class RateLimit extends Context.Service<RateLimit, {
  readonly rules: ReadonlyArray<Rule>
}>()("@fastagentic/core/door/RateLimit") {}

/** No limit at all. @category layers @since 0.1.0 */
export const layerUnlimited: Layer.Layer<RateLimit> = Layer.succeed(RateLimit, { rules: [] })

/**
 * Rules that all have to allow a call. A rule over a long window is a quota. One that cannot hold stops the start.
 *
 * **Example** (A rate for each user, a quota for each tenant)
 *
 * ```ts
 * import { RateLimit } from "@fastagentic/core"
 *
 * const Limits = RateLimit.layer([
 *   { name: "burst", by: ["user"], limit: 10, window: "1 second", algorithm: "token-bucket" },
 *   { name: "daily", by: ["tenant"], limit: 10_000, window: "1 day" }
 * ])
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (rules: ReadonlyArray<Rule>): Layer.Layer<RateLimit> => Layer.succeed(RateLimit, { rules })
