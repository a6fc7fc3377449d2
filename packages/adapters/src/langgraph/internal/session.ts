import type { Event } from "@fastagentic/core"
import { CurrentRun } from "@fastagentic/core/run/Run"
import type { BaseMessage } from "@langchain/core/messages"
import { Effect } from "effect"
import type { Library } from "./library.ts"

/** What the parts of one run share. */
export interface Session {
  readonly library: Library
  readonly emit: (event: Event.Event, path: ReadonlyArray<string>) => Effect.Effect<void>
  /** Calls that a model has asked for and no tool has answered, with their names. */
  readonly asked: Map<string, string>
  /** What models have thrown: their failures are told from those of nodes by identity. */
  readonly modelFailures: WeakMap<object, string>
  readonly see: (messages: ReadonlyArray<BaseMessage>) => void
  readonly isNew: (message: BaseMessage) => boolean
}

export const make = Effect.fnUntraced(function*(library: Library) {
  const run = yield* CurrentRun
  const asked = new Map<string, string>()
  const objects = new WeakSet<object>()
  const ids = new Set<string>()

  const emit = (event: Event.Event, path: ReadonlyArray<string>) =>
    Effect.suspend(() => {
      if (event.type === "tool_call") asked.set(event.data.toolCallId, event.data.name)
      return run.emit(path.length === 0 ? event : { ...event, path })
    })

  const see = (messages: ReadonlyArray<BaseMessage>) => {
    for (const message of messages) {
      objects.add(message)
      if (message.id !== undefined) ids.add(message.id)
    }
  }

  const isNew = (message: BaseMessage) => !objects.has(message) && (message.id === undefined || !ids.has(message.id))

  return { library, emit, asked, modelFailures: new WeakMap(), see, isNew } satisfies Session
})
