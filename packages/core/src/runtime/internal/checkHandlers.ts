// Refuses an app whose handlers are incomplete, by the names of all that lack one: the compiler says so first, but a file in
// JavaScript, or one that is run without a check of its types, reaches the start. makeRuntime calls it.
import { Context, Effect, Option } from "effect"
import type * as App from "../../app/App.ts"
import { FusionError } from "../../app/Fusion.ts"

/** The keys that declarations of each kind need in the context. */
const keysOf = (app: App.Any): ReadonlyArray<readonly [name: string, key: string]> => {
  const declared = (kind: string, declarations: ReadonlyArray<object>) =>
    declarations.map((declaration) => {
      // cast: declarations are erased here; every one of them carries its identifier and its handler's key.
      const { handler, identifier } = declaration as {
        readonly identifier: string
        readonly handler: { readonly key: string }
      }
      return [`${kind} "${identifier}"`, handler.key] as const
    })
  return [
    ...declared("agent", app.agents),
    ...Object.values(app.tools.tools).map(({ id, name }) => [`tool "${name}"`, id] as const),
    ...declared("resource", app.resources),
    ...declared("prompt", app.prompts),
    ...declared("hook", [...app.hooks, ...app.agents.flatMap(({ hooks }) => hooks)])
  ]
}

export const checkHandlers = (app: App.Any, services: Context.Context<never>): Effect.Effect<void, FusionError> => {
  const lacking = keysOf(app).filter(([, key]) =>
    Option.isNone(Context.getOption(services, Context.Service<unknown>(key)))
  )
  const [first, ...others] = new Set(lacking.map(([name]) => name))
  if (first === undefined) return Effect.void
  const more = others.length === 0 ? "" : `, and neither ${others.length === 1 ? "has" : "have"} ${others.join(", ")}`
  return Effect.fail(
    new FusionError({
      declaration: first,
      problem: `has no handler${more}: provide what its \`toLayer\` returns, in one Layer.mergeAll`
    })
  )
}
