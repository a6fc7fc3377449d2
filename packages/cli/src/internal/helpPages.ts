// The help of each command as text, rendered when the package is packed: the answer to `--help` then costs no more than
// Node itself. bin.ts answers from these pages; a workspace, which is not packed, has none.
import { Console, Effect } from "effect"
import type * as Command from "effect/cli/Command"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"

/** Pages by the words of their commands, such as `runs list`; that of the whole has none. */
export type Pages = Readonly<Record<string, string>>

const pathsOf = (
  command: Command.Command.Any,
  path: ReadonlyArray<string> = []
): ReadonlyArray<ReadonlyArray<string>> => [
  path,
  ...command.subcommands.flatMap(({ commands }) => commands.flatMap((one) => pathsOf(one, [...path, one.name])))
]

/** Renders the help of a command and all below it as a terminal shows it, with colours or without. */
export const render = Effect.fnUntraced(function*<E, R>(
  root: Command.Command.Any,
  run: (args: ReadonlyArray<string>) => Effect.Effect<void, E, R>,
  canColor: boolean
) {
  const pages: Record<string, string> = {}
  for (const path of pathsOf(root)) {
    let text = ""
    const console: Console.Console = { ...globalThis.console, log: (line: unknown) => text += `${String(line)}\n` }
    yield* run([...path, "--help"]).pipe(
      Effect.provideService(Console.Console, console),
      Effect.provideService(TerminalCapabilities.TerminalCapabilities, {
        canColor,
        canAnimate: false,
        canPrompt: false
      })
    )
    pages[path.join(" ")] = text
  }
  return pages
})
