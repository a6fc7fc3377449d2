// Requests of gRPC 0.3, whose fields name resources such as `tasks/1/pushNotificationConfigs/2`, as params of 1.0.
import { Predicate } from "effect"
import type { Name } from "./A2aOperations.ts"
import { toPushConfig, toSend } from "./A2aV03.ts"

type Json = { readonly [key: string]: unknown }

const isObject = (value: unknown): value is Json => Predicate.isObject(value) && !Array.isArray(value)

/** The ids in the name of a resource; a name that is none is the id of a task. */
const idsOf = (name: unknown): { readonly taskId: string; readonly id: string } => {
  const text = typeof name === "string" ? name : ""
  const [, taskId = text, id = ""] = /^tasks\/(.+?)(?:\/pushNotificationConfigs\/(.*))?$/su.exec(text) ?? []
  return { taskId, id }
}

export const paramsOf = (name: Name, json: unknown): unknown => {
  if (!isObject(json)) return json
  const { taskId, id } = idsOf(json["name"] ?? json["parent"])
  switch (name) {
    case "SendMessage":
    case "SendStreamingMessage":
      return toSend(json, true)
    case "GetTask": {
      const { historyLength } = json
      return historyLength === undefined ? { id: taskId } : { id: taskId, historyLength }
    }
    case "CancelTask":
    case "SubscribeToTask":
      return { id: taskId }
    case "CreateTaskPushNotificationConfig": {
      const { config, configId } = json
      const pushed = isObject(config) && isObject(config["pushNotificationConfig"])
        ? config["pushNotificationConfig"]
        : {}
      const named = typeof configId === "string" && configId !== "" ? { id: configId } : {}
      return toPushConfig({ taskId, pushNotificationConfig: { ...pushed, ...named } })
    }
    case "ListTaskPushNotificationConfigs":
      return { taskId }
    case "GetTaskPushNotificationConfig":
    case "DeleteTaskPushNotificationConfig":
      return { taskId, id }
    default:
      return json
  }
}
