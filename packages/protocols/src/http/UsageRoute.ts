// What calls of models have used, over REST.
import { Clock, Effect, Schema } from "effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as RequestContext from "./RequestContext.ts"

const optional = Schema.optionalKey
const Day = Schema.String.check(Schema.isPattern(/^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$/u))
/** Not every store can look for U+0000. */
const Name = Schema.String.check(Schema.isPattern(/^[^\0]*$/u))
const dimensions = ["day", "user", "agent", "model"] as const

const isDimension = (word: string): word is typeof dimensions[number] => dimensions.some((one) => one === word)

/** `by` names what to tell apart, with commas between; days are those of UTC, inclusive. */
export const Query = Schema.Struct({
  of: optional(Schema.Literals(["me", "tenant"])),
  from: optional(Day),
  to: optional(Day),
  agent: optional(Name),
  model: optional(Name),
  by: optional(Schema.String.check(Schema.isPattern(/^((day|user|agent|model)(,(day|user|agent|model))*)?$/u)))
})

export const Report = Schema.Struct({
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

/** `GET /usage`: one's own, of this month unless said otherwise. */
export const route = RequestContext.handle(Effect.fnUntraced(function*(exchange) {
  const { caller, runtime } = exchange
  const { agent, by = "day,agent,model", from, model, of = "me", to } = yield* RequestContext.queryAs(exchange, Query)
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
