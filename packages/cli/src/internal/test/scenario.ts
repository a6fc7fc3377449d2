// The scenarios of `fastagentic test`: JSON files, each one call of an agent or a tool with the decisions that it asks for.
import { Effect, FileSystem, Path, Schema } from "effect"

const optional = Schema.optionalKey

const decision = {
  decision: Schema.Literals(["approve", "edit", "deny"]),
  value: optional(Schema.Json),
  reason: optional(Schema.String)
}

const fields = {
  payload: optional(Schema.Json),
  thread: optional(Schema.String),
  /** The decisions, by the tool that asks for approval or the name of the question; the first one of a name gets the first. */
  decisions: optional(Schema.Record(Schema.String, Schema.Array(Schema.Struct(decision)))),
  /** The names of fields whose values are not recorded. */
  redact: optional(Schema.Array(Schema.String)),
  /** The end that is expected; the trace says the same, for those who read it. */
  expect: optional(Schema.Struct({
    state: optional(Schema.Literals(["completed", "failed", "cancelled", "suspended"])),
    output: optional(Schema.Json),
    error: optional(Schema.String)
  }))
}

const Definition = Schema.Union([
  Schema.Struct({ agent: Schema.String, ...fields }),
  Schema.Struct({ tool: Schema.String, ...fields })
])

export type Definition = typeof Definition.Type

export interface Scenario {
  readonly name: string
  readonly definition: Definition
}

/** A scenario that cannot be read. */
export class UnusableScenario extends Schema.TaggedError<UnusableScenario>()("UnusableScenario", {
  file: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.file}: ${this.problem}`
  }
}

const decode = Schema.decodeEffect(Schema.fromJsonString(Definition), { onExcessProperty: "error" })

/** The scenarios of a folder by their names; a folder that is not there has none. */
export const load = Effect.fnUntraced(function*(folder: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const unusable = (file: string) => (error: { readonly message: string }) =>
    new UnusableScenario({ file, problem: error.message.split("\n").join("; ") })
  if (!(yield* Effect.orElseSucceed(fs.exists(folder), () => false))) return []
  const files = yield* Effect.mapError(fs.readDirectory(folder), unusable(folder))
  return yield* Effect.forEach(files.filter((file) => file.endsWith(".json")).sort(), (file) => {
    const place = path.join(folder, file)
    return fs.readFileString(place).pipe(
      Effect.flatMap(decode),
      Effect.mapError(unusable(place)),
      Effect.map((definition): Scenario => ({ name: file.slice(0, -".json".length), definition }))
    )
  })
})
