// Writes the prints of a child process to the log, line by line; the adapters of Python and MCP use it. A process that prints in
// a loop fills neither the log nor memory: the rest of a second is counted, and left out.
import { Effect, type Fiber } from "effect"

const mostInSecond = 200

export const makeLog = (
  about: { readonly [name: string]: string },
  fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
) => {
  let [second, lines] = [0, 0]
  const write = (line: string) => fork(Effect.annotateLogs(Effect.logInfo(line), about))
  return (line: string) => {
    const now = Math.floor(performance.now() / 1_000)
    if (now !== second) {
      if (lines > mostInSecond) write(`${lines - mostInSecond} lines were left out`)
      second = now
      lines = 0
    }
    lines++
    if (lines <= mostInSecond) write(line)
  }
}
