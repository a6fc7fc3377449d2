// Whether the principal of a run may still act: claim.ts and resting.ts ask before a run that has waited continues. An app
// without authentication has no such question. The disabled accounts are read each second for the door, which looks at every
// call, and at once for a run, which may be the last to notice.
import { Effect } from "effect"
import { Principal } from "../../run/Principal.ts"
import type { StoreUnavailable } from "../../run/RunError.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import type { Account, ApiKeyStore } from "../ApiKeys.ts"
import type { Auth } from "../Auth.ts"

type Subject = Pick<RunRecord, "createdAt" | "grants" | "owner" | "tenant">

export interface Authority {
  /** Why the run may not go on, if it may not. */
  readonly refusal: (run: Subject) => Effect.Effect<string | undefined, StoreUnavailable>
  /** As the last look at the store has it. */
  readonly isDisabled: (account: Account) => boolean
  /** Looks at the store; the accounts that were disabled since the last look. */
  readonly refresh: Effect.Effect<ReadonlyArray<Account>, StoreUnavailable>
}

export const accountDisabled = "the account is disabled"

export const makeAuthority = (
  auth: Auth["Service"],
  store: ApiKeyStore["Service"]
): Authority | undefined => {
  if (auth.open) return undefined
  let disabled: ReadonlySet<string> = new Set()

  const refusal = Effect.fnUntraced(function*({ createdAt, grants, owner, tenant }: Subject) {
    const { authority = { at: createdAt }, claims, roles, scopes } = grants
    const by = authority === "app" ? undefined : authority.by
    const id = restsOn({ grants, owner })
    if (yield* store.isDisabled({ tenant, id })) return accountDisabled
    if (authority === "app" || auth.revalidate === undefined) return undefined
    const principal = new Principal({ id, tenant, scopes, roles, claims: by?.claims ?? claims })
    const standing = yield* auth.revalidate({ principal, at: authority.at })
    if (standing._tag === "Valid") return undefined
    return standing._tag === "Invalid" ? standing.reason : "no way to authenticate knows this principal any more"
  })

  const refresh = Effect.map(store.disabled, (found) => {
    const before = disabled
    disabled = new Set(found.map(nameOf))
    return found.filter((account) => !before.has(nameOf(account)))
  })

  return { refusal, isDisabled: (account) => disabled.size > 0 && disabled.has(nameOf(account)), refresh }
}

/** The principal whose rights a run has: its owner, unless somebody else has resumed it since its owner was not valid. */
export const restsOn = ({ grants: { authority }, owner }: Pick<Subject, "grants" | "owner">): string =>
  typeof authority === "object" && authority.by !== undefined ? authority.by.id : owner

const nameOf = ({ id, tenant }: Account) => `${tenant}\0${id}`
