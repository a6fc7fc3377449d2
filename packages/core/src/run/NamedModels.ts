/**
 * The models of an app by name.
 *
 * @since 0.1.0
 */
import { Context, Effect } from "effect"
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import { ModelUnknown } from "./ModelEnd.ts"

/**
 * A model that has been made, with its provider and the name that prices know.
 *
 * @category models
 * @since 0.1.0
 */
export type NamedModel = Context.Context<LanguageModel.LanguageModel | Model.ProviderName | Model.ModelName>

/**
 * The models that a loop, a hook or a budget may name, by the app's own names.
 *
 * @category references
 * @since 0.1.0
 */
export const NamedModels: Context.Reference<{ readonly [name: string]: NamedModel }> = Context.Reference<
  { readonly [name: string]: NamedModel }
>("@fastagentic/core/run/NamedModels/NamedModels", { defaultValue: () => ({}) })

/**
 * A model by its name in the app, or by the name that prices know.
 *
 * @category accessors
 * @since 0.1.0
 */
export const find = (models: { readonly [name: string]: NamedModel }, name: string): NamedModel | undefined =>
  Object.hasOwn(models, name)
    ? models[name]
    : Object.values(models).find((model) => Context.get(model, Model.ModelName) === name)

/**
 * A model by its name; fails for a name that the app does not have.
 *
 * @category accessors
 * @since 0.1.0
 */
export const get = Effect.fnUntraced(function*(name: string) {
  const models = yield* NamedModels
  return find(models, name) ?? (yield* new ModelUnknown({ model: name, known: Object.keys(models) }))
})
