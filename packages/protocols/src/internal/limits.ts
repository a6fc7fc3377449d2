import type { LimitUsage } from "@fastagentic/core/door/RateLimit"
import * as HttpServerResponse from "effect/http/HttpServerResponse"

/** Keeps what a call is told about its limits, for the headers of its answer. */
export class Limits {
  private standings: ReadonlyArray<LimitUsage> = []

  readonly keep = (standings: ReadonlyArray<LimitUsage>) => {
    this.standings = standings
  }

  /**
   * `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers, one member for each rule. Names of rules
   * are what a structured field takes as a string.
   */
  readonly told = (response: HttpServerResponse.HttpServerResponse): HttpServerResponse.HttpServerResponse =>
    this.standings.length === 0 ? response : HttpServerResponse.setHeaders(response, {
      "ratelimit-policy": this.standings.map(policyOf).join(", "),
      "ratelimit": this.standings.map(standingOf).join(", ")
    })
}

const seconds = (millis: number) => Math.ceil(millis / 1_000)

/** A window is whole seconds, or is not said. */
const policyOf = ({ limit, rule, windowMillis }: LimitUsage) =>
  `"${rule}";q=${limit}${windowMillis % 1_000 === 0 ? `;w=${windowMillis / 1_000}` : ""}`

const standingOf = ({ remaining, resetMillis, rule }: LimitUsage) =>
  `"${rule}";r=${remaining};t=${seconds(resetMillis)}`
