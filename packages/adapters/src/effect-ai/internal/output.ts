// The answer of a schema: what the model is asked for, and how its answer is read. final.ts decides what follows from it.
import { problemsOf } from "@fastagentic/core/base/Validation"
import { Effect, Option, Schema } from "effect"
import type * as Prompt from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import { fromText } from "../../adapter/Json.ts"
import type { AnyTool, AnyTools } from "./answer.ts"
import { addToSystem } from "./systemText.ts"

export type AnySchema = Schema.ConstraintCodec<unknown, unknown>

/** The answer as JSON that a model can be asked for: providers take objects only. */
export interface Output {
  readonly toolName: string
  readonly tool: AnyTool
  readonly schema: Schema.Codec<unknown, { readonly [key: string]: unknown }>
  /** The answer, or what is wrong with it. */
  readonly read: (value: Schema.Json) => Effect.Effect<unknown, string>
}

const listed = 5

export const outputOf = (schema: AnySchema, toolkit: AnyTools): Output => {
  const toolName = Object.hasOwn(toolkit.tools, "final_answer") ? "final_answer_of_the_loop" : "final_answer"
  const codec = Schema.toCodecJson(schema)
  const isObject = Tool.getJsonSchemaFromSchema(codec)["type"] === "object"
  // cast: either of the two is a codec whose encoded form is an object.
  const asked = (isObject ? codec : Schema.Struct({ answer: codec })) as unknown as Output["schema"]
  // cast: a tool of any kind, which only its declaration is used of.
  const tool = Tool.make(toolName, {
    description: "Gives the final answer and ends the conversation. Call it once, alone, when you have the answer.",
    parameters: asked
  }) as unknown as AnyTool
  const decode = Schema.decodeUnknownEffect(asked, { errors: "all" })
  const read = (value: Schema.Json) =>
    Effect.mapBoth(decode(value), {
      onFailure: (error) =>
        problemsOf(error).slice(0, listed).map(({ message, path }) =>
          path.length === 0 ? message : `${path.join(".")}: ${message}`
        ).join("; "),
      // cast: the field is there, since the answer was decoded with it.
      onSuccess: (answer) => isObject ? answer : (answer as { readonly answer: unknown }).answer
    })
  return { toolName, tool, schema: asked, read }
}

/**
 * The answer in a text: JSON, also in a fence, or the text itself where the schema takes one. The beginning of an answer is
 * none, although a schema may take it as a text.
 */
export const readText = (output: Output, text: string, isCut: boolean): Effect.Effect<unknown, string> => {
  const inner = /```(?:json)?\s*([\s\S]*?)```/u.exec(text)?.[1] ?? text
  const json = fromText(inner.trim())
  const asText = Effect.suspend(() => output.read({ answer: Option.getOrElse(parsed(inner.trim()), () => text) }))
  return output.read(json).pipe(
    Effect.catch((problem) =>
      Effect.mapError(
        isCut ? Effect.fail(problem) : asText,
        () => typeof json === "string" ? "the answer is no JSON" : problem
      )
    )
  )
}

const parsed = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Json))

/** The tools with the one that takes the answer. */
export const withTool = (toolkit: AnyTools, { tool, toolName }: Output): AnyTools => ({
  ...toolkit,
  tools: { ...toolkit.tools, [toolName]: tool }
})

export const hinted = (prompt: Prompt.Prompt, { toolName }: Output): Prompt.Prompt =>
  addToSystem(prompt, `When you have the answer, call ${toolName} with it.`)
