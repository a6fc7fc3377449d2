// Request fields that some servers refuse: the request is repeated without them, and the server's refusal is remembered.
import { type Fields, fieldsOf, isFields, listOf, parse } from "../fields.ts"

type Change = (body: Fields) => Fields | undefined

const without = (body: Fields, name: string): Fields | undefined => {
  if (!(name in body)) return undefined
  const { [name]: _, ...rest } = body
  return rest
}

const renamed = (from: string, to: string): Change => (body) => {
  const rest = without(body, from)
  return rest === undefined ? undefined : { ...rest, [to]: body[from] }
}

/** Applies a change to the entries of a list; `undefined` when none of them changed. */
const each = (body: Fields, name: string, change: (entry: Fields) => Fields | undefined): Fields | undefined => {
  let changed = false
  const entries = listOf(body[name]).map((entry) => {
    const next = change(fieldsOf(entry))
    changed ||= next !== undefined
    return next ?? entry
  })
  return changed ? { ...body, [name]: entries } : undefined
}

const changes: ReadonlyArray<readonly [named: RegExp, unless: RegExp | undefined, change: Change]> = [
  [/stream_options|include_usage/u, undefined, (body) => without(body, "stream_options")],
  [
    /reasoning_content/u,
    /missing|passed back|required/iu,
    (body) => each(body, "messages", (message) => without(message, "reasoning_content"))
  ],
  [
    /\bstrict\b/u,
    undefined,
    (body) =>
      each(body, "tools", (tool) => {
        const called = without(fieldsOf(tool.function), "strict")
        return called === undefined ? undefined : { ...tool, function: called }
      })
  ],
  [
    /max_completion_tokens/u,
    undefined,
    (body) =>
      renamed("max_tokens", "max_completion_tokens")(body) ?? renamed("max_completion_tokens", "max_tokens")(body)
  ]
]

/** The known refusals of one server. */
export interface Refusals {
  /** The body without the fields that the server is known to refuse. */
  readonly apply: (body: string) => string
  /** Learns from an error; the changed body, when another attempt is worth it. */
  readonly learn: (body: string, error: string) => string | undefined
}

export const make = (): Refusals => {
  const known = new Set<Change>()
  return {
    apply: (body) => {
      if (known.size === 0) return body
      const parsed = parse(body)
      if (!isFields(parsed)) return body
      return JSON.stringify([...known].reduce<Fields>((fields, change) => change(fields) ?? fields, parsed))
    },
    learn: (body, error) => {
      const parsed = parse(body)
      if (!isFields(parsed)) return undefined
      for (const [named, unless, change] of changes) {
        if (known.has(change) || !named.test(error) || unless?.test(error) === true) continue
        const changed = change(parsed)
        if (changed === undefined) continue
        known.add(change)
        return JSON.stringify(changed)
      }
      return undefined
    }
  }
}
