// The artifacts of a task, from the events of its run: what is streamed, the content that is said, and the answer. A2aTask
// applies each event once, in order; every update here is what a client needs to have the same artifacts.
import * as Content from "@fastagentic/core/run/Content"
import { covers, type Data, type RunEvent } from "@fastagentic/core/run/Event"
import type { Schema } from "effect"
import * as A2aContent from "./A2aContent.ts"
import type { Artifact, Part } from "./A2aSchema.ts"

/** The form of the answer decides the artifact of the tokens, and the parts of the answer. */
interface Answers {
  readonly answersText: boolean
  readonly agent: { readonly success: { readonly hasContent: boolean } }
}

/** A change of an artifact, without its task. */
export interface ArtifactUpdate {
  readonly artifact: Artifact
  readonly append: boolean
  readonly lastChunk: boolean
}

type Said = Extract<RunEvent, { readonly type: "content" }>
type Token = Extract<RunEvent, { readonly type: "token" }>

/** The ids that artifacts without a name have. */
const ownIds: ReadonlySet<string> = new Set(["text", "content", "output"])

/** The artifact of content: one for each name, and one for content without a name. */
const idOf = (name: string | undefined) => name === undefined ? "content" : ownIds.has(name) ? `content/${name}` : name

export class TaskArtifacts {
  /** The ids of the artifacts in the order of their first updates. */
  private readonly ids = new Set<string>()
  /** The text of all tokens. */
  private text: string | undefined
  private tokens: Array<Token> = []
  /** The events of content that count, by the artifact that they are pieces of. */
  private readonly contents = new Map<string, Array<Said>>()
  private output: ReadonlyArray<Part> | undefined
  private readonly links: A2aContent.Links
  private readonly answersContent: boolean
  private readonly streamed: "output" | "text"

  constructor(links: A2aContent.Links, skill: Answers | undefined) {
    this.links = links
    this.answersContent = skill?.agent.success.hasContent === true
    this.streamed = skill?.answersText === true ? "output" : "text"
  }

  /** All artifacts as they are. */
  all(): ReadonlyArray<Artifact> {
    return Array.from(this.ids, (id) => {
      const said = this.contents.get(id)
      if (said !== undefined) return this.shown(said)
      return { artifactId: id, parts: (id === "output" ? this.output : undefined) ?? [{ text: this.text ?? "" }] }
    })
  }

  /** The parts of the content and of the answer, which a direct message has. */
  answer(): ReadonlyArray<Part> {
    return this.all().flatMap(({ artifactId, parts }) => artifactId === "text" ? [] : parts)
  }

  /** Adds tokens, whose text is `delta`. */
  say(delta: string, tokens: ReadonlyArray<Token>): ArtifactUpdate {
    const append = this.text !== undefined
    this.ids.add(this.streamed)
    this.text = (this.text ?? "") + delta
    this.note(tokens)
    return { artifact: { artifactId: this.streamed, parts: [{ text: delta }] }, append, lastChunk: false }
  }

  /** Keeps tokens whose text is said later, or is empty. */
  note(tokens: ReadonlyArray<Token>) {
    for (const token of tokens) this.tokens.push(token)
  }

  /** Adds content to its artifact. */
  show(event: Said): ArtifactUpdate {
    const id = idOf(event.data.name)
    const known = this.contents.get(id)
    this.ids.add(id)
    if (known === undefined) this.contents.set(id, [event])
    else known.push(event)
    return { artifact: this.shown([event]), append: known !== undefined, lastChunk: event.data.last === true }
  }

  /** Replaces the artifacts that have lost events by what is left of them. */
  supersede(range: Data<"superseded">): ReadonlyArray<ArtifactUpdate> {
    const updates: Array<ArtifactUpdate> = []
    for (const [id, said] of this.contents) {
      const left = said.filter((event) => !covers(range, event))
      if (left.length === said.length) continue
      updates.push({ artifact: this.shown(said, left), append: false, lastChunk: false })
      if (left.length > 0) this.contents.set(id, left)
      else {
        this.contents.delete(id)
        this.ids.delete(id)
      }
    }
    const tokens = this.tokens.filter((token) => !covers(range, token))
    if (tokens.length === this.tokens.length) return updates
    this.tokens = tokens
    this.text = tokens.map(({ data }) => data.delta).join("")
    return [...updates, {
      artifact: { artifactId: this.streamed, parts: [{ text: this.text }] },
      append: false,
      lastChunk: false
    }]
  }

  /** The answer itself; an artifact whose text was streamed already is only closed. */
  finish(output: Schema.Json): ReadonlyArray<ArtifactUpdate> {
    const parts = this.answered(output)
    const closed = (artifactId: string): ArtifactUpdate => ({
      artifact: { artifactId, parts: [{ text: "" }] },
      append: true,
      lastChunk: true
    })
    const whole: ArtifactUpdate = { artifact: { artifactId: "output", parts }, append: false, lastChunk: true }
    if (this.streamed === "output" && typeof output === "string") {
      const isSaid = this.text === output
      this.ids.add("output")
      this.text = output
      return [isSaid ? closed("output") : whole]
    }
    const closing = this.text === undefined ? [] : [closed(this.streamed)]
    if (output === null) return closing
    this.output = parts
    this.ids.add("output")
    return [...closing, whole]
  }

  /** The artifact of events; `left` are those of them whose parts it has. */
  private shown(events: ReadonlyArray<Said>, left = events): Artifact {
    const name = events[0]?.data.name
    const parts = left.flatMap(({ data }) => A2aContent.toParts(data.content ?? [], this.links))
    return {
      artifactId: idOf(name),
      ...(name === undefined ? {} : { name }),
      // An artifact without parts is not valid.
      parts: parts.length === 0 ? [{ text: "" }] : parts
    }
  }

  private answered(output: Schema.Json): ReadonlyArray<Part> {
    if (typeof output === "string") return [{ text: output }]
    const contents = Content.isContent(output) ? [output] : output
    return this.answersContent && Content.isList(contents)
      ? A2aContent.toParts(contents, this.links)
      : [{ data: output }]
  }
}
