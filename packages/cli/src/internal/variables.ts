// Refuses a misspelt variable of the environment: its option would keep its default, such as a store in a file or an audit log
// without signatures. `fastagentic run` asks before anything starts. Other names with the prefix belong to the app.
import { Effect, Schema } from "effect"

/** The variables that commands, stores and models read. */
export const known = [
  "FASTAGENTIC_AUDIT_KEY",
  "FASTAGENTIC_AUDIT_RETENTION",
  "FASTAGENTIC_BLOBS",
  "FASTAGENTIC_CARD_KEY",
  "FASTAGENTIC_CLUSTER_HOST",
  "FASTAGENTIC_CLUSTER_LISTEN",
  "FASTAGENTIC_CLUSTER_PORT",
  "FASTAGENTIC_GRPC_PORT",
  "FASTAGENTIC_GRPC_URL",
  "FASTAGENTIC_MODEL",
  "FASTAGENTIC_PREFIX",
  "FASTAGENTIC_PRICES",
  "FASTAGENTIC_PUBLIC_URL",
  "FASTAGENTIC_PUSH_ALLOW",
  "FASTAGENTIC_PUSH_SECRET",
  "FASTAGENTIC_PYTHON",
  "FASTAGENTIC_RETENTION",
  "FASTAGENTIC_STORE",
  "FASTAGENTIC_TOKEN",
  "FASTAGENTIC_URL",
  "FASTAGENTIC_WATCHED"
] as const

export class MisspeltVariable extends Schema.TaggedError<MisspeltVariable>()("MisspeltVariable", {
  name: Schema.String,
  meant: Schema.String
}) {
  override get message() {
    return `the variable ${this.name} is not known; did you mean ${this.meant}?`
  }
}

/** How many letters are added, left out, replaced or swapped with their neighbour. */
const distance = (one: string, other: string): number => {
  let [before, last] = [Array<number>(), Array.from({ length: other.length + 1 }, (_, index) => index)]
  for (let row = 1; row <= one.length; row++) {
    const next = [row]
    for (let column = 1; column <= other.length; column++) {
      const same = one[row - 1] === other[column - 1] ? 0 : 1
      const swapped = one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1]
      next.push(Math.min(
        (last[column] ?? 0) + 1,
        (next[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + same,
        swapped ? (before[column - 2] ?? 0) + 1 : Infinity
      ))
    }
    ;[before, last] = [last, next]
  }
  return last[other.length] ?? 0
}

const furthest = 2

export const check = (names: ReadonlyArray<string>): Effect.Effect<void, MisspeltVariable> => {
  const all = new Set<string>(known)
  for (const name of names) {
    if (!/^_?F\w*_/iu.test(name) || all.has(name)) continue
    const meant = known.find((one) => distance(name.toUpperCase(), one) <= furthest)
    if (meant !== undefined) return Effect.fail(new MisspeltVariable({ name, meant }))
  }
  return Effect.void
}
