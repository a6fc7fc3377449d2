// Reads a graph's streamed items and its final state.
import { Predicate } from "effect"

/** One item of `graph.stream` with several modes and subgraphs. */
export const readChunk = (chunk: unknown) => {
  const [namespace, mode, value]: ReadonlyArray<unknown> = Array.isArray(chunk) ? chunk : []
  const path = Array.isArray(namespace) ? namespace.map((segment) => String(segment).split(":")[0] ?? "") : []
  return { mode, path, value }
}

/** A question that a graph waits with. */
export interface Question {
  readonly id: string
  readonly value: unknown
  readonly schema: unknown
}

/** The questions that a state waits with. */
export const questionsOf = (state: unknown): ReadonlyArray<Question> => {
  const asked: unknown = Predicate.hasProperty(state, "__interrupt__") ? state["__interrupt__"] : []
  return Array.isArray(asked)
    ? asked.map((one: unknown) => ({
      id: Predicate.hasProperty(one, "id") ? String(one.id) : "",
      value: Predicate.hasProperty(one, "value") ? one.value : undefined,
      schema: Predicate.hasProperty(one, "response_schema") ? one.response_schema : undefined
    }))
    : []
}

/** The text of the last message of a state. */
export const answerOf = (state: unknown): string => {
  const messages = Predicate.hasProperty(state, "messages") ? state.messages : state
  const last: unknown = Array.isArray(messages) ? messages.at(-1) : undefined
  return Predicate.hasProperty(last, "text") && typeof last.text === "string" ? last.text : ""
}
