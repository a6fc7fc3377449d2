// The text of an answer for clients that know only text: blocks with an empty line between them, content as Markdown.
import * as Content from "@fastagentic/core/run/Content"
import { addressOf } from "../ai-sdk/UiContent.ts"
import type { ChatPart } from "../chat/ChatPart.ts"
import type { Links } from "../internal/fileLinks.ts"

export class AnswerText {
  private readonly urlOf: Links["urlOf"]
  private hasText = false
  private isNewBlock = false

  constructor({ urlOf }: Links) {
    this.urlOf = urlOf
  }

  /** The text that a part adds; nothing for parts that say nothing. */
  add(part: ChatPart): string {
    switch (part._tag) {
      case "Start":
        if (part.kind === "text") this.isNewBlock = this.hasText
        return ""
      case "Delta":
        return part.kind === "text" ? this.say(part.delta) : ""
      case "Content":
        this.isNewBlock = this.hasText
        return this.say(part.contents.map((one) => markdownOf(one, this.urlOf)).join("\n\n"))
      case "Output":
        // A value for programs would only disturb a reader who has the words.
        return this.hasText ? "" : this.say(JSON.stringify(part.output))
      default:
        return ""
    }
  }

  private say(text: string): string {
    if (text === "") return ""
    const separator = this.isNewBlock ? "\n\n" : ""
    this.isNewBlock = false
    this.hasText = true
    return separator + text
  }
}

const markdownOf = (content: Content.Content, urlOf: Links["urlOf"]): string => {
  switch (content.type) {
    case "text":
      return content.text
    case "data":
      return `\`\`\`json\n${JSON.stringify(content.data, null, 2)}\n\`\`\``
    case "link":
      return `[${labelOf(content.title ?? content.name ?? content.uri)}](${content.uri})`
    default: {
      const label = labelOf(content.name ?? content.mediaType)
      return `${content.type === "image" ? "!" : ""}[${label}](${addressOf(content, urlOf)})`
    }
  }
}

const labelOf = (text: string) => text.replaceAll(/[[\]\n]/gu, " ")
