import { Effect } from "effect"
import * as Authorization from "../Authorization.ts"
import type { Budget } from "../Budget.ts"
import type { Caller } from "../Caller.ts"
import type { UsageReport, UsageRequest } from "../Runtime.ts"
import { asRunError, type Door } from "./door.ts"
import { toUsd } from "./money.ts"

/** What calls of models have used, for whoever may know. */
export const makeUsage = (budget: Budget["Service"], door: Door) =>
  Effect.fnUntraced(function*(caller: Caller, { of, ...request }: UsageRequest) {
    const principal = yield* door.authenticate(caller)
    if (of === "tenant") yield* asRunError(Authorization.requireScopes(principal, ["usage:tenant"]))
    const { id, tenant } = principal
    const rows = yield* asRunError(budget.usage({ ...request, tenant, ...(of === "tenant" ? {} : { user: id }) }))
    const budgets = yield* asRunError(budget.standings(principal))
    return {
      items: rows.map(({ cost, ...row }) => ({ ...row, costUsd: toUsd(cost) })),
      totalUsd: toUsd(rows.reduce((sum, { cost }) => sum + cost, 0)),
      budgets
    } satisfies UsageReport
  })
