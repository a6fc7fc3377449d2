// The tool calls of one query: the door and the hooks of the run around each, as the SDK's hooks before and after it.
// session.ts gives them to the SDK. A call that a human has to decide about ends the query, which is resumed afterwards.
import type { Hook } from "@fastagentic/core"
import * as Present from "@fastagentic/core/base/Present"
import { noHints } from "@fastagentic/core/door/ToolPolicy"
import { CurrentRun } from "@fastagentic/core/run/Run"
import { HookBlocked, ToolDenied } from "@fastagentic/core/run/RunError"
import { Cause, Deferred, Effect, Exit, Fiber, type Schema } from "effect"
import * as HookBracket from "../../adapter/HookBracket.ts"

/** The decision of a human about the call that the query before has ended with. */
export type Decision =
  | { readonly toolCallId: string; readonly approved: true; readonly arguments: Schema.Json; readonly by?: string }
  | { readonly toolCallId: string; readonly approved: false; readonly reason: string }

/** The answer to the SDK before a call. */
export type Verdict =
  | { readonly permissionDecision: "allow"; readonly updatedInput?: Schema.Json }
  | { readonly permissionDecision: "deny"; readonly permissionDecisionReason: string }
  | { readonly permissionDecision: "defer" }
  /** Claude Code decides, by its own rules. */
  | { readonly permissionDecision?: never }

interface Going {
  readonly call: Hook.ToolCall
  readonly startedAt: number
  readonly ended: Deferred.Deferred<Hook.ToolOutcome>
  readonly fiber: Fiber.Fiber<Hook.ToolOutcome, HookBlocked>
}

const denied = (reason: string): Verdict => ({ permissionDecision: "deny", permissionDecisionReason: reason })

export interface Options {
  readonly needsApproval: (name: string, args: Schema.Json) => boolean
  readonly decision: Decision | undefined
}

export const make = Effect.fnUntraced(function*({ decision, needsApproval }: Options) {
  const run = yield* CurrentRun
  const scope = yield* Effect.scope
  const going = new Map<string, Going>()

  const refuse = (call: Hook.ToolCall, result: Schema.Json, isDenied: boolean) =>
    run.emit({
      type: "tool_result",
      data: {
        toolCallId: call.toolCallId,
        name: call.name,
        result,
        isError: true,
        ...(isDenied ? { denied: true as const } : {})
      }
    })

  const refuseFor = (call: Hook.ToolCall, reason: string) =>
    Effect.as(refuse(call, { denied: true, reason }, true), denied(reason))

  /** Opens the hooks around a call: what they let through is the answer to the SDK. */
  const start = Effect.fnUntraced(function*(asked: Hook.ToolCall, isApproved: boolean) {
    const admitted = yield* Deferred.make<Hook.ToolCall, HookBlocked>()
    const ended = yield* Deferred.make<Hook.ToolOutcome>()
    let entered = false
    const next = (call: Hook.ToolCall) =>
      Effect.suspend(() => {
        if (entered) return Effect.fail(HookBracket.notEnforceable("tool"))
        entered = true
        return Effect.andThen(Deferred.succeed(admitted, call), Deferred.await(ended))
      })
    const fiber = yield* run.hooks.tool(asked, next).pipe(
      Effect.onExit((exit) => {
        if (entered) return Effect.void
        // A hook that answers instead of the tool: the model reads its answer.
        const refusal = Exit.isSuccess(exit)
          ? new HookBlocked({ hook: "adapter", point: "tool", reason: JSON.stringify(exit.value.result) })
          : HookBracket.refusalIn(exit.cause)
        return refusal === undefined && Exit.isFailure(exit)
          ? Deferred.die(admitted, Cause.squash(exit.cause))
          : Deferred.fail(admitted, refusal ?? HookBracket.notEnforceable("tool"))
      }),
      Effect.forkIn(scope)
    )
    const answered = yield* Effect.exit(Deferred.await(admitted))
    if (Exit.isFailure(answered)) {
      const refusal = HookBracket.refusalIn(answered.cause)
      if (refusal === undefined) return yield* Effect.die(Cause.squash(answered.cause))
      yield* run.tools.refused(asked.name, refusal)
      return yield* refuseFor(asked, refusal.reason)
    }
    const call = answered.value
    going.set(asked.toolCallId, { call, ended, fiber, startedAt: yield* Present.millis })
    yield* run.emit({ type: "tool_start", data: { ...call, origin: "framework" } })
    const isChanged = call !== asked || isApproved
    return isChanged ? { permissionDecision: "allow", updatedInput: call.arguments } as const : {}
  })

  const before = Effect.fnUntraced(function*(
    call: Hook.ToolCall
  ): Effect.fn.Return<Verdict> {
    const tool = { name: call.name, scopes: [] }
    const decided = decision?.toolCallId === call.toolCallId ? decision : undefined
    if (decided?.approved === false) return yield* refuseFor(call, decided.reason)
    const asked = decided === undefined ? call : { ...call, arguments: decided.arguments }
    const isEdited = decided !== undefined && JSON.stringify(asked.arguments) !== JSON.stringify(call.arguments)
    if (decided === undefined || isEdited) {
      const answer = yield* run.tools.judge({
        toolCallId: call.toolCallId,
        arguments: asked.arguments,
        tool: call.name,
        hints: noHints,
        declared: { decision: needsApproval(call.name, asked.arguments) ? "ask" : "allow" }
      })
      if (answer.decision === "deny") {
        const reason = answer.reason ?? "the tool policy denies this call"
        yield* run.tools.refused(call.name, new ToolDenied({ tool: call.name, reason }))
        return yield* refuseFor(call, reason)
      }
      if (answer.decision === "ask" && decided === undefined) {
        // An agent reaches a tool for its caller: what the caller may not do, nobody is asked to approve.
        const refusal = yield* run.tools.authorize(tool)
        return refusal === undefined ? { permissionDecision: "defer" } : yield* refuseFor(call, refusal)
      }
    }
    const refusal = yield* run.tools.admit(tool)
    if (refusal !== undefined) return yield* refuseFor(call, refusal)
    yield* run.tools.audit(tool, decided?.by) ?? Effect.void
    return yield* start(asked, decided !== undefined)
  })

  /** Reports the end of a call; gives the result that the model has to read instead, if a hook has changed it. */
  const after = Effect.fnUntraced(function*(toolCallId: string, outcome: Hook.ToolOutcome) {
    const one = going.get(toolCallId)
    if (one === undefined) return undefined
    going.delete(toolCallId)
    yield* Deferred.succeed(one.ended, outcome)
    const exit = yield* Fiber.await(one.fiber)
    const { name } = one.call
    if (Exit.isFailure(exit)) {
      const refusal = HookBracket.refusalIn(exit.cause)
      if (refusal === undefined) return yield* Effect.die(Cause.squash(exit.cause))
      yield* run.tools.refused(name, refusal)
      yield* refuse(one.call, { denied: true, reason: refusal.reason }, true)
      return { result: refusal.reason, isError: true }
    }
    const durationMs = (yield* Present.millis) - one.startedAt
    yield* run.emit({ type: "tool_result", data: { toolCallId, name, ...exit.value, durationMs } })
    return exit.value === outcome ? undefined : exit.value
  })

  /** Calls that Claude Code has refused by its own rules, or that its end has cut off. */
  const rest = Effect.suspend(() =>
    Effect.forEach([...going.keys()], (id) => after(id, { result: "the call was not made", isError: true }), {
      discard: true
    })
  )

  return { before, after, rest }
})
