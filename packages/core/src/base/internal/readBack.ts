// A value as JSON would give it back. Steps use it so that a first attempt gets what a replay will get; what JSON would
// change is named and refused, never changed silently.

/** A part of a value that JSON cannot hold. */
export class Unstorable {
  readonly path: string
  readonly found: string

  constructor(path: string, found: string) {
    this.path = path
    this.found = found
  }
}

const depthLimit = 256

/** A copy of a JSON value, or the first part of it that JSON cannot hold. */
export const readBack = (value: unknown, path = "", depth = 0): unknown => {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value
    case "number":
      if (Number.isFinite(value) && !Object.is(value, -0)) return value
      return new Unstorable(path, Object.is(value, -0) ? "-0" : String(value))
    case "object":
      if (value === null) return null
      // Nothing that JSON can hold nests for ever.
      if (depth >= depthLimit) return new Unstorable(path, `more than ${depthLimit} levels or a cycle`)
      return Array.isArray(value) ? items(value, path, depth) : fields(value, path, depth)
    default:
      return new Unstorable(path, typeof value)
  }
}

const items = (values: ReadonlyArray<unknown>, path: string, depth: number) => {
  const copy: Array<unknown> = []
  // Also the holes of an array are `undefined` here.
  for (let index = 0; index < values.length; index++) {
    const item = readBack(values[index], `${path}[${index}]`, depth + 1)
    if (item instanceof Unstorable) return item
    copy.push(item)
  }
  return copy
}

const fields = (value: object, path: string, depth: number) => {
  if (!isPlain(value)) return new Unstorable(path, `an instance of ${value.constructor?.name ?? "a class"}`)
  const copy: Record<string, unknown> = {}
  const given: { readonly [key: string]: unknown } = Object(value)
  for (const key of Object.keys(given)) {
    const field = readBack(given[key], `${path}.${key}`, depth + 1)
    if (field instanceof Unstorable) return field
    // A plain assignment of this key would set the prototype.
    if (key === "__proto__") Object.defineProperty(copy, key, { value: field, enumerable: true, configurable: true })
    else copy[key] = field
  }
  return copy
}

const isPlain = (value: object) => {
  const prototype: unknown = Object.getPrototypeOf(value)
  const isRecord = prototype === null || Object.getPrototypeOf(prototype) === null
  return isRecord && Object.getOwnPropertySymbols(value).length === 0
}
