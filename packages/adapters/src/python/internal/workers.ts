// The processes of one agent, one for each tenant, so that no tenant shares memory with another; host.ts takes one for a run.
// One that is not used ends after a while, or as soon as another tenant waits for its place; one that has ended is replaced.
import { Deferred, Effect, Exit, RcMap, Scope, Semaphore } from "effect"
import type { PythonUnusable } from "../PythonError.ts"
import type { Description } from "./frames.ts"
import * as Worker from "./worker.ts"

const idle = "1 minute"

export interface Workers {
  readonly description: Description
  /** The process of a tenant, for as long as the scope; waits while all processes are at work for others. */
  readonly take: (tenant: string) => Effect.Effect<Worker.Worker, PythonUnusable, Scope.Scope>
}

/** Starts the first process, which says how the agent describes itself; the tenant that comes first gets it. */
export const make = Effect.fnUntraced(function*(options: Worker.Options, most: number) {
  const scope = yield* Scope.make()
  const first = yield* Effect.onError(
    Scope.provide(Worker.start(options), scope),
    () => Scope.close(scope, Exit.void)
  )
  const places = yield* Semaphore.make(most)
  /** How many runs each process works for. */
  const uses = new Map<string, number>()
  let spare: Worker.Worker | undefined = first
  let waiting = 0
  const layerScope = yield* Effect.scope
  yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))

  const started = Effect.suspend(() => {
    const ready = spare
    spare = undefined
    return ready === undefined
      ? Worker.start(options)
      : Effect.acquireRelease(Effect.succeed(ready), () => Scope.close(scope, Exit.void))
  })
  /** Ends a process that works for nobody, when somebody waits for its place. */
  const makeRoom = Effect.suspend(() => {
    const unused = waiting === 0 ? undefined : [...uses].find(([, count]) => count === 0)
    if (unused === undefined) return Effect.void
    uses.delete(unused[0])
    return Effect.forkIn(RcMap.invalidate(map, unused[0]), layerScope)
  })
  const place = Effect.suspend(() => {
    waiting++
    return Effect.andThen(makeRoom, places.takeScoped(1)).pipe(Effect.ensuring(Effect.sync(() => void waiting--)))
  })
  const map: RcMap.RcMap<string, Worker.Worker, PythonUnusable> = yield* RcMap.make({
    idleTimeToLive: idle,
    lookup: Effect.fnUntraced(function*(tenant: string) {
      yield* Effect.addFinalizer(() => Effect.sync(() => uses.get(tenant) === 0 && uses.delete(tenant)))
      yield* place
      const worker = yield* started
      yield* Effect.forkScoped(Effect.andThen(Deferred.await(worker.worn), RcMap.invalidate(map, tenant)))
      return worker
    })
  })
  const count = (tenant: string, by: number) => Effect.sync(() => void uses.set(tenant, (uses.get(tenant) ?? 0) + by))

  return {
    description: first.description,
    take: (tenant) =>
      Effect.andThen(
        Effect.acquireRelease(count(tenant, 1), () => Effect.andThen(count(tenant, -1), makeRoom)),
        RcMap.get(map, tenant)
      )
  } satisfies Workers
})
