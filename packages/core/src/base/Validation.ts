/**
 * Decoding of large inputs from outside, and the bounded list of their problems.
 *
 * @since 0.1.0
 */
import { Effect, Schema, type SchemaAST } from "effect"
import * as SchemaIssue from "effect/SchemaIssue"
import * as Timings from "./Timings.ts"

/** A problem of an input and its place. @category models @since 0.1.0 */
export interface Problem {
  readonly path: ReadonlyArray<string>
  readonly message: string
}

const format = SchemaIssue.makeFormatterStandardSchemaV1()

/**
 * The first problems of a value, `Timings.problemPlaces` at most, each message in one line.
 *
 * @category conversions
 * @since 0.1.0
 */
export const problemsOf = (error: Schema.SchemaError): ReadonlyArray<Problem> =>
  format(first(error.issue, { places: Timings.problemPlaces })).issues.map(({ message, path = [] }) => ({
    path: path.map((part) => String(typeof part === "object" ? part.key : part)),
    message: message.replaceAll(/\s*\n\s*/gu, " ")
  }))

/** The issue with no more leaves than are left; only what is kept is formatted. */
const first = (issue: SchemaIssue.Issue, left: { places: number }): SchemaIssue.Issue => {
  switch (issue._tag) {
    case "Pointer":
      return new SchemaIssue.Pointer(issue.path, first(issue.issue, left))
    case "Composite": {
      const [head, ...more] = issue.issues
      const kept = [first(head, left)] as const
      const rest: Array<SchemaIssue.Issue> = []
      for (const part of more) {
        if (left.places <= 0) break
        rest.push(first(part, left))
      }
      return new SchemaIssue.Composite(issue.ast, [...kept, ...rest])
    }
    default:
      left.places--
      return issue
  }
}

/**
 * Decodes input from outside: an undeclared field is an error. All problems of a small value are found at once, and the first
 * one of a value with over `Timings.problemEntries` entries, because finding them all takes seconds of the event loop.
 *
 * @category conversions
 * @since 0.1.0
 */
export const decoder = <S extends Schema.ConstraintCodec<unknown, unknown>>(
  schema: S,
  onExcessProperty: SchemaAST.ParseOptions["onExcessProperty"] = "error"
): (value: unknown) => Effect.Effect<S["Type"], Schema.SchemaError> => {
  const all = Schema.decodeUnknownEffect(schema, { errors: "all", onExcessProperty })
  const one = Schema.decodeUnknownEffect(schema, { errors: "first", onExcessProperty })
  return (value) => isLarge(value) ? Effect.andThen(Effect.yieldNow, Effect.suspend(() => one(value))) : all(value)
}

/** Whether a JSON value has more entries than are validated in one go. @category predicates @since 0.1.0 */
export const isLarge = (value: unknown): boolean => {
  const open = [value]
  let entries = 0
  for (let part = open.pop(); part !== undefined; part = open.pop()) {
    if (typeof part !== "object" || part === null) continue
    for (const child of Object.values(part)) {
      if (++entries > Timings.problemEntries) return true
      if (typeof child === "object" && child !== null) open.push(child)
    }
  }
  return false
}

/** Lets other work of the event loop pass before a step over a text of this length. @category combinators @since 0.1.0 */
export const yieldFor = (length: number): Effect.Effect<void> =>
  length > Timings.jsonYieldChars ? Effect.yieldNow : Effect.void
