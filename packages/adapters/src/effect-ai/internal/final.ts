// Decides what follows a turn of a loop: its result, or another turn. A loop with an output asks the model for an answer of
// that schema, and lets it repair a wrong one once. Each loop makes one of these.
import { AnswerCut, OutputInvalid } from "@fastagentic/core/run/ModelEnd"
import { Effect, Option } from "effect"
import * as Prompt from "effect/ai/Prompt"
import type { Mode } from "../../adapter/OutputMode.ts"
import type { Answer, AnyTools, Call } from "./answer.ts"
import { type AnySchema, hinted, type Output, outputOf, readText, withTool } from "./output.ts"
import type { Ask } from "./requests.ts"
import type { ToolAnswer } from "./toolAnswer.ts"

export type Next =
  | { readonly _tag: "Done"; readonly output: unknown }
  | { readonly _tag: "Again"; readonly prompt: Prompt.Prompt }

type Wrong = AnswerCut | OutputInvalid

export interface Final {
  /** The request of the next turn. */
  readonly ask: (prompt: Prompt.Prompt) => Ask
  /** The outcome of a call that is the answer itself: no tool is called for it. */
  readonly judge: (call: Call) => Effect.Effect<ToolAnswer> | undefined
  readonly after: (answer: Answer, prompt: Prompt.Prompt, isLast: boolean) => Effect.Effect<Next, Wrong>
}

const again = (prompt: Prompt.Prompt): Next => ({ _tag: "Again", prompt })

/** Ends with the first message that requests no tools. */
export const plain = (toolkit: AnyTools): Final => ({
  ask: (prompt) => ({ prompt, toolkit }),
  judge: () => undefined,
  after: ({ calls }, prompt) => Effect.succeed(calls.length === 0 ? { _tag: "Done", output: undefined } : again(prompt))
})

/** Ends with an answer of a schema. */
export const structured = (schema: AnySchema, wanted: Mode, toolkit: AnyTools): Final => {
  const output = outputOf(schema, toolkit)
  const hasTools = Object.keys(toolkit.tools).length > 0
  const mode = wanted === "json" || (wanted === "json-without-tools" && !hasTools) ? "json" : "tool"
  const offered = mode === "json" ? toolkit : withTool(toolkit, output)
  let asksJson = mode === "json" && !hasTools
  let isRepaired = false

  const repair = (answer: Answer, problem: string, prompt: Prompt.Prompt, isLast: boolean, words?: string) =>
    Effect.suspend((): Effect.Effect<Next, Wrong> => {
      if (isRepaired || isLast) return Effect.fail(isCut(answer) ? cutOff(answer) : new OutputInvalid({ problem }))
      isRepaired = true
      return Effect.succeed(again(words === undefined ? prompt : withUser(prompt, words)))
    })

  const afterText = (answer: Answer, prompt: Prompt.Prompt, isLast: boolean) =>
    Effect.matchEffect(readText(output, answer.text, isCut(answer)), {
      onSuccess: (value): Effect.Effect<Next, Wrong> => Effect.succeed({ _tag: "Done", output: value }),
      onFailure: (problem): Effect.Effect<Next, Wrong> => {
        const why = isCut(answer) ? "it was cut off at its limit of tokens. Give a shorter one." : problem
        if (mode === "tool") {
          const call = `Call ${output.toolName} with your answer.`
          return repair(answer, problem, prompt, isLast, isCut(answer) ? `${call} The last one: ${why}` : call)
        }
        if (asksJson || isLast) return repair(answer, problem, prompt, isLast, `Correct your answer: ${why}`)
        asksJson = true
        // The text is asked for again, as JSON: the question stays the last thing that the model reads.
        return Effect.succeed(again(without(answer, prompt)))
      }
    })

  return {
    ask: (prompt) =>
      asksJson
        ? { prompt, toolkit, json: output }
        : { prompt: mode === "tool" ? hinted(prompt, output) : prompt, toolkit: offered },
    judge: (call) => call.name === output.toolName ? judged(output, call) : undefined,
    after: Effect.fnUntraced(function*(answer: Answer, prompt: Prompt.Prompt, isLast: boolean) {
      const given = answer.calls.find(({ name }) => name === output.toolName)
      if (given === undefined) {
        return yield* answer.calls.length > 0 ? Effect.succeed(again(prompt)) : afterText(answer, prompt, isLast)
      }
      const read = yield* Effect.result(readCall(output, given))
      return read._tag === "Success"
        ? { _tag: "Done" as const, output: read.success }
        : yield* repair(answer, read.failure, prompt, isLast)
    })
  }
}

const isCut = ({ finishReason }: Answer) => finishReason === "length"

const cutOff = ({ calls, text }: Answer) => {
  const given = calls.at(-1)?.arguments
  return new AnswerCut({ text: typeof given === "string" ? given : text })
}

const readCall = (output: Output, { arguments: args, broken }: Call) =>
  broken === undefined ? output.read(args) : Effect.fail(broken)

const judged = (output: Output, call: Call): Effect.Effect<ToolAnswer> =>
  Effect.map(Effect.option(Effect.flip(readCall(output, call))), (problem) => {
    const isError = Option.isSome(problem)
    const result = isError ? { _tag: "OutputInvalid", message: problem.value } : { accepted: true }
    return { arguments: call.arguments, result, isError, denied: false }
  })

const without = ({ said }: Answer, prompt: Prompt.Prompt) =>
  Prompt.fromMessages(prompt.content.slice(0, prompt.content.length - said.content.length))

const withUser = (prompt: Prompt.Prompt, text: string) =>
  Prompt.fromMessages([...prompt.content, Prompt.userMessage({ content: [Prompt.textPart({ text })] })])
