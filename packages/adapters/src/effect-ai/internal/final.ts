// Decides what follows a turn of a loop: its result, or another turn. A loop with an output asks the model for an answer of
// that schema, and lets it repair a wrong one once. Each loop makes one of these.
import { OutputInvalid } from "@fastagentic/core/run/ModelEnd"
import { Effect, Option } from "effect"
import * as Prompt from "effect/ai/Prompt"
import type { Answer, AnyTools, Call } from "./answer.ts"
import { type AnySchema, type Output, outputOf, readText } from "./output.ts"
import type { Ask } from "./requests.ts"
import { addToSystem } from "./systemText.ts"
import type { ToolAnswer } from "./toolAnswer.ts"

export type Next =
  | { readonly _tag: "Done"; readonly output: unknown }
  | { readonly _tag: "Again"; readonly prompt: Prompt.Prompt }

export interface Final {
  /** The request of the next turn. */
  readonly ask: (prompt: Prompt.Prompt) => Ask
  /** The outcome of a call that is the answer itself: no tool is called for it. */
  readonly judge: (call: Call) => Effect.Effect<ToolAnswer> | undefined
  readonly after: (answer: Answer, prompt: Prompt.Prompt, isLast: boolean) => Effect.Effect<Next, OutputInvalid>
}

const again = (prompt: Prompt.Prompt): Next => ({ _tag: "Again", prompt })

/** Ends with the first message that requests no tools. */
export const plain = (toolkit: AnyTools): Final => ({
  ask: (prompt) => ({ prompt, toolkit }),
  judge: () => undefined,
  after: ({ calls }, prompt) => Effect.succeed(calls.length === 0 ? { _tag: "Done", output: undefined } : again(prompt))
})

/** Ends with an answer of a schema. */
export const structured = (schema: AnySchema, mode: "tool" | "json", toolkit: AnyTools): Final => {
  const output = outputOf(schema, toolkit)
  const json = { name: output.toolName, schema: output.schema }
  const hasTools = Object.keys(toolkit.tools).length > 0
  const offered = mode === "json"
    ? toolkit
    : { ...toolkit, tools: { ...toolkit.tools, [output.toolName]: output.tool } }
  let asksJson = mode === "json" && !hasTools
  let isRepaired = false

  const repair = (problem: string, prompt: Prompt.Prompt, words: string | undefined, isLast: boolean) =>
    Effect.suspend((): Effect.Effect<Next, OutputInvalid> => {
      if (isRepaired || isLast) return Effect.fail(new OutputInvalid({ problem }))
      isRepaired = true
      return Effect.succeed(again(words === undefined ? prompt : withUser(prompt, words)))
    })

  const afterText = (answer: Answer, prompt: Prompt.Prompt, isLast: boolean) =>
    Effect.matchEffect(readText(output, answer.text), {
      onSuccess: (value): Effect.Effect<Next, OutputInvalid> => Effect.succeed({ _tag: "Done", output: value }),
      onFailure: (problem): Effect.Effect<Next, OutputInvalid> => {
        if (mode === "tool") return repair(problem, prompt, `Call ${output.toolName} with your answer.`, isLast)
        if (asksJson || isLast) return repair(problem, prompt, `Correct your answer: ${problem}`, isLast)
        asksJson = true
        // The text is asked for again, as JSON: the question stays the last thing that the model reads.
        return Effect.succeed(again(without(answer, prompt)))
      }
    })

  return {
    ask: (prompt) =>
      asksJson
        ? { prompt, toolkit, json }
        : { prompt: mode === "tool" ? hinted(prompt, output) : prompt, toolkit: offered },
    judge: (call) => mode === "json" || call.name !== output.toolName ? undefined : judged(output, call),
    after: Effect.fnUntraced(function*(answer: Answer, prompt: Prompt.Prompt, isLast: boolean) {
      const given = mode === "json" ? undefined : answer.calls.find(({ name }) => name === output.toolName)
      if (given === undefined) {
        return yield* answer.calls.length > 0 ? Effect.succeed(again(prompt)) : afterText(answer, prompt, isLast)
      }
      const read = yield* Effect.result(readCall(output, given))
      return read._tag === "Success"
        ? { _tag: "Done" as const, output: read.success }
        : yield* repair(read.failure, prompt, undefined, isLast)
    })
  }
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

const hinted = (prompt: Prompt.Prompt, { toolName }: Output) =>
  addToSystem(prompt, `When you have the answer, call ${toolName} with it.`)
