// The signals by which a run takes messages of its chat (`Run.receive`): those whose values a message alone makes.
import type { Callable, Shape } from "@fastagentic/core/app/Fusion"
import * as Content from "@fastagentic/core/run/Content"
import type { RunError } from "@fastagentic/core/run/RunError"
import { Effect, type Schema } from "effect"
import { fillingOf, resolved } from "../internal/payloadFields.ts"
import { chatOf, invalid, toPayload } from "./ChatPayload.ts"

/** How a message makes a value of a shape: as its text, its content, or a field of it. */
const takes = (identifier: string, payload: Shape): "text" | "content" | "field" | undefined => {
  const { files, json } = payload
  if (files?._tag === "Values" && files.each._tag === "File" && files.each.isContent) return "content"
  const target = resolved(json, json["$defs"])
  if (target["enum"] === undefined && fillingOf(target) === "text") return "text"
  const chat = chatOf({ identifier, payload })
  return chat._tag === "Chat" && chat.requires.length === 0 ? "field" : undefined
}

/** The signals of an agent that take messages. */
export const signalsOf = ({ identifier, signals }: Callable): ReadonlyArray<string> =>
  signals.size === 0
    ? []
    : [...signals].flatMap(([name, shape]) => takes(identifier, shape) === undefined ? [] : [name])

/** Whether runs of an agent take messages. */
export const isTakenBy = (agent: Callable): boolean => signalsOf(agent).length > 0

/** The message as a value of a signal. */
export const valueOf = (
  { identifier }: Callable,
  payload: Shape,
  contents: Content.List
): Effect.Effect<Schema.Json, RunError> => {
  const kind = takes(identifier, payload)
  if (kind === "content") return Effect.succeed(contents)
  if (kind === "field") return toPayload({ identifier, payload }, contents, {})
  const other = contents.find((one) => one.type !== "text")
  return other === undefined
    ? Effect.succeed(Content.textOf(contents))
    : invalid(identifier, [], `the run waits for a text, and takes no ${other.type}`)
}
