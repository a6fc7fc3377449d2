// The processes of one agent, one for each tenant, so that no tenant shares memory with another; host.ts takes one for a run.
// One that is not used ends after a while, and one that has ended is replaced for the next run.
import { Deferred, Effect, Exit, RcMap, Scope } from "effect"
import type { Cause } from "effect"
import type { PythonUnusable } from "../PythonError.ts"
import type { Description } from "./frames.ts"
import * as Worker from "./worker.ts"

const idle = "1 minute"

export interface Workers {
  readonly description: Description
  /** The process of a tenant, for as long as the scope. */
  readonly take: (
    tenant: string
  ) => Effect.Effect<Worker.Worker, PythonUnusable | Cause.ExceededCapacityError, Scope.Scope>
}

/** Starts the first process, which tells what the agent is; the tenant that comes first gets it. */
export const make = Effect.fnUntraced(function*(options: Worker.Options, most: number) {
  const scope = yield* Scope.make()
  const first = yield* Effect.onError(
    Scope.provide(Worker.start(options), scope),
    () => Scope.close(scope, Exit.void)
  )
  let spare: Worker.Worker | undefined = first
  yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))

  const start = Effect.suspend(() => {
    const ready = spare
    spare = undefined
    return ready === undefined
      ? Worker.start(options)
      : Effect.acquireRelease(Effect.succeed(ready), () => Scope.close(scope, Exit.void))
  })
  const map: RcMap.RcMap<string, Worker.Worker, PythonUnusable | Cause.ExceededCapacityError> = yield* RcMap.make({
    capacity: most,
    idleTimeToLive: idle,
    lookup: (tenant: string) =>
      Effect.tap(
        start,
        ({ worn }) => Effect.forkScoped(Effect.andThen(Deferred.await(worn), RcMap.invalidate(map, tenant)))
      )
  })
  return { description: first.description, take: (tenant) => RcMap.get(map, tenant) } satisfies Workers
})
