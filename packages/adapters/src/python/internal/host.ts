// Hosts a Python agent in a run: takes a process, works through it, and survives its end. Python.ts makes the handler with it.
import { type Agent, Thread } from "@fastagentic/core"
import { CurrentRun, type InterruptDenied } from "@fastagentic/core/run/Run"
import { Effect, type Schema, Scope, Semaphore } from "effect"
import { failureOf } from "../../adapter/Failure.ts"
import * as FrameworkRun from "../../adapter/FrameworkRun.ts"
import * as Turns from "../../adapter/Turns.ts"
import { toMessages, toPrompt } from "../../effect-ai/internal/threadPrompt.ts"
import { WorkerCrashed } from "../PythonError.ts"
import { appModelHandler } from "./appModels.ts"
import { appToolHandler, type AppTools } from "./appTools.ts"
import { contentOf, decodePrompt, modelHandler, toolHandler } from "./modelRequests.ts"
import { requests } from "./requests.ts"
import { Session } from "./session.ts"
import type { Workers } from "./workers.ts"

/** How often the process of a run may end without any progress of the run. */
const mostCrashes = 3

/** How many runs that wait after a crash are remembered; some never come back. */
const mostRemembered = 10_000

/** Runs of one agent. */
export const make = <E extends Agent.AnySchema>(
  workers: Workers,
  { errorSchema, threads }: { readonly errorSchema: E; readonly threads: Agent.Threads },
  tools: AppTools
) => {
  /** Runs whose process ended, and how often since their last commit. */
  const crashes = new Map<string, number>()
  /** A run whose process ended twice works alone, so that the next end is its own doing and takes no other run along. */
  const alone = Semaphore.makeUnsafe(1)
  const { factory, kind } = workers.description
  const isFramework = kind !== "callable"
  // A crew and a flow have no conversation.
  const keepsHistory = isFramework && kind !== "crewai" && threads !== "parallel"

  const afterCrash = Effect.fnUntraced(function*(crashed: WorkerCrashed, hasMoved: boolean) {
    const { leave, record: { durable, runId } } = yield* CurrentRun
    const count = hasMoved ? 1 : (crashes.get(runId) ?? 0) + 1
    crashes.set(runId, count)
    if (crashes.size > mostRemembered) crashes.delete(crashes.keys().next().value ?? "")
    if (!durable || count >= mostCrashes) {
      crashes.delete(runId)
      return yield* Effect.die(crashed)
    }
    yield* Effect.logWarning(crashed.message)
    // It resumes from its last commit, in a new process. What it asks humans stays open, so it leaves as a whole: a question
    // whose own branch ends would be withdrawn.
    return yield* leave
  })

  return Effect.fnUntraced(function*(
    input: Schema.Json
  ): Effect.fn.Return<Schema.Json, E["Type"] | InterruptDenied, CurrentRun | Scope.Scope> {
    const { record: { runId, tenant, threadId = runId } } = yield* CurrentRun
    const scope = yield* Effect.scope
    const history = keepsHistory ? contentOf(yield* toPrompt(yield* Thread.messages())) : []
    const isSuspect = (crashes.get(runId) ?? 0) === mostCrashes - 1
    if (isSuspect) yield* alone.takeScoped(1)
    const worker = yield* Effect.orDie(workers.take(isSuspect ? `${tenant}\u0000alone` : tenant))
    const turns = Turns.make()
    // The turns of a loop come one after the other; nodes of a graph do not.
    const begin = kind === "pydantic-ai"
      ? Effect.orDie(Effect.provideService(turns.begin, Scope.Scope, scope))
      : Effect.void
    const modelFailures = new WeakMap<object, string>()
    const { output, said } = yield* FrameworkRun.within((framework) => {
      const session = new Session(worker, framework, {
        ...requests,
        ...(isFramework ? { model: modelHandler(() => framework.promise(begin)) } : {}),
        ...(isFramework || factory ? { tool: toolHandler } : {}),
        ...(factory
          ? { app_model: appModelHandler(() => framework.promise(begin)), app_tool: appToolHandler(tools) }
          : {})
      }, modelFailures)
      return session.drive({ runId, threadId, input, history }).catch((error: unknown) => {
        if (error instanceof WorkerCrashed) return framework.promise(afterCrash(error, session.hasMoved))
        throw error
      })
    }).pipe(
      Effect.tapError(() => Effect.orDie(turns.end("error"))),
      Effect.catchTag("Thrown", (thrown) => {
        crashes.delete(runId)
        return failureOf(errorSchema, modelFailures, thrown)
      })
    )
    crashes.delete(runId)
    yield* Effect.orDie(turns.end("ok"))
    if (keepsHistory) yield* Thread.add(...toMessages(decodePrompt({ content: said }).content))
    return output
  })
}
