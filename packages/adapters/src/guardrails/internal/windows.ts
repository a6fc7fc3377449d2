// Cuts a streamed text into windows that are judged before they leave. The windows depend on the text alone, so that a
// resumed run that says the same again has the same windows.
import type { Passed } from "@fastagentic/core/hook/Hook"
import { Effect } from "effect"

/** `whole` holds everything back until a text has ended. */
export type StreamPolicy = "whole" | {
  /** So many characters are judged at once. */
  readonly every: number
  /** So many of them are held back and judged again with the next ones, so that no phrase is judged only in parts. */
  readonly overlap: number
}

/** A text that is judged gives itself, or another one that leaves instead. */
export const inWindows = <E>(
  policy: StreamPolicy,
  text: string,
  ended: boolean,
  judge: (text: string) => Effect.Effect<string, E>
): Effect.Effect<Passed, E> =>
  Effect.gen(function*() {
    let held = text
    let out = ""
    if (policy !== "whole") {
      while (held.length >= policy.every) {
        const window = held.slice(0, boundary(held, policy.every))
        const passed = yield* judge(window)
        // A window that was changed leaves whole: its end would not match the text that it is judged with again.
        const leaves = passed === window ? boundary(window, window.length - policy.overlap) : window.length
        out += passed === window ? window.slice(0, leaves) : passed
        held = held.slice(leaves)
      }
    }
    if (!ended) return { out, held }
    return { out: held.trim() === "" ? out + held : out + (yield* judge(held)), held: "" }
  })

/** A place that is not inside of a character of two units. */
const boundary = (text: string, at: number) => {
  const code = text.charCodeAt(at - 1)
  return at < text.length && code >= 0xd8_00 && code < 0xdc_00 ? at - 1 : at
}
