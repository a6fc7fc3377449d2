// Hosts a Python agent in a run: takes a process, works through it, and survives its end. Python.ts makes the handler with it.
import type { Agent } from "@fastagentic/core"
import { CurrentRun, type InterruptDenied } from "@fastagentic/core/run/Run"
import { Effect, type Schema, type Scope } from "effect"
import { failureOf } from "../../adapter/Failure.ts"
import * as FrameworkRun from "../../adapter/FrameworkRun.ts"
import { WorkerCrashed } from "../PythonError.ts"
import { type Handler, Session } from "./session.ts"
import type { Workers } from "./workers.ts"

/** How often the process of a run may end without any progress of the run. */
const mostCrashes = 3

export const make = <E extends Agent.AnySchema>(
  workers: Workers,
  errorSchema: E,
  handlers: Readonly<Record<string, Handler>>
) => {
  /** Runs whose process ended, and how often since their last commit. */
  const crashes = new Map<string, number>()

  return (
    input: Schema.Json
  ): Effect.Effect<Schema.Json, E["Type"] | InterruptDenied, CurrentRun | Scope.Scope> =>
    Effect.gen(function*() {
      const { record: { durable, runId, tenant, threadId = runId } } = yield* CurrentRun
      const worker = yield* Effect.orDie(workers.take(tenant))
      let session: Session | undefined
      return yield* FrameworkRun.within((framework) => {
        session = new Session(worker, framework, handlers)
        return session.drive({ runId, threadId, input })
      }).pipe(
        Effect.tap(() => Effect.sync(() => crashes.delete(runId))),
        Effect.catchTag("Thrown", (thrown) => {
          if (!(thrown.cause instanceof WorkerCrashed)) {
            crashes.delete(runId)
            return failureOf(errorSchema, session?.modelFailures ?? new WeakMap(), thrown)
          }
          const count = session?.hasMoved === true ? 1 : (crashes.get(runId) ?? 0) + 1
          crashes.set(runId, count)
          if (!durable || count >= mostCrashes) {
            crashes.delete(runId)
            return Effect.die(thrown.cause)
          }
          // An interrupted run that is durable is suspended as due: it resumes from its last commit, in a new process.
          return Effect.andThen(Effect.logWarning(thrown.cause.message), Effect.interrupt)
        })
      )
    })
}
