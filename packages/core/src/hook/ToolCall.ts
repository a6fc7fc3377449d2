/**
 * A tool call inside a run: hooks, approval, then the handler once, journaled.
 *
 * @since 0.1.0
 */
import { Clock, Context, Effect, Schema, Stream } from "effect"
import type * as Prompt from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import { handlerOf } from "../base/internal/handlerOf.ts"
import * as Policy from "../base/Policy.ts"
import { CurrentRun } from "../run/Run.ts"
import { type ToolCall, ToolHooks, type ToolOutcome } from "./Hook.ts"
import { boundHook, type Dispatch, dispatch, transparent } from "./internal/dispatch.ts"

/**
 * The outcome of a call. A denied call never reached the tool; `arguments` are those it ran with, after hooks and edits.
 *
 * @category models
 * @since 0.1.0
 */
export interface Outcome extends ToolOutcome {
  readonly arguments: Schema.Json
  readonly denied: boolean
}

const Stored = Schema.Struct({ result: Schema.Json, isError: Schema.Boolean, denied: Schema.Boolean })
const Denial = Schema.Struct({ denied: Schema.Literal(true), reason: Schema.optionalKey(Schema.String) })

/** Tools of any kind with their handlers. @category models @since 0.1.0 */
export interface Handlers {
  readonly tools: Record<string, Tool.Any>
  readonly handle: (
    name: string,
    params: unknown,
    toolCallId: string
  ) => Effect.Effect<Stream.Stream<Tool.HandlerResult<Tool.Any>, unknown>, unknown>
}

/** Forgets which tools a toolkit has. @category conversions @since 0.1.0 */
export const handlersOf = <Tools extends Record<string, Tool.Any>>(toolkit: Toolkit.WithHandler<Tools>): Handlers =>
  // cast: names and parameters are checked by the toolkit itself, and its handlers carry their services.
  toolkit as unknown as Handlers

/**
 * Calls a tool.
 *
 * Fails as the tool's handler fails, when its failure mode is `"error"`: no result is journaled then, that is for whoever
 * goes on. An approval suspends the run; an edited call runs with the edited arguments.
 *
 * @category combinators
 * @since 0.1.0
 */
export const invoke = Effect.fnUntraced(function*(
  handlers: Handlers,
  call: ToolCall,
  messages: ReadonlyArray<Prompt.Message> = []
) {
  const run = yield* CurrentRun
  const wrapped = yield* hooksAround(handlers, call.name)
  // A result that no hook can change is reported in the commit that stores it.
  const final = transparent.has(wrapped)
  let ran: Performed | undefined
  const { isError, result } = yield* wrapped(
    call,
    (admitted) =>
      perform(handlers, admitted, admitted !== call, messages, final).pipe(
        Effect.map((performed) => {
          ran = performed
          return performed.outcome
        })
      )
  )
  if (final && ran !== undefined) return ran.outcome
  const { arguments: args, denied } = ran?.outcome ?? { arguments: call.arguments, denied: false }
  const durationMs = ran?.durationMs
  const { name, toolCallId } = call
  // The result is reported once, as the hooks have changed it.
  const reported = yield* run.step(
    `told ${toolCallId}`,
    Effect.succeed({ result, isError, denied }),
    () => [{
      type: "tool_result",
      data: {
        toolCallId,
        name,
        result,
        isError,
        ...(denied ? { denied } : {}),
        ...(durationMs === undefined ? {} : { durationMs })
      }
    }]
  )
  return { ...decodeStored(reported), arguments: args } satisfies Outcome
})

/** The hooks around a tool: the app's and the agent's, and inside of them its own. */
const hooksAround = Effect.fnUntraced(function*(handlers: Handlers, name: string) {
  const { decided, hooks, record } = yield* CurrentRun
  const tool = toolOf(handlers, name)
  const own = tool === undefined ? [] : Context.get(tool.annotations, ToolHooks)
  if (own.length === 0) return hooks.tool
  const services = yield* Effect.context<never>()
  const bound = own.map((hook) => boundHook(hook, handlerOf(services, hook)))
  const inner = dispatch(bound, record.runId, decided)
  const wrapped: Dispatch["tool"] = (call, next) => hooks.tool(call, (changed) => inner.tool(changed, next))
  return wrapped
})

interface Performed {
  readonly outcome: Outcome
  readonly durationMs: number | undefined
}

const perform = Effect.fnUntraced(function*(
  handlers: Handlers,
  asked: ToolCall,
  modified: boolean,
  messages: ReadonlyArray<Prompt.Message>,
  tell: boolean
): Effect.fn.Return<Performed, unknown, CurrentRun> {
  const run = yield* CurrentRun
  const decision = yield* decide(handlers, asked, messages)
  if (decision._tag === "Denied") {
    const { reason } = decision
    const result = yield* Effect.orDie(
      Schema.encodeEffect(Denial)({ denied: true, ...(reason === undefined ? {} : { reason }) })
    )
    const { name, toolCallId } = asked
    if (tell) {
      yield* run.emit({ type: "tool_result", data: { toolCallId, name, result, isError: true, denied: true } })
    }
    const outcome = { result, isError: true, denied: true, arguments: asked.arguments }
    return { outcome, durationMs: undefined }
  }
  const call = decision.call
  yield* run.emit({
    type: "tool_start",
    data: { ...call, origin: "runtime", ...(modified || call !== asked ? { modified: true } : {}) }
  })
  const startedAt = yield* Clock.currentTimeMillis
  let durationMs: number | undefined
  const stored = yield* run.step(
    `tool ${call.toolCallId}`,
    execute(handlers, call).pipe(
      Effect.tap(() =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          durationMs = now - startedAt
        })
      )
    ),
    (value) => {
      if (!tell) return []
      const { isError, result } = decodeStored(value)
      return [{
        type: "tool_result",
        data: { toolCallId: call.toolCallId, name: call.name, result, isError, durationMs: durationMs ?? 0 }
      }]
    }
  )
  return { outcome: { ...decodeStored(stored), arguments: call.arguments }, durationMs }
})

const decodeStored = Schema.decodeUnknownSync(Stored)

type Decided =
  | { readonly _tag: "Go"; readonly call: ToolCall }
  | { readonly _tag: "Denied"; readonly reason: string | undefined }

const decide = Effect.fnUntraced(function*(
  handlers: Handlers,
  call: ToolCall,
  messages: ReadonlyArray<Prompt.Message>
): Effect.fn.Return<Decided, never, CurrentRun> {
  const tool = toolOf(handlers, call.name)
  if (tool === undefined) return { _tag: "Go", call }
  const run = yield* CurrentRun
  const missing = Context.get(tool.annotations, Policy.Scopes).filter((scope) =>
    !Policy.holds(run.principal.scopes, scope)
  )
  // An agent reaches a tool for its caller: what the caller may not do, the agent may not do for them.
  if (missing.length > 0) return { _tag: "Denied", reason: `the caller lacks scope ${missing.join(", ")}` }
  if (!(yield* needsApproval(tool, call, messages))) return { _tag: "Go", call }
  const resolution = yield* run.interrupt({
    name: `approve ${call.toolCallId}`,
    kind: "approval",
    message: `${call.name} asks for approval`,
    tool: call.name,
    toolCallId: call.toolCallId,
    arguments: call.arguments,
    ...(yield* Policy.asked(Context.get(tool.annotations, Policy.Approval)))
  })
  switch (resolution.decision) {
    case "approve":
      return { _tag: "Go", call }
    case "edit":
      return { _tag: "Go", call: { ...call, arguments: resolution.value ?? {} } }
    case "expire":
      return { _tag: "Denied", reason: resolution.reason ?? "nobody decided in time" }
    default:
      return { _tag: "Denied", reason: resolution.reason }
  }
})

const needsApproval = Effect.fnUntraced(function*(
  tool: Tool.Any,
  call: ToolCall,
  messages: ReadonlyArray<Prompt.Message>
) {
  const rule = tool.needsApproval
  if (rule === undefined || rule === false) return false
  const parameters = Schema.isSchema(tool.parametersSchema) ? pure(tool.parametersSchema) : Schema.Unknown
  const decoded = yield* Effect.option(Schema.decodeUnknownEffect(Schema.toCodecJson(parameters))(call.arguments))
  // Arguments that do not fit are refused by the tool itself, before it acts: there is nothing to approve.
  if (decoded._tag === "None") return false
  if (rule === true) return true
  const answer = rule(decoded.value, { toolCallId: call.toolCallId, messages })
  return typeof answer === "boolean" ? answer : yield* answer
})

const execute = Effect.fnUntraced(function*(handlers: Handlers, call: ToolCall) {
  const run = yield* CurrentRun
  const tool = toolOf(handlers, call.name)
  const results = yield* handlers.handle(call.name, yield* fromJson(tool, call.arguments), call.toolCallId)
  let last: Tool.HandlerResult<Tool.Any> | undefined
  yield* Stream.runForEach(results, (result) => {
    if (!result.preliminary) {
      last = result
      return Effect.void
    }
    return Effect.flatMap(
      toJson(tool, result),
      (data) => run.emit({ type: "tool_progress", data: { toolCallId: call.toolCallId, data } })
    )
  })
  const result = last === undefined ? null : yield* toJson(tool, last)
  return { result, isError: last?.isFailure ?? false, denied: false }
})

const toolOf = ({ tools }: Handlers, name: string) => Object.hasOwn(tools, name) ? tools[name] : undefined

/** Tools are declared with schemas that need no services; `Tool.Any` has forgotten it. */
const pure = (schema: Schema.Constraint) => Schema.make<Schema.Codec<unknown>>(schema.ast)

/** Between JSON and what a toolkit encodes to and decodes from, which need not be JSON. */
const codecOf = (schema: Schema.Constraint) => Schema.toCodecJson(pure(Schema.toEncoded(schema)))

const wireOf = (tool: Tool.Any) => ({
  parameters: Schema.decodeUnknownEffect(
    Schema.isSchema(tool.parametersSchema) ? codecOf(tool.parametersSchema) : Schema.Unknown
  ),
  success: Schema.encodeUnknownEffect(codecOf(tool.successSchema)),
  failure: Schema.encodeUnknownEffect(codecOf(Tool.failureResultSchema(tool)))
})

/** Made once for each tool: that is dearer than a call. */
const wires = new WeakMap<Tool.Any, ReturnType<typeof wireOf>>()

const cachedWireOf = (tool: Tool.Any) => {
  const wire = wires.get(tool) ?? wireOf(tool)
  wires.set(tool, wire)
  return wire
}

/** Arguments that do not fit are left to the toolkit to refuse, in the way that the tool's failure mode asks for. */
const fromJson = (tool: Tool.Any | undefined, args: Schema.Json): Effect.Effect<unknown> =>
  tool === undefined
    ? Effect.succeed(args)
    : Effect.orElseSucceed(cachedWireOf(tool).parameters(args), () => args)

const encodeJson = Schema.encodeUnknownEffect(Schema.Json)

const toJson = (tool: Tool.Any | undefined, { encodedResult, isFailure }: Tool.HandlerResult<Tool.Any>) => {
  const wire = tool === undefined ? undefined : cachedWireOf(tool)
  const encode = wire === undefined ? encodeJson : isFailure ? wire.failure : wire.success
  return Effect.orDie(encode(encodedResult))
}
