// The model usage and cost of a caller or tenant, over REST.
import { Clock, Effect, Schema } from "effect"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as RequestContext from "./RequestContext.ts"
import * as Responses from "./Responses.ts"
import * as Route from "./Route.ts"

const optional = Schema.optionalKey
const Day = Schema.String.check(Schema.isPattern(/^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/u))
/** Not every store can search for U+0000. */
const Name = Schema.String.check(Schema.isPattern(/^[^\0]*$/u))
const dimensions = ["day", "user", "agent", "model"] as const

const isDimension = (word: string): word is typeof dimensions[number] => dimensions.some((one) => one === word)

/** `by` names the dimensions of a row, separated by commas; days are in UTC, inclusive. */
const Query = Schema.Struct({
  of: optional(Schema.Literals(["me", "tenant"])),
  from: optional(Day),
  to: optional(Day),
  agent: optional(Name),
  model: optional(Name),
  by: optional(Schema.String.check(Schema.isPattern(/^((day|user|agent|model)(,(day|user|agent|model))*)?$/u)))
})

const Report = Schema.Struct({
  items: Schema.Array(Schema.Struct({
    day: optional(Schema.String),
    user: optional(Schema.String),
    agent: optional(Schema.String),
    model: optional(Schema.String),
    calls: Schema.Int,
    unpriced: Schema.Int,
    inputTokens: Schema.Int,
    outputTokens: Schema.Int,
    cacheReadTokens: Schema.Int,
    cacheWriteTokens: Schema.Int,
    costUsd: Schema.Finite
  })),
  totalUsd: Schema.Finite,
  budgets: Schema.Array(Schema.Struct({
    name: Schema.String,
    period: Schema.Literals(["day", "month", "total"]),
    softUsd: optional(Schema.Finite),
    hardUsd: Schema.Finite,
    settledUsd: Schema.Finite,
    reservedUsd: Schema.Finite
  }))
}).annotate({ identifier: "UsageReport" })

/** The caller's own usage of this month unless the query asks for other usage. */
const usage = Route.make(
  "system",
  HttpApiEndpoint.get("usage", "/usage", {
    query: Query.fields,
    success: Report,
    error: Responses.problems(...Responses.refusals)
  }).annotateMerge(Responses.summary("The tokens and cost of model calls")),
  RequestContext.handle(Effect.fnUntraced(function*(context) {
    const { caller, runtime } = context
    const { agent, by = "day,agent,model", from, model, of = "me", to } = yield* RequestContext.queryAs(context, Query)
    const today = new Date(yield* Clock.currentTimeMillis).toISOString().slice(0, 10)
    const report = yield* runtime.usage(caller, {
      of,
      from: from ?? `${today.slice(0, 7)}-01`,
      to: to ?? today,
      agent,
      model,
      by: [...new Set(by.split(","))].filter(isDimension)
    })
    return HttpServerResponse.jsonUnsafe(report)
  }))
)

export const routes: ReadonlyArray<Route.Route> = [usage]
