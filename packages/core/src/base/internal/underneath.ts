// Gives an effect the services that its context lacks. Handlers use it: services of a call win over those that were there
// when the handler was made. The services of the app are compared once, because merging contexts copies all of them.
import { Context, Effect, Option } from "effect"

/** The services that the app lacks. */
export const lacking = (services: Context.Context<never>, app: Context.Context<never>): Context.Context<never> =>
  Context.makeUnsafe(new Map([...services.mapUnsafe].filter(([key]) => !app.mapUnsafe.has(key))))

/** Makes what gives `services` to effects whose context has at least those of `app`. */
export const underneath = (services: Context.Context<never>, app: Context.Context<never>) => {
  const missing = [...lacking(services, app).mapUnsafe].map(([key, service]) =>
    [Context.Service<never, unknown>(key), service] as const
  )
  return <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    missing.length === 0 ? effect : Effect.updateContext(effect, (context: Context.Context<R>) => {
      let added = context
      for (const [key, service] of missing) {
        if (Option.isNone(Context.getOption(context, key))) added = Context.add(added, key, service)
      }
      return added
    })
}
