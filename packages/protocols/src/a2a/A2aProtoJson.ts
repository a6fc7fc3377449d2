// Reads JSON of protocol buffers as its specification allows it: fields in either spelling, enums by number, integers as text,
// and null or the unspecified value for a field that is not set. Every binding of version 1.0 calls it before it decodes.
// Fields that the protocol does not know are left out.
import { Predicate } from "effect"

type Kind = "any" | "value" | "int" | "state" | "role" | Name | readonly [Name]
type Name = keyof typeof messages

const text = "any"

const messages = {
  SendMessageRequest: { tenant: text, message: "Message", configuration: "SendMessageConfiguration", metadata: "any" },
  SendMessageConfiguration: {
    acceptedOutputModes: "any",
    taskPushNotificationConfig: "TaskPushNotificationConfig",
    historyLength: "int",
    returnImmediately: "any"
  },
  Message: {
    messageId: text,
    contextId: text,
    taskId: text,
    role: "role",
    parts: ["Part"],
    metadata: "any",
    extensions: "any",
    referenceTaskIds: "any"
  },
  Part: { text, raw: text, url: text, data: "value", metadata: "any", filename: text, mediaType: text },
  GetTaskRequest: { tenant: text, id: text, historyLength: "int" },
  TaskRequest: { tenant: text, id: text, metadata: "any" },
  ListTasksRequest: {
    tenant: text,
    contextId: text,
    status: "state",
    pageSize: "int",
    pageToken: text,
    historyLength: "int",
    statusTimestampAfter: text,
    includeArtifacts: "any"
  },
  TaskPushNotificationConfig: {
    tenant: text,
    id: text,
    taskId: text,
    url: text,
    token: text,
    authentication: "AuthenticationInfo"
  },
  AuthenticationInfo: { scheme: text, credentials: text },
  PushConfigRequest: { tenant: text, taskId: text, id: text },
  PushConfigsRequest: { tenant: text, taskId: text, pageSize: "int", pageToken: text },
  ExtendedCardRequest: { tenant: text }
} as const satisfies { readonly [name: string]: { readonly [field: string]: string | readonly [string] } }

const fieldsOf: ReadonlyMap<string, ReadonlyMap<string, readonly [string, Kind]>> = new Map(
  Object.entries(messages).map(([name, fields]) => [
    name,
    new Map(
      Object.entries<Kind>(fields).flatMap(([field, kind]) => [
        [field, [field, kind]],
        [field.replaceAll(/[A-Z]/gu, (letter) => `_${letter.toLowerCase()}`), [field, kind]]
      ])
    )
  ])
)

const numbered = (prefix: string, names: ReadonlyArray<string>) =>
  new Map<unknown, string | undefined>([
    [0, undefined],
    [`${prefix}UNSPECIFIED`, undefined],
    ...names.map((name, index): [number, string] => [index + 1, prefix + name])
  ])

const enums = {
  state: numbered("TASK_STATE_", [
    "SUBMITTED",
    "WORKING",
    "COMPLETED",
    "FAILED",
    "CANCELED",
    "INPUT_REQUIRED",
    "REJECTED",
    "AUTH_REQUIRED"
  ]),
  role: numbered("ROLE_", ["USER", "AGENT"])
}

/** The JSON of a message in its plain form; what has another shape is left to the decoder that follows. */
export const read = (name: Name, json: unknown): unknown => {
  const fields = fieldsOf.get(name)
  if (fields === undefined || !Predicate.isObject(json) || Array.isArray(json)) return json
  const message: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(json)) {
    const [field, kind] = fields.get(key) ?? []
    if (field === undefined || kind === undefined || (value === null && kind !== "value")) continue
    const read = convert(kind, value)
    if (read !== undefined) message[field] = read
  }
  return message
}

const convert = (kind: Kind, value: unknown): unknown => {
  switch (kind) {
    case "any":
    case "value":
      return value
    case "int":
      return typeof value === "string" && /^-?\d{1,15}$/u.test(value) ? Number(value) : value
    case "state":
    case "role":
      return enums[kind].has(value) ? enums[kind].get(value) : value
    default: {
      if (typeof kind === "string") return read(kind, value)
      const [name] = kind
      return Array.isArray(value) ? value.map((one) => read(name, one)) : value
    }
  }
}
