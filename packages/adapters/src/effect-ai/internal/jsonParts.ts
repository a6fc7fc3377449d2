// Asks a model for a JSON text of a schema, and gives its parts as a stream; requests.ts calls it. The text is not checked
// here: a wrong one was paid for all the same, and its usage and its words are needed.
import { Effect, Option, Stream } from "effect"
import type * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import type * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import * as Telemetry from "effect/ai/Telemetry"
import type { AnyTools } from "./answer.ts"
import type { Output } from "./output.ts"

export const jsonParts = (
  language: LanguageModel.LanguageModel,
  { json, prompt, toolkit }: { readonly prompt: Prompt.Prompt; readonly toolkit: AnyTools; readonly json: Output }
): Stream.Stream<Response.AnyPart, AiError.AiError> =>
  Stream.unwrap(Effect.gen(function*() {
    const outer = yield* Effect.serviceOption(Telemetry.CurrentSpanTransformer)
    let parts: ReadonlyArray<Response.AnyPart> = []
    // The response reaches a span transformer before it is checked, and nobody else when it is wrong.
    const keep: Telemetry.SpanTransformer = (options) => {
      parts = options.response
      if (Option.isSome(outer)) outer.value(options)
    }
    const asked: Effect.Effect<unknown, AiError.AiError> = Object.keys(toolkit.tools).length === 0
      ? language.generateObject({ prompt, schema: json.schema, objectName: json.toolName })
      // Providers want the declarations of tools that the history mentions.
      : language.generateObject({
        prompt,
        schema: json.schema,
        objectName: json.toolName,
        toolkit,
        toolChoice: "none",
        disableToolCallResolution: true
      })
    yield* asked.pipe(
      Effect.provideService(Telemetry.CurrentSpanTransformer, keep),
      Effect.catchReason("AiError", "StructuredOutputError", () => Effect.void)
    )
    return Stream.fromIterable(parts)
  }))
