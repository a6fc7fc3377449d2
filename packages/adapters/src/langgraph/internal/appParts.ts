// The tools and models of the app in the form of LangChain, for the function that makes a graph. Each call is a step in the place
// of its task, so a task that was cut off does not repeat it; an approval pauses the graph by LangGraph's own interrupt, and the
// task runs again with the decision. A call that code of a node makes by itself is known by its task, its arguments and its number.
import type { Interrupt } from "@fastagentic/core"
import { CurrentRun } from "@fastagentic/core/run/Run"
import { AmbiguousName } from "@fastagentic/core/run/RunError"
import type { StructuredToolInterface } from "@langchain/core/tools"
import { Cause, Deferred, Effect, Exit, FiberSet, Predicate } from "effect"
import { createHash } from "node:crypto"
import type { Thrown as ThrownError } from "../../adapter/AdapterError.ts"
import { Thrown } from "../../adapter/AdapterError.ts"
import { toJson } from "../../adapter/Json.ts"
import * as RuntimeModel from "../../adapter/RuntimeModel.ts"
import type { RuntimeTool } from "../../adapter/RuntimeTool.ts"
import type { Call, Outcome } from "../../adapter/ToolStep.ts"
import type { AppModel } from "./appModel.ts"
import { makeModel } from "./appModel.ts"
import { inside } from "./callbackMetadata.ts"
import { along } from "./path.ts"
import type { Session } from "./session.ts"

/** The mark of a tool or a model of the app in the metadata of its callbacks. */
export const mark = { fastagentic: "app" } as const

export const isOfApp = (metadata: Record<string, unknown> | undefined): boolean => metadata?.["fastagentic"] === "app"

/** A call of a tool asks: its question goes to the human by way of the graph. */
class Asking extends Error {
  readonly request: Interrupt.Request
  constructor(request: Interrupt.Request) {
    super("a call waits for a decision")
    this.request = request
  }
}

/** The questions of calls by their names, and the decisions about them. */
export class Decisions {
  private readonly asked = new Map<string, Interrupt.Request>()
  private readonly taken = new Map<string, Interrupt.Resolution>()

  ask(request: Interrupt.Request) {
    this.asked.set(request.name, request)
    return { fastagentic: request.name }
  }

  /** The question of a call, where the value that the graph waits with is one. */
  of(value: unknown): Interrupt.Request | undefined {
    const name: unknown = typeof value === "object" && value !== null && "fastagentic" in value ? value.fastagentic : ""
    return this.asked.get(String(name))
  }

  take(request: Interrupt.Request, resolution: Interrupt.Resolution) {
    this.taken.set(request.name, resolution)
  }

  get(name: string) {
    return this.taken.get(name)
  }
}

export interface AppParts {
  readonly tools: Array<StructuredToolInterface>
  readonly model: (name?: string) => AppModel
  /** Fails with what ends the run, whatever the graph makes of it. */
  readonly fatal: Effect.Effect<never, ThrownError>
}

/**
 * Makes a call until it is over, or until it asks: then the call is given up, as if its node went away, and made again with the
 * decision. A defect in its place would be one of the hook that asks.
 */
const untilItAsks = <A, E>(
  call: Effect.Effect<A, E, CurrentRun>,
  decisions: Decisions
): Effect.Effect<A, E | Asking, CurrentRun> =>
  Effect.gen(function*() {
    const place = yield* CurrentRun
    const asked = yield* Deferred.make<never, Asking>()
    const ask = (request: Interrupt.Request) => {
      const known = decisions.get(request.name)
      return known === undefined
        ? Effect.andThen(Deferred.fail(asked, new Asking(request)), Effect.never)
        : Effect.succeed(known)
    }
    const here: CurrentRun["Service"] = Object.create(place, { interrupt: { value: ask } })
    return yield* Effect.raceFirst(Effect.provideService(call, CurrentRun, here), Deferred.await(asked))
  })

/** LangChain adds the call of the model to the configuration of its tool. */
const callIdIn = (config: unknown): string | undefined => {
  const call = Predicate.hasProperty(config, "toolCall") ? config.toolCall : undefined
  return Predicate.hasProperty(call, "id") && typeof call.id === "string" ? call.id : undefined
}

/** The calls of one tool with the same arguments in one pass through a task. */
interface Same {
  count: number
  isOpen: boolean
}

export const make = Effect.fnUntraced(function*(
  session: Session,
  tools: ReadonlyArray<RuntimeTool>,
  decisions: Decisions
) {
  const { library } = session
  const fatal = yield* Deferred.make<never, Thrown>()
  const fork = yield* FiberSet.makeRuntimePromise<CurrentRun>()
  const find = yield* RuntimeModel.make(session.toolCallIds.used)

  const metadataOf = (runId: string | undefined) => session.ofApp.get(runId ?? "")

  const placeOf = (runId: string | undefined) => session.tasks.get(metadataOf(runId)?.taskId ?? "") ?? session.top

  const pathOf = (runId: string | undefined) => {
    const metadata = metadataOf(runId)
    return metadata === undefined ? [] : inside(metadata)
  }

  const promise = <A, E>(effect: Effect.Effect<A, E, CurrentRun>, place: CurrentRun["Service"], isDecisive: boolean) =>
    fork(
      Effect.provideService(effect, CurrentRun, place).pipe(
        Effect.onExit((exit) => {
          if (!Exit.isFailure(exit)) return Effect.void
          const cause = Cause.squash(exit.cause)
          if (cause instanceof Asking) return Effect.void
          if (Cause.hasDies(exit.cause)) return Deferred.die(fatal, cause)
          return isDecisive ? Deferred.fail(fatal, new Thrown({ cause })) : Effect.void
        })
      )
    )

  const scope = yield* Effect.scope
  const places = new Map<string, Promise<CurrentRun["Service"]>>()
  const outcomes = new Map<string, Outcome>()

  /** The place of a call, entered once, however often its task runs: a restart finds there what was done. */
  const placeOfCall = (toolCallId: string) => {
    const known = places.get(toolCallId) ?? fork(Effect.gen(function*() {
      const entered = yield* Deferred.make<CurrentRun["Service"]>()
      const stay = CurrentRun.use((place) => Effect.andThen(Deferred.succeed(entered, place), Effect.never))
      yield* Effect.forkIn(session.top.scope(`~call ${toolCallId}`, stay), scope)
      return yield* Deferred.await(entered)
    }))
    places.set(toolCallId, known)
    return known
  }

  /** Makes a call, or gives its outcome to a task that runs again because another call of it has asked. */
  const perform = async (tool: RuntimeTool, call: Call, path: ReadonlyArray<string>): Promise<Outcome> => {
    const known = outcomes.get(call.toolCallId)
    if (known !== undefined) return known
    const place = along(await placeOfCall(call.toolCallId), path)
    for (;;) {
      try {
        const outcome = await promise(untilItAsks(tool.once(call), decisions), place, true)
        outcomes.set(call.toolCallId, outcome)
        return outcome
      } catch (error) {
        if (!(error instanceof Asking)) throw error
        // It throws unless it has the answer to another question, and the next one is asked then.
        library.graph.interrupt(decisions.ask(error.request))
      }
    }
  }

  const passes = new WeakMap<CurrentRun["Service"], Map<string, Same>>()

  /** Makes a call that no model has asked for. A task that runs again makes its calls again, in the same order. */
  const performOwn = async (tool: RuntimeTool, args: unknown, runId: string | undefined): Promise<Outcome> => {
    const pass = placeOf(runId)
    const calls = passes.get(pass) ?? new Map<string, Same>()
    passes.set(pass, calls)
    const key = JSON.stringify([metadataOf(runId)?.taskId, tool.name, toJson(args)])
    const same = calls.get(key) ?? { count: 0, isOpen: false }
    calls.set(key, same)
    // Nothing tells two such calls apart when the task runs again, so both would get either outcome.
    if (same.isOpen) return promise(Effect.die(new AmbiguousName({ name: tool.name, place: "" })), pass, true)
    same.count++
    same.isOpen = true
    const toolCallId = `own_${createHash("sha256").update(`${key} ${same.count}`).digest("hex").slice(0, 24)}`
    return perform(tool, { toolCallId, arguments: args }, pathOf(runId)).finally(() => {
      same.isOpen = false
    })
  }

  const toolOf = (tool: RuntimeTool): StructuredToolInterface =>
    new library.tools.DynamicStructuredTool({
      name: tool.name,
      description: tool.description,
      schema: tool.parameters,
      metadata: mark,
      func: async (args: unknown, manager, config) => {
        const runId = manager?.runId
        const id = callIdIn(config)
        const outcome = id === undefined
          ? await performOwn(tool, args, runId)
          : await perform(tool, { toolCallId: session.toolCallIds.first(id), arguments: args }, pathOf(runId))
        if (id !== undefined) session.toolCallIds.take(id)
        const { isError, result } = outcome
        if (!isError) return result
        const content = typeof result === "string" ? result : JSON.stringify(result)
        const tool_call_id = id ?? runId ?? ""
        return new library.messages.ToolMessage({ content, name: tool.name, tool_call_id, status: "error" })
      }
    })

  const model = (name?: string) =>
    makeModel(session, find(name), mark, (effect, runId) => {
      const place = along(placeOf(runId), pathOf(runId))
      // Models that one task asks side by side have places of their own.
      return promise(place.scope("model call", effect, true), place, false)
    })

  return { tools: tools.map(toolOf), model, fatal: Deferred.await(fatal) } satisfies AppParts
})
