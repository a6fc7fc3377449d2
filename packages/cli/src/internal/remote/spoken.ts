// Prints the words of a run as they come: `call --stream` and `chat` use it. Words that a later attempt supersedes are taken
// back by the text that stands.
import { type Event, Transcript } from "@fastagentic/core"
import { Effect } from "effect"
import * as Output from "../output.ts"

const write = (text: string) => Effect.sync(() => void process.stdout.write(Output.safe(text)))

export class Spoken {
  private readonly transcript = new Transcript.Transcript()
  private atLineStart = true
  hasWords = false

  add(event: Event.RunEvent): Effect.Effect<void> {
    if (!this.transcript.add(event)) return Effect.void
    if (event.type === "token") return this.say(event.data.delta)
    return Effect.andThen(this.endLine(), this.say(`(superseded)\n${this.transcript.text}`))
  }

  /** The words that follow begin on a line of their own. */
  endLine(): Effect.Effect<void> {
    return this.atLineStart ? Effect.void : this.say("\n")
  }

  private say(text: string) {
    if (text === "") return Effect.void
    this.hasWords = true
    this.atLineStart = text.endsWith("\n")
    return write(text)
  }
}
