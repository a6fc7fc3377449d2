// Looks for the model that an agent declares among those that its loops can name; Runtime.layer calls it at start. An app
// without names, and an agent of a framework that names its models itself, are not checked.
import { Effect } from "effect"
import type { Handle } from "../../app/Agent.ts"
import { type Callable, FusionError } from "../../app/Fusion.ts"
import { find } from "../../run/NamedModels.ts"

export const checkModel = (
  { identifier, kind, model }: Callable,
  { adapter, models }: Pick<Handle, "adapter" | "models">
): Effect.Effect<void, FusionError> => {
  const names = Object.keys(models)
  const isOwn = adapter === undefined || adapter.capabilities.toolInjection === "factory"
  if (model === undefined || !isOwn || names.length === 0 || find(models, model) !== undefined) {
    return Effect.void
  }
  const problem = `no model is named "${model}": the names are ${names.join(", ")}; name it in Models.layerNamed, or ` +
    "declare another one"
  return Effect.fail(new FusionError({ declaration: `${kind} "${identifier}"`, problem }))
}
