// How a refusal is written into the audit log. The door, approvals and the runtime call it.
import { type Reason, ruleOf, type ToolDenied } from "../../run/RunError.ts"
import type { Entry } from "../Audit.ts"

export const refusalOf = (reason: Reason | ToolDenied): Required<Pick<Entry, "decision" | "rule">> => ({
  decision: reason._tag,
  rule: ruleWith(reason)
})

/** Names the missing scopes beside the rule. */
const ruleWith = (reason: Reason | ToolDenied): string =>
  reason._tag === "Forbidden" && reason.missing.length > 0
    ? `${reason.rule}: ${reason.missing.join(" ")}`
    : ruleOf(reason) ?? reason._tag
