import { NodeWS } from "@effect/platform-node"
import { RunError } from "@fastagentic/core"
import { once } from "node:events"

/** A call as every transport can carry it. */
export interface Call {
  readonly url: string
  readonly headers: Record<string, string>
  readonly agent: string
  readonly payload: unknown
  readonly key: string
  /** The credentials that read the end of a run without a waiting caller. */
  readonly reader: Record<string, string>
}

/** The caller's result: the tag of an error, or the state of the run. */
export interface Outcome {
  readonly tag: string
  readonly rule: string | undefined
  readonly runId: string | undefined
}

export const json = { "content-type": "application/json" }

export const request = async (url: string, init: RequestInit = {}) => {
  const response = await fetch(url, init)
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, body: parse(text) }
}

const parse = (text: string) => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const refusedAs = ({ error, title }: Record<string, Record<string, string>>): Pick<Outcome, "tag" | "rule"> => ({
  tag: String(title),
  rule: error?.["rule"]
})

/** How a run ended, or what it waits for. */
export const settled = async (url: string, runId: string, headers: Record<string, string>): Promise<Outcome> => {
  while (true) {
    const { body } = await request(`${url}/runs/${runId}`, { headers })
    if (body.finishedAt !== undefined || (body.state === "suspended" && body.waitsFor !== undefined)) {
      return { tag: body.error?.tag ?? body.state, rule: body.error?.rule, runId }
    }
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

const send = ({ agent, headers, key, payload, url }: Call, suffix: string) =>
  request(`${url}/agents/${agent}${suffix}`, {
    method: "POST",
    headers: { ...json, ...headers, "idempotency-key": key },
    body: JSON.stringify(payload)
  })

const runIdIn = (headers: Headers) => headers.get("x-run-id") ?? undefined

const restWait = async (call: Call): Promise<Outcome> => {
  const { body, headers, status } = await send(call, "")
  const runId = runIdIn(headers)
  return status < 300 ? { tag: body?.state ?? "completed", rule: undefined, runId } : { ...refusedAs(body), runId }
}

const restBackground = async (call: Call): Promise<Outcome> => {
  const { body, status } = await send(call, "/runs")
  return status < 300
    ? settled(call.url, body.runId, call.reader)
    : { ...refusedAs(body), runId: undefined }
}

const sse = async (call: Call): Promise<Outcome> => {
  const { body, headers, status, text } = await send(call, "/stream")
  const runId = runIdIn(headers)
  if (status >= 300) return { ...refusedAs(body), runId: undefined }
  const events = text.split("\n").filter((line) => line.startsWith("data: ")).map((line) => JSON.parse(line.slice(6)))
  return { ...endOf(events), runId }
}

const endOf = (events: ReadonlyArray<{ readonly type: string; readonly data: Record<string, string> }>) => {
  const last = events.findLast(({ type }) => type === "error" || type === "done" || type === "run_suspended")
  const tag = last?.type === "error" ? last.data["tag"] ?? "" : last?.type === "done" ? "completed" : "suspended"
  return { tag, rule: last?.data["rule"] }
}

/** The refusal of a handshake. */
const refusalOf = (ws: NodeWS.WebSocket) =>
  new Promise<Outcome>((resolve) =>
    ws.on("unexpected-response", (_, response) => {
      let text = ""
      response.setEncoding("utf8")
      response.on("data", (chunk: string) => text += chunk)
      response.on("end", () => resolve({ ...refusedAs(parse(text)), runId: undefined }))
    })
  )

const webSocket = async ({ agent, headers, key, payload, url }: Call): Promise<Outcome> => {
  const ws = new NodeWS.WebSocket(`${url.replace("http", "ws")}/ws`, { headers })
  try {
    const refusal = refusalOf(ws)
    const opened = await Promise.race([once(ws, "open"), refusal])
    if (!Array.isArray(opened)) return opened
    const frames: Array<Record<string, Record<string, string>> & { readonly event?: never }> = []
    const ended = new Promise<Outcome>((resolve) =>
      ws.on("message", (data) => {
        const frame = JSON.parse(String(data))
        frames.push(frame)
        const runId = frames.find((one) => one["run"] !== undefined)?.["run"]?.["runId"]
        if (frame.type === "error") resolve({ ...refusedAs(frame.problem), runId })
        if (frame.type === "event" && ["error", "done", "run_suspended"].includes(frame.event.type)) {
          resolve({ ...endOf([frame.event]), runId })
        }
      })
    )
    ws.send(JSON.stringify({ id: "1", op: "start", agent, payload, idempotencyKey: key }))
    return await ended
  } finally {
    ws.terminate()
  }
}

export const mcpRequest = (method: string, params: Record<string, unknown>, headers: Record<string, string> = {}) => ({
  method: "POST",
  headers: {
    ...json,
    accept: "application/json, text/event-stream",
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": method,
    ...("name" in params ? { "mcp-name": String(params["name"]) } : {}),
    ...("uri" in params ? { "mcp-name": String(params["uri"]) } : {}),
    ...headers
  },
  body: JSON.stringify(mcpMessage(1, method, params))
})

/** A request of 2026-07-28, on any transport. */
export const mcpMessage = (id: number, method: string, params: Record<string, unknown>) => ({
  jsonrpc: "2.0",
  id,
  method,
  params: {
    ...params,
    _meta: {
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientCapabilities": {},
      ...Object(params["_meta"])
    }
  }
})

const mcp = async ({ agent, headers, key, payload, url }: Call): Promise<Outcome> => {
  const { body } = await request(
    `${url}/mcp`,
    mcpRequest("tools/call", { name: agent, arguments: payload, _meta: { "fastagentic/idempotencyKey": key } }, headers)
  )
  return mcpOutcome(body)
}

/** The result of a call over MCP, on any transport. */
export interface McpAnswer {
  readonly error?: { readonly data: { readonly rule?: string; readonly tag: string } }
  readonly result: {
    readonly resultType?: string
    readonly requestState?: string
    readonly inputRequests?: Record<string, { readonly params: { readonly message: string } }>
    readonly _meta: {
      readonly "fastagentic/runId"?: string
      readonly "fastagentic/error"?: McpFailure & { readonly refused?: McpFailure }
    }
  }
}

interface McpFailure {
  readonly _tag: string
  readonly rule?: string
}

/** A run that waits says why an answer to it was not taken. */
export const mcpOutcome = (body: McpAnswer): Outcome => {
  if (body.error !== undefined) {
    const { data: { rule, tag } } = body.error
    return { tag, rule, runId: undefined }
  }
  const meta = body.result._meta
  const error = meta["fastagentic/error"]?.refused ?? meta["fastagentic/error"]
  const tag = error === undefined ? "completed" : error._tag === "RunSuspended" ? "suspended" : error._tag
  return { tag, rule: error?.rule, runId: meta["fastagentic/runId"] }
}

/** All frames that come in a while after one was sent, as text. */
export const frames = async (url: string, headers: Record<string, string>, frame: object, millis: number) => {
  const ws = new NodeWS.WebSocket(`${url.replace("http", "ws")}/ws`, { headers })
  let text = ""
  try {
    await once(ws, "open")
    ws.on("message", (data) => text += `${String(data)}\n`)
    ws.send(JSON.stringify({ id: "1", ...frame }))
    await Promise.race([once(ws, "message"), new Promise((resolve) => setTimeout(resolve, 5_000))])
    await new Promise((resolve) => setTimeout(resolve, millis))
    return text
  } finally {
    ws.terminate()
  }
}

/** A2A's names for the runtime's conditions. */
const a2aReasons: Record<string, string> = {
  UNAUTHENTICATED: "Unauthenticated",
  FORBIDDEN: "Forbidden",
  RATE_LIMITED: "RateLimited",
  UNAVAILABLE: "ShuttingDown",
  MESSAGE_ID_CONFLICT: "IdempotencyConflict",
  TASK_NOT_FOUND: "RunNotFound"
}

const a2aStates: Record<string, string> = {
  TASK_STATE_COMPLETED: "completed",
  TASK_STATE_INPUT_REQUIRED: "suspended",
  TASK_STATE_AUTH_REQUIRED: "suspended"
}

export const a2aRequest = (method: string, params: unknown, headers: Record<string, string> = {}) => ({
  method: "POST",
  headers: { ...json, "a2a-version": "1.0", ...headers },
  body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params })
})

const a2a = (method: string) => async ({ agent, headers, key, payload, url }: Call): Promise<Outcome> => {
  const params = {
    message: { messageId: key, role: "ROLE_USER", parts: [{ data: payload }] },
    metadata: { skillId: agent }
  }
  const { body, text } = await request(`${url}/a2a`, a2aRequest(method, params, headers))
  const error = body?.error
  if (error !== undefined) return { ...a2aRefusal(error), runId: undefined }
  if (body !== undefined) return taskEnd(body.result.task.id, body.result.task.status)
  const frames = text.split("\n").filter((line) => line.startsWith("data: ")).map((line) => JSON.parse(line.slice(6)))
  const last = frames.findLast(({ result }) => result?.statusUpdate !== undefined || result?.task !== undefined).result
  return taskEnd(frames[0].result.task.id, last.statusUpdate?.status ?? last.task.status)
}

export const a2aRefusal = (
  { code, data: [info, ...more], message }: {
    readonly code: number
    readonly message: string
    readonly data: ReadonlyArray<{ readonly reason: string; readonly metadata: Record<string, string> }>
  }
) => ({
  tag: a2aReasons[info?.reason ?? ""] ??
    (message.startsWith("there is no")
      ? "NotDeclared"
      : code === -32602 && more.length > 0
      ? "InvalidPayload"
      : message),
  rule: info?.metadata["rule"]
})

const taskEnd = (runId: string, { message, state }: {
  readonly state: string
  readonly message?: {
    readonly parts: ReadonlyArray<{ readonly data?: { readonly _tag?: string; readonly rule?: string } }>
  }
}): Outcome => {
  const error = message?.parts.find((part) => part.data?._tag !== undefined)?.data
  return { tag: a2aStates[state] ?? error?._tag ?? state, rule: error?.rule, runId }
}

const rpcMessage = ({ agent, key, payload }: Call) =>
  `${
    JSON.stringify({
      _tag: "Request",
      id: "1",
      tag: `agents/${agent}`,
      payload,
      headers: [["idempotency-key", key]]
    })
  }\n`

interface RpcExit {
  readonly exit: {
    readonly _tag: "Success" | "Failure"
    readonly cause: ReadonlyArray<{ readonly error: RpcError }>
  }
}

interface RpcError {
  readonly _tag: string
  readonly runId?: string
  readonly run?: { readonly runId: string }
  readonly reason?: RunError.Reason & { readonly tag?: string; readonly rule?: string }
}

const rpcOutcome = ({ exit }: RpcExit): Outcome => {
  if (exit._tag === "Success") return { tag: "completed", rule: undefined, runId: undefined }
  const error = exit.cause[0]?.error
  if (error?.reason === undefined) {
    return {
      tag: error?._tag === "RunSuspended" ? "suspended" : String(error?._tag),
      rule: undefined,
      runId: error?.run?.runId
    }
  }
  const { reason } = error
  return { tag: reason.tag ?? reason._tag, rule: reason.rule ?? RunError.asRule(reason).rule, runId: error.runId }
}

const rpcHttp = async (call: Call): Promise<Outcome> => {
  const init = { method: "POST", headers: call.headers, body: rpcMessage(call) }
  const { body, status, text } = await request(`${call.url}/rpc`, init)
  return status === 200 ? rpcOutcome(JSON.parse(text)) : { ...refusedAs(body), runId: undefined }
}

const rpcSocket = async (call: Call): Promise<Outcome> => {
  const ws = new NodeWS.WebSocket(`${call.url.replace("http", "ws")}/rpc`, { headers: call.headers })
  try {
    const refusal = refusalOf(ws)
    const opened = await Promise.race([once(ws, "open"), refusal])
    if (!Array.isArray(opened)) return opened
    const answer = once(ws, "message")
    ws.send(rpcMessage(call))
    return rpcOutcome(JSON.parse(String((await answer)[0])))
  } finally {
    ws.terminate()
  }
}

const delegation = async (call: Call): Promise<Outcome> => {
  const { agent, headers, key, payload, url } = call
  const { body, status } = await request(`${url}/agents/boss`, {
    method: "POST",
    headers: { ...json, ...headers, "idempotency-key": key },
    body: JSON.stringify({ agent, payload })
  })
  return status === 200
    ? { tag: body.tag, rule: body.rule === "" ? undefined : body.rule, runId: undefined }
    : { ...refusedAs(body), runId: undefined }
}

export const transports: Record<string, (call: Call) => Promise<Outcome>> = {
  "REST, waiting": restWait,
  "REST, in the background": restBackground,
  SSE: sse,
  WebSocket: webSocket,
  MCP: mcp,
  "RPC over HTTP": rpcHttp,
  "RPC over WebSocket": rpcSocket,
  "A2A, one answer": a2a("SendMessage"),
  "A2A, a stream": a2a("SendStreamingMessage"),
  delegation
}
