// Compares a value with the file that recorded it. `--update` writes the file; without it each difference is a line with
// its place in the value.
import { Effect, FileSystem, Option, Path, Schema } from "effect"

/** How many differences of one value are named. */
const most = 8

const shown = (value: unknown) => {
  const text = value === undefined ? "nothing" : JSON.stringify(value)
  return text.length > 120 ? `${text.slice(0, 117)}…` : text
}

/** The places in which two values differ, as JSON pointers. */
export const differences = (recorded: unknown, found: unknown): ReadonlyArray<string> => {
  const lines: Array<string> = []
  const compare = (left: unknown, right: unknown, place: string): void => {
    if (lines.length >= most || Object.is(left, right)) return
    if (typeof left !== "object" || typeof right !== "object" || left === null || right === null) {
      lines.push(`${place === "" ? "/" : place} is ${shown(right)}, recorded is ${shown(left)}`)
      return
    }
    if (Array.isArray(left) !== Array.isArray(right)) {
      lines.push(`${place === "" ? "/" : place} is ${shown(right)}, recorded is ${shown(left)}`)
      return
    }
    const [before, after] = [new Map(Object.entries(left)), new Map(Object.entries(right))]
    for (const key of new Set([...before.keys(), ...after.keys()])) {
      compare(before.get(key), after.get(key), `${place}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`)
    }
  }
  compare(recorded, found, "")
  return lines
}

/** A file that cannot be written. */
export class Unwritable extends Schema.TaggedError<Unwritable>()("Unwritable", {
  file: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.file}: ${this.problem}`
  }
}

export type Verdict =
  | { readonly _tag: "Same" }
  | { readonly _tag: "Written" }
  | { readonly _tag: "Unrecorded" }
  | { readonly _tag: "Differs"; readonly lines: ReadonlyArray<string> }

const parse = Schema.decodeOption(Schema.fromJsonString(Schema.Json))

/** Compares a value with its file, or writes it. */
export const compare = Effect.fnUntraced(function*(
  file: string,
  value: unknown,
  update: boolean
): Effect.fn.Return<Verdict, Unwritable, FileSystem.FileSystem | Path.Path> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const text = `${JSON.stringify(value, undefined, 2)}\n`
  const recorded = yield* Effect.option(fs.readFileString(file))
  if (Option.isSome(recorded) && recorded.value === text) return { _tag: "Same" }
  if (update) {
    yield* fs.makeDirectory(path.dirname(file), { recursive: true }).pipe(
      Effect.andThen(fs.writeFileString(file, text)),
      Effect.mapError(({ message }) => new Unwritable({ file, problem: message }))
    )
    return { _tag: "Written" }
  }
  if (Option.isNone(recorded)) return { _tag: "Unrecorded" }
  const known = parse(recorded.value)
  if (Option.isNone(known)) return { _tag: "Differs", lines: [`${file} is no JSON`] }
  const lines = differences(known.value, value)
  return lines.length === 0 ? { _tag: "Same" } : { _tag: "Differs", lines }
})
