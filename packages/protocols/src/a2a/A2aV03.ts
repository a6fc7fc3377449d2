// Version 0.3 at the edge: its requests become those of 1.0, and answers of 1.0 become its own. JSON-RPC of 0.3 marks values
// with `kind`, its HTTP+JSON has the JSON of its protocol buffers; requests are understood in both forms.
import { Predicate } from "effect"
import type { A2aError } from "./A2aError.ts"
import * as A2aHybridCard from "./A2aHybridCard.ts"
import type { Name } from "./A2aOperations.ts"
import type { Answer } from "./A2aReply.ts"
import type {
  Artifact,
  Message,
  Part,
  StreamResponse,
  Task,
  TaskPushNotificationConfig,
  TaskState,
  TaskStatus
} from "./A2aSchema.ts"

type Json = { readonly [key: string]: unknown }

const isObject = (value: unknown): value is Json => Predicate.isObject(value) && !Array.isArray(value)

/** Fields without those that are undefined. */
const some = (fields: Json): Json =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

// requests

interface Method {
  readonly name: Name
  readonly params: (params: unknown) => unknown
}

/** The operation and the 1.0 params of a method of JSON-RPC 0.3. */
export const methods: ReadonlyMap<string, Method> = new Map<string, Method>([
  ["message/send", { name: "SendMessage", params: (params) => toSend(params) }],
  ["message/stream", { name: "SendStreamingMessage", params: (params) => toSend(params) }],
  ["tasks/get", { name: "GetTask", params: same }],
  ["tasks/cancel", { name: "CancelTask", params: same }],
  ["tasks/resubscribe", { name: "SubscribeToTask", params: same }],
  ["tasks/pushNotificationConfig/set", { name: "CreateTaskPushNotificationConfig", params: toPushConfig }],
  ["tasks/pushNotificationConfig/get", { name: "GetTaskPushNotificationConfig", params: toPushRequest }],
  ["tasks/pushNotificationConfig/list", { name: "ListTaskPushNotificationConfigs", params: toPushRequest }],
  ["tasks/pushNotificationConfig/delete", { name: "DeleteTaskPushNotificationConfig", params: toPushRequest }],
  ["agent/getAuthenticatedExtendedCard", { name: "GetExtendedAgentCard", params: same }]
])

function same(params: unknown) {
  return params
}

/** `isProto`: a field that has its default value is left out there, and does not block without saying so. */
export const toSend = (params: unknown, isProto = false): unknown => {
  if (!isObject(params)) return params
  const { configuration, message, metadata, request } = params
  return some({
    message: toMessage(message ?? request),
    configuration: isObject(configuration) ? toConfiguration(configuration, isProto) : configuration,
    metadata
  })
}

const toConfiguration = (configuration: Json, isProto: boolean) => {
  const { acceptedOutputModes, blocking = isProto ? false : undefined, historyLength } = configuration
  const push = configuration["pushNotificationConfig"] ?? configuration["pushNotification"]
  return some({
    acceptedOutputModes,
    historyLength,
    returnImmediately: typeof blocking === "boolean" ? !blocking : blocking,
    taskPushNotificationConfig: isObject(push) ? toPush(push) : push
  })
}

export const toMessage = (message: unknown): unknown => {
  if (!isObject(message)) return message
  const { content, contextId, extensions, messageId, metadata, referenceTaskIds, role, taskId } = message
  const parts = message["parts"] ?? content
  return some({
    messageId,
    contextId,
    taskId,
    role: role === "user" ? "ROLE_USER" : role === "agent" ? "ROLE_AGENT" : role,
    parts: Array.isArray(parts) ? parts.map(toPart) : parts,
    metadata,
    extensions,
    referenceTaskIds
  })
}

export const toPart = (part: unknown): unknown => {
  if (!isObject(part)) return part
  const { data, file, kind, metadata, text } = part
  if (isObject(file)) {
    return some({
      raw: file["bytes"] ?? file["fileWithBytes"],
      url: file["uri"] ?? file["fileWithUri"],
      mediaType: file["mimeType"],
      filename: file["name"],
      metadata
    })
  }
  return some({ text, data: kind === undefined && isObject(data) && "data" in data ? data["data"] : data, metadata })
}

const toPush = ({ authentication, id, token, url }: Json) =>
  some({ id, url, token, authentication: isObject(authentication) ? toAuthentication(authentication) : authentication })

/** Version 1.0 has one scheme: the first that is named. */
const toAuthentication = ({ credentials, schemes }: Json) =>
  some({ scheme: Array.isArray(schemes) ? schemes[0] : schemes, credentials })

export function toPushConfig(params: unknown): unknown {
  if (!isObject(params)) return params
  const { pushNotificationConfig, taskId } = params
  // A configuration without an id has that of its task.
  return some({ id: taskId, ...(isObject(pushNotificationConfig) ? toPush(pushNotificationConfig) : {}), taskId })
}

function toPushRequest(params: unknown): unknown {
  if (!isObject(params)) return params
  return some({ taskId: params["id"], id: params["pushNotificationConfigId"] ?? params["id"] })
}

// answers

/** The JSON of an answer in JSON-RPC 0.3. */
export const answer = (answer: Answer): unknown => {
  switch (answer._tag) {
    case "Sent":
    case "Task":
      return taskOf(answer.task)
    case "Message":
      return messageOf(answer.message)
    case "Tasks":
      return { ...answer.page, tasks: answer.page.tasks.map(taskOf) }
    case "Card":
      return A2aHybridCard.make(answer.card)
    case "PushConfig":
      return pushOf(answer.config)
    case "PushConfigs":
      return answer.configs.map(pushOf)
    case "Done":
      return null
  }
}

/** An update of a stream in JSON-RPC 0.3. */
export const update = (update: StreamResponse, closesWhenAsked: boolean): unknown => {
  if ("task" in update) return taskOf(update.task)
  if ("message" in update) return messageOf(update.message)
  if ("artifactUpdate" in update) {
    const { artifact, ...rest } = update.artifactUpdate
    return { kind: "artifact-update", ...rest, artifact: artifactOf(artifact) }
  }
  const { status, ...rest } = update.statusUpdate
  return { kind: "status-update", ...rest, status: statusOf(status), final: isLast(status, closesWhenAsked) }
}

/** The error object of JSON-RPC 0.3, and the whole body of an error of its HTTP+JSON. */
export const error = (error: A2aError, traceId: string) => ({
  code: error.code,
  message: error.message,
  data: {
    reason: error.reason,
    metadata: { ...error.metadata, traceId },
    ...(error.violations.length === 0 ? {} : { fieldViolations: error.violations })
  }
})

const pushOf = ({ authentication, taskId = "", ...config }: TaskPushNotificationConfig): Json => ({
  taskId,
  pushNotificationConfig: {
    ...config,
    ...(authentication === undefined ? {} : { authentication: { schemes: [authentication.scheme] } })
  }
})

/** A task as version 0.3 has it. */
export const taskOf = ({ artifacts, history, status, ...task }: Task): Json => ({
  kind: "task",
  ...task,
  status: statusOf(status),
  ...(artifacts === undefined ? {} : { artifacts: artifacts.map(artifactOf) }),
  ...(history === undefined ? {} : { history: history.map(messageOf) })
})

const statusOf = ({ message, state, timestamp }: TaskStatus): Json => ({
  state: stateOf(state),
  ...(message === undefined ? {} : { message: messageOf(message) }),
  ...(timestamp === undefined ? {} : { timestamp })
})

const stateOf = (state: TaskState) => state.slice("TASK_STATE_".length).toLowerCase().replace("_", "-")

const artifactOf = ({ parts, ...artifact }: Artifact): Json => ({ ...artifact, parts: parts.map(partOf) })

export const messageOf = ({ parts, role, ...message }: Message): Json => ({
  kind: "message",
  ...message,
  role: role === "ROLE_USER" ? "user" : "agent",
  parts: parts.map(partOf)
})

const partOf = ({ data, filename, mediaType, metadata, raw, text, url }: Part): Json => {
  const more = metadata === undefined ? {} : { metadata }
  if (text !== undefined) return { kind: "text", text, ...more }
  if (raw === undefined && url === undefined) return { kind: "data", data: dataOf(data), ...more }
  const described = some({ mimeType: mediaType, name: filename })
  return { kind: "file", file: raw === undefined ? { uri: url, ...described } : { bytes: raw, ...described }, ...more }
}

/** Data of version 0.3 is an object. */
const dataOf = (data: unknown): Json => isObject(data) ? data : { value: data ?? null }

/** Whether a status is the last one of its stream. */
export const isLast = ({ state }: TaskStatus, closesWhenAsked: boolean) =>
  ends.has(state) || (closesWhenAsked && questions.has(state))

const ends: ReadonlySet<TaskState> = new Set([
  "TASK_STATE_COMPLETED",
  "TASK_STATE_FAILED",
  "TASK_STATE_CANCELED",
  "TASK_STATE_REJECTED"
])
const questions: ReadonlySet<TaskState> = new Set(["TASK_STATE_INPUT_REQUIRED", "TASK_STATE_AUTH_REQUIRED"])
