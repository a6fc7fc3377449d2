/**
 * The JSON of A2A 1.0. Fields that are not named here are ignored.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"

const optional = Schema.optionalKey
const Metadata = Schema.Record(Schema.String, Schema.Json)
const Id = Schema.NonEmptyString.check(Schema.isMaxLength(512))
/** An empty string means none, as in protocol buffers. */
const OptionalId = optional(Schema.String.check(Schema.isMaxLength(512)))

/** The fields of a part, of which it has one. @category constants @since 0.1.0 */
export const contents = ["text", "raw", "url", "data"] as const

/** A piece of a message or an artifact: text, bytes in base64, a URL or any JSON. @category models @since 0.1.0 */
export const Part = Schema.Struct({
  text: optional(Schema.String),
  raw: optional(Schema.String),
  url: optional(Schema.String),
  data: optional(Schema.Json),
  metadata: optional(Metadata),
  filename: optional(Schema.String),
  mediaType: optional(Schema.String)
}).check(Schema.makeFilter((part) =>
  contents.filter((content) => part[content] !== undefined).length === 1 ||
  "Expected exactly one of text, raw, url and data"
))

/** @category models @since 0.1.0 */
export type Part = typeof Part.Type

const Parts = Schema.Array(Part).check(Schema.isMinLength(1))

/** @category models @since 0.1.0 */
export const Message = Schema.Struct({
  messageId: Id,
  contextId: OptionalId,
  taskId: OptionalId,
  role: Schema.Literals(["ROLE_USER", "ROLE_AGENT"]),
  parts: Parts,
  metadata: optional(Metadata),
  extensions: optional(Schema.Array(Schema.String)),
  referenceTaskIds: optional(Schema.Array(Schema.String))
})

/** @category models @since 0.1.0 */
export type Message = typeof Message.Type

/** @category models @since 0.1.0 */
export const TaskState = Schema.Literals([
  "TASK_STATE_SUBMITTED",
  "TASK_STATE_WORKING",
  "TASK_STATE_COMPLETED",
  "TASK_STATE_FAILED",
  "TASK_STATE_CANCELED",
  "TASK_STATE_INPUT_REQUIRED",
  "TASK_STATE_REJECTED",
  "TASK_STATE_AUTH_REQUIRED"
])

/** @category models @since 0.1.0 */
export type TaskState = typeof TaskState.Type

/** Timestamps are ISO 8601 in UTC. @category models @since 0.1.0 */
export const TaskStatus = Schema.Struct({
  state: TaskState,
  message: optional(Message),
  timestamp: optional(Schema.String)
})

/** @category models @since 0.1.0 */
export type TaskStatus = typeof TaskStatus.Type

/** @category models @since 0.1.0 */
export const Artifact = Schema.Struct({
  artifactId: Schema.NonEmptyString,
  name: optional(Schema.String),
  description: optional(Schema.String),
  parts: Parts,
  metadata: optional(Metadata)
})

/** @category models @since 0.1.0 */
export type Artifact = typeof Artifact.Type

/** @category models @since 0.1.0 */
export const Task = Schema.Struct({
  id: Schema.NonEmptyString,
  contextId: Schema.NonEmptyString,
  status: TaskStatus,
  artifacts: optional(Schema.Array(Artifact)),
  history: optional(Schema.Array(Message)),
  metadata: optional(Metadata)
})

/** @category models @since 0.1.0 */
export type Task = typeof Task.Type

/** @category models @since 0.1.0 */
export const TaskStatusUpdateEvent = Schema.Struct({
  taskId: Schema.NonEmptyString,
  contextId: Schema.NonEmptyString,
  status: TaskStatus
})

/** `append` adds the parts to the artifact of that id; otherwise they replace it. @category models @since 0.1.0 */
export const TaskArtifactUpdateEvent = Schema.Struct({
  taskId: Schema.NonEmptyString,
  contextId: Schema.NonEmptyString,
  artifact: Artifact,
  append: optional(Schema.Boolean),
  lastChunk: optional(Schema.Boolean)
})

/** One event of a stream. @category models @since 0.1.0 */
export const StreamResponse = Schema.Union([
  Schema.Struct({ task: Task }),
  Schema.Struct({ message: Message }),
  Schema.Struct({ statusUpdate: TaskStatusUpdateEvent }),
  Schema.Struct({ artifactUpdate: TaskArtifactUpdateEvent })
])

/** @category models @since 0.1.0 */
export type StreamResponse = typeof StreamResponse.Type

/** An id of a push configuration, which is a part of its path. */
const ConfigId = Schema.String.check(Schema.isPattern(/^[\w.~:@-]{0,200}$/u))

/** How deliveries to an address are authenticated. @category models @since 0.1.0 */
export const AuthenticationInfo = Schema.Struct({
  scheme: Schema.String.check(Schema.isPattern(/^[\w!#$%&'*+.^`|~-]{1,64}$/u)),
  credentials: optional(Schema.String.check(Schema.isPattern(/^[\x20-\x7e]{0,4096}$/u)))
})

/** An address to be notified of a task. @category models @since 0.1.0 */
export const TaskPushNotificationConfig = Schema.Struct({
  id: optional(ConfigId),
  taskId: OptionalId,
  url: Schema.NonEmptyString,
  token: optional(Schema.String.check(Schema.isPattern(/^[\x20-\x7e]{0,4096}$/u))),
  authentication: optional(AuthenticationInfo)
})

/** @category models @since 0.1.0 */
export type TaskPushNotificationConfig = typeof TaskPushNotificationConfig.Type

/** Params of `CreateTaskPushNotificationConfig`. @category schemas @since 0.1.0 */
export const CreatePushConfigRequest = Schema.Struct({ ...TaskPushNotificationConfig.fields, taskId: Id })

/** Params of `GetTaskPushNotificationConfig` and `DeleteTaskPushNotificationConfig`. @category schemas @since 0.1.0 */
export const PushConfigRequest = Schema.Struct({ taskId: Id, id: Id })

/** Params of `ListTaskPushNotificationConfigs`. @category schemas @since 0.1.0 */
export const PushConfigsRequest = Schema.Struct({ taskId: Id })

const HistoryLength = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/** Params of `SendMessage` and `SendStreamingMessage`. @category schemas @since 0.1.0 */
export const SendMessageRequest = Schema.Struct({
  message: Schema.Struct({ ...Message.fields, role: Schema.Literal("ROLE_USER") }),
  configuration: optional(Schema.Struct({
    acceptedOutputModes: optional(Schema.Array(Schema.String)),
    historyLength: optional(HistoryLength),
    returnImmediately: optional(Schema.Boolean),
    taskPushNotificationConfig: optional(TaskPushNotificationConfig)
  })),
  metadata: optional(Metadata)
})

/** @category models @since 0.1.0 */
export type SendMessageRequest = typeof SendMessageRequest.Type

/** @category schemas @since 0.1.0 */
export const GetTaskRequest = Schema.Struct({ id: Id, historyLength: optional(HistoryLength) })

/** A time as ProtoJSON has it: RFC 3339 with a zone. */
const Timestamp = Schema.String.check(
  Schema.makeFilter((text) =>
    (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/u.test(text) && !Number.isNaN(Date.parse(text))) ||
    "Expected a time such as 2026-01-31T09:00:00Z"
  )
)

/** Params of `ListTasks`. @category schemas @since 0.1.0 */
export const ListTasksRequest = Schema.Struct({
  contextId: OptionalId,
  status: optional(TaskState),
  pageSize: optional(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 }))),
  pageToken: optional(Schema.String),
  historyLength: optional(HistoryLength),
  statusTimestampAfter: optional(Timestamp),
  includeArtifacts: optional(Schema.Boolean)
})

/** A page of tasks; the token of the last page is empty. @category models @since 0.1.0 */
export const ListTasksResponse = Schema.Struct({
  tasks: Schema.Array(Task),
  nextPageToken: Schema.String,
  pageSize: Schema.Int,
  totalSize: Schema.Int
})

/** @category models @since 0.1.0 */
export type ListTasksResponse = typeof ListTasksResponse.Type

/** Params of `CancelTask` and `SubscribeToTask`. @category schemas @since 0.1.0 */
export const TaskRequest = Schema.Struct({ id: Id })

/** A request without an id is a notification and gets no answer. @category models @since 0.1.0 */
export const RequestId = Schema.NullOr(Schema.Union([Schema.String, Schema.Finite]))

/** @category models @since 0.1.0 */
export type RequestId = typeof RequestId.Type

/** A JSON-RPC 2.0 request. @category schemas @since 0.1.0 */
export const JsonRpcRequest = Schema.Struct({
  jsonrpc: Schema.Literal("2.0"),
  method: Schema.String,
  id: optional(RequestId),
  params: optional(Schema.Unknown)
})

/** @category models @since 0.1.0 */
export type JsonRpcRequest = typeof JsonRpcRequest.Type

const Scopes = Schema.Struct({ list: Schema.Array(Schema.String) })

/** Schemes that must all be met, by name, with the scopes they need. @category models @since 0.1.0 */
export const SecurityRequirement = Schema.Struct({ schemes: Schema.Record(Schema.String, Scopes) })

/** @category models @since 0.1.0 */
export type SecurityRequirement = typeof SecurityRequirement.Type

const flow = {
  tokenUrl: Schema.String,
  refreshUrl: optional(Schema.String),
  scopes: Schema.Record(Schema.String, Schema.String)
}

/** A flow of OAuth 2; each is a scheme of its own. @category models @since 0.1.0 */
export const OAuthFlows = Schema.Union([
  Schema.Struct({
    authorizationCode: Schema.Struct({
      authorizationUrl: Schema.String,
      ...flow,
      pkceRequired: optional(Schema.Boolean)
    })
  }),
  Schema.Struct({ clientCredentials: Schema.Struct(flow) }),
  Schema.Struct({ deviceCode: Schema.Struct({ deviceAuthorizationUrl: Schema.String, ...flow }) })
])

/** @category models @since 0.1.0 */
export type OAuthFlows = typeof OAuthFlows.Type

/** The security schemes of this server. @category models @since 0.1.0 */
export type SecurityScheme = typeof SecurityScheme.Type

/** The security schemes of this server. @category models @since 0.1.0 */
export const SecurityScheme = Schema.Union([
  Schema.Struct({ httpAuthSecurityScheme: Schema.Struct({ scheme: Schema.String }) }),
  Schema.Struct({ apiKeySecurityScheme: Schema.Struct({ location: Schema.Literal("header"), name: Schema.String }) }),
  Schema.Struct({ oauth2SecurityScheme: Schema.Struct({ flows: OAuthFlows }) }),
  Schema.Struct({ openIdConnectSecurityScheme: Schema.Struct({ openIdConnectUrl: Schema.String }) }),
  Schema.Struct({ mtlsSecurityScheme: Schema.Struct({ description: Schema.String }) })
])

/** @category models @since 0.1.0 */
export const AgentSkill = Schema.Struct({
  id: Schema.NonEmptyString,
  name: Schema.NonEmptyString,
  description: Schema.NonEmptyString,
  tags: Schema.Array(Schema.String).check(Schema.isMinLength(1)),
  examples: optional(Schema.Array(Schema.String)),
  inputModes: Schema.Array(Schema.String),
  outputModes: Schema.Array(Schema.String),
  securityRequirements: optional(Schema.Array(SecurityRequirement))
})

/** @category models @since 0.1.0 */
export type AgentSkill = typeof AgentSkill.Type

/** A JSON Web Signature of a card. @category models @since 0.1.0 */
export const AgentCardSignature = Schema.Struct({ protected: Schema.String, signature: Schema.String })

/** @category models @since 0.1.0 */
export type AgentCardSignature = typeof AgentCardSignature.Type

/** @category models @since 0.1.0 */
export const AgentCard = Schema.Struct({
  name: Schema.NonEmptyString,
  description: Schema.String,
  version: Schema.NonEmptyString,
  iconUrl: optional(Schema.String),
  documentationUrl: optional(Schema.String),
  provider: optional(Schema.Struct({ organization: Schema.String, url: Schema.String })),
  supportedInterfaces: Schema.Array(Schema.Struct({
    url: Schema.NonEmptyString,
    protocolBinding: Schema.String,
    protocolVersion: Schema.String,
    tenant: optional(Schema.String)
  })).check(Schema.isMinLength(1)),
  capabilities: Schema.Struct({
    streaming: Schema.Boolean,
    pushNotifications: Schema.Boolean,
    extendedAgentCard: optional(Schema.Boolean),
    extensions: optional(Schema.Array(Schema.Struct({
      uri: Schema.NonEmptyString,
      description: Schema.String,
      params: Schema.Record(Schema.String, Schema.Json)
    })))
  }),
  securitySchemes: optional(Schema.Record(Schema.String, SecurityScheme)),
  securityRequirements: optional(Schema.Array(SecurityRequirement)),
  defaultInputModes: Schema.Array(Schema.String).check(Schema.isMinLength(1)),
  defaultOutputModes: Schema.Array(Schema.String).check(Schema.isMinLength(1)),
  skills: Schema.Array(AgentSkill),
  signatures: optional(Schema.Array(AgentCardSignature))
})

/** @category models @since 0.1.0 */
export type AgentCard = typeof AgentCard.Type
