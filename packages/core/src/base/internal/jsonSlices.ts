// Work over large JSON values in slices between which the event loop goes on: copying, encoding and decoding. Steps and the
// blobs of their values use it; values below a slice are handled at once, by the engine's own functions.
import { Effect } from "effect"
import { jsonYieldChars } from "../Timings.ts"
import { readBack, Unstorable } from "./readBack.ts"

/** The characters of JSON, about, that are handled at once. */
const slice = jsonYieldChars

/** Values with more characters of JSON than this, about, are handled in slices. */
export const sliceLimit = 16 * slice

const depthLimit = 256

/** The rest of a number of characters after the JSON of a value, about; below zero as soon as it does not fit. */
const rest = (value: unknown, left: number, depth = 0): number => {
  if (typeof value === "string") return left - value.length - 2
  // Nothing that JSON can hold nests for ever.
  if (typeof value !== "object" || value === null || depth > depthLimit) return left - 4
  let now = left - 2
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length && now >= 0; index++) now = rest(value[index], now, depth + 1)
    return now
  }
  const fields: { readonly [key: string]: unknown } = Object(value)
  for (const key of Object.keys(fields)) {
    now = rest(fields[key], now - key.length - 4, depth + 1)
    if (now < 0) return now
  }
  return now
}

/** Whether a value has more characters of JSON than this, about. */
export const isAbove = (value: unknown, limit: number): boolean => rest(value, limit) < 0

/** `readBack` of a large value. */
export const readBackInSlices = (value: unknown, path = "", depth = 0): Effect.Effect<unknown> =>
  typeof value !== "object" || value === null || depth >= depthLimit || !isAbove(value, slice)
    ? Effect.sync(() => readBack(value, path, depth))
    : Array.isArray(value)
    ? copyItems(value, path, depth)
    : copyFields(value, path, depth)

const copyItems = Effect.fnUntraced(function*(value: ReadonlyArray<unknown>, path: string, depth: number) {
  const copy: Array<unknown> = []
  let left = slice
  for (let index = 0; index < value.length; index++) {
    const part = value[index]
    const after = rest(part, left)
    if (after < 0) yield* Effect.yieldNow
    left = after < 0 ? slice : after
    const at = `${path}[${index}]`
    const item = after < 0 ? yield* readBackInSlices(part, at, depth + 1) : readBack(part, at, depth + 1)
    if (item instanceof Unstorable) return item
    copy.push(item)
  }
  return copy
})

const copyFields = Effect.fnUntraced(function*(value: object, path: string, depth: number) {
  // An instance of a class is refused as a whole.
  const shell = readBack(Object.create(Object.getPrototypeOf(value)), path, depth)
  if (shell instanceof Unstorable || Object.getOwnPropertySymbols(value).length > 0) return readBack(value, path, depth)
  const copy: Record<string, unknown> = {}
  let left = slice
  for (const [key, part] of Object.entries(value)) {
    const after = rest(part, left - key.length)
    if (after < 0) yield* Effect.yieldNow
    left = after < 0 ? slice : after
    const at = `${path}.${key}`
    const field = after < 0 ? yield* readBackInSlices(part, at, depth + 1) : readBack(part, at, depth + 1)
    if (field instanceof Unstorable) return field
    put(copy, key, field)
  }
  return copy
})

/** A plain assignment of `__proto__` would set the prototype. */
const put = (record: Record<string, unknown>, key: string, value: unknown) => {
  if (key === "__proto__") {
    Object.defineProperty(record, key, { value, enumerable: true, configurable: true, writable: true })
  } else record[key] = value
}

/**
 * A large value as lines, each JSON of a slice with a letter before it: `v` a value, `a` items of the open array, `o` fields
 * of the open object as pairs, `s` a piece of the open string, `k` the key of what opens next; `[`, `{` and `"` open, `.` closes.
 */
export const toLines = (value: unknown, write: (line: string) => void): Effect.Effect<void> => {
  if (!isAbove(value, slice)) {
    return Effect.sync(() => write(`v${JSON.stringify(value)}`))
  }
  if (typeof value === "string") return stringLines(value, write)
  return Array.isArray(value) ? itemLines(value, write) : fieldLines(Object(value), write)
}

const stringLines = Effect.fnUntraced(function*(value: string, write: (line: string) => void) {
  write("\"")
  for (let start = 0; start < value.length;) {
    // A pair of surrogates stays together.
    const end = start + slice + (/[\ud800-\udbff]/u.test(value[start + slice - 1] ?? "") ? 1 : 0)
    write(`s${JSON.stringify(value.slice(start, end))}`)
    start = end
    yield* Effect.yieldNow
  }
  write(".")
})

const itemLines = Effect.fnUntraced(function*(value: ReadonlyArray<unknown>, write: (line: string) => void) {
  write("[")
  let start = 0
  let left = slice
  const flush = (end: number) => {
    if (end > start) write(`a${JSON.stringify(value.slice(start, end))}`)
    start = end
    left = slice
  }
  for (let index = 0; index < value.length; index++) {
    left = rest(value[index], left)
    if (left >= 0) continue
    flush(index)
    yield* Effect.yieldNow
    if (!isAbove(value[index], slice)) {
      left = rest(value[index], slice)
      continue
    }
    yield* toLines(value[index], write)
    start = index + 1
  }
  flush(value.length)
  write(".")
})

const fieldLines = Effect.fnUntraced(function*(value: object, write: (line: string) => void) {
  write("{")
  let batch: Array<readonly [string, unknown]> = []
  let left = slice
  const flush = () => {
    if (batch.length > 0) write(`o${JSON.stringify(batch)}`)
    batch = []
    left = slice
  }
  for (const field of Object.entries(value)) {
    const [key, part] = field
    left = rest(part, left - key.length - 4)
    if (left < 0) {
      flush()
      yield* Effect.yieldNow
      if (isAbove(part, slice)) {
        write(`k${JSON.stringify(key)}`)
        yield* toLines(part, write)
        continue
      }
      left = rest(part, slice - key.length - 4)
    }
    batch.push(field)
  }
  flush()
  write(".")
})

/** The pieces of a string that is open. */
class Pieces {
  readonly all: Array<string> = []
}

/** The value of lines; it throws for lines that `toLines` did not write. */
export class Lines {
  private readonly open: Array<Array<unknown> | Pieces | Record<string, unknown>> = []
  private readonly keys: Array<string> = []
  private key = ""
  value: unknown

  add(line: string): void {
    const top = this.open.at(-1)
    const rest = line.slice(1)
    switch (line[0]) {
      case "v":
        return this.take(JSON.parse(rest))
      case "k":
        this.key = JSON.parse(rest)
        return
      case "a":
        for (const item of JSON.parse(rest)) this.take(item)
        return
      case "o":
        for (const [key, part] of JSON.parse(rest)) {
          this.key = key
          this.take(part)
        }
        return
      case "s":
        if (!(top instanceof Pieces)) throw new SyntaxError("a piece without a string")
        top.all.push(JSON.parse(rest))
        return
      case "[":
        return this.enter([])
      case "{":
        return this.enter({})
      case "\"":
        return this.enter(new Pieces())
      case ".":
        if (top === undefined) throw new SyntaxError("nothing is open")
        this.open.pop()
        this.key = this.keys.pop() ?? ""
        return this.take(top instanceof Pieces ? top.all.join("") : top)
      default:
        throw new SyntaxError("unknown line")
    }
  }

  private enter(opened: Lines["open"][number]) {
    this.keys.push(this.key)
    this.open.push(opened)
  }

  private take(value: unknown) {
    const top = this.open.at(-1)
    if (top === undefined) this.value = value
    else if (Array.isArray(top)) top.push(value)
    else if (top instanceof Pieces) throw new SyntaxError("a value in a string")
    else put(top, this.key, value)
  }
}
