// Counts the connections of each principal; WebSocket routes connect through it before they accept one.
import { Effect } from "effect"
import type { Caller } from "../../door/Caller.ts"
import type { Door } from "../../door/internal/door.ts"
import { OpenCount, type OpenLimits } from "../../door/OpenLimits.ts"
import { RunError } from "../../run/RunError.ts"

export const makeConnect = (door: Door, { sockets }: OpenLimits) => {
  const open = new OpenCount("open-sockets", sockets)
  return Effect.fnUntraced(function*(caller: Caller) {
    const known = yield* door.identify(caller)
    const principal = yield* door.authenticate(known)
    const reason = open.refusal(principal)
    if (reason !== undefined) return yield* Effect.fail(new RunError({ reason }))
    yield* Effect.acquireRelease(Effect.sync(() => open.take(principal)), (release) => Effect.sync(release))
    return known
  })
}
