// The lines in which people read a run: words in whole lines, everything else as its type and data. Words that a later
// attempt supersedes are taken back, and the text that stands is printed again.
import { Event, Transcript } from "@fastagentic/core"

/** A line is printed without its line break when it is this long. */
const longest = 160

/** The lines of one run; `add` gives those that an event completes, `rest` the words that have no line break yet. */
export class EventLines {
  private readonly transcript = new Transcript.Transcript()
  private words = ""
  private readonly prefix: string

  constructor(prefix = "") {
    this.prefix = prefix
  }

  add(event: Event.RunEvent): ReadonlyArray<string> {
    if (event.type === "token") {
      this.transcript.add(event)
      this.words += event.data.delta
      const lines = this.words.split("\n")
      this.words = lines.pop() ?? ""
      if (this.words.length >= longest) lines.push(...this.taken())
      return lines.map((line) => this.text(line))
    }
    if (this.transcript.add(event)) {
      const taken = this.words === "" ? [] : this.rest()
      const { text } = this.transcript
      this.words = ""
      const stands = text === "" ? [] : text.split("\n").map((line) => this.text(line))
      return [...taken, `${this.prefix}superseded: the text starts again${text === "" ? "" : " with"}`, ...stands]
    }
    return [...this.rest(), `${this.prefix}${event.type}${detailsOf(event)}`]
  }

  rest(): ReadonlyArray<string> {
    return this.taken().map((line) => this.text(line))
  }

  private taken() {
    const { words } = this
    this.words = ""
    return words === "" ? [] : [words]
  }

  private text(line: string) {
    return `${this.prefix}| ${line}`
  }
}

const detailsOf = ({ data, path = [] }: Event.RunEvent) => {
  const place = path.length === 0 ? "" : ` ${path.join("/")}`
  const text = JSON.stringify(data)
  return `${place}${text === "{}" ? "" : ` ${text}`}`
}
