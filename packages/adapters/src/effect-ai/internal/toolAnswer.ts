// Makes one tool call of a model loop as a step: hooks, approval and handler run once per run.
import { Run, RunError, ToolCall } from "@fastagentic/core"
import { Effect, Schema } from "effect"
import * as AiError from "effect/ai/AiError"
import * as Prompt from "effect/ai/Prompt"
import type { AnyTool, AnyTools, Call } from "./answer.ts"
import { sturdy, ToolFailed } from "./sturdyTools.ts"
import { mark } from "./untrusted.ts"

/** The outcome of a tool call, as the journal stores it. */
export const ToolAnswer = Schema.Struct({
  arguments: Schema.Json,
  result: Schema.Json,
  isError: Schema.Boolean,
  denied: Schema.Boolean
})

export type ToolAnswer = typeof ToolAnswer.Type

/** The surroundings of a call. */
export interface Surroundings {
  readonly toolkit: AnyTools
  readonly messages: ReadonlyArray<Prompt.Message>
  readonly turn: ToolCall.Turn | undefined
}

/** Makes a call once per run, its hooks and its approval included: neither a decision nor the work is repeated. */
export const answerCall = (call: Call, step: string, around: Surroundings) =>
  Run.stepWith(step, ToolAnswer, makeCall(call, around))

/** The same without the step: a call whose outcome is stored is not made again. */
export const makeCall = (call: Call, { messages, toolkit, turn }: Surroundings) => {
  const { broken, name, toolCallId } = call
  const outcomeOf = (result: Schema.Json, denied: boolean) =>
    Effect.as(
      Run.emit({
        type: "tool_result",
        data: { toolCallId, name, result, isError: true, ...(denied ? { denied } : {}) }
      }),
      { arguments: call.arguments, result, isError: true, denied } satisfies ToolAnswer
    )
  if (broken !== undefined) return outcomeOf({ _tag: "ToolParameterValidationError", message: broken }, false)
  return Run.CurrentRun.use(({ record }) =>
    ToolCall.invoke(
      sturdy(toolkit, record.runId),
      { toolCallId, name, arguments: call.arguments },
      messages,
      turn
    )
  ).pipe(
    Effect.catch((error) => {
      if (error instanceof RunError.HookBlocked) return outcomeOf({ denied: true, reason: error.reason }, true)
      const mistake = mistakeOf(error)
      if (mistake !== undefined) return outcomeOf(mistake, false)
      return Effect.andThen(
        Effect.flatMap(encodeFailure(toolkit.tools[name], error), (result) => outcomeOf(result, false)),
        Effect.fail(error)
      )
    })
  )
}

/** A call that did not work: the model gets the reason, and can correct it or do without. */
const mistakeOf = (error: unknown): Schema.Json | undefined => {
  if (error instanceof ToolFailed || error instanceof RunError.ToolTimedOut) {
    return { _tag: error._tag, message: error.message }
  }
  if (!AiError.isAiError(error)) return undefined
  const { reason } = error
  return reason._tag === "ToolNotFoundError" || reason._tag === "ToolParameterValidationError"
    ? { _tag: reason._tag, message: reason.message }
    : undefined
}

/** A declared failure as JSON; another error is for no caller to read. */
export const encodeFailure = Effect.fnUntraced(function*(tool: AnyTool | undefined, error: unknown) {
  const opaque: Schema.Json = { _tag: "ToolFailed" }
  if (tool === undefined) return opaque
  const encode = Schema.encodeUnknownEffect(Schema.toCodecJson(tool.failureSchema))
  return yield* Effect.orElseSucceed(encode(error), () => opaque)
})

/** The message that the model gets for an outcome. */
export const resultPart = Effect.fnUntraced(function*(
  tool: AnyTool | undefined,
  call: Call,
  { denied, isError, result }: Omit<ToolAnswer, "arguments">
) {
  const modelOutput = isError ? undefined : yield* outputOf(tool, result)
  return Prompt.toolResultPart({
    id: call.id,
    name: call.name,
    isFailure: isError,
    result: denied ? { type: "execution-denied", reason: reasonOf(result) } : result,
    providerExecuted: false,
    options: mark,
    ...(modelOutput === undefined ? {} : { modelOutput })
  })
})

const outputOf = Effect.fnUntraced(function*(tool: AnyTool | undefined, result: Schema.Json) {
  if (tool?.toModelOutput === undefined) return undefined
  return tool.toModelOutput(yield* Effect.orDie(Schema.decodeUnknownEffect(tool.successSchema)(result)))
})

const Reason = Schema.Struct({ reason: Schema.String })

const reasonOf = (result: Schema.Json) => Schema.is(Reason)(result) ? result.reason : "denied"
