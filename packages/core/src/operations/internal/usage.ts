// Reads usage and budgets; Runtime builds it. Callers see their own usage, or the tenant's with its scope.
import { Effect } from "effect"
import type { Budget } from "../../budget/Budget.ts"
import { toUsd } from "../../budget/internal/money.ts"
import type { Caller } from "../../door/Caller.ts"
import type { Door } from "../../door/internal/door.ts"
import { filterText } from "../../door/internal/foreignReads.ts"
import { asRunError } from "../../run/internal/runErrors.ts"
import type { UsageReport, UsageRequest } from "../Runtime.ts"

/** Reads the usage of model calls, for callers who may see it. */
export const makeUsage = (budget: Budget["Service"], door: Door) =>
  Effect.fnUntraced(function*(caller: Caller, { of, ...request }: UsageRequest) {
    const principal = yield* door.authenticate(caller)
    if (of === "tenant") yield* door.authorize(caller, principal, "usage", ["usage:tenant"])
    const { id, tenant } = principal
    const rows = yield* asRunError(budget.usage({ ...request, tenant, ...(of === "tenant" ? {} : { user: id }) }))
    if (of === "tenant") yield* door.saw(caller, principal, "usage", filterText(request))
    const budgets = yield* asRunError(budget.standings(principal))
    return {
      items: rows.map(({ cost, ...row }) => ({ ...row, costUsd: toUsd(cost) })),
      totalUsd: toUsd(rows.reduce((sum, { cost }) => sum + cost, 0)),
      budgets
    } satisfies UsageReport
  })
