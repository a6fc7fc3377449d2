// Reads the variables of services: one is on when its own variable is set and not empty.
import { Config, Effect, Option, Redacted } from "effect"

/** Makes something when a variable is set. */
export const whenSet = <A>(
  name: string,
  make: (secret: Redacted.Redacted) => Effect.Effect<A, Config.ConfigError>
): Effect.Effect<Option.Option<A>, Config.ConfigError> =>
  Effect.flatMap(
    Config.option(Config.Redacted(name)),
    (secret) =>
      Option.isNone(secret) || Redacted.value(secret.value) === ""
        ? Effect.succeedNone
        : Effect.asSome(make(secret.value))
  )

/** The first of the variables that is set. */
export const text = (otherwise: string, ...names: ReadonlyArray<string>): Effect.Effect<string, Config.ConfigError> =>
  names.reduceRight<Effect.Effect<string, Config.ConfigError>>(
    (rest, name) =>
      Effect.flatMap(
        Config.option(Config.String(name)),
        (value) => Option.isSome(value) && value.value !== "" ? Effect.succeed(value.value) : rest
      ),
    Effect.succeed(otherwise)
  )

/** A base URL and a path, whatever slash stands between them. */
export const join = (base: string, path: string) => `${base.replace(/\/+$/u, "")}${path}`
