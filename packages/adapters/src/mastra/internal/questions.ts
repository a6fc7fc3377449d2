// Executes a tool of Mastra that may suspend: its payload is a question to a human, over any restart, and the tool runs again
// with the answer. tools.ts calls it inside of the call's step; a pass that has suspended is never made again.
import { CurrentRun } from "@fastagentic/core/run/Run"
import { Effect, Schema } from "effect"
import type { FrameworkRun } from "../../adapter/FrameworkRun.ts"
import { fromText, toJson } from "../../adapter/Json.ts"
import type * as ToolStep from "../../adapter/ToolStep.ts"
import type { AnyTool, CallOptions } from "./tools.ts"

const Question = Schema.Struct({ payload: Schema.Json, responseSchema: Schema.optionalKey(Schema.Json) })

type Question = typeof Question.Type

type Execute = NonNullable<AnyTool["execute"]>

interface SuspendOptions {
  readonly resumeSchema?: unknown
  /** The run of a workflow, whose state is in the storage of Mastra. */
  readonly runId?: unknown
}

interface Answer {
  readonly resumeData: unknown
  readonly suspendPayload: unknown
}

const decode = Schema.decodeUnknownEffect(Question)

/** The result of the tool. A tool whose question is denied has the denial as its result, for the model to read. */
export const executing = (
  framework: FrameworkRun,
  tool: string,
  execute: Execute,
  args: unknown,
  options: CallOptions,
  { signal, toolCallId }: ToolStep.Context
): Promise<unknown> => {
  const pass = (answer: Answer | undefined) =>
    framework.wait(async () => {
      let question: Question | undefined
      let isWorkflow = false
      const suspend = async (payload: unknown, { resumeSchema, runId }: SuspendOptions = {}) => {
        isWorkflow = runId !== undefined
        const schema = typeof resumeSchema === "string" ? fromText(resumeSchema) : toJson(resumeSchema)
        question = { payload: toJson(payload), ...(schema === null ? {} : { responseSchema: schema }) }
      }
      // Mastra reads these fields in one place for converted tools, in another for its own.
      const agent = options.agent === undefined ? {} : { agent: { ...options.agent, ...answer, suspend } }
      const result = await execute(args, { ...options, ...answer, ...agent, suspend, abortSignal: signal })
      return { isWorkflow, question, result }
    })

  return framework.promise(Effect.gen(function*() {
    const run = yield* CurrentRun
    let answer: Answer | undefined
    for (let count = 1;; count++) {
      const name = `suspended ${toolCallId} ${count}`
      let asked: Question | undefined
      if (!run.isRecorded(name)) {
        const { isWorkflow, question, result } = yield* pass(answer)
        if (isWorkflow) {
          return yield* Effect.die(
            new Error(
              `"${tool}" is a workflow that suspends, which a run cannot resume: let a tool call suspend instead`
            )
          )
        }
        if (question === undefined) return result
        asked = question
      }
      const { payload, responseSchema } = yield* Effect.orDie(
        Effect.flatMap(run.step(name, Effect.succeed(asked ?? null)), decode)
      )
      const { decision, reason, value } = yield* run.interrupt({
        name: `question ${toolCallId} ${count}`,
        kind: "input",
        message: `the tool "${tool}" asks`,
        tool,
        toolCallId,
        arguments: payload,
        ...(responseSchema === undefined ? {} : { responseSchema })
      })
      if (decision !== "approve" && decision !== "edit" && value === undefined) {
        return { denied: true, ...(reason === undefined ? {} : { reason }) }
      }
      answer = { resumeData: value ?? true, suspendPayload: payload }
    }
  }))
}
