// An agent as an A2A skill: the parts that a message to it may hold, and the choice of a message's skill.
import type * as Fusion from "@fastagentic/core/app/Fusion"
import { Effect } from "effect"
import { contentFieldOf, fieldsOf, fileFieldOf, type Filling, onlyFor } from "../internal/payloadFields.ts"
import * as A2aError from "./A2aError.ts"
import type { SendMessageRequest } from "./A2aSchema.ts"

export interface Skill {
  readonly agent: Fusion.Callable
  /** The field that each kind of part fills, for the kinds that the agent accepts. */
  readonly fields: { readonly [content in Filling]: string | undefined }
  /** The field that a file part fills, if the payload has one field that is a file. */
  readonly file: string | undefined
  /** The field that takes all parts as content, if the payload has one. */
  readonly content: string | undefined
  /** The required fields of the payload, with their types. */
  readonly required: ReadonlyArray<{ readonly name: string; readonly type: string }>
  /** The answer is a string, so the streamed text is the answer. */
  readonly answersText: boolean
}

export type Skills = ReadonlyMap<string, Skill>

/** The skills of an app, in the order of their declaration. */
export const fromFusion = ({ agents }: Fusion.Fusion): Skills =>
  new Map(Array.from(agents.values(), (agent) => [agent.identifier, make(agent)]))

const make = (agent: Fusion.Callable): Skill => {
  const fields = fieldsOf(agent.payload.json).filter(({ required }) => required)
  return {
    agent,
    fields: { text: onlyFor(fields, "text"), raw: onlyFor(fields, "raw"), url: onlyFor(fields, "url") },
    file: fileFieldOf(agent),
    content: contentFieldOf(agent),
    required: fields.map(({ json, name }) => ({
      name,
      type: typeof json["type"] === "string" ? json["type"] : "JSON"
    })),
    answersText: agent.success.json["type"] === "string"
  }
}

/** The media types of an agent's answers. */
export const outputModesOf = ({ agent: { success }, answersText }: Skill): ReadonlyArray<string> =>
  answersText ? ["text/plain"] : ["application/json", "text/plain", ...(success.hasContent ? ["*/*"] : [])]

/** Refuses a message whose sender takes none of the types that the skill answers with; one that names none takes all. */
export const checkModes = (
  skill: Skill,
  { configuration }: SendMessageRequest
): Effect.Effect<void, A2aError.A2aError> => {
  const accepted = (configuration?.acceptedOutputModes ?? []).filter((mode) => mode.trim() !== "")
  const offered = outputModesOf(skill)
  if (accepted.length === 0 || accepted.some((one) => offered.some((mode) => fits(one, mode)))) return Effect.void
  return Effect.fail(A2aError.contentTypeNotSupported(
    `"${skill.agent.identifier}" answers with ${offered.join(", ")}, and none of it is accepted`,
    {
      violations: [{ field: "configuration.acceptedOutputModes", description: `Expected one of ${offered.join(", ")}` }]
    }
  ))
}

/** A type alone, such as `text` of earlier versions, has all its subtypes; parameters do not count. */
const fits = (accepted: string, offered: string) => {
  const [one, other] = [accepted, offered].map((mode) => {
    const [essence = ""] = mode.toLowerCase().split(";")
    const [type = "*", subtype = "*"] = essence.trim().split("/")
    return { type, subtype }
  })
  const same = (a = "*", b = "*") => a === "*" || b === "*" || a === b
  return same(one?.type, other?.type) && same(one?.subtype, other?.subtype)
}

/** The skill of messages that name none: the first durable one, else the first. */
export const defaultOf = (skills: Skills): Skill | undefined => {
  const all = [...skills.values()]
  return all.find(({ agent }) => agent.durable) ?? all[0]
}

/**
 * The skill of a message: the one of its path, else the one that the request or the message names in its metadata as
 * `skillId` or `skill`, else the default.
 */
export const choose = (
  skills: Skills,
  onPath: string | undefined,
  request: SendMessageRequest
): Effect.Effect<Skill, A2aError.A2aError> => {
  const named = namedIn(request.metadata) ?? namedIn(request.message.metadata)
  if (onPath !== undefined && named !== undefined && named !== onPath) return unknown(named, [onPath])
  const wanted = onPath ?? named
  const skill = wanted === undefined ? defaultOf(skills) : skills.get(wanted)
  return skill === undefined ? unknown(wanted ?? "", [...skills.keys()]) : Effect.succeed(skill)
}

const namedIn = (metadata: SendMessageRequest["metadata"]) => {
  const named = metadata?.["skillId"] ?? metadata?.["skill"]
  return typeof named === "string" ? named : undefined
}

const unknown = (name: string, known: ReadonlyArray<string>) =>
  Effect.fail(A2aError.invalidParams(`there is no skill "${name}" here, but ${known.join(", ") || "none at all"}`, {
    violations: [{ field: "metadata.skillId", description: `Expected one of: ${known.join(", ")}` }]
  }))
