// The table of policies, each with its result on every transport and path; Matrix.test.ts and MatrixStdio.trials.ts assert it.
import type { Person } from "./lab.ts"

export type By = Person | "nobody" | "wrong" | "expired"

/** A policy, and its expected result on every transport. */
export interface Case {
  readonly name: string
  readonly by: By
  readonly agent: string
  readonly tag: string
  readonly rule?: string
  /** The decision in the audit log; absent when the caller is unknown or nothing was decided. */
  readonly audit?: readonly [decision: string, rule?: string] | undefined
  readonly payload?: (mark: string) => unknown
  /** Cells that do not apply, and why. */
  readonly without?: Readonly<Record<string, string>>
}

const delegation = "delegation"
export const [resume, onSchedule] = ["resumed after a restart", "scheduled"]
const asParent = "a delegated run acts for who started the run that it is delegated by"
const decoded = "a resumed run was decoded when it was admitted"

export const cases: ReadonlyArray<Case> = [
  { name: "no credentials", by: "nobody", agent: "plain", tag: "Unauthenticated", without: { [delegation]: asParent } },
  { name: "a bad key", by: "wrong", agent: "plain", tag: "Unauthenticated", without: { [delegation]: asParent } },
  {
    name: "an expired key",
    by: "expired",
    agent: "plain",
    tag: "Unauthenticated",
    without: { [delegation]: asParent }
  },
  {
    name: "a missing scope",
    by: "ann",
    agent: "secret",
    tag: "Forbidden",
    rule: "scopes",
    audit: ["Forbidden", "scopes: secret:read"]
  },
  { name: "a scope by a role's wildcard", by: "desk", agent: "secret", tag: "completed", audit: ["completed"] },
  {
    name: "a rate that is used up",
    by: "spent",
    agent: "few",
    tag: "RateLimited",
    rule: "rate",
    audit: ["RateLimited", "rate"]
  },
  {
    name: "a quota that is used up",
    by: "spent",
    agent: "daily",
    tag: "RateLimited",
    rule: "quota",
    audit: ["RateLimited", "quota"]
  },
  {
    name: "a budget that is used up",
    by: "ann",
    agent: "spends",
    tag: "BudgetExceeded",
    rule: "budget: tiny",
    audit: ["failed", "budget: tiny"]
  },
  {
    name: "a request hook that blocks",
    by: "ann",
    agent: "blocked",
    tag: "HookBlocked",
    rule: "hook: no-entry",
    audit: ["rejected", "hook: no-entry"]
  },
  {
    name: "a tool hook that blocks",
    by: "ann",
    agent: "pokes",
    tag: "HookBlocked",
    rule: "hook: no-tool",
    audit: ["failed", "hook: no-tool"]
  },
  {
    name: "a tool's scope inside of an agent",
    by: "ann",
    agent: "peeks",
    tag: "ToolDenied",
    rule: "approval: peek",
    audit: ["failed", "approval: peek"]
  },
  {
    name: "an undeclared agent",
    by: "ann",
    agent: "nothing",
    tag: "NotDeclared",
    without: {
      [resume]: "core's Policy test takes a declaration away between two starts",
      [onSchedule]: "a schedule of no agent is refused as an invalid one"
    }
  },
  {
    name: "a payload that does not fit",
    by: "ann",
    agent: "plain",
    tag: "InvalidPayload",
    payload: () => ({ mark: 7 }),
    without: { [resume]: decoded }
  }
]
