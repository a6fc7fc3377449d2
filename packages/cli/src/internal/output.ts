// Prints for commands: lines for people, or with `--json` one value a line. A terminal takes no orders from printed text.
import { VisibleText } from "@fastagentic/core"
import { Console, Effect } from "effect"
import * as Flag from "effect/cli/Flag"

export const json = Flag.Boolean("json").pipe(
  Flag.withDescription("Print JSON, one value a line"),
  Flag.withDefault(false)
)

/** Characters that a terminal acts on; a line break and a tab are text. */
// oxlint-disable-next-line no-control-regex -- these are the characters that are escaped
const control = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/gu

/** Text of a model, a caller or a server without what a terminal acts on or a reader does not see. */
export const safe = (text: string): string =>
  VisibleText.escapeUnseen(text).replaceAll(control, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`)

/** One value as its line, or as JSON. */
export const print = <A>(asJson: boolean, value: A, lineOf: (value: A) => string) =>
  Console.log(safe(asJson ? JSON.stringify(value) : lineOf(value)))

/** `3 runs`, `1 run`, `3 tries`. */
export const counted = (count: number, one: string) =>
  `${count} ${count === 1 ? one : one.endsWith("y") ? `${one.slice(0, -1)}ies` : `${one}s`}`

/** Ends when the reader of stdout has gone, such as `head`: nobody would see what follows. */
export const untilClosed = <E, R>(effect: Effect.Effect<void, E, R>) =>
  Effect.raceFirst(
    effect,
    Effect.callback<void>((resume) => {
      const closed = () => resume(Effect.void)
      process.stdout.once("error", closed)
      return Effect.sync(() => process.stdout.off("error", closed))
    })
  )

/** An answer as text: a text as it is, any other value as JSON. */
export const textOf = (output: unknown): string => typeof output === "string" ? output : JSON.stringify(output)
