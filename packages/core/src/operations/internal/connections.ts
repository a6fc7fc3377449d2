// Counts the connections of each principal, and its streams that follow no run; WebSocket routes and the streams of MCP
// open through it.
import { Effect, Stream } from "effect"
import type { Caller } from "../../door/Caller.ts"
import type { Door } from "../../door/internal/door.ts"
import { OpenCount, type OpenLimits } from "../../door/OpenLimits.ts"
import { RunError } from "../../run/RunError.ts"
import type { RunSupervisor } from "../../runtime/internal/runSupervisor.ts"
import type { Runtime } from "../Runtime.ts"

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

/** A stream counts from its first read to its end, as that of a journal. */
export const makeOpenStream = (
  { metrics, openStreams }: RunSupervisor,
  door: Door,
  credentialsEnd: Runtime["Service"]["credentialsEnd"]
): Runtime["Service"]["openStream"] =>
(caller) =>
  Effect.flatMap(door.authenticate(caller), (principal) => {
    const reason = openStreams.refusal(principal)
    if (reason !== undefined) return Effect.fail(new RunError({ reason }))
    return Effect.succeed((stream) =>
      Stream.suspend(() => {
        const release = openStreams.take(principal)
        metrics.streams(caller.protocol, 1)
        return Stream.ensuring(
          Stream.interruptWhen(stream, Effect.ignore(credentialsEnd(caller))),
          Effect.sync(() => {
            metrics.streams(caller.protocol, -1)
            release()
          })
        )
      })
    )
  })
