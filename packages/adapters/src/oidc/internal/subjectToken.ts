// The token of a caller as its runs keep it: sealed, in a claim of its principal, so that it goes where the rights of a run go.
// Oidc seals it when a caller is let in, and OAuthTokens opens it when a run acts for the caller at another server.
import * as Sealing from "@fastagentic/core/base/Sealing"
import { Principal } from "@fastagentic/core/run/Principal"
import type { RunRecord } from "@fastagentic/core/run/RunRecord"
import { Effect, Redacted, Schema } from "effect"

/** No secret opens the token that a run has. */
export class SubjectTokenUnreadable
  extends Schema.TaggedError<SubjectTokenUnreadable>()("SubjectTokenUnreadable", {})
{}

const claim = "urn:fastagentic:subject-token"
const shortest = 32

/** A sealed token opens for the principal alone that has shown it. */
const about = (tenant: string, id: string) => JSON.stringify([tenant, id])

export const make = Effect.fnUntraced(function*(secrets: Sealing.Secrets) {
  if (secrets.some((secret) => Redacted.value(secret).length < shortest)) {
    return yield* Effect.die(new Error(`a secret of subject tokens has to have ${shortest} characters at least`))
  }
  const sealing = yield* Sealing.make("subject token", secrets)
  return {
    withToken: ({ claims, id, roles, scopes, tenant }: Principal, token: string) =>
      Effect.map(
        sealing.seal(token, about(tenant, id)),
        (sealed) => new Principal({ id, tenant, scopes, roles, claims: { ...claims, [claim]: sealed } })
      ),
    /** The token with which the owner of a run has started or resumed it; nothing where somebody else vouches for the run. */
    tokenOf: Effect.fnUntraced(function*(
      { grants: { authority, claims }, owner, tenant }: Pick<RunRecord, "grants" | "owner" | "tenant">
    ) {
      const sealed = claims[claim]
      const isOwners = authority !== "app" && authority?.by === undefined
      if (!isOwners || typeof sealed !== "string") return undefined
      return (yield* sealing.open(sealed, about(tenant, owner))) ?? (yield* new SubjectTokenUnreadable())
    })
  }
})
