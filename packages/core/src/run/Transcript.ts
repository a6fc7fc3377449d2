/**
 * The words of a run as they stand while its events arrive: what a later attempt supersedes is taken back.
 *
 * @since 0.1.0
 */
import { covers, isSaid, type RunEvent } from "./Event.ts"

/**
 * The text that a reader of a stream shows: add each event, and show `text` after it.
 *
 * **Example** (A stream of server-sent events in a browser)
 *
 * ```ts
 * const transcript = new Transcript()
 * source.addEventListener("message", ({ data }) => {
 *   transcript.add(JSON.parse(data))
 *   output.textContent = transcript.text
 * })
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export class Transcript {
  /** The tokens that stand, joined. */
  text = ""
  private tokens: Array<Extract<RunEvent, { readonly type: "token" }>> = []

  /** Adds the next event, and returns whether the text has changed. */
  add(event: RunEvent): boolean {
    if (event.type === "token") {
      this.tokens.push(event)
      this.text += event.data.delta
      return event.data.delta !== ""
    }
    if (event.type !== "superseded" || isSaid(event)) return false
    const left = this.tokens.filter((token) => !covers(event.data, token))
    if (left.length === this.tokens.length) return false
    this.tokens = left
    this.text = left.map(({ data }) => data.delta).join("")
    return true
  }
}
