// One turn of a model loop: the model's answer, and the calls of it. Each is a step of the run; the results go back in the
// order of the calls, whichever ends first.
import { Run } from "@fastagentic/core"
import { Effect, type Schema } from "effect"
import * as Prompt from "effect/ai/Prompt"
import type { AnyTools, Call } from "./answer.ts"
import type { Final } from "./final.ts"
import { answerCall, resultPart, type ToolAnswer } from "./toolAnswer.ts"
import { ToolLine } from "./toolLine.ts"

/** A tool call that was answered: `params` are the arguments that it ran with. */
export interface Result {
  readonly toolCallId: string
  readonly name: string
  readonly params: Schema.Json
  readonly result: Schema.Json
  readonly isError: boolean
  readonly denied: boolean
}

/** Makes the calls of a message: their results, and the message that carries them to the model. */
export const makeCalls = Effect.fnUntraced(function*(
  toolkit: AnyTools,
  calls: ReadonlyArray<Call>,
  messages: ReadonlyArray<Prompt.Message>,
  judge: Final["judge"]
) {
  const { places } = yield* Run.CurrentRun
  const line = places && calls.length > 1 ? new ToolLine(toolkit, calls) : undefined
  const made = yield* Effect.forEach(calls, (call, index) => {
    const step = places ? nameOf(calls, index) : `call ${call.name}`
    const judged = judge(call)
    const answered = judged !== undefined
      ? line === undefined ? reported(call, judged) : line.within(index, () => reported(call, judged))
      : line === undefined
      ? answerCall(call, step, { toolkit, messages, turn: undefined })
      : line.within(index, (turn) => answerCall(call, step, { toolkit, messages, turn }))
    return Effect.gen(function*() {
      const { arguments: params, ...outcome } = yield* answered
      const part = yield* resultPart(toolkit.tools[call.name], call, outcome)
      const result: Result = { toolCallId: call.toolCallId, name: call.name, params, ...outcome }
      return { results: judged === undefined ? [result] : [], part }
    })
  }, { concurrency: places ? "unbounded" : 1 })
  return {
    results: made.flatMap(({ results }) => results),
    messages: made.length === 0 ? [] : [Prompt.toolMessage({ content: made.map(({ part }) => part) })]
  }
})

/** Reports a call that is the answer itself: it is computed from the model's answer, so no step keeps it. */
const reported = ({ name, toolCallId }: Call, judged: Effect.Effect<ToolAnswer>) =>
  Effect.tap(
    judged,
    ({ isError, result }) => Run.emit({ type: "tool_result", data: { toolCallId, name, result, isError } })
  )

/** The step of a call: where a message calls a tool again, its place among these calls. */
const nameOf = (calls: ReadonlyArray<Call>, index: number) => {
  const name = calls[index]?.name ?? ""
  const before = calls.slice(0, index).filter((call) => call.name === name).length
  return before === 0 ? `call ${name}` : `call ${name} (${before + 1})`
}
