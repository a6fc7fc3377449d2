// A change in a store beside the run store, with its entry: schedules and accounts are changed through it. The entry is in the
// commit of the change where the store keeps facts in the outbox that this process empties, and is written right after it
// elsewhere. A change that was not made has none.
import { Effect } from "effect"
import type { StoreUnavailable } from "../../run/RunError.ts"
import type { Fact, RunStore } from "../../store/RunStore.ts"
import type { Entry } from "../Audit.ts"
import type { AuditOutbox } from "./auditOutbox.ts"

interface Options {
  readonly outbox: AuditOutbox
  readonly runs: Pick<RunStore["Service"], "identity">
  /** The store that is changed; its `outbox` is the identity of the run store that has its facts. */
  readonly store: { readonly outbox?: Effect.Effect<string, StoreUnavailable> }
}

/** `change` says whether it was made. */
export const withEntry = Effect.fnUntraced(function*<E>(
  { outbox, runs, store }: Options,
  entry: Entry,
  change: (facts: ReadonlyArray<Fact>) => Effect.Effect<boolean, E>
): Effect.fn.Return<boolean, E | StoreUnavailable> {
  const fact = outbox.note(entry)
  const isKept = store.outbox !== undefined && outbox.isLasting && (yield* runs.identity) === (yield* store.outbox)
  const isMade = yield* change(isKept ? [fact] : [])
  if (isMade) yield* outbox.ensure(fact)
  return isMade
}, Effect.uninterruptible)
