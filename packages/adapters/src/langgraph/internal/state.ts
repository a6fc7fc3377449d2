// Reads a graph's streamed items and its final state.
import { Predicate } from "effect"

/** One item of `graph.stream` with several modes and subgraphs. */
export const readChunk = (chunk: unknown) => {
  const [namespace, mode, value]: ReadonlyArray<unknown> = Array.isArray(chunk) ? chunk : []
  const path = Array.isArray(namespace) ? namespace.map((segment) => String(segment).split(":")[0] ?? "") : []
  return { mode, path, value }
}

/** Whether a state waits for a decision. */
export const isPaused = (state: unknown): boolean => Predicate.hasProperty(state, "__interrupt__")

/** The text of the last message of a state. */
export const answerOf = (state: unknown): string => {
  const messages = Predicate.hasProperty(state, "messages") ? state.messages : state
  const last: unknown = Array.isArray(messages) ? messages.at(-1) : undefined
  return Predicate.hasProperty(last, "text") && typeof last.text === "string" ? last.text : ""
}
