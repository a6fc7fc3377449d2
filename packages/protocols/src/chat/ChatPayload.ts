// Which agents can be talked to, and the payload that a message to one of them becomes; the three chat front ends share it.
import type * as Fusion from "@fastagentic/core/app/Fusion"
import * as Content from "@fastagentic/core/run/Content"
import { InvalidPayload, RunError } from "@fastagentic/core/run/RunError"
import { Effect, type Schema } from "effect"
import { contentFieldOf, fieldsOf, fileFieldOf, onlyFor } from "../internal/payloadFields.ts"

type Agent = Pick<Fusion.Callable, "identifier" | "payload">

/** An agent that takes messages: the field of its payload that a message fills, and what else the payload requires. */
export interface Chat {
  readonly _tag: "Chat"
  readonly agent: string
  readonly field: string
  readonly takes: "text" | "content"
  /** The field that one attached file fills; only beside text. */
  readonly file: string | undefined
  /** Further required fields, which requests carry in `payload`. */
  readonly requires: ReadonlyArray<string>
}

/** An agent whose payload no message fills; the problem names the remedy. */
export interface NoChat {
  readonly _tag: "NoChat"
  readonly problem: string
}

/** How messages reach an agent, if they do: as its content, else as its only text that is no choice of words. */
export const chatOf = (agent: Agent): Chat | NoChat => {
  const fields = fieldsOf(agent.payload.json)
  const required = fields.filter((field) => field.required)
  const content = contentFieldOf(agent)
  const texts = fields.filter(({ json }) => json["enum"] === undefined)
  const field = content ?? onlyFor(texts.filter((one) => one.required), "text") ??
    (required.length === 0 ? onlyFor(texts, "text") : undefined)
  if (field === undefined) {
    const listed = fields.length === 0 ? "none" : fields.map(({ name }) => name).join(", ")
    const problem =
      `"${agent.identifier}" takes no chat messages, because no single field of its payload is the text ` +
      `(fields: ${listed}). Give the payload one required string field or one Content.List, or call ` +
      `POST /agents/${agent.identifier}`
    return { _tag: "NoChat", problem }
  }
  const file = content === undefined ? fileFieldOf(agent) : undefined
  return {
    _tag: "Chat",
    agent: agent.identifier,
    field,
    takes: content === undefined ? "text" : "content",
    file,
    requires: required.flatMap(({ name }) => name === field || name === file ? [] : [name])
  }
}

type JsonObject = { readonly [key: string]: Schema.Json }

/** The payload of a message, with further fields that its request carries. */
export const toPayload = Effect.fnUntraced(function*(
  agent: Agent,
  contents: Content.List,
  rest: JsonObject
): Effect.fn.Return<JsonObject, RunError> {
  const chat = chatOf(agent)
  if (chat._tag === "NoChat") return yield* invalid(agent.identifier, [], chat.problem)
  const { field, file, takes } = chat
  if (takes === "content") return { ...rest, [field]: contents }
  const [attached, ...more] = contents.filter(Content.isBinary)
  const other = contents.find((one) => one.type === "link" || one.type === "data")
  if (other !== undefined) return yield* invalid(agent.identifier, [field], `it takes text, and no ${other.type}`)
  const text = Content.textOf(contents)
  if (attached === undefined) return { ...rest, [field]: text }
  if (file === undefined) return yield* invalid(agent.identifier, [field], "it takes text, and no files")
  if (more.length > 0) return yield* invalid(agent.identifier, [file], "it takes one file")
  const { annotations: _annotations, type: _type, ...value } = attached
  return { ...rest, [field]: text, [file]: value }
})

export const invalid = (target: string, path: ReadonlyArray<string>, message: string) =>
  Effect.fail(new RunError({ reason: new InvalidPayload({ target, issues: [{ path, message }] }) }))
