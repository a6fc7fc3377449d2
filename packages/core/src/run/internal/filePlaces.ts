// The places of files in the values of a schema, found once when an app is compiled. Payloads, signals and arguments of tools
// are walked by them, so that a value without files costs nothing.
import { Effect, SchemaAST } from "effect"

/** The annotation of a schema whose value has bytes, or names a stored file. */
export const fileKey = "~@fastagentic/core/run/File"

/** The annotation of the schema of content. */
export const contentKey = "~@fastagentic/core/run/Content"

export type Places =
  | { readonly _tag: "File"; readonly isContent: boolean }
  | { readonly _tag: "Fields"; readonly fields: ReadonlyMap<string, Places> }
  | { readonly _tag: "Values"; readonly each: Places }
  | { readonly _tag: "Any"; readonly members: ReadonlyArray<Places> }

/** The places of files in the encoded values of a schema; nothing when there are none. */
export const filePlaces = (ast: SchemaAST.AST): Places | undefined => placesIn(SchemaAST.toEncoded(ast))

const placesIn = (ast: SchemaAST.AST): Places | undefined => {
  const mark = SchemaAST.resolve(ast)?.[fileKey]
  if (mark !== undefined) return { _tag: "File", isContent: mark === contentKey }
  switch (ast._tag) {
    case "Objects": {
      const fields = new Map(ast.propertySignatures.flatMap(({ name, type }) => {
        const places = placesIn(type)
        return places === undefined ? [] : [[String(name), places] as const]
      }))
      const values = ast.indexSignatures.map(({ type }) => placesIn(type))
      return anyOf([fields.size === 0 ? undefined : { _tag: "Fields", fields }, valuesOf(values)])
    }
    case "Arrays":
      return valuesOf([...ast.elements, ...ast.rest].map(placesIn))
    case "Union":
      return anyOf(ast.types.map(placesIn))
    default:
      return undefined
  }
}

const valuesOf = (places: ReadonlyArray<Places | undefined>): Places | undefined => {
  const each = anyOf(places)
  return each === undefined ? undefined : { _tag: "Values", each }
}

const anyOf = (places: ReadonlyArray<Places | undefined>): Places | undefined => {
  const members = places.filter((one) => one !== undefined)
  // A value is at most one file, whatever the schemas are that it may have.
  const [file, ...files] = members.filter(({ _tag }) => _tag === "File")
  const distinct = file === undefined || files.length === 0
    ? members
    : [file, ...members.filter(({ _tag }) => _tag !== "File")]
  return distinct.length < 2 ? distinct[0] : { _tag: "Any", members: distinct }
}

/** A value at a place of a file. */
export interface FileValue {
  readonly bytes?: unknown
  readonly fileId?: unknown
  readonly [key: string]: unknown
}

/** Replaces the files of a value; everything else stays as it is. `path` is where in the value a file is. */
export const mapFiles = <E, R>(
  places: Places,
  value: unknown,
  replace: (file: FileValue, path: ReadonlyArray<string>) => Effect.Effect<unknown, E, R>,
  path: ReadonlyArray<string> = []
): Effect.Effect<unknown, E, R> => {
  if (typeof value !== "object" || value === null) return Effect.succeed(value)
  switch (places._tag) {
    case "File":
      return isFileValue(value) ? replace(value, path) : Effect.succeed(value)
    case "Fields":
      return mapEntries(value, (key) => places.fields.get(key), replace, path)
    case "Values":
      return mapEntries(value, () => places.each, replace, path)
    case "Any":
      return Effect.reduce(places.members, () => value, (now: unknown, one) => mapFiles(one, now, replace, path))
  }
}

const isFileValue = (value: object): value is FileValue =>
  ("bytes" in value && typeof value.bytes === "string") || ("fileId" in value && typeof value.fileId === "string")

const mapEntries = <E, R>(
  value: object,
  placesOf: (key: string) => Places | undefined,
  replace: (file: FileValue, path: ReadonlyArray<string>) => Effect.Effect<unknown, E, R>,
  path: ReadonlyArray<string>
): Effect.Effect<unknown, E, R> =>
  Effect.map(
    Effect.forEach(Object.entries(value), ([key, part]) => {
      const places = placesOf(key)
      return Effect.map(
        places === undefined ? Effect.succeed(part) : mapFiles(places, part, replace, [...path, key]),
        (mapped) => [key, mapped, mapped !== part] as const
      )
    }),
    (entries) => {
      if (!entries.some(([, , isChanged]) => isChanged)) return value
      if (Array.isArray(value)) return entries.map(([, part]) => part)
      return Object.fromEntries(entries.map(([key, part]) => [key, part]))
    }
  )

/** The ids of stored files that a JSON value names. */
export const fileIdsIn = (value: unknown, found: Set<string> = new Set()): ReadonlySet<string> => {
  if (typeof value !== "object" || value === null) return found
  for (const [key, part] of Object.entries(value)) {
    if (key === "fileId" && typeof part === "string" && /^[0-9a-f]{64}$/u.test(part)) found.add(part)
    else fileIdsIn(part, found)
  }
  return found
}

/** Whether a schema is that of content, of a list of it, or of a choice that has one of them. */
export const answersContent = (ast: SchemaAST.AST): boolean => {
  if (SchemaAST.resolve(ast)?.[contentKey] !== undefined) return true
  if (ast._tag === "Union") return ast.types.some(answersContent)
  return ast._tag === "Arrays" && [...ast.elements, ...ast.rest].some(answersContent)
}
