// Version 0.3 for the client of remote agents: params of 1.0 become those of its two forms, the JSON of JSON-RPC and that of its
// protocol buffers, and answers in either form become those of 1.0. A2aClientHttp and A2aClientGrpc call it.
import { Predicate } from "effect"
import type { Params } from "./A2aClientWire.ts"
import * as A2aV03 from "./A2aV03.ts"
import * as A2aV03Proto from "./A2aV03Proto.ts"

type Json = { readonly [key: string]: unknown }

const objectOf = (value: unknown): Json => Predicate.isObject(value) && !Array.isArray(value) ? value : {}

const listOf = (value: unknown): ReadonlyArray<unknown> => Array.isArray(value) ? value : []

/** The methods of JSON-RPC. */
export const methods = {
  SendMessage: "message/send",
  GetTask: "tasks/get",
  CancelTask: "tasks/cancel",
  SubscribeToTask: "tasks/resubscribe"
} as const

/** The params of a message in one of the forms, whose configuration of push notifications has a name of its own in each. */
const sendOf =
  (messageOf: (message: never) => unknown, push: string) => ({ configuration, message, ...rest }: Params) => {
    const { historyLength, taskPushNotificationConfig } = objectOf(configuration)
    return {
      ...rest,
      // cast: the message is one that A2aRemote has made.
      message: messageOf(message as never),
      configuration: {
        blocking: false,
        ...(historyLength === undefined ? {} : { historyLength }),
        ...(taskPushNotificationConfig === undefined ? {} : { [push]: pushOf(objectOf(taskPushNotificationConfig)) })
      }
    }
  }

const pushOf = ({ authentication, ...config }: Json) => {
  const { credentials, scheme } = objectOf(authentication)
  return { ...config, ...(scheme === undefined ? {} : { authentication: { schemes: [scheme], credentials } }) }
}

export const toRpc = sendOf(A2aV03.messageOf, "pushNotificationConfig")
export const toProto = sendOf(A2aV03Proto.messageOf, "pushNotification")

// answers

/** The answer to a message: a task or a message, which the JSON of protocol buffers names. */
export const sentOf = (json: unknown): unknown => {
  const { kind, message, messageId, task } = objectOf(json)
  if (task !== undefined) return { task: taskOf(task) }
  if (message !== undefined) return { message: A2aV03.toMessage(message) }
  return kind === "message" || messageId !== undefined
    ? { message: A2aV03.toMessage(json) }
    : { task: taskOf(json) }
}

export const taskOf = (json: unknown): unknown => {
  const { artifacts, status, ...task } = objectOf(json)
  return {
    ...task,
    status: statusOf(status),
    ...(artifacts === undefined ? {} : { artifacts: listOf(artifacts).map(artifactOf) }),
    history: []
  }
}

export const updateOf = (json: unknown): unknown => {
  const { artifactUpdate, kind, statusUpdate } = objectOf(json)
  const status = kind === "status-update" ? json : statusUpdate
  if (status !== undefined) {
    return { statusUpdate: { ...objectOf(status), status: statusOf(objectOf(status)["status"]) } }
  }
  const artifact = kind === "artifact-update" ? json : artifactUpdate
  if (artifact === undefined) return sentOf(json)
  return { artifactUpdate: { ...objectOf(artifact), artifact: artifactOf(objectOf(artifact)["artifact"]) } }
}

const statusOf = (json: unknown) => {
  const { message, state, ...status } = objectOf(json)
  return {
    ...status,
    state: stateOf(String(state)),
    ...(message === undefined || message === null ? {} : { message: A2aV03.toMessage(message) })
  }
}

/** A state that is not known is one in which something may still happen. */
const stateOf = (state: string) => {
  const name = state.replace(/^TASK_STATE_/u, "").replaceAll("-", "_").toUpperCase()
  return `TASK_STATE_${
    name === "CANCELLED" ? "CANCELED" : name === "UNKNOWN" || name === "UNSPECIFIED" ? "WORKING" : name
  }`
}

const artifactOf = (json: unknown) => {
  const { parts, ...artifact } = objectOf(json)
  return { ...artifact, parts: listOf(parts).map(A2aV03.toPart) }
}
