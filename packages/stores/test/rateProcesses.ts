import { Effect } from "effect"
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"

/** What all processes together may take. */
export const limitOf = 40

const program = (imports: string, layer: string) => `
  import { RateCounters } from "@fastagentic/core/RateCounters"
  import { Effect, Layer, Redacted } from "effect"
  ${imports}
  const counters = [
    { key: "shared", limit: ${limitOf}, windowMillis: 3_600_000, algorithm: "fixed-window" },
    { key: "wide", limit: 1_000_000, windowMillis: 3_600_000, algorithm: "token-bucket" }
  ]
  const call = Effect.flatMap(RateCounters, (store) => Effect.tap(store.take(counters), ([taken]) =>
    Effect.sync(() => process.stdout.write((taken.allowed ? "allowed " + taken.used : "refused") + "\\n"))))
  await Effect.runPromise(Effect.provide(Effect.forever(Effect.all([call, call, call], { concurrency: 3 })), ${layer}))
`

/**
 * Lets four processes call as often as they can, and kills each once it was refused some times. Says up to which number
 * calls were allowed: each number is one process' only.
 */
export const raceProcesses = (imports: string, layer: string): Effect.Effect<number> =>
  Effect.promise(async () => {
    const numbers: Array<number> = []
    await Promise.all(Array.from({ length: 4 }, async () => {
      const child = spawn(process.execPath, ["--input-type=module", "--eval", program(imports, layer)], {
        cwd: import.meta.dirname,
        stdio: ["ignore", "pipe", "inherit"]
      })
      let refused = 0
      for await (const line of createInterface({ input: child.stdout })) {
        const [word, used] = line.split(" ")
        if (word === "allowed") numbers.push(Math.round(Number(used)))
        else if (++refused === 20) child.kill("SIGKILL")
      }
    }))
    if (new Set(numbers).size !== numbers.length) throw new Error(`a call was counted twice: ${numbers}`)
    return Math.max(...numbers)
  })
