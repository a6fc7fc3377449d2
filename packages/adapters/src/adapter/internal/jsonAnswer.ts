// Asks a model of the app for an answer of a JSON schema, which the framework reads as a text of JSON; RuntimeModel.ts calls it.
// A model without such a mode gives the answer as the arguments of a tool.
import * as JsonSchema from "@fastagentic/core/base/JsonSchema"
import { Effect, Stream } from "effect"
import type * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import type * as Prompt from "effect/ai/Prompt"
import * as Response from "effect/ai/Response"
import type { AnyTools } from "../../effect-ai/internal/answer.ts"
import { jsonParts } from "../../effect-ai/internal/jsonParts.ts"
import { hinted, outputOf, withTool } from "../../effect-ai/internal/output.ts"
import { toJson } from "../Json.ts"
import { OutputMode } from "../OutputMode.ts"

interface Wanted {
  readonly answer: object
  readonly prompt: Prompt.Prompt
  readonly toolkit: AnyTools
}

export const parts = (
  language: LanguageModel.LanguageModel,
  { answer, prompt, toolkit }: Wanted
): Stream.Stream<Response.AnyPart, AiError.AiError> =>
  Stream.unwrap(Effect.map(OutputMode, (mode) => {
    const wanted = outputOf(JsonSchema.toSchema(answer), toolkit)
    const hasTools = Object.keys(toolkit.tools).length > 0
    if (mode === "json" || (mode === "json-without-tools" && !hasTools)) {
      return Stream.map(jsonParts(language, { prompt, toolkit, json: wanted }), asDelta)
    }
    const asked = language.streamText({
      prompt: hinted(prompt, wanted),
      toolkit: withTool(toolkit, wanted),
      toolChoice: hasTools ? "auto" : "required",
      disableToolCallResolution: true,
      toolCallValidation: "deferred"
    })
    return Stream.flattenIterable(Stream.map(asked, asText(wanted.toolName)))
  }))

/** Readers of the run get the answer as the tokens of a message. */
const asDelta = (part: Response.AnyPart): Response.AnyPart =>
  part.type === "text" ? Response.makePart("text-delta", { id: "answer", delta: part.text }) : part

/** The call of the tool that takes the answer becomes the text of the answer. */
const asText = (toolName: string) => {
  const ids = new Set<string>()
  let calls = 0
  return (part: Response.AnyPart): ReadonlyArray<Response.AnyPart> => {
    switch (part.type) {
      case "tool-params-start":
        if (part.name === toolName) ids.add(part.id)
        return ids.has(part.id) ? [] : [part]
      case "tool-params-delta":
      case "tool-params-end":
        return ids.has(part.id) ? [] : [part]
      case "tool-call":
        if (part.name === toolName) {
          const delta = JSON.stringify(toJson(part.params))
          return [Response.makePart("text-delta", { id: "answer", delta })]
        }
        calls++
        return [part]
      case "finish":
        return [part.reason === "tool-calls" && calls === 0 ? { ...part, reason: "stop" } : part]
      default:
        return [part]
    }
  }
}
