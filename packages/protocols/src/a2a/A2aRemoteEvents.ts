// The events of a run that a remote task's updates become, for A2aRemote: text is tokens, other content is content of the name of
// its artifact, and messages of the status are messages. The mark says how much of the task was said, so that the task as it is,
// which a client gets after a broken connection or a restart, adds what is new and nothing twice.
import * as Content from "@fastagentic/core/run/Content"
import * as Event from "@fastagentic/core/run/Event"
import { Schema } from "effect"
import type { RemoteArtifact, RemoteStatus, RemoteUpdate } from "./A2aClient.ts"
import * as A2aContent from "./A2aContent.ts"
import type { Part } from "./A2aSchema.ts"

/** The length of the text and the number of other parts that were said of each artifact, and the messages that were. */
export const Mark = Schema.Struct({
  artifacts: Schema.Record(Schema.String, Schema.Struct({ text: Schema.Int, parts: Schema.Int })),
  messages: Schema.Array(Schema.String)
})
export type Mark = typeof Mark.Type

/** Files of the other server are links here. */
const noLinks: A2aContent.Links = { urlOf: (fileId) => fileId, fileIdOf: () => undefined }

const isText = ({ filename, mediaType = "", text }: Part) => text !== undefined && !filename && !mediaType

export class RemoteEvents {
  private readonly said: Map<string, { readonly text: number; readonly parts: number }>
  private readonly messages: Set<string>
  /** The artifacts as the updates of this connection have made them. */
  private readonly artifacts = new Map<string, { readonly text: string; readonly parts: ReadonlyArray<Part> }>()

  constructor(mark: Mark = { artifacts: {}, messages: [] }) {
    this.said = new Map(Object.entries(mark.artifacts))
    this.messages = new Set(mark.messages)
  }

  get mark(): Mark {
    return { artifacts: Object.fromEntries(this.said), messages: [...this.messages] }
  }

  of(update: RemoteUpdate): ReadonlyArray<Event.Event> {
    if ("task" in update) {
      const { artifacts = [], status } = update.task
      return [...artifacts.flatMap((artifact) => this.add(artifact, false, false)), ...this.status(status)]
    }
    if ("artifactUpdate" in update) {
      const { append = false, artifact, lastChunk = false } = update.artifactUpdate
      return this.add(artifact, append, lastChunk)
    }
    return "statusUpdate" in update ? this.status(update.statusUpdate.status) : []
  }

  /** The events of an artifact as it is now. Text that was said cannot be taken back, so a text that was replaced adds its rest alone. */
  private add({ artifactId, name, parts }: RemoteArtifact, append: boolean, last: boolean): ReadonlyArray<Event.Event> {
    const before = append ? this.artifacts.get(artifactId) : undefined
    const whole = {
      text: (before?.text ?? "") + parts.filter(isText).map(({ text = "" }) => text).join(""),
      parts: [...before?.parts ?? [], ...parts.filter((part) => !isText(part))]
    }
    this.artifacts.set(artifactId, whole)
    const said = this.said.get(artifactId) ?? { text: 0, parts: 0 }
    const delta = whole.text.slice(said.text)
    const contents = whole.parts.slice(said.parts).map((part) => A2aContent.fromPart(part, noLinks))
    this.said.set(artifactId, {
      text: Math.max(said.text, whole.text.length),
      parts: Math.max(said.parts, whole.parts.length)
    })
    const shown = Content.nameOf(name)
    return [
      ...(delta === "" ? [] : [Event.token(delta, artifactId)]),
      ...(contents.length === 0 ? [] : [
        Event.content(contents, { ...(shown === undefined ? {} : { name: shown }), ...(last ? { last: true } : {}) })
      ])
    ]
  }

  /** Questions and failures are told by the run itself. */
  private status({ message, state }: RemoteStatus): ReadonlyArray<Event.Event> {
    const isDone = state === "TASK_STATE_COMPLETED"
    if (message === undefined || (state !== "TASK_STATE_WORKING" && !isDone)) return []
    if (this.messages.has(message.messageId)) return []
    this.messages.add(message.messageId)
    return [
      Event.message(message.parts.map((part) => A2aContent.fromPart(part, noLinks)), isDone ? { last: true } : {})
    ]
  }
}
