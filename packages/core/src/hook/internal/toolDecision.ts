// Whether a tool call may act: policy, the tool's own declaration, scopes, and an approver where one is asked. `toolAttempt`
// calls it before the handler works.
import { Context, Effect, Schema } from "effect"
import type * as Prompt from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import { canonical } from "../../base/internal/canonical.ts"
import * as JsonSchema from "../../base/JsonSchema.ts"
import * as Policy from "../../base/Policy.ts"
import type { Answer, Hints } from "../../door/ToolPolicy.ts"
import type { Approvers } from "../../run/Interrupt.ts"
import { CurrentRun } from "../../run/Run.ts"
import { ToolDenied } from "../../run/RunError.ts"
import type { ToolCall } from "../Hook.ts"
import type { Handlers, Turn } from "../ToolCall.ts"
import { pure, toolOf } from "./toolWork.ts"

/** The approver's edit that made a call, and the terms on which it was approved. */
export interface Edited {
  readonly by: string
  readonly arguments: Schema.Json
  readonly approvers: Approvers | undefined
}

interface Asked {
  readonly call: ToolCall
  readonly edited: Edited | undefined
  readonly messages: ReadonlyArray<Prompt.Message>
  readonly turn: Turn
}

type Decided =
  | { readonly _tag: "Go"; readonly approved: string | undefined }
  | { readonly _tag: "Denied"; readonly reason: string | undefined }
  | { readonly _tag: "Edited"; readonly call: ToolCall; readonly edited: Edited }

export const decide = Effect.fnUntraced(function*(
  handlers: Handlers,
  { call, edited, messages, turn }: Asked
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
    ...schemaFor(tool, run.tools),
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

/** The app knows the arguments of the tools that it declares; any other brings its schema with it. */
const schemaFor = (tool: Tool.Any, { declares }: CurrentRun["Service"]["tools"]) => {
  if (Tool.isDynamic(tool) && tool.jsonSchema !== undefined) return { responseSchema: jsonOf(tool.jsonSchema) }
  return declares(tool.name) || !Schema.isSchema(tool.parametersSchema)
    ? {}
    : { responseSchema: JsonSchema.fromSchema(tool.parametersSchema, "input") }
}

const jsonOf = (schema: object): Schema.Json =>
  Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Json))(JSON.stringify(schema))

export const approvalOf = ({ toolCallId }: ToolCall, isEdited: boolean) =>
  `approve ${isEdited ? "edited " : ""}${toolCallId}`

/** The editor has approved the very call, where the same people decide about it and no hook has changed it. */
const covers = (edited: Edited, call: ToolCall, approvers: Approvers | undefined) =>
  JSON.stringify(edited.approvers ?? null) === JSON.stringify(approvers ?? null) &&
  canonical(edited.arguments) === canonical(call.arguments)

export const askedTool = (tool: Tool.Any) => ({ name: tool.name, scopes: Context.get(tool.annotations, Policy.Scopes) })

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
