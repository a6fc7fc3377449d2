// The bindings and versions of A2A behind one face: requests in the form of version 1.0, answers read back into it. Nothing of
// the server is used, so that a mistake of its translation is seen.
import { Effect } from "effect"

/** JSON of the wire. */
export type Json = Record<string, unknown>

export interface Answered {
  readonly status: number
  readonly headers: Headers
  readonly json: unknown
  /** The result in the form of 1.0; nothing of a refusal. */
  readonly result: unknown
  readonly error:
    | { readonly code: number | string; readonly reason: string; readonly fields: ReadonlyArray<string> }
    | undefined
}

export type Operation =
  | "send"
  | "get"
  | "list"
  | "cancel"
  | "card"
  | "pushCreate"
  | "pushGet"
  | "pushList"
  | "pushDelete"

export interface Wire {
  readonly name: string
  readonly version: "1.0" | "0.3"
  readonly binding: "JSON-RPC" | "HTTP+JSON" | "gRPC"
  readonly call: (
    url: string,
    operation: Operation,
    params: Json,
    headers?: Record<string, string>
  ) => Effect.Effect<Answered>
  readonly stream: (
    url: string,
    operation: "send" | "subscribe",
    params: Json,
    headers?: Record<string, string>
  ) => Effect.Effect<{ readonly response: Response; readonly refused: Answered | undefined; readonly events: Events }>
}

/** The events of a stream, in the form of 1.0 with their ids, as they come. */
export interface Events {
  readonly next: Effect.Effect<{ readonly id: string | undefined; readonly data: Json } | undefined>
  readonly rest: Effect.Effect<ReadonlyArray<{ readonly id: string | undefined; readonly data: Json }>>
  readonly close: Effect.Effect<void>
}

const isJson = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)
export const object = (value: unknown): Json => isJson(value) ? value : {}
export const list = (value: unknown): ReadonlyArray<unknown> => Array.isArray(value) ? value : []
const some = (fields: Json): Json =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

// what is sent

const kindPart = (part: unknown): Json => {
  const { data, filename, mediaType, metadata, raw, text, url } = object(part)
  if (text !== undefined) return some({ kind: "text", text, metadata })
  if (data !== undefined) return some({ kind: "data", data, metadata })
  return some({ kind: "file", file: some({ bytes: raw, uri: url, mimeType: mediaType, name: filename }), metadata })
}

const protoPart = (part: unknown): Json => {
  const { data, filename, mediaType, metadata, raw, text, url } = object(part)
  if (text !== undefined) return some({ text, metadata })
  if (data !== undefined) return some({ data: { data }, metadata })
  const file = some({ fileWithBytes: raw, fileWithUri: url, mimeType: mediaType, name: filename })
  return some({ file, metadata })
}

const roles: Record<string, string> = { ROLE_USER: "user", ROLE_AGENT: "agent" }

export const sentBy03 = (params: Json, isProto: boolean): Json => {
  const { configuration, message, metadata } = params
  const { parts, role, ...rest } = object(message)
  const shaped = isProto
    ? some({ ...rest, role, content: list(parts).map(protoPart) })
    : { kind: "message", ...rest, role: roles[String(role)] ?? role, parts: list(parts).map(kindPart) }
  const { returnImmediately, ...config } = object(configuration)
  const blocking = returnImmediately === undefined ? isProto ? true : undefined : returnImmediately === false
  return some({
    message: shaped,
    configuration: configuration === undefined ? undefined : some({ ...config, blocking }),
    metadata
  })
}

// what comes back

const from03Part = (part: unknown): Json => {
  const { data, file, kind, metadata, text } = object(part)
  if (file !== undefined) {
    const { bytes, fileWithBytes, fileWithUri, mimeType, name, uri } = object(file)
    return some({ raw: bytes ?? fileWithBytes, url: uri ?? fileWithUri, mediaType: mimeType, filename: name, metadata })
  }
  return some({ text, data: data === undefined || kind === "data" ? data : object(data)["data"], metadata })
}

const fromMessage = (message: unknown): Json => {
  const { content, kind: _kind, parts, role, ...rest } = object(message)
  const named = role === "user" ? "ROLE_USER" : role === "agent" ? "ROLE_AGENT" : role
  return { ...rest, role: named, parts: list(parts ?? content).map(from03Part) }
}

const fromStatus = (status: unknown): Json => {
  const { message, state, ...rest } = object(status)
  const named = String(state).replace("CANCELLED", "CANCELED")
  return some({
    ...rest,
    state: named.startsWith("TASK_STATE_") ? named : `TASK_STATE_${named.toUpperCase().replace("-", "_")}`,
    message: message === undefined ? undefined : fromMessage(message)
  })
}

const fromArtifact = (artifact: unknown): Json => ({
  ...object(artifact),
  parts: list(object(artifact)["parts"]).map(from03Part)
})

/** A message that stands alone, of either form. */
const fromDirect = (json: unknown): Json | undefined => {
  const { kind, message } = object(json)
  if (message !== undefined) return { message: fromMessage(message) }
  return kind === "message" ? { message: fromMessage(json) } : undefined
}

export const fromTask = (task: unknown): Json => {
  const direct = fromDirect(task)
  if (direct !== undefined) return direct
  const { artifacts, history, kind: _kind, status, ...rest } = object(task)
  return some({
    ...rest,
    status: fromStatus(status),
    artifacts: artifacts === undefined ? undefined : list(artifacts).map(fromArtifact),
    history: history === undefined ? undefined : list(history).map(fromMessage)
  })
}

export const fromUpdate = (json: unknown): Json => {
  const direct = fromDirect(json)
  if (direct !== undefined) return direct
  const { artifactUpdate, kind, statusUpdate, task, ...rest } = object(json)
  if (task !== undefined || kind === "task") return { task: fromTask(task ?? json) }
  const status = statusUpdate ?? (kind === "status-update" ? rest : undefined)
  if (status !== undefined) {
    return { statusUpdate: { ...object(status), status: fromStatus(object(status)["status"]) } }
  }
  const artifact = artifactUpdate ?? rest
  return { artifactUpdate: { ...object(artifact), artifact: fromArtifact(object(artifact)["artifact"]) } }
}

// errors

const errorOf = (json: unknown): Answered["error"] => {
  const body = object(json)
  const error = isJson(body["error"]) ? body["error"] : typeof body["code"] === "number" ? body : undefined
  if (error === undefined) return undefined
  const details = [...list(error["details"]), ...list(error["data"])].map(object)
  const own = object(error["data"])
  const info = details.find(({ reason }) => reason !== undefined) ?? own
  const violations = details.flatMap(({ fieldViolations }) => list(fieldViolations)).concat(
    list(own["fieldViolations"])
  )
  return {
    code: Number(error["code"]),
    reason: String(info["reason"]),
    fields: violations.map((one) => String(object(one)["field"]))
  }
}

const answered = (response: Response, read: (json: unknown) => unknown) =>
  Effect.promise(async (): Promise<Answered> => {
    const text = await response.text()
    const json: unknown = text === "" ? undefined : JSON.parse(text)
    const error = errorOf(json)
    return {
      status: response.status,
      headers: response.headers,
      json,
      error,
      result: error === undefined ? read(json) : undefined
    }
  })

async function* frames(response: Response) {
  let buffer = ""
  const decoder = new TextDecoder()
  for await (const chunk of response.body ?? []) {
    buffer += decoder.decode(chunk, { stream: true })
    const parts = buffer.split("\n\n")
    buffer = parts.pop() ?? ""
    for (const part of parts) {
      const field = (name: string) =>
        part.split("\n").find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2)
      const data = field("data")
      if (data !== undefined) yield { id: field("id"), data: JSON.parse(data) as unknown }
    }
  }
}

const eventsOf = (response: Response, read: (json: unknown) => Json): Events => {
  const all = frames(response)
  const next = Effect.promise(async () => {
    const { value } = await all.next()
    return value === undefined ? undefined : { id: value.id, data: read(value.data) }
  })
  return {
    next,
    rest: Effect.promise(async () => {
      const found: Array<{ id: string | undefined; data: Json }> = []
      for await (const { data, id } of all) found.push({ id, data: read(data) })
      return found
    }),
    close: Effect.promise(() => Promise.resolve(response.body?.cancel()).catch(() => undefined)).pipe(Effect.ignore)
  }
}

const streamed = (response: Response, read: (json: unknown) => Json, readError: (json: unknown) => unknown) =>
  Effect.gen(function*() {
    const isStream = response.headers.get("content-type")?.startsWith("text/event-stream") === true
    return {
      response,
      refused: isStream ? undefined : yield* answered(response, readError),
      events: eventsOf(response, read)
    }
  })

const send = (url: string, init: RequestInit) => Effect.promise(() => fetch(url, init))
const same = (json: unknown) => json
const unwrap = (json: unknown) => object(json)["task"] ?? json

// JSON-RPC

const rpcNames = {
  "1.0": {
    send: "SendMessage",
    stream: "SendStreamingMessage",
    get: "GetTask",
    list: "ListTasks",
    cancel: "CancelTask",
    subscribe: "SubscribeToTask",
    card: "GetExtendedAgentCard",
    pushCreate: "CreateTaskPushNotificationConfig",
    pushGet: "GetTaskPushNotificationConfig",
    pushList: "ListTaskPushNotificationConfigs",
    pushDelete: "DeleteTaskPushNotificationConfig"
  },
  "0.3": {
    send: "message/send",
    stream: "message/stream",
    get: "tasks/get",
    list: "tasks/list",
    cancel: "tasks/cancel",
    subscribe: "tasks/resubscribe",
    card: "agent/getAuthenticatedExtendedCard",
    pushCreate: "tasks/pushNotificationConfig/set",
    pushGet: "tasks/pushNotificationConfig/get",
    pushList: "tasks/pushNotificationConfig/list",
    pushDelete: "tasks/pushNotificationConfig/delete"
  }
} as const

const rpcParams = (version: "1.0" | "0.3", operation: string, params: Json): Json => {
  if (version === "1.0") return params
  const { id, taskId, ...rest } = params
  switch (operation) {
    case "send":
    case "stream":
      return sentBy03(params, false)
    case "pushCreate": {
      const { authentication, ...config } = rest
      const { credentials, scheme } = object(authentication)
      const named = authentication === undefined ? {} : { authentication: some({ schemes: [scheme], credentials }) }
      return { taskId, pushNotificationConfig: some({ id, ...config, ...named }) }
    }
    case "pushGet":
    case "pushDelete":
      return some({ id: taskId, pushNotificationConfigId: id })
    case "pushList":
      return some({ id: taskId })
    default:
      return params
  }
}

const rpc = (version: "1.0" | "0.3"): Wire => {
  const request = (operation: keyof typeof rpcNames["1.0"], params: Json, headers: Record<string, string> = {}) => ({
    method: "POST",
    headers: { "content-type": "application/json", ...(version === "1.0" ? { "a2a-version": "1.0" } : {}), ...headers },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: rpcNames[version][operation],
      params: rpcParams(version, operation, params)
    })
  })
  const result = (json: unknown) => object(json)["result"]
  const isTask = (operation: string) => ["send", "get", "cancel"].includes(operation)
  const read = (operation: string) => (json: unknown) =>
    isTask(operation)
      ? version === "1.0" ? unwrap(result(json)) : fromTask(result(json))
      : result(json)
  return {
    name: `JSON-RPC ${version}`,
    version,
    binding: "JSON-RPC",
    call: (url, operation, params, headers) =>
      Effect.flatMap(
        send(url, request(operation, params, headers)),
        (response) => answered(response, read(operation))
      ),
    stream: (url, operation, params, headers) =>
      Effect.flatMap(
        send(url, request(operation === "send" ? "stream" : "subscribe", params, headers)),
        (response) =>
          streamed(
            response,
            (json) => version === "1.0" ? object(result(json)) : fromUpdate(result(json)),
            same
          )
      )
  }
}

// HTTP+JSON

const rest = (version: "1.0" | "0.3"): Wire => {
  const is03 = version === "0.3"
  const base = is03 ? "/v1" : ""
  const headersOf = (headers: Record<string, string> = {}) => ({
    ...(is03 ? {} : { "a2a-version": "1.0" }),
    ...headers
  })
  const body = (params: Json, headers?: Record<string, string>) => ({
    method: "POST",
    headers: { "content-type": "application/json", ...headersOf(headers) },
    body: JSON.stringify(params)
  })
  const query = (params: Json) => {
    const text = new URLSearchParams(Object.entries(params).map(([name, value]) => [name, String(value)])).toString()
    return text === "" ? "" : `?${text}`
  }
  const shaped = (params: Json) => is03 ? sentBy03(params, true) : params
  const request = (
    operation: Operation,
    params: Json,
    headers?: Record<string, string>
  ): readonly [string, RequestInit] => {
    const { id, taskId, ...more } = params
    const [task, config] = [encodeURIComponent(String(taskId)), encodeURIComponent(String(id))]
    switch (operation) {
      case "send":
        return ["/message:send", body(shaped(params), headers)]
      case "get":
        return [`/tasks/${config}${query(more)}`, { headers: headersOf(headers) }]
      case "list":
        return [`/tasks${query(params)}`, { headers: headersOf(headers) }]
      case "cancel":
        return [`/tasks/${config}:cancel`, { method: "POST", headers: headersOf(headers) }]
      case "card":
        return [is03 ? "/card" : "/extendedAgentCard", { headers: headersOf(headers) }]
      case "pushCreate":
        return [
          `/tasks/${task}/pushNotificationConfigs`,
          body(is03 ? rpcParams("0.3", "pushCreate", params) : some({ id, ...more }), headers)
        ]
      case "pushGet":
        return [`/tasks/${task}/pushNotificationConfigs/${config}`, { headers: headersOf(headers) }]
      case "pushList":
        return [`/tasks/${task}/pushNotificationConfigs`, { headers: headersOf(headers) }]
      case "pushDelete":
        return [`/tasks/${task}/pushNotificationConfigs/${config}`, { method: "DELETE", headers: headersOf(headers) }]
    }
  }
  const read = (operation: Operation) => (json: unknown) => {
    if (["send", "get", "cancel"].includes(operation)) return is03 ? fromTask(unwrap(json)) : unwrap(json)
    return operation === "list" && is03
      ? { ...object(json), tasks: list(object(json)["tasks"]).map(fromTask) }
      : json
  }
  return {
    name: `HTTP+JSON ${version}`,
    version,
    binding: "HTTP+JSON",
    call: (url, operation, params, headers) => {
      const [path, init] = request(operation, params, headers)
      return Effect.flatMap(send(url + base + path, init), (response) => answered(response, read(operation)))
    },
    stream: (url, operation, params, headers) =>
      Effect.flatMap(
        operation === "send"
          ? send(`${url}${base}/message:stream`, body(shaped(params), headers))
          : send(`${url}${base}/tasks/${String(params["id"])}:subscribe`, { headers: headersOf(headers) }),
        (response) => streamed(response, is03 ? fromUpdate : object, same)
      )
  }
}

/** The bindings of HTTP. */
export const wires: ReadonlyArray<Wire> = [rpc("1.0"), rest("1.0"), rpc("0.3"), rest("0.3")]
