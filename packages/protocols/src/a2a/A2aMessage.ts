// Reads a message as the payload of a new run, or as the answer to a question of a suspended run.
import { decoder } from "@fastagentic/core/base/Validation"
import * as Content from "@fastagentic/core/run/Content"
import type { Data } from "@fastagentic/core/run/Event"
import * as File from "@fastagentic/core/run/File"
import * as Interrupt from "@fastagentic/core/run/Interrupt"
import { Effect, Option, Predicate, Schema } from "effect"
import * as A2aContent from "./A2aContent.ts"
import * as A2aError from "./A2aError.ts"
import type { Message, Part } from "./A2aSchema.ts"
import type { Skill } from "./A2aSkill.ts"

type JsonObject = { readonly [key: string]: Schema.Json }

/**
 * The payload that a message to a skill carries.
 *
 * **Details**
 *
 * A data part is the payload itself; of several, later ones win. Text fills the payload's only required string field,
 * bytes its only required field in base64, a URL its only required field of format `uri`. A part with bytes or with the
 * address of a stored file fills the payload's only file. A payload that takes content takes all parts, unless one of them is
 * the payload itself.
 */
export const toPayload = Effect.fnUntraced(function*(
  skill: Skill,
  { parts: all }: Message,
  links: A2aContent.Links
): Effect.fn.Return<JsonObject, A2aError.A2aError> {
  yield* knownMediaTypes(all)
  const { content: contentField, file: fileField } = skill
  if (contentField !== undefined && !all.some(({ data }) => isObjectWith(data, contentField))) {
    return { [contentField]: all.map((part) => A2aContent.fromPart(part, links)) }
  }
  const [file, ...files] = fileField === undefined ? [] : all.filter((part) => isFile(part, links))
  if (files.length > 0) return yield* wants(skill, "it takes one file")
  const parts = all.filter((part) => part !== file)
  let payload: JsonObject = {}
  for (const { data } of parts) {
    if (data === undefined) continue
    if (!isObject(data)) return yield* wants(skill, "a data part has to be an object")
    payload = { ...payload, ...data }
  }
  for (const content of ["text", "raw", "url"] as const) {
    const values = parts.flatMap((part) => part[content] ?? [])
    const [first] = values
    if (first === undefined) continue
    const field = skill.fields[content]
    if (field === undefined) {
      return yield* content === "text"
        ? wants(skill, "it takes no plain text")
        : A2aError.contentTypeNotSupported(`"${skill.agent.identifier}" takes no ${content} part`)
    }
    if (field in payload) return yield* wants(skill, `its field "${field}" is given twice`)
    if (content !== "text" && values.length > 1) return yield* wants(skill, `it takes one ${content} part`)
    payload = { ...payload, [field]: content === "text" ? values.join("\n") : first }
  }
  if (file === undefined || fileField === undefined) return payload
  if (fileField in payload) return yield* wants(skill, `its field "${fileField}" is given twice`)
  return { ...payload, [fileField]: fileOf(file, links) }
})

/** Whether a part has the bytes of a file, or names a stored one. */
const isFile = ({ raw, url }: Part, { fileIdOf }: A2aContent.Links) =>
  raw !== undefined || (url !== undefined && fileIdOf(url) !== undefined)

const fileOf = (part: Part, links: A2aContent.Links): JsonObject => {
  const content = A2aContent.fromPart(part, links)
  if (!Content.isBinary(content)) return {}
  const { annotations: _annotations, type: _type, ...file } = content
  return file
}

const isObjectWith = (data: Schema.Json | undefined, field: string) =>
  data !== undefined && isObject(data) && field in data

const isObject = (value: Schema.Json): value is JsonObject => Predicate.isObject(value) && !Array.isArray(value)

const wants = ({ agent, required }: Skill, problem: string) =>
  A2aError.invalidParams(
    `"${agent.identifier}" wants ${required.map(({ name }) => name).join(", ") || "a data part"}: ${problem}`,
    { violations: required.map(({ name, type }) => ({ field: name, description: `Expected ${type}` })) }
  )

const knownMediaTypes = (parts: ReadonlyArray<Part>) => {
  const odd = parts.find(({ data, mediaType = "", text }) =>
    (text !== undefined && !/^(text\/|$)/u.test(mediaType)) ||
    (data !== undefined && !/^(application\/(.+\+)?json|$)/u.test(mediaType))
  )
  return odd === undefined
    ? Effect.void
    : Effect.fail(A2aError.contentTypeNotSupported(`a part of type "${odd.mediaType}" does not hold that`))
}

/** The message parts that carry a payload. */
export const fromPayload = (
  skill: Skill | undefined,
  payload: Schema.Json,
  links: A2aContent.Links
): ReadonlyArray<Part> => {
  if (skill === undefined || !isObject(payload)) return [{ data: payload }]
  const { content: contentField, fields, file: fileField } = skill
  const { [contentField ?? ""]: content, ...besides } = payload
  if (Object.keys(besides).length === 0 && Content.isList(content)) {
    return content.map((one) => A2aContent.toPart(one, links))
  }
  const { [fileField ?? ""]: file, ...rest } = payload
  const part = asFilePart(file, links)
  const others = part === undefined ? payload : rest
  const [[name, only] = [], ...more] = Object.entries(others)
  if (part !== undefined && name === undefined) return [part]
  const said: Part = more.length === 0 && name === fields.text && typeof only === "string"
    ? { text: only }
    : { data: others }
  return part === undefined ? [said] : [said, part]
}

/** A message without the bytes of its files, which the payload has. */
export const withoutBytes = (message: Message): Message =>
  message.parts.some(({ raw }) => raw !== undefined)
    ? { ...message, parts: message.parts.map((part) => part.raw === undefined ? part : { ...part, raw: "" }) }
    : message

/** A message with its files as the payload has them: by address where the server keeps files. */
export const withFiles = (
  message: Message,
  skill: Skill | undefined,
  payload: Schema.Json,
  links: A2aContent.Links
): Message => {
  if (skill === undefined || !isObject(payload) || message.parts.every(({ raw }) => raw !== "")) return message
  const { content: contentField = "", fields, file: fileField = "" } = skill
  const content = payload[contentField]
  const bytes = payload[fields.raw ?? ""]
  const partOf = (index: number): Part | undefined => {
    const one = Content.isList(content) ? content[index] : undefined
    if (one !== undefined) return A2aContent.toPart(one, links)
    return asFilePart(payload[fileField], links) ?? (typeof bytes === "string" ? { raw: bytes } : undefined)
  }
  return {
    ...message,
    parts: message.parts.map((part, index) => {
      const { raw, url } = part.raw === "" ? partOf(index) ?? {} : {}
      if (raw !== undefined) return { ...part, raw }
      const { raw: _raw, ...rest } = part
      return url === undefined ? part : { ...rest, url }
    })
  }
}

const decodeFile = Schema.decodeUnknownOption(File.make())

const asFilePart = (value: Schema.Json | undefined, links: A2aContent.Links): Part | undefined => {
  const file = Option.getOrUndefined(decodeFile(value))
  return file === undefined ? undefined : A2aContent.toPart(File.toContent(file), links)
}

/** A message that the agent of a task declares. */
interface Signal {
  readonly name: string
  readonly isText: boolean
}

/**
 * The signal that a message to a task is: the one that its metadata names as `signal`, else the only one of the agent unless
 * the task asks something.
 */
export const signalOf = ({ agent: { signals } }: Skill, { metadata }: Message, asks: boolean): Signal | undefined => {
  const named = metadata?.["signal"]
  const only = asks || signals.size !== 1 ? undefined : [...signals.keys()][0]
  const name = typeof named === "string" ? named : only
  return name === undefined ? undefined : { name, isText: signals.get(name)?.json["type"] === "string" }
}

/** The payload of a signal: its only data part, or its text when the signal is a string. */
export const toSignal = Effect.fnUntraced(function*(
  { isText, name }: Signal,
  { parts }: Message
): Effect.fn.Return<Schema.Json, A2aError.A2aError> {
  yield* knownMediaTypes(parts)
  const data = parts.flatMap((part) => part.data === undefined ? [] : [part.data])
  const text = parts.flatMap((part) => part.text ?? [])
  const [first] = data
  if (first !== undefined && data.length === 1 && text.length === 0) return first
  if (isText && text.length > 0 && data.length === 0) return text.join("\n")
  return yield* A2aError.invalidParams(`the signal "${name}" is ${isText ? "text or " : ""}one data part`)
})

/** A question of a suspended run. */
export type Question = Data<"interrupt">

export interface Answered {
  readonly id: string
  readonly answer: Interrupt.Answer
}

const DataAnswer = Schema.Struct({ id: Schema.optionalKey(Schema.String), ...Interrupt.Answer.fields })
const decodeDataAnswer = decoder(DataAnswer, "ignore")

/**
 * The answer that a message to a suspended task gives.
 *
 * **Details**
 *
 * A data part is `{ decision, value?, reason?, id? }`, where `id` names the question when there are several. Text is
 * approve or yes, deny or no; if the question asks for a string, any text is the value.
 */
export const toAnswer = Effect.fnUntraced(function*(
  { parts }: Message,
  open: ReadonlyArray<Question>
): Effect.fn.Return<Answered, A2aError.A2aError> {
  yield* knownMediaTypes(parts)
  const file = parts.find((part) => part.raw !== undefined || part.url !== undefined)
  if (file !== undefined) return yield* A2aError.contentTypeNotSupported("an answer is text or a data part")
  const [data, ...more] = parts.flatMap((part) => part.data === undefined ? [] : [part.data])
  const text = parts.flatMap((part) => part.text ?? []).join("\n").trim()
  if (more.length > 0) return yield* A2aError.invalidParams("an answer is one data part")
  if (data === undefined) {
    const question = yield* theOnly(open)
    return { id: question.id, answer: yield* fromText(question, text) }
  }
  const { id, ...answer } = yield* Effect.mapError(
    decodeDataAnswer(data),
    (error) =>
      A2aError.invalidParams("an answer is { decision, value?, reason?, id? }", {
        violations: A2aError.violationsOf(error, "message.parts.data")
      })
  )
  return {
    id: id ?? (yield* theOnly(open)).id,
    answer: text === "" || answer.reason !== undefined ? answer : { ...answer, reason: text }
  }
})

const theOnly = (open: ReadonlyArray<Question>): Effect.Effect<Question, A2aError.A2aError> => {
  const [first, ...others] = open
  if (first === undefined) return Effect.fail(A2aError.unsupportedOperation("the task asks for nothing now"))
  if (others.length === 0) return Effect.succeed(first)
  return Effect.fail(A2aError.invalidParams("several decisions are open: answer with a data part that has an id", {
    violations: open.map(({ id, name }) => ({ field: "message.parts.data.id", description: `${id} (${name})` }))
  }))
}

const fromText = (question: Question, text: string): Effect.Effect<Interrupt.Answer, A2aError.A2aError> => {
  const word = text.toLowerCase()
  const wanted = question.kind === "input" ? typeOf(question.responseSchema) : undefined
  if (wanted === "string") return Effect.succeed({ decision: "approve", value: text })
  if (word === "deny") return Effect.succeed({ decision: "deny" })
  if (wanted === "boolean" && (word === "no" || word === "false")) {
    return Effect.succeed({ decision: "approve", value: false })
  }
  if (wanted === "boolean" && (word === "yes" || word === "true" || word === "approve")) {
    return Effect.succeed({ decision: "approve", value: true })
  }
  if (word === "no") return Effect.succeed({ decision: "deny" })
  if (word === "yes" || word === "approve") return Effect.succeed({ decision: "approve" })
  return Effect.fail(A2aError.invalidParams(
    `"${question.name}" is answered with approve, yes, deny or no, or with a data part { decision, value?, reason? }`
  ))
}

const typeOf = (schema: Schema.Json | undefined) =>
  schema !== undefined && isObject(schema) ? schema["type"] : undefined
