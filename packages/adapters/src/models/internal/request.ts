// Makes the call of a provider model from a request of effect/ai, and what is needed to read its answer.
import type { LanguageModelV4CallOptions } from "@ai-sdk/provider"
import { Effect, Predicate } from "effect"
import * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import type { ProviderModel, Settings } from "../ProviderModel.ts"
import { fit } from "./callIds.ts"
import { fetchFiles, type Files } from "./files.ts"
import { makeNames } from "./names.ts"
import { Answer } from "./parts.ts"
import { callIdsIn, toPrompt } from "./prompt.ts"
import { toTools } from "./tools.ts"

export interface Request {
  readonly call: LanguageModelV4CallOptions
  readonly answer: Answer
}

const smaller = (own: number | undefined, limit: number | undefined): number | undefined =>
  own === undefined || limit === undefined ? own ?? limit : Math.min(own, limit)

const formatOf = (
  format: LanguageModel.ProviderOptions["responseFormat"],
  transform: LanguageModel.CodecTransformer
): Effect.Effect<Pick<LanguageModelV4CallOptions, "responseFormat">, AiError.UnsupportedSchemaError> => {
  if (format.type === "text") return Effect.succeed({})
  const name = format.objectName.replaceAll(/[^\w-]/gu, "_").slice(0, 64)
  return Effect.try({
    try: () => ({
      responseFormat: { type: "json" as const, name, schema: { ...transform(format.schema).jsonSchema } }
    }),
    catch: (error) =>
      new AiError.UnsupportedSchemaError({ description: Predicate.isError(error) ? error.message : String(error) })
  })
}

/** The call of a provider model; `limit` never raises the model's own. */
export const toRequest = Effect.fnUntraced(function*(
  options: LanguageModel.ProviderOptions,
  settings: Settings,
  limit: number | undefined,
  callIds: RegExp,
  transform: LanguageModel.CodecTransformer,
  { files, model }: { readonly model: ProviderModel; readonly files: Files }
) {
  const names = makeNames(options.tools.map(({ name }) => name))
  const maxOutputTokens = smaller(settings.maxOutputTokens, limit)
  const prompt = toPrompt(options.prompt, { names, idOf: (id) => fit(id, callIds) })
  yield* fetchFiles(prompt, model, files)
  const call: LanguageModelV4CallOptions = {
    ...settings,
    ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
    prompt,
    ...(yield* toTools(options, names)),
    ...(yield* formatOf(options.responseFormat, transform))
  }
  return { call, answer: new Answer(names, options.tools, callIdsIn(options.prompt)) } satisfies Request
})
