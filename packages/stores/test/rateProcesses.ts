// Rate limits under processes that are killed; the tests of each shared store call it.
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"

/** The limit of all processes together. */
export const limitOf = 200

const program = (imports: string, layer: string) => `
  import { RateCounters } from "@fastagentic/core/door/RateCounters"
  import { Effect, Layer, Redacted } from "effect"
  import { once } from "node:events"
  ${imports}
  const counters = [
    { key: "shared", limit: ${limitOf}, windowMillis: 3_600_000, algorithm: "fixed-window" },
    { key: "wide", limit: 1_000_000, windowMillis: 3_600_000, algorithm: "token-bucket" }
  ]
  const call = Effect.flatMap(RateCounters, (store) => Effect.tap(store.take(counters), ([taken]) =>
    Effect.sync(() => process.stdout.write((taken.allowed ? "allowed " + taken.used : "refused") + "\\n"))))
  const ready = Effect.andThen(RateCounters, Effect.promise(() => {
    process.stdout.write("ready\\n")
    return once(process.stdin, "data")
  }))
  const calls = Effect.forever(Effect.all([call, call, call], { concurrency: 3 }))
  await Effect.runPromise(Effect.provide(Effect.andThen(ready, calls), ${layer}))
`

/**
 * Starts four processes together, lets each call as often as it can, and kills it after some refusals. Returns the
 * numbers of the allowed calls; each number belongs to one process.
 */
export const raceProcesses = (imports: string, layer: string): Effect.Effect<number> =>
  Effect.promise(async () => {
    const children = Array.from({ length: 4 }, () =>
      spawn(process.execPath, ["--input-type=module", "--eval", program(imports, layer)], {
        cwd: import.meta.dirname,
        stdio: ["pipe", "pipe", "inherit"]
      }))
    const numbers: Array<number> = []
    let waiting = children.length
    const read = async (child: (typeof children)[number]) => {
      let refused = 0
      for await (const line of createInterface({ input: child.stdout })) {
        const [word, used] = line.split(" ")
        if (word === "ready" && --waiting === 0) {
          children.forEach(({ stdin }) =>
            stdin.write("go\n")
          )
        }
        if (word === "allowed") numbers.push(Math.round(Number(used)))
        if (word === "refused" && ++refused === 20) child.kill("SIGKILL")
      }
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit")
    }
    await Promise.all(children.map(read))
    if (new Set(numbers).size !== numbers.length) throw new Error("two calls were counted as one")
    return Math.max(...numbers)
  })
