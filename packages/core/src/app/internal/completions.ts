// The completions of a declaration with the services of its layer; Resource and PromptTemplate use it.
import type { Effect } from "effect"
import type { Completions } from "../Resource.ts"

/** The completions with the services of their layer. */
export const completionsWithin = (
  complete: Completions<string>,
  within: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
): Completions<string> =>
  Object.fromEntries(
    Object.entries(complete).flatMap(([name, values]) =>
      values === undefined
        ? []
        : [[name, (value: string, known: { readonly [name: string]: string }) => within(values(value, known))]]
    )
  )
