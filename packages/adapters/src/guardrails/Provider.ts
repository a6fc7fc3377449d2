/**
 * A service that judges texts, and its verdicts.
 *
 * @since 0.1.0
 */
import { type Effect, type Option, Schema, type Scope } from "effect"
import type { Config, Duration } from "effect"
import type * as HttpClient from "effect/http/HttpClient"

/** The places of a run where texts are judged. @category models @since 0.1.0 */
export type Place = "input" | "prompt" | "output" | "tool_arguments" | "tool_result"

/** Texts to judge together. @category models @since 0.1.0 */
export interface Check {
  readonly place: Place
  readonly texts: ReadonlyArray<string>
  readonly runId: string
  readonly agent: string
}

/** `modify` has a text for each text of the check. @category models @since 0.1.0 */
export type Verdict =
  | { readonly action: "allow" }
  | { readonly action: "block"; readonly reason: string }
  | { readonly action: "modify"; readonly texts: ReadonlyArray<string> }

/** A service did not judge a text. @category errors @since 0.1.0 */
export class GuardrailFailed extends Schema.TaggedError<GuardrailFailed>()("GuardrailFailed", {
  guardrail: Schema.String,
  reason: Schema.String
}) {
  override get message() {
    return `${this.guardrail} ${this.reason}`
  }
}

/** @category models @since 0.1.0 */
export type Judge = (check: Check) => Effect.Effect<Verdict, GuardrailFailed>

/** @category models @since 0.1.0 */
export interface Provider {
  readonly name: string
  readonly connect: Effect.Effect<Judge, never, HttpClient.HttpClient | Scope.Scope>
}

/** A provider from the environment; none when its variable is not set. @category models @since 0.1.0 */
export type FromConfig = Effect.Effect<Option.Option<Provider>, Config.ConfigError>

/** Options of every provider. @category options @since 0.1.0 */
export interface Common {
  /** The time limit of one request. Default 5 seconds; the hook has its own. */
  readonly timeout?: Duration.Input | undefined
}
