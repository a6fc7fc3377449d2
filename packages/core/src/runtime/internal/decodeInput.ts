// Checks an input against its schema and keeps it as it came; starts, signals and schedules call it.
import { Effect, Schema } from "effect"
import type { Shape } from "../../app/Fusion.ts"
import { readBack, Unstorable } from "../../base/internal/readBack.ts"
import { problemsOf } from "../../base/Validation.ts"
import { nestedTooDeeply, tooDeep } from "../../run/internal/issues.ts"
import { asRunError } from "../../run/internal/runErrors.ts"
import { InvalidPayload, RunError } from "../../run/RunError.ts"
import type { RegisteredCallable } from "./runSupervisor.ts"

const decodeJson = Schema.decodeUnknownEffect(Schema.Json)

/** A copy of a JSON value. The schema says what is wrong with any other value. */
const copyOf = (value: unknown) => {
  const copy = readBack(value)
  // cast: `readBack` gives JSON.
  return copy instanceof Unstorable ? decodeJson(value) : Effect.succeed(copy as Schema.Json)
}

/** The payload is kept as it came, once it is known to fit. */
export const decodePayload = ({ callable: { identifier, payload } }: RegisteredCallable, value: unknown) =>
  decodeInput(identifier, payload, value)

/** An input is kept as it came, once it is known to fit. */
export const decodeInput = (target: string, shape: Shape, value: unknown): Effect.Effect<Schema.Json, RunError> =>
  tooDeep(value)
    ? Effect.fail(new RunError({ reason: nestedTooDeeply(target) }))
    : asRunError(
      Effect.flatMap(shape.decode(value), () => copyOf(value)).pipe(
        Effect.mapError((error) => new InvalidPayload({ target, issues: problemsOf(error) }))
      )
    )
