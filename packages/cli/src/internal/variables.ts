// Refuses a misspelt variable of the environment: its option would keep its default, such as a store in a file or an audit log
// without signatures. `fastagentic run` asks before anything starts. Other names with the prefix belong to the app.
import { Effect, Schema } from "effect"

/** The variables that commands, stores and models read, and what each is. */
export const descriptions = {
  FASTAGENTIC_AUDIT_KEY: "Signs the audit log ([audit.md](audit.md))",
  FASTAGENTIC_AUDIT_RETENTION: "How long entries of the audit log are kept",
  FASTAGENTIC_BLOBS: "Where files and large values are kept: a folder or an S3 address ([files.md](files.md))",
  FASTAGENTIC_CARD_KEY: "Signs the agent card ([a2a.md](a2a.md))",
  FASTAGENTIC_CLUSTER_HOST: "The address at which other nodes reach this one, with `--engine cluster`",
  FASTAGENTIC_CLUSTER_LISTEN: "The address that the node listens on, with `--engine cluster`",
  FASTAGENTIC_CLUSTER_PORT: "The port of both",
  FASTAGENTIC_GRPC_PORT: "`--grpc-port`",
  FASTAGENTIC_GRPC_URL: "`--grpc-url`",
  FASTAGENTIC_MODEL: "The model of `DefaultModel`, such as `anthropic:claude-opus-4-8` ([models.md](models.md))",
  FASTAGENTIC_PREFIX: "`--prefix`",
  FASTAGENTIC_PRICES: "A file of prices ([budgets.md](budgets.md))",
  FASTAGENTIC_PUBLIC_URL: "`--public-url`",
  FASTAGENTIC_PUSH_ALLOW: "Hosts that push notifications may go to although they are internal ([a2a.md](a2a.md))",
  FASTAGENTIC_PUSH_SECRET: "Encrypts the credentials of push notifications at rest",
  FASTAGENTIC_PYTHON: "The interpreter of agents in Python ([python.md](python.md))",
  FASTAGENTIC_RETENTION: "`--retention`",
  FASTAGENTIC_STORE: "`--store`, for addresses with a password",
  FASTAGENTIC_TOKEN: "The token or API key of commands that ask a server, and of MCP on stdio",
  FASTAGENTIC_URL: "The server that commands ask",
  FASTAGENTIC_WATCHED: "Set by `--watch` for the process that it starts"
} as const

export const known = Object.keys(descriptions)

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
