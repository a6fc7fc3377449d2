// Authentication, roles, a rate limit and budgets of the servers that are measured with everything on.
import { Effect, Layer } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { Audit, Budget, Prices, RateLimit, Roles } from "fastagentic"
import { Oidc } from "fastagentic/oidc"
import { limit } from "./everythingOn.ts"

const Callers = Roles.layer({ desk: { includes: ["reader"] }, reader: { scopes: ["echo:*", "audit:read"] } }).pipe(
  Layer.provide(Oidc.layer({ issuer: process.env["ISSUER"] ?? "", audience: "https://door.test", tenantClaim: "org" })),
  Layer.provide(FetchHttpClient.layer)
)

const Limits = Budget.layer.pipe(Layer.provide(Layer.merge(
  Prices.layer({ m: { input: 1, output: 10 } }),
  Budget.limits([{ name: "daily", per: "user", period: "day", hard: 1_000_000 }])
)))

export const Closed = Layer.mergeAll(
  Callers,
  RateLimit.layer([{ name: "each", by: ["user"], limit, window: "1 day" }]),
  Limits
)

/** An audit log that keeps nothing. */
export const Silent = Layer.succeed(Audit.Audit, {
  record: () => Effect.void,
  page: () => Effect.succeed([]),
  redact: () => Effect.succeed(0)
})
