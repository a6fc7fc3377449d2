// Rate limit headers of an answer, shared by REST and A2A.
import type { LimitUsage } from "@fastagentic/core/door/RateLimit"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

/** Collects the usage of the limits that a call was counted by, for the headers of its answer. */
export class Limits {
  private usage: ReadonlyArray<LimitUsage> = []

  readonly record = (usage: ReadonlyArray<LimitUsage>) => {
    this.usage = usage
  }

  /**
   * `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers, one member for each rule. The name
   * of a rule is valid as a string of a structured field.
   */
  readonly addHeaders = (response: HttpServerResponse.HttpServerResponse): HttpServerResponse.HttpServerResponse =>
    this.usage.length === 0 ? response : HttpServerResponse.setHeaders(response, {
      "ratelimit-policy": this.usage.map(policyOf).join(", "),
      "ratelimit": this.usage.map(stateOf).join(", ")
    })
}

const seconds = (millis: number) => Math.ceil(millis / 1_000)

/** A window that is not whole seconds is left out. */
const policyOf = ({ limit, rule, windowMillis }: LimitUsage) =>
  `"${rule}";q=${limit}${windowMillis % 1_000 === 0 ? `;w=${windowMillis / 1_000}` : ""}`

const stateOf = ({ remaining, resetMillis, rule }: LimitUsage) => `"${rule}";r=${remaining};t=${seconds(resetMillis)}`
