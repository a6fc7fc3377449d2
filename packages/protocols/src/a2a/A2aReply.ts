// The answers of operations in version 1.0. Bindings write them to their wire; earlier versions are translated from them.
import type { Fusion } from "@fastagentic/core/app/Fusion"
import type { Caller } from "@fastagentic/core/door/Caller"
import type { RunError } from "@fastagentic/core/run/RunError"
import type { Effect, Stream } from "effect"
import type { A2aError } from "./A2aError.ts"
import type {
  AgentCard,
  ListTasksResponse,
  Message,
  StreamResponse,
  Task,
  TaskPushNotificationConfig
} from "./A2aSchema.ts"
import type { Version } from "./A2aVersion.ts"

/** The caller, and the agent of the path that was called. */
export interface Call {
  readonly caller: Caller
  readonly onPath: string | undefined
  /** The extended card; absent on an open server, whose public card is complete. */
  readonly card: ((visible: Fusion) => Effect.Effect<AgentCard>) | undefined
  /** The version that the request speaks; 1.0 unless its binding says otherwise. */
  readonly version?: Version | undefined
  /** The number of the last event that the client of a stream has seen. */
  readonly lastEventId?: number | undefined
}

/** The updates of a page of the journal, and the number of its last event; a page without updates is a heartbeat. */
export interface Updates {
  readonly seq: number
  readonly updates: ReadonlyArray<StreamResponse>
}

export type Failure = A2aError | RunError

/** One answer, or a stream of updates. `closesWhenAsked` says that the stream also ends when the task waits for somebody. */
export type Reply =
  | { readonly _tag: "Sent" | "Task"; readonly task: Task }
  | { readonly _tag: "Message"; readonly message: Message }
  | { readonly _tag: "Tasks"; readonly page: ListTasksResponse }
  | { readonly _tag: "Card"; readonly card: AgentCard }
  | { readonly _tag: "PushConfig"; readonly config: TaskPushNotificationConfig }
  | { readonly _tag: "PushConfigs"; readonly configs: ReadonlyArray<TaskPushNotificationConfig> }
  | { readonly _tag: "Done" }
  | {
    readonly _tag: "Updates"
    readonly updates: Stream.Stream<Updates, Failure>
    readonly closesWhenAsked: boolean
  }

/** One answer. */
export type Answer = Exclude<Reply, { readonly _tag: "Updates" }>

/** The JSON of an answer in version 1.0. */
export const toJson = (answer: Answer): unknown => {
  switch (answer._tag) {
    case "Sent":
      return { task: answer.task }
    case "Message":
      return { message: answer.message }
    case "Task":
      return answer.task
    case "Tasks":
      return answer.page
    case "Card":
      return answer.card
    case "PushConfig":
      return answer.config
    case "PushConfigs":
      return { configs: answer.configs, nextPageToken: "" }
    case "Done":
      return {}
  }
}
