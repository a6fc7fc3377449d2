import { Effect, type Scope, Stream } from "effect"
import { RunNotifier } from "../RunNotifier.ts"
import type { Callables } from "./bind.ts"
import type { Node } from "./node.ts"
import { reconcile } from "./reconcile.ts"

/** How long a run may look abandoned: one that is being admitted or claimed at this moment is not. */
const settling = 2_000

/**
 * Keeps up with whoever else writes to the store: hears of their commits, looks again every second in case a notice was
 * lost, and continues runs that nobody drives any more: those of other nodes within a second, lost ones of its own too.
 */
export const attend = Effect.fnUntraced(function*(
  node: Node,
  callables: Callables
): Effect.fn.Return<void, never, Scope.Scope> {
  const { changes } = yield* RunNotifier
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(
    Effect.sleep("5 seconds"),
    Effect.ignore(reconcile(node, callables, settling))
  )))
  if (changes === Stream.empty) return
  yield* Effect.forkScoped(
    Stream.runForEach(
      changes,
      (notice) => Effect.ignore(notice._tag === "Changed" ? node.look(notice.runId, notice.seq) : node.lookAround)
    )
  )
  yield* everySecond(node.lookAround)
  yield* everySecond(reconcile(node, callables, settling, node.durable.store.abandoned))
})

const everySecond = <A, E>(look: Effect.Effect<A, E>) =>
  Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep("1 second"), Effect.ignore(look))))
