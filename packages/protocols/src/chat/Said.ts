// The text and content of an answer that its reader has, so that the end adds only the rest. `ChatView` keeps it.
import * as Content from "@fastagentic/core/run/Content"
import type { Schema } from "effect"
import type { ChatPart } from "./ChatPart.ts"

export class Said {
  /** The whole text that stands. */
  private text = ""
  private textBefore = ""
  /** The content that was shown, as JSON. */
  private readonly shown = new Set<string>()
  private readonly answersContent: boolean

  constructor(answersContent: boolean) {
    this.answersContent = answersContent
  }

  add(delta: string) {
    this.text += delta
  }

  /** Ends what `takeBack` can take back. */
  mark() {
    this.textBefore = this.text
  }

  takeBack() {
    this.text = this.textBefore
  }

  /** The part that shows content. */
  show(seq: number, contents: Content.List): ReadonlyArray<ChatPart> {
    for (const one of contents) this.shown.add(JSON.stringify(one))
    return contents.length === 0 ? [] : [{ _tag: "Content", id: `content-${seq}`, contents }]
  }

  /** The parts of an output that were not streamed. */
  rest(seq: number, output: Schema.Json): ReadonlyArray<ChatPart> {
    if (output === null) return []
    if (typeof output === "string") {
      if (this.has(output)) return []
      const id = `text-${seq}`
      return [
        { _tag: "Start", kind: "text", id },
        { _tag: "Delta", kind: "text", id, delta: output },
        { _tag: "End", kind: "text", id }
      ]
    }
    const contents = Content.isContent(output) ? [output] : output
    if (!this.answersContent || !Content.isList(contents)) return [{ _tag: "Output", output }]
    return this.show(
      seq,
      contents.filter((one) => one.type === "text" ? !this.has(one.text) : !this.shown.has(JSON.stringify(one)))
    )
  }

  private has(output: string): boolean {
    const answer = output.trim()
    return answer === "" || this.text.trim().endsWith(answer)
  }
}
