// Reports the tool calls of a graph, with their hooks.
import type { Hook } from "@fastagentic/core"
import * as Present from "@fastagentic/core/base/Present"
import { noHints } from "@fastagentic/core/door/ToolPolicy"
import { CurrentRun } from "@fastagentic/core/run/Run"
import { HookBlocked, ToolDenied } from "@fastagentic/core/run/RunError"
import { Effect, Exit } from "effect"
import * as HookBracket from "../../adapter/HookBracket.ts"
import { fromText, toJson } from "../../adapter/Json.ts"
import { type CallbackMetadata, inside } from "./callbackMetadata.ts"
import { resultOf } from "./messages.ts"
import type { Session } from "./session.ts"

interface ToolRun {
  readonly call: Hook.ToolCall
  readonly path: ReadonlyArray<string>
  readonly taskId: string | undefined
  readonly startedAt: number
  readonly bracket: HookBracket.HookBracket<Hook.ToolOutcome, never>
}

/** A tool's error text stays with the model: it may contain text that no caller should read. */
const failed: Hook.ToolOutcome = { result: "the tool failed", isError: true }

export const make = (session: Session) => {
  const open = new Map<string, ToolRun>()

  const deny =
    ({ name, toolCallId }: Hook.ToolCall, path: ReadonlyArray<string>, taskId: string | undefined) =>
    ({ reason }: HookBlocked) =>
      session.emit(
        {
          type: "tool_result",
          data: { toolCallId, name, result: { denied: true, reason }, isError: true, denied: true }
        },
        path,
        taskId
      )

  const start = Effect.fnUntraced(function*(
    runId: string,
    place: CallbackMetadata,
    tool: { readonly name: string; readonly input: unknown; readonly toolCallId: string | undefined }
  ) {
    const run = yield* CurrentRun
    const path = inside(place)
    const { taskId } = place
    const { input, name } = tool
    const id = tool.toolCallId ?? runId
    const args = typeof input === "string" ? fromText(input) : toJson(input)
    if (!session.toolCallIds.isRequested(id)) {
      yield* session.emit({ type: "tool_call", data: { toolCallId: id, name, arguments: args } }, path, taskId)
    }
    const { toolCallId = id } = session.toolCallIds.take(id) ?? {}
    const call = { toolCallId, name, arguments: args }
    yield* Effect.tapError(admitted(call), deny(call, path, taskId))
    const bracket = yield* HookBracket.open<Hook.ToolCall, Hook.ToolOutcome, never>("tool", call, run.hooks.tool).pipe(
      Effect.tapError((error) => Effect.andThen(run.tools.refused(name, error), deny(call, path, taskId)(error)))
    )
    open.set(runId, { call, path, taskId, bracket, startedAt: yield* Present.millis })
    yield* session.emit({ type: "tool_start", data: { ...call, origin: "framework" } }, path, taskId)
  })

  /** A graph runs its own tools: the door can refuse a call, and nobody can be asked about it. */
  const admitted = Effect.fnUntraced(function*({ name, ...call }: Hook.ToolCall) {
    const { tools } = yield* CurrentRun
    const answer = yield* tools.judge({ ...call, tool: name, hints: noHints, declared: { decision: "allow" } })
    const tool = { name, scopes: [] }
    const reason = answer.decision === "deny"
      ? answer.reason ?? "the tool policy denies this call"
      : "the tool policy asks for an approval, which this agent cannot wait for"
    if (answer.decision !== "allow") yield* tools.refused(name, new ToolDenied({ tool: name, reason }))
    const refusal = answer.decision === "allow" ? yield* tools.admit(tool) : reason
    if (refusal !== undefined) return yield* new HookBlocked({ hook: "tool policy", point: "tool", reason: refusal })
    yield* tools.audit(tool, undefined) ?? Effect.void
  })

  const progress = Effect.fnUntraced(function*(runId: string, chunk: unknown) {
    const tool = open.get(runId)
    if (tool === undefined) return
    const data = { toolCallId: tool.call.toolCallId, data: toJson(chunk) }
    yield* session.emit({ type: "tool_progress", data }, tool.path, tool.taskId)
  })

  const close = Effect.fnUntraced(function*(runId: string, outcome: Hook.ToolOutcome) {
    const tool = open.get(runId)
    if (tool === undefined) return
    open.delete(runId)
    const { name, toolCallId } = tool.call
    yield* Effect.tapError(tool.bracket.end(Exit.succeed(outcome)), deny(tool.call, tool.path, tool.taskId))
    const durationMs = (yield* Present.millis) - tool.startedAt
    yield* session.emit(
      { type: "tool_result", data: { toolCallId, name, ...outcome, durationMs } },
      tool.path,
      tool.taskId
    )
  })

  return {
    start,
    progress,
    end: (runId: string, output: unknown) => close(runId, resultOf(session.library, output)),
    fail: (runId: string) => close(runId, failed)
  }
}
