// The state that the callbacks of one run share.
import type { Event } from "@fastagentic/core"
import type { CurrentRun } from "@fastagentic/core/run/Run"
import type { BaseMessage } from "@langchain/core/messages"
import { Effect } from "effect"
import type { CallbackMetadata } from "./callbackMetadata.ts"
import type { Place } from "./checkpoints.ts"
import type { Library } from "./library.ts"
import { ToolCallIds } from "./toolCallIds.ts"

/** The shared state of one run's callbacks. */
export interface Session {
  readonly library: Library
  /** Emits in the place of a task, or in that of the open step. */
  readonly emit: (event: Event.Event, path: ReadonlyArray<string>, taskId?: string) => Effect.Effect<void>
  /** The run as each task that is under way sees it. */
  readonly tasks: Map<string, CurrentRun["Service"]>
  /** The run around the graph. */
  readonly top: CurrentRun["Service"]
  readonly toolCallIds: ToolCallIds
  /** Errors thrown by models: their identity distinguishes them from errors of nodes. */
  readonly modelFailures: WeakMap<object, string>
  /** The places of the calls of tools and models of the app, which report by themselves. */
  readonly ofApp: Map<string, CallbackMetadata>
  readonly see: (messages: ReadonlyArray<BaseMessage>) => void
  readonly isNew: (message: BaseMessage) => boolean
}

export const make = (library: Library, place: Place): Session => {
  const toolCallIds = new ToolCallIds()
  const objects = new WeakSet<object>()
  const ids = new Set<string>()

  const tasks = new Map<string, CurrentRun["Service"]>()
  const top = place.current

  const emit = (event: Event.Event, path: ReadonlyArray<string>, taskId = "") =>
    Effect.suspend(() => {
      const named = toolCallIds.named(event)
      return (tasks.get(taskId) ?? place.current).emit(path.length === 0 ? named : { ...named, path })
    })

  const see = (messages: ReadonlyArray<BaseMessage>) => {
    for (const message of messages) {
      objects.add(message)
      if (message.id !== undefined) ids.add(message.id)
    }
  }

  const isNew = (message: BaseMessage) => !objects.has(message) && (message.id === undefined || !ids.has(message.id))

  return { library, emit, tasks, top, toolCallIds, modelFailures: new WeakMap(), ofApp: new Map(), see, isNew }
}
