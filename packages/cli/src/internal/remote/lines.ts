// The lines that a person types or a pipe brings. Stdin is first read when the first line is asked for.
import { Effect, type Scope } from "effect"
import { createInterface, type Interface } from "node:readline"

export interface Lines {
  /** The next line; `undefined` at the end. A terminal shows the prompt. */
  readonly next: (prompt: string) => Effect.Effect<string | undefined>
}

export const none: Lines = { next: () => Effect.undefined }

export const make: Effect.Effect<Lines, never, Scope.Scope> = Effect.gen(function*() {
  let opened: Interface | undefined
  let lines: AsyncIterator<string> | undefined
  yield* Effect.addFinalizer(() => Effect.sync(() => opened?.close()))
  return {
    next: (prompt) =>
      Effect.promise(async () => {
        opened ??= createInterface({ input: process.stdin })
        lines ??= opened[Symbol.asyncIterator]()
        if (process.stdin.isTTY) process.stderr.write(prompt)
        const { done, value } = await lines.next()
        return done === true ? undefined : value
      })
  }
})
