// The two questions of verification beside the chain itself: whether a signature covers all entries, and whether each
// key is the one that its entry was sealed with. AuditVerify asks them.
import { Clock, Duration, Effect, Option } from "effect"
import type { Link, SubjectKey } from "../AuditLog.ts"
import type { Options } from "../AuditVerify.ts"
import { unseal } from "./auditBody.ts"
import { keyIdsIn } from "./auditKeys.ts"
import type { Waiting } from "./auditWaiting.ts"

interface Extent {
  readonly from: number
  readonly to: number
  readonly signedTo: number
  readonly oldestUnsigned: number
  readonly waiting: Waiting | undefined
}

export const unprovenBy = Effect.fnUntraced(function*({ signers = [], unsignedWithin = 0 }: Options, extent: Extent) {
  const { from, oldestUnsigned, signedTo, to, waiting } = extent
  if (signers.length === 0) return "no public key was given to check signatures with"
  const within = Duration.toMillis(Duration.fromInputUnsafe(unsignedWithin))
  const now = yield* Clock.currentTimeMillis
  if (waiting !== undefined && now - waiting.oldest > within) return waits(waiting.count)
  if (to < from || signedTo >= to) return undefined
  if (signedTo === 0) return "nothing is signed"
  const isYoung = now - oldestUnsigned <= within
  return isYoung ? undefined : `entries ${signedTo + 1} to ${to} are not signed`
})

const waits = (count: number) => count === 1 ? "1 change waits to be entered" : `${count} changes wait to be entered`

/** The way in which the key of an entry does not belong to it; nothing when it does, or when it was destroyed. */
export const misfitOf = Effect.fnUntraced(function*(link: Link, keys: ReadonlyMap<string, SubjectKey>) {
  const recorded = Option.getOrUndefined(yield* Effect.option(unseal(link, keys)))
  const [id] = keyIdsIn([link])
  const key = id === undefined ? undefined : keys.get(id)
  if (recorded === undefined || key === undefined) return undefined
  if (recorded.principal === null) return `the key of entry ${link.seq} does not open it`
  return recorded.principal === key.subject
    ? undefined
    : `the key of entry ${link.seq} is kept as that of somebody else`
})
