/**
 * A tool call inside a run: hooks, approval, then the handler once, journaled.
 *
 * @since 0.1.0
 */
import { Context, Duration, Effect, Fiber, identity, Schema, Stream } from "effect"
import type * as Prompt from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import { canonical } from "../base/internal/canonical.ts"
import { handlerOf } from "../base/internal/handlerOf.ts"
import * as Policy from "../base/Policy.ts"
import * as Present from "../base/Present.ts"
import type { Answer, Hints } from "../door/ToolPolicy.ts"
import { filePlaces } from "../run/internal/filePlaces.ts"
import type { Approvers } from "../run/Interrupt.ts"
import { CurrentRun } from "../run/Run.ts"
import { FileNotFound, HookBlocked, ToolDenied, ToolTimedOut } from "../run/RunError.ts"
import { type ToolCall, ToolHooks, type ToolOutcome } from "./Hook.ts"
import { type CallEdits, CurrentEdits } from "./internal/callEdits.ts"
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

/** `arguments` are kept of a call that an approver has edited. */
const Stored = Schema.Struct({
  result: Schema.Json,
  isError: Schema.Boolean,
  denied: Schema.Boolean,
  arguments: Schema.optionalKey(Schema.Json)
})
const Denial = Schema.Struct({ denied: Schema.Literal(true), reason: Schema.optionalKey(Schema.String) })

/**
 * A result of a tool, encoded; a preliminary one says how far the tool has come.
 *
 * @category models
 * @since 0.1.0
 */
export type Result = Pick<Tool.HandlerResult<Tool.Any>, "encodedResult" | "isFailure" | "preliminary">

/**
 * Tools of any kind with their handlers. `handle` gives each result of a call to `take`, the final one last.
 *
 * @category models
 * @since 0.1.0
 */
export interface Handlers {
  readonly tools: Record<string, Tool.Any>
  readonly handle: (
    name: string,
    params: unknown,
    toolCallId: string,
    take: (result: Result) => Effect.Effect<void>
  ) => Effect.Effect<void, unknown>
}

/**
 * The results of a call as a toolkit gives them.
 *
 * @category models
 * @since 0.1.0
 */
export type Results = Effect.Effect<Stream.Stream<Result, unknown>, unknown>

/**
 * The place of a call among the calls that run beside it: `asks` comes before somebody is asked about the call, and the
 * call begins to work once `acts` is through.
 *
 * @category models
 * @since 0.1.0
 */
export interface Turn {
  readonly asks: Effect.Effect<void>
  readonly acts: Effect.Effect<void>
}

const alone: Turn = { asks: Effect.void, acts: Effect.void }

/**
 * The handlers of a toolkit, which forget which tools it has. `around` may change the results of a call.
 *
 * @category conversions
 * @since 0.1.0
 */
export const handlersOf = <Tools extends Record<string, Tool.Any>>(
  toolkit: Toolkit.WithHandler<Tools>,
  around: (name: string, results: Results) => Results = (_name, results) => results
): Handlers => {
  // cast: names and parameters are checked by the toolkit itself, and its handlers carry their services.
  const { handle, tools } = toolkit as unknown as {
    readonly tools: Handlers["tools"]
    readonly handle: (name: string, params: unknown, toolCallId: string) => Results
  }
  return {
    tools,
    handle: (name, params, toolCallId, take) =>
      Effect.flatMap(
        around(name, Effect.suspend(() => handle(name, params, toolCallId))),
        (results) => Stream.runForEach(results, take)
      )
  }
}

/**
 * Calls a tool.
 *
 * Fails as the tool's handler fails, when its failure mode is `"error"`: no result is journaled then, that is for whoever
 * goes on. An approval suspends the run; a call that the approver edits is a new call, which hooks and policies see again.
 *
 * @category combinators
 * @since 0.1.0
 */
export const invoke = Effect.fnUntraced(function*(
  handlers: Handlers,
  call: ToolCall,
  messages: ReadonlyArray<Prompt.Message> = [],
  turn: Turn = alone
) {
  const run = yield* CurrentRun
  const wrapped = yield* hooksAround(handlers, call.name)
  // A result that no hook can change is reported in the commit that stores it.
  const final = transparent.has(wrapped)
  // Hooks decide about work that is still to do: what they made of a call that is over is stored.
  if (!final && run.isRecorded(reportOf(call))) return yield* recalled(call)
  const through: Through = (call, edited, known) =>
    Effect.suspend(() => {
      const edits: CallEdits = new Map(known)
      let ran: Performed | undefined
      const next = (admitted: ToolCall) => {
        const modified = admitted !== call || edited !== undefined || edits.size > 0
        const isNew = [...edits].some(([hook, value]) => known.get(hook) !== value)
        const attempt = { call: admitted, modified, edited, edits, isNew, messages, turn, tell: final }
        const performed = perform(handlers, attempt, through)
        return Effect.map(performed, (performed) => {
          ran = performed
          return performed.outcome
        })
      }
      return Effect.map(
        Effect.provideService(wrapped(call, next), CurrentEdits, edits),
        ({ isError, result }): Performed => {
          const { arguments: args, denied } = ran?.outcome ?? { arguments: call.arguments, denied: false }
          return { outcome: { result, isError, denied, arguments: args }, durationMs: ran?.durationMs }
        }
      )
    })
  const { durationMs, outcome } = yield* Effect.tapError(
    through(call, undefined, new Map()),
    (error) =>
      error instanceof HookBlocked && error.point === "tool" ? run.tools.refused(call.name, error) : Effect.void
  )
  if (final) return outcome
  const { arguments: args, denied, isError, result } = outcome
  const { name, toolCallId } = call
  // The result is reported once, as the hooks have changed it.
  const reported = yield* run.step(
    reportOf(call),
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

/** The approver's edit that made a call, and the terms on which it was approved. */
interface Edited {
  readonly by: string
  readonly arguments: Schema.Json
  readonly approvers: Approvers | undefined
}

interface Attempt {
  readonly call: ToolCall
  readonly modified: boolean
  readonly edited: Edited | undefined
  /** The arguments that approvers of hooks have written, and whether one of them did so on the way to here. */
  readonly edits: CallEdits
  readonly isNew: boolean
  readonly messages: ReadonlyArray<Prompt.Message>
  readonly turn: Turn
  /** Whether the result is reported with the commit that stores it. */
  readonly tell: boolean
}

type Through = (
  call: ToolCall,
  edited: Edited | undefined,
  edits: CallEdits
) => Effect.Effect<Performed, unknown, CurrentRun>

const perform = Effect.fnUntraced(function*(
  handlers: Handlers,
  attempt: Attempt,
  through: Through
): Effect.fn.Return<Performed, unknown, CurrentRun> {
  const run = yield* CurrentRun
  if (run.isRecorded(stepOf(attempt.call))) return yield* recorded(attempt.call, attempt.modified)
  if (attempt.isNew) return yield* through(attempt.call, attempt.edited, attempt.edits)
  const decision = yield* decide(handlers, attempt)
  switch (decision._tag) {
    case "Denied":
      return yield* deny(attempt, decision.reason)
    case "Edited":
      return yield* through(decision.call, decision.edited, attempt.edits)
    case "Go": {
      const tool = toolOf(handlers, attempt.call.name)
      if (tool === undefined) return yield* act(handlers, attempt)
      const asked = askedTool(tool)
      const refusal = yield* run.tools.admit(asked)
      if (refusal !== undefined) return yield* deny(attempt, refusal)
      const { approved } = decision
      const audit = run.tools.audit(asked, approved === undefined ? undefined : `approved by ${approved}`)
      if (audit === undefined) return yield* act(handlers, attempt)
      // The entry goes with the event that the tool begins; where runs are not kept it is written while the tool works.
      const entry = yield* Effect.forkChild(audit, { startImmediately: true })
      return yield* Effect.onExit(act(handlers, attempt), () => Fiber.join(entry))
    }
  }
})

const stepOf = ({ toolCallId }: ToolCall) => `tool ${toolCallId}`

const reportOf = ({ toolCallId }: ToolCall) => `told ${toolCallId}`

/** A call that is over, as its hooks left it. A hook may have answered it without the tool. */
const recalled = Effect.fnUntraced(function*(call: ToolCall) {
  const run = yield* CurrentRun
  const args = run.isRecorded(stepOf(call)) ? (yield* recorded(call, false)).outcome.arguments : call.arguments
  const reported = decodeStored(yield* run.step(reportOf(call), Effect.succeed(null)))
  return { ...reported, arguments: args } satisfies Outcome
})

/** A call whose outcome is stored is not decided again: what permitted it was used up. */
const recorded = Effect.fnUntraced(function*(call: ToolCall, modified: boolean) {
  const run = yield* CurrentRun
  const edits = recallEdits(run, call)
  const { arguments: args = edits, ...stored } = decodeStored(yield* run.step(stepOf(call), Effect.succeed(null)))
  if (!stored.denied) {
    const changed = modified || canonical(args) !== canonical(call.arguments) ? { modified: true } : {}
    yield* run.emit({ type: "tool_start", data: { ...call, arguments: args, origin: "runtime", ...changed } })
  }
  return { outcome: { ...stored, arguments: args }, durationMs: undefined }
})

/** Uses the decisions about this call up, so that the next call of its id finds none of them. */
const recallEdits = (run: CurrentRun["Service"], call: ToolCall): Schema.Json => {
  let args = call.arguments
  for (let name = approvalOf(call, false);;) {
    const known = run.recall(name)
    if (known?.resolution === undefined) return args
    if (canonical(known.arguments ?? null) !== canonical(args)) continue
    if (known.resolution.decision !== "edit") return args
    args = known.resolution.value ?? {}
    name = approvalOf(call, true)
  }
}

const deny = Effect.fnUntraced(function*({ call, tell }: Attempt, reason: string | undefined) {
  const run = yield* CurrentRun
  const result = yield* Effect.orDie(
    Schema.encodeEffect(Denial)({ denied: true, ...(reason === undefined ? {} : { reason }) })
  )
  const { name, toolCallId } = call
  const stored: typeof Stored.Type = { result, isError: true, denied: true }
  yield* run.step(
    stepOf(call),
    Effect.succeed(stored),
    () => tell ? [{ type: "tool_result", data: { toolCallId, name, result, isError: true, denied: true } }] : []
  )
  return { outcome: { result, isError: true, denied: true, arguments: call.arguments }, durationMs: undefined }
})

const act = Effect.fnUntraced(function*(handlers: Handlers, { call, modified, tell, turn }: Attempt) {
  const run = yield* CurrentRun
  if (turn !== alone) yield* run.idle(turn.acts)
  yield* run.emit({
    type: "tool_start",
    data: { ...call, origin: "runtime", ...(modified ? { modified: true } : {}) }
  })
  const startedAt = yield* Present.millis
  let durationMs: number | undefined
  const executed = Effect.gen(function*() {
    const outcome = yield* inTime(toolOf(handlers, call.name), execute(handlers, call))
    durationMs = (yield* Present.millis) - startedAt
    return modified ? { ...outcome, arguments: call.arguments } : outcome
  })
  let decoded: typeof Stored.Type | undefined
  const stored = yield* run.step(stepOf(call), executed, (value) => {
    if (!tell) return []
    const { isError, result } = decoded = decodeStored(value)
    return [{
      type: "tool_result",
      data: { toolCallId: call.toolCallId, name: call.name, result, isError, durationMs: durationMs ?? 0 }
    }]
  })
  return { outcome: { ...(decoded ?? decodeStored(stored)), arguments: call.arguments }, durationMs }
})

const decodeStored = Schema.decodeUnknownSync(Stored)

type Decided =
  | { readonly _tag: "Go"; readonly approved: string | undefined }
  | { readonly _tag: "Denied"; readonly reason: string | undefined }
  | { readonly _tag: "Edited"; readonly call: ToolCall; readonly edited: Edited }

const decide = Effect.fnUntraced(function*(
  handlers: Handlers,
  { call, edited, messages, turn }: Attempt
): Effect.fn.Return<Decided, never, CurrentRun> {
  const tool = toolOf(handlers, call.name)
  if (tool === undefined) return { _tag: "Go", approved: undefined }
  const run = yield* CurrentRun
  const declared = yield* declaredAnswer(tool, call, messages)
  const { arguments: args, name, toolCallId } = call
  const answer = yield* run.tools.judge({ tool: name, toolCallId, arguments: args, hints: hintsOf(tool), declared })
  if (answer.decision === "deny") {
    const reason = answer.reason ?? "the tool policy denies this call"
    yield* run.tools.refused(name, new ToolDenied({ tool: name, reason }))
    return { _tag: "Denied", reason }
  }
  if (answer.decision === "allow") return { _tag: "Go", approved: undefined }
  // An agent reaches a tool for its caller: what the caller may not do, nobody is asked to approve.
  const refusal = yield* run.tools.authorize(askedTool(tool))
  if (refusal !== undefined) return { _tag: "Denied", reason: refusal }
  const terms = yield* Policy.asked(answer)
  if (edited !== undefined && covers(edited, call, terms.approvers)) return { _tag: "Go", approved: edited.by }
  yield* turn.asks
  const resolution = yield* run.interrupt({
    name: approvalOf(call, edited !== undefined),
    kind: "approval",
    message: `${call.name} asks for approval`,
    tool: call.name,
    toolCallId: call.toolCallId,
    arguments: call.arguments,
    // The app knows the arguments of its own tools; a dynamic one brings its schema with it.
    ...(Tool.isDynamic(tool) && tool.jsonSchema !== undefined ? { responseSchema: jsonOf(tool.jsonSchema) } : {}),
    ...terms,
    // The editor has asked for what was edited.
    ...(edited === undefined || terms.approvers === undefined
      ? {}
      : { approvers: { ...terms.approvers, except: [edited.by] } })
  })
  switch (resolution.decision) {
    case "approve":
      return { _tag: "Go", approved: resolution.by }
    case "edit":
      return {
        _tag: "Edited",
        call: { ...call, arguments: resolution.value ?? {} },
        edited: { by: resolution.by, arguments: resolution.value ?? {}, approvers: terms.approvers }
      }
    case "expire":
      return { _tag: "Denied", reason: resolution.reason ?? "nobody decided in time" }
    default:
      return { _tag: "Denied", reason: resolution.reason }
  }
})

const jsonOf = (schema: object): Schema.Json =>
  Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Json))(JSON.stringify(schema))

const approvalOf = ({ toolCallId }: ToolCall, isEdited: boolean) => `approve ${isEdited ? "edited " : ""}${toolCallId}`

/** The editor has approved the very call, where the same people decide about it and no hook has changed it. */
const covers = (edited: Edited, call: ToolCall, approvers: Approvers | undefined) =>
  JSON.stringify(edited.approvers ?? null) === JSON.stringify(approvers ?? null) &&
  canonical(edited.arguments) === canonical(call.arguments)

const askedTool = (tool: Tool.Any) => ({ name: tool.name, scopes: Context.get(tool.annotations, Policy.Scopes) })

const hintsOf = ({ annotations }: Tool.Any): Hints => ({
  readOnly: Context.get(annotations, Tool.Readonly),
  destructive: Context.get(annotations, Tool.Destructive),
  idempotent: Context.get(annotations, Tool.Idempotent),
  openWorld: Context.get(annotations, Tool.OpenWorld)
})

/** The answer of the tool's declaration: `needsApproval` on the terms of `Policy.Approval`. */
const declaredAnswer = Effect.fnUntraced(function*(
  tool: Tool.Any,
  call: ToolCall,
  messages: ReadonlyArray<Prompt.Message>
): Effect.fn.Return<Answer> {
  const rule = tool.needsApproval
  if (rule === undefined || rule === false) return { decision: "allow" }
  const parameters = Schema.isSchema(tool.parametersSchema) ? pure(tool.parametersSchema) : Schema.Unknown
  const decoded = yield* Effect.option(Schema.decodeUnknownEffect(Schema.toCodecJson(parameters))(call.arguments))
  // Arguments that do not fit are refused by the tool itself, before it acts: there is nothing to approve.
  if (decoded._tag === "None") return { decision: "allow" }
  const asked = typeof rule === "boolean" ? rule : rule(decoded.value, { toolCallId: call.toolCallId, messages })
  return (typeof asked === "boolean" ? asked : yield* asked)
    ? { decision: "ask", ...Context.get(tool.annotations, Policy.Approval) }
    : { decision: "allow" }
})

const execute = Effect.fnUntraced(function*(handlers: Handlers, call: ToolCall) {
  const run = yield* CurrentRun
  const tool = toolOf(handlers, call.name)
  const places = tool === undefined ? undefined : cachedWireOf(tool).files
  const args = places === undefined
    ? call.arguments
    : yield* Effect.match(run.files.resolve(places, call.arguments), { onSuccess: identity, onFailure: identity })
  if (args instanceof FileNotFound) {
    const { _tag, fileId, message } = args
    return { result: { _tag, fileId, message }, isError: true, denied: false }
  }
  let last: Result | undefined
  yield* handlers.handle(call.name, yield* fromJson(tool, args), call.toolCallId, (result) => {
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

const inTime = <A, E, R>(tool: Tool.Any | undefined, effect: Effect.Effect<A, E, R>) => {
  const timeout = tool === undefined ? undefined : Context.get(tool.annotations, Policy.Timeout)
  if (tool === undefined || timeout === undefined) return effect
  const millis = Duration.toMillis(Duration.fromInputUnsafe(timeout))
  return Effect.timeoutOrElse(effect, {
    duration: millis,
    orElse: () => Effect.fail(new ToolTimedOut({ tool: tool.name, millis }))
  })
}

const toolOf = ({ tools }: Handlers, name: string) => Object.hasOwn(tools, name) ? tools[name] : undefined

/** Tools are declared with schemas that need no services; `Tool.Any` has forgotten it. */
const pure = (schema: Schema.Constraint) => Schema.make<Schema.Codec<unknown>>(schema.ast)

/** Translates between JSON and what a toolkit encodes to and decodes from, which need not be JSON. */
const codecOf = (schema: Schema.Constraint) => Schema.toCodecJson(pure(Schema.toEncoded(schema)))

const wireOf = (tool: Tool.Any) => ({
  files: Schema.isSchema(tool.parametersSchema) ? filePlaces(tool.parametersSchema.ast) : undefined,
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
const fromJson = (tool: Tool.Any | undefined, args: unknown): Effect.Effect<unknown> =>
  tool === undefined
    ? Effect.succeed(args)
    : Effect.orElseSucceed(cachedWireOf(tool).parameters(args), () => args)

const encodeJson = Schema.encodeUnknownEffect(Schema.Json)

const toJson = (tool: Tool.Any | undefined, { encodedResult, isFailure }: Result) => {
  const wire = tool === undefined ? undefined : cachedWireOf(tool)
  const encode = wire === undefined ? encodeJson : isFailure ? wire.failure : wire.success
  return Effect.orDie(encode(encodedResult))
}
