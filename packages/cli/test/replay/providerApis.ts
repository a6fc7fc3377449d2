// The APIs of the providers as they answer: a turn with thought and a call, a turn with words, and an error of each.
import { crc32 } from "node:zlib"
import type { Answer } from "./replayServer.ts"

export interface ProviderApi {
  readonly provider: string
  readonly model: string
  /** The base URL below the replay server; without one, requests to the provider's own address are led there. */
  readonly base: string | undefined
  readonly env?: Readonly<Record<string, string>>
  readonly first: Answer
  readonly second: Answer
  readonly failure: Answer
  readonly path: string
  /** A header of the request and what it has to contain. */
  readonly auth: readonly [header: string, value: string] | undefined
  readonly reasoning: string
  readonly usage: readonly [input: number, output: number]
  /** Texts of the first answer that the second request has to carry. */
  readonly returns: ReadonlyArray<string>
  readonly fails: { readonly tag: string; readonly retryAfter?: number }
  readonly costUsd?: number
}

const key = "key-of-the-test"
const bearer = ["authorization", `Bearer ${key}`] as const
const args = "{\"city\":\"Oslo\"}"

const frame = (value: unknown, event?: string) =>
  `${event === undefined ? "" : `event: ${event}\n`}data: ${JSON.stringify(value)}\n\n`

const sse = (events: ReadonlyArray<unknown>, end = ""): Answer => ({
  headers: { "content-type": "text/event-stream" },
  body: events.map((event) => frame(event)).join("") + end
})

interface Named {
  readonly type: string
  readonly [field: string]: unknown
}

const named = (events: ReadonlyArray<Named>): Answer => ({
  headers: { "content-type": "text/event-stream" },
  body: events.map((event) => frame(event, event.type)).join("")
})

const failing = (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Answer => ({
  status,
  headers: { "content-type": "application/json", ...headers },
  body: JSON.stringify(body)
})

const slow = "slow down"

// Chat completions and the APIs that resemble them.

const chunk = (delta: unknown, finish: string | null = null, more: object = {}) => ({
  id: "chatcmpl-1",
  object: "chat.completion.chunk",
  created: 1_700_000_000,
  model: "model",
  choices: [{ index: 0, delta, finish_reason: finish }],
  ...more
})
const counted = { prompt_tokens: 20, completion_tokens: 9, total_tokens: 29 }
const done = "data: [DONE]\n\n"
const chatCall = (more: object = {}) =>
  chunk({
    role: "assistant",
    tool_calls: [{
      index: 0,
      id: "call00001",
      type: "function",
      function: { name: "get_weather", arguments: args },
      ...more
    }]
  })
const chatEnd = chunk({}, "tool_calls", { usage: counted })
const chat = (...thought: ReadonlyArray<unknown>) => sse([...thought, chatCall(), chatEnd], done)
const chatWords = sse(
  [chunk({ role: "assistant", content: "It is sunny." }), chunk({}, "stop", { usage: counted })],
  done
)
const chatFailure = failing(429, { error: { message: slow, type: "requests", code: "rate_limit_exceeded" } }, {
  "retry-after": "7"
})

const compatible = (provider: string, more: Partial<ProviderApi> = {}): ProviderApi => ({
  provider,
  model: "model",
  base: "/v1",
  first: chat(chunk({ reasoning_content: "hm" })),
  second: chatWords,
  failure: chatFailure,
  path: "/v1/chat/completions",
  auth: bearer,
  reasoning: "hm",
  usage: [20, 9],
  returns: ["\"reasoning_content\":\"hm\"", "sunny in Oslo"],
  fails: { tag: "RateLimitError", retryAfter: 7 },
  ...more
})

// OpenAI's Responses API, also at Azure and xAI.

const response = (more: object = {}) => ({
  id: "resp_1",
  object: "response",
  created_at: 1_700_000_000,
  model: "gpt-5",
  output: [],
  ...more
})
const responseUsage = {
  input_tokens: 20,
  input_tokens_details: { cached_tokens: 4 },
  output_tokens: 9,
  output_tokens_details: { reasoning_tokens: 5 },
  total_tokens: 29
}
const reasoningItem = {
  type: "reasoning",
  id: "rs_1",
  status: "completed",
  summary: [],
  encrypted_content: "sealed-thought"
}
const callItem = { type: "function_call", id: "fc_1", call_id: "call_1", name: "get_weather", status: "completed" }

const summary = (text: string) => ({ type: "summary_text", text })

const responsesFirst = named([
  { type: "response.created", response: response() },
  { type: "response.output_item.added", output_index: 0, item: { ...reasoningItem, encrypted_content: null } },
  {
    type: "response.reasoning_summary_part.added",
    item_id: "rs_1",
    output_index: 0,
    summary_index: 0,
    part: summary("")
  },
  { type: "response.reasoning_summary_text.delta", item_id: "rs_1", output_index: 0, summary_index: 0, delta: "hm" },
  {
    type: "response.reasoning_summary_part.done",
    item_id: "rs_1",
    output_index: 0,
    summary_index: 0,
    part: summary("hm")
  },
  {
    type: "response.output_item.done",
    output_index: 0,
    item: { ...reasoningItem, summary: [summary("hm")] }
  },
  { type: "response.output_item.added", output_index: 1, item: { ...callItem, arguments: "", status: "in_progress" } },
  { type: "response.function_call_arguments.delta", item_id: "fc_1", output_index: 1, delta: args },
  { type: "response.function_call_arguments.done", item_id: "fc_1", output_index: 1, arguments: args },
  { type: "response.output_item.done", output_index: 1, item: { ...callItem, arguments: args } },
  { type: "response.completed", response: response({ status: "completed", usage: responseUsage }) }
].map((event, sequence) => ({ ...event, sequence_number: sequence })))

const words = { type: "message", id: "msg_1", role: "assistant" }
const responsesSecond = named([
  { type: "response.created", response: response() },
  { type: "response.output_item.added", output_index: 0, item: { ...words, status: "in_progress", content: [] } },
  { type: "response.output_text.delta", item_id: "msg_1", output_index: 0, content_index: 0, delta: "It is sunny." },
  {
    type: "response.output_item.done",
    output_index: 0,
    item: { ...words, status: "completed", content: [{ type: "output_text", text: "It is sunny.", annotations: [] }] }
  },
  { type: "response.completed", response: response({ status: "completed", usage: responseUsage }) }
].map((event, sequence) => ({ ...event, sequence_number: sequence })))

const responses = (provider: string, more: Partial<ProviderApi> = {}): ProviderApi => ({
  provider,
  model: "gpt-5",
  base: "/v1",
  first: responsesFirst,
  second: responsesSecond,
  failure: chatFailure,
  path: "/v1/responses",
  auth: bearer,
  reasoning: "hm",
  usage: [20, 9],
  returns: ["sealed-thought", "\"call_id\":\"call_1\"", "sunny in Oslo", "\"store\":false"],
  fails: { tag: "RateLimitError", retryAfter: 7 },
  ...more
})

// Anthropic's Messages API.

const message = { id: "msg_1", type: "message", role: "assistant", model: "claude", content: [], stop_reason: null }
const anthropic: ProviderApi = {
  provider: "anthropic",
  model: "claude-opus-4-8",
  base: "/v1",
  first: named([
    {
      type: "message_start",
      message: { ...message, usage: { input_tokens: 12, cache_read_input_tokens: 8, output_tokens: 1 } }
    },
    { type: "content_block_start", index: 0, content_block: { type: "thinking", thinking: "", signature: "" } },
    { type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking: "hm" } },
    { type: "content_block_delta", index: 0, delta: { type: "signature_delta", signature: "signed-thought" } },
    { type: "content_block_stop", index: 0 },
    {
      type: "content_block_start",
      index: 1,
      content_block: { type: "tool_use", id: "toolu_1", name: "get_weather", input: {} }
    },
    { type: "content_block_delta", index: 1, delta: { type: "input_json_delta", partial_json: args } },
    { type: "content_block_stop", index: 1 },
    { type: "ping" },
    { type: "message_delta", delta: { stop_reason: "tool_use", stop_sequence: null }, usage: { output_tokens: 9 } },
    { type: "message_stop" }
  ]),
  second: named([
    { type: "message_start", message: { ...message, usage: { input_tokens: 20, output_tokens: 1 } } },
    { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
    { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "It is sunny." } },
    { type: "content_block_stop", index: 0 },
    { type: "message_delta", delta: { stop_reason: "end_turn", stop_sequence: null }, usage: { output_tokens: 9 } },
    { type: "message_stop" }
  ]),
  failure: failing(529, { type: "error", error: { type: "overloaded_error", message: slow }, request_id: "req_1" }),
  path: "/v1/messages",
  auth: ["x-api-key", key],
  reasoning: "hm",
  usage: [20, 9],
  returns: ["signed-thought", "\"tool_use_id\":\"toolu_1\"", "sunny in Oslo"],
  fails: { tag: "RateLimitError" }
}

// Gemini's own API.

const candidate = (parts: ReadonlyArray<unknown>, finishReason?: string) => ({
  candidates: [{
    content: { role: "model", parts },
    index: 0,
    ...(finishReason === undefined ? {} : { finishReason })
  }],
  usageMetadata: { promptTokenCount: 20, candidatesTokenCount: 4, thoughtsTokenCount: 5, totalTokenCount: 29 },
  modelVersion: "gemini-3-pro"
})
const google: ProviderApi = {
  provider: "google",
  model: "gemini-3-pro-preview",
  base: "/v1beta",
  first: sse([
    candidate([{ text: "hm", thought: true }]),
    candidate(
      [{ functionCall: { name: "get_weather", args: { city: "Oslo" } }, thoughtSignature: "signed-call" }],
      "STOP"
    )
  ]),
  second: sse([candidate([{ text: "It is sunny." }], "STOP")]),
  failure: failing(429, [{
    error: {
      code: 429,
      message: slow,
      status: "RESOURCE_EXHAUSTED",
      details: [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "17s" }]
    }
  }]),
  path: "/v1beta/models/gemini-3-pro-preview:streamGenerateContent?alt=sse",
  auth: ["x-goog-api-key", key],
  reasoning: "hm",
  usage: [20, 9],
  returns: ["signed-call", "sunny in Oslo"],
  fails: { tag: "RateLimitError", retryAfter: 17 }
}

// Bedrock's Converse API, in Amazon's binary event stream.

const header = (name: string, value: string): Buffer => {
  const [nameBytes, valueBytes] = [Buffer.from(name), Buffer.from(value)]
  const head = Buffer.from([nameBytes.length])
  const type = Buffer.from([7, valueBytes.length >> 8, valueBytes.length & 255])
  return Buffer.concat([head, nameBytes, type, valueBytes])
}

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}

const eventOf = (type: string, value: unknown): Buffer => {
  const headers = Buffer.concat([
    header(":event-type", type),
    header(":content-type", "application/json"),
    header(":message-type", "event")
  ])
  const body = Buffer.from(JSON.stringify(value))
  const prelude = Buffer.concat([uint32(headers.length + body.length + 16), uint32(headers.length)])
  const signed = Buffer.concat([prelude, uint32(crc32(prelude)), headers, body])
  return Buffer.concat([signed, uint32(crc32(signed))])
}

export const eventStream = (...events: ReadonlyArray<readonly [string, unknown]>): Answer => ({
  headers: { "content-type": "application/vnd.amazon.eventstream" },
  body: Buffer.concat(events.map(([type, value]) => eventOf(type, value)))
})

const delta = (contentBlockIndex: number, value: unknown) =>
  ["contentBlockDelta", { contentBlockIndex, delta: value }] as const
const bedrockUsage = ["metadata", {
  metrics: { latencyMs: 1 },
  usage: { inputTokens: 20, outputTokens: 9, totalTokens: 29 }
}] as const

const bedrock: ProviderApi = {
  provider: "bedrock",
  model: "us.anthropic.claude-opus-4-8-v1:0",
  base: "",
  env: { AWS_REGION: "us-east-1", AWS_ACCESS_KEY_ID: "AKIATEST", AWS_SECRET_ACCESS_KEY: key },
  first: eventStream(
    ["messageStart", { role: "assistant" }],
    delta(0, { reasoningContent: { text: "hm" } }),
    delta(0, { reasoningContent: { signature: "signed-thought" } }),
    ["contentBlockStop", { contentBlockIndex: 0 }],
    ["contentBlockStart", {
      contentBlockIndex: 1,
      start: { toolUse: { toolUseId: "tooluse_1", name: "get_weather" } }
    }],
    delta(1, { toolUse: { input: args } }),
    ["contentBlockStop", { contentBlockIndex: 1 }],
    ["messageStop", { stopReason: "tool_use" }],
    bedrockUsage
  ),
  second: eventStream(
    ["messageStart", { role: "assistant" }],
    delta(0, { text: "It is sunny." }),
    ["contentBlockStop", { contentBlockIndex: 0 }],
    ["messageStop", { stopReason: "end_turn" }],
    bedrockUsage
  ),
  failure: failing(429, { message: slow }, { "x-amzn-errortype": "ThrottlingException" }),
  path: "/model/us.anthropic.claude-opus-4-8-v1%3A0/converse-stream",
  auth: ["authorization", "AWS4-HMAC-SHA256 Credential=AKIATEST/"],
  reasoning: "hm",
  usage: [20, 9],
  returns: ["signed-thought", "\"toolUseId\":\"tooluse_1\"", "sunny in Oslo"],
  fails: { tag: "RateLimitError" }
}

const detail = { type: "reasoning.encrypted", data: "sealed-thought", format: "anthropic-claude-v1", index: 0 }

export const providerApis: ReadonlyArray<ProviderApi> = [
  responses("openai"),
  compatible("openai-chat", {
    model: "gpt-4.1",
    first: chat(),
    reasoning: "",
    returns: ["\"tool_call_id\":\"call00001\"", "sunny in Oslo"]
  }),
  anthropic,
  google,
  compatible("mistral", {
    model: "magistral-medium-latest",
    first: chat(chunk({ content: [{ type: "thinking", thinking: [{ type: "text", text: "hm" }] }] })),
    returns: ["\"tool_call_id\":\"call00001\"", "sunny in Oslo"],
    failure: failing(429, { object: "error", message: slow, type: "rate_limited", code: "1300" }, {
      "retry-after": "7"
    })
  }),
  compatible("groq", {
    model: "openai/gpt-oss-120b",
    base: "/openai/v1",
    path: "/openai/v1/chat/completions",
    first: sse([
      chunk({ reasoning: "hm" }),
      chatCall(),
      chunk({}, "tool_calls", { x_groq: { id: "req_1", usage: counted } })
    ], done),
    second: sse([
      chunk({ role: "assistant", content: "It is sunny." }),
      chunk({}, "stop", { x_groq: { id: "req_1", usage: counted } })
    ], done),
    returns: ["\"tool_call_id\":\"call00001\"", "sunny in Oslo"]
  }),
  compatible("deepseek", { model: "deepseek-reasoner", base: "", path: "/chat/completions" }),
  responses("xai", { model: "grok-4" }),
  responses("azure", {
    base: undefined,
    env: { AZURE_API_KEY: key, AZURE_RESOURCE_NAME: "acme", AZURE_API_VERSION: "2026-05-01" },
    path: "/openai/v1/responses?api-version=2026-05-01",
    auth: ["api-key", key]
  }),
  bedrock,
  compatible("openrouter", {
    base: "/api/v1",
    path: "/api/v1/chat/completions",
    model: "anthropic/claude-opus-4.8",
    first: sse([
      chunk({ reasoning: "hm", reasoning_details: [{ type: "reasoning.text", text: "hm", index: 0 }] }),
      chunk({ reasoning_details: [detail] }),
      chatCall(),
      chunk({}, "tool_calls", { usage: { ...counted, cost: 0.25 } })
    ], done),
    returns: ["sealed-thought", "\"tool_call_id\":\"call00001\"", "sunny in Oslo"],
    failure: failing(429, {
      error: {
        message: "Provider returned error",
        code: 429,
        metadata: { raw: `{"error":{"message":"${slow}"}}`, provider_name: "X" }
      }
    }, { "retry-after": "7" }),
    costUsd: 0.25
  }),
  compatible("ollama"),
  compatible("lmstudio"),
  compatible("vllm", {
    failure: failing(429, { object: "error", message: slow, type: "RateLimitError", code: 429 }, { "retry-after": "7" })
  }),
  compatible("litellm", {
    first: { ...chat(chunk({ reasoning_content: "hm" })), headers: { "x-litellm-response-cost": "0.5" } },
    costUsd: 0.5
  }),
  compatible("openai", { model: "vendor/model", env: { OPENAI_BASE_URL: "server" } })
]

export const testKey = key
