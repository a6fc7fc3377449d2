// Joins each declared agent and tool with its handler and hooks; Runtime.layer calls it once, at start.
import { Context, Effect, Schema } from "effect"
import type * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import type * as Agent from "../../app/Agent.ts"
import type { Callable, Fusion } from "../../app/Fusion.ts"
import { handlerOf } from "../../base/internal/handlerOf.ts"
import { lacking, underneath } from "../../base/internal/underneath.ts"
import { problemsOf } from "../../base/Validation.ts"
import type * as Hook from "../../hook/Hook.ts"
import { directHandlers } from "../../hook/internal/directHandlers.ts"
import { boundHook, type HookWithHandler } from "../../hook/internal/dispatch.ts"
import * as ToolCall from "../../hook/ToolCall.ts"
import { CurrentRun } from "../../run/Run.ts"
import { FileNotFound, InvalidPayload, ToolDenied } from "../../run/RunError.ts"
import type { RegisteredCallable } from "./runSupervisor.ts"
import type { Invoke } from "./segment.ts"

/** Everything of an app that can be called, by kind and identifier. */
export interface Callables {
  readonly agent: ReadonlyMap<string, RegisteredCallable>
  readonly tool: ReadonlyMap<string, RegisteredCallable>
}

/** Joins each declaration with its handler and its hooks. */
export const resolveHandlers = Effect.fnUntraced(function*(fusion: Fusion, services: Context.Context<never>) {
  const appHooks = hooksOf(services, fusion.app.hooks)
  const agents = new Map<string, RegisteredCallable>()
  for (const agent of fusion.app.agents) {
    const callable = fusion.agents.get(agent.identifier)
    if (callable === undefined) continue
    const hooks = [...appHooks, ...hooksOf(services, agent.hooks)]
    agents.set(agent.identifier, {
      callable,
      hooks,
      invoke: invokeAgent(callable, handlerOf(services, agent), services)
    })
  }
  const tools = new Map<string, RegisteredCallable>()
  if (fusion.tools.size === 0) return { agent: agents, tool: tools } satisfies Callables
  // cast: `App.Any` has forgotten which tools the kit has; their handlers are among the services.
  const toolkit = fusion.app.tools as unknown as Effect.Effect<Toolkit.WithHandler<Record<string, Tool.Any>>>
  const lean = withLeanTools(services, fusion)
  const handlers = directHandlers(yield* Effect.provideContext(toolkit, lean), lean)
  for (const [name, callable] of fusion.tools) {
    tools.set(name, { callable, hooks: appHooks, invoke: invokeTool(callable, handlers) })
  }
  return { agent: agents, tool: tools } satisfies Callables
})

/** The handlers of tools with the services that the app lacks: a toolkit copies all services of a call to add any to them. */
const withLeanTools = (services: Context.Context<never>, { app }: Fusion): Context.Context<never> => {
  let lean = services
  for (const { id } of Object.values(app.tools.tools)) {
    const key = Context.Service<never, Tool.Handler<string>>(id)
    const handler = Context.getUnsafe(services, key)
    lean = Context.add(lean, key, { ...handler, context: lacking(handler.context, services) })
  }
  return lean
}

const hooksOf = (services: Context.Context<never>, hooks: ReadonlyArray<Hook.Any>): ReadonlyArray<HookWithHandler> =>
  hooks.map((hook) => boundHook(hook, handlerOf<Hook.Points | Hook.Watch>(services, hook)))

const invokeAgent = (callable: Callable, handle: Agent.Handle, services: Context.Context<never>): Invoke => {
  const withServices = underneath(handle.services, services)
  return (payload) =>
    callable.payload.decode(payload).pipe(
      Effect.mapError((error) => new InvalidPayload({ target: callable.identifier, issues: problemsOf(error) })),
      Effect.flatMap((decoded) => withServices(handle.run(decoded))),
      Effect.flatMap((answer) => Effect.orDie(callable.success.encode(answer)))
    )
}

/** The result of a call that names a file which the caller does not have. */
const MissingFile = Schema.Struct({
  _tag: Schema.Literal("FileNotFound"),
  fileId: Schema.String,
  message: Schema.String
})

const invokeTool = (callable: Callable, handlers: ToolCall.Handlers): Invoke =>
  Effect.fnUntraced(function*(payload: Schema.Json) {
    const run = yield* CurrentRun
    const { forkedFrom, runId } = run.record
    const call = { toolCallId: forkedFrom?.toolCallId ?? runId, name: callable.identifier, arguments: payload }
    const outcome = yield* ToolCall.invoke(handlers, call)
    if (outcome.denied) {
      const reason = Schema.decodeUnknownOption(Schema.Struct({ reason: Schema.String }))(outcome.result)
      return yield* new ToolDenied({
        tool: callable.identifier,
        ...(reason._tag === "Some" ? { reason: reason.value.reason } : {})
      })
    }
    const missing = Schema.decodeUnknownOption(MissingFile)(outcome.isError ? outcome.result : null)
    if (missing._tag === "Some") return yield* new FileNotFound({ fileId: missing.value.fileId })
    if (outcome.isError) return yield* Effect.fail(yield* Effect.orDie(callable.error.decode(outcome.result)))
    return outcome.result
  })
