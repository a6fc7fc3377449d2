// Reads the variables of destinations: a destination is on when its own variable is set and not empty.
import { Config, Effect, Option, Redacted } from "effect"
import type { Destination, FromConfig } from "../Destination.ts"

/** Makes a destination when a variable is set. */
export const whenSet = (
  name: string,
  make: (secret: Redacted.Redacted) => Effect.Effect<Destination, Config.ConfigError>
): FromConfig =>
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
