// The JSON of the protocol buffers of version 0.3, which its HTTP+JSON binding answers with.
import { Predicate } from "effect"
import * as A2aHybridCard from "./A2aHybridCard.ts"
import type { Answer } from "./A2aReply.ts"
import type {
  Artifact,
  Message,
  Part,
  StreamResponse,
  Task,
  TaskPushNotificationConfig,
  TaskStatus
} from "./A2aSchema.ts"
import { isLast } from "./A2aV03.ts"

export const answer = (answer: Answer): unknown => {
  switch (answer._tag) {
    case "Sent":
      return { task: taskOf(answer.task) }
    case "Message":
      return { message: messageOf(answer.message) }
    case "Task":
      return taskOf(answer.task)
    case "Tasks":
      return { ...answer.page, tasks: answer.page.tasks.map(taskOf) }
    case "Card":
      return { ...A2aHybridCard.make(answer.card), security: answer.card.securityRequirements ?? [] }
    case "PushConfig":
      return pushOf(answer.config)
    case "PushConfigs":
      return { configs: answer.configs.map(pushOf), nextPageToken: "" }
    case "Done":
      return {}
  }
}

export const update = (update: StreamResponse, closesWhenAsked: boolean): unknown => {
  if ("task" in update) return { task: taskOf(update.task) }
  if ("message" in update) return { message: messageOf(update.message) }
  if ("artifactUpdate" in update) {
    const { artifact, ...rest } = update.artifactUpdate
    return { artifactUpdate: { ...rest, artifact: artifactOf(artifact) } }
  }
  const { status, ...rest } = update.statusUpdate
  return { statusUpdate: { ...rest, status: statusOf(status), final: isLast(status, closesWhenAsked) } }
}

const pushOf = ({ authentication, id = "", taskId = "", ...config }: TaskPushNotificationConfig) => ({
  name: `tasks/${taskId}/pushNotificationConfigs/${id}`,
  pushNotificationConfig: {
    id,
    ...config,
    ...(authentication === undefined ? {} : { authentication: { schemes: [authentication.scheme] } })
  }
})

const taskOf = ({ artifacts, history, status, ...task }: Task) => ({
  ...task,
  status: statusOf(status),
  ...(artifacts === undefined ? {} : { artifacts: artifacts.map(artifactOf) }),
  ...(history === undefined ? {} : { history: history.map(messageOf) })
})

const statusOf = ({ message, state, timestamp }: TaskStatus) => ({
  state: state === "TASK_STATE_CANCELED" ? "TASK_STATE_CANCELLED" : state,
  ...(message === undefined ? {} : { message: messageOf(message) }),
  ...(timestamp === undefined ? {} : { timestamp })
})

const artifactOf = ({ parts, ...artifact }: Artifact) => ({ ...artifact, parts: parts.map(partOf) })

export const messageOf = ({ parts, ...message }: Message) => ({ ...message, content: parts.map(partOf) })

const partOf = ({ data, filename, mediaType, metadata, raw, text, url }: Part) => {
  const more = metadata === undefined ? {} : { metadata }
  if (text !== undefined) return { text, ...more }
  if (raw === undefined && url === undefined) {
    return {
      data: { data: Predicate.isObject(data) && !Array.isArray(data) ? data : { value: data ?? null } },
      ...more
    }
  }
  return {
    file: {
      ...(raw === undefined ? { fileWithUri: url } : { fileWithBytes: raw }),
      ...(mediaType === undefined ? {} : { mimeType: mediaType }),
      ...(filename === undefined ? {} : { name: filename })
    },
    ...more
  }
}
