// How each provider says that a prompt is too long, that an answer was cut off, and answers with JSON of a schema.
import { eventStream, type ProviderApi } from "./providerApis.ts"
import type { Answer } from "./replayServer.ts"

interface Refused {
  readonly status: number
  readonly body: unknown
  /** The counts that its words have. */
  readonly inputTokens?: number
  readonly contextWindow?: number
}

const openai = {
  status: 400,
  body: {
    error: {
      message:
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 130001 tokens. " +
        "Please reduce the length of the messages.",
      type: "invalid_request_error",
      param: "messages",
      code: "context_length_exceeded"
    }
  },
  inputTokens: 130_001,
  contextWindow: 128_000
}

const responses = {
  status: 400,
  body: {
    error: {
      message: "Your input exceeds the context window of this model. Please adjust your input and try again.",
      type: "invalid_request_error",
      param: "input",
      code: "context_length_exceeded"
    }
  }
}

const topLevel = (message: string, type: string, code: unknown = null) => ({
  object: "error",
  message,
  type,
  param: null,
  code
})

export const tooLong: Readonly<Record<string, Refused>> = {
  openai: responses,
  "openai-chat": openai,
  azure: responses,
  anthropic: {
    status: 400,
    body: {
      type: "error",
      error: { type: "invalid_request_error", message: "prompt is too long: 203456 tokens > 200000 maximum" }
    },
    inputTokens: 203_456,
    contextWindow: 200_000
  },
  google: {
    status: 400,
    body: {
      error: {
        code: 400,
        message: "The input token count (1048580) exceeds the maximum number of tokens allowed (1048576).",
        status: "INVALID_ARGUMENT"
      }
    },
    inputTokens: 1_048_580,
    contextWindow: 1_048_576
  },
  mistral: {
    status: 400,
    body: topLevel(
      "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
      "invalid_request_prompt",
      "3051"
    ),
    inputTokens: 40_000,
    contextWindow: 32_768
  },
  groq: {
    status: 400,
    body: {
      error: {
        message: "Please reduce the length of the messages or completion.",
        type: "invalid_request_error",
        code: "context_length_exceeded"
      }
    }
  },
  deepseek: {
    status: 400,
    body: {
      error: {
        message:
          "This model's maximum context length is 65536 tokens. However, you requested 70000 tokens (69000 in the " +
          "messages, 1000 in the completion). Please reduce the length of the messages or completion.",
        type: "invalid_request_error"
      }
    },
    inputTokens: 70_000,
    contextWindow: 65_536
  },
  xai: {
    status: 400,
    body: {
      code: "Client specified an invalid argument",
      error: "This model's maximum prompt length is 131072 but the request contains 137001 tokens."
    },
    inputTokens: 137_001,
    contextWindow: 131_072
  },
  bedrock: { status: 400, body: { message: "Input is too long for requested model." } },
  openrouter: {
    status: 400,
    body: {
      error: {
        message:
          "This endpoint's maximum context length is 163840 tokens. However, you requested about 170000 tokens " +
          "(169000 of text input, 1000 in the output). Please reduce the length of either one.",
        code: 400
      }
    },
    inputTokens: 170_000,
    contextWindow: 163_840
  },
  // A status of the server's own is no reason to ask again.
  ollama: { status: 500, body: { error: { message: "the input length exceeds the context length", code: null } } },
  lmstudio: {
    status: 400,
    body: {
      error:
        "Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context " +
        "length of only 4096 tokens, which is not enough. Try to load the model with a larger context length."
    },
    contextWindow: 4096
  },
  vllm: {
    status: 400,
    body: topLevel(
      "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4000 in the messages, 1000 in " +
        "the completion). Please reduce the length of the messages or completion.",
      "BadRequestError",
      400
    ),
    inputTokens: 5000,
    contextWindow: 4096
  },
  litellm: {
    status: 400,
    body: {
      error: {
        message: "litellm.ContextWindowExceededError: litellm.BadRequestError: AnthropicException - prompt is too long",
        type: null,
        param: null,
        code: "400"
      }
    }
  },
  "openai server": {
    status: 413,
    body: {
      error: {
        code: 400,
        message: "the request exceeds the available context size, try increasing it",
        type: "exceed_context_size_error",
        n_prompt_tokens: 5000,
        n_ctx: 4096
      }
    }
  }
}

/** The words of the second answer, cut off at the limit of tokens. */
export const cutOf = ({ provider, second }: ProviderApi): Answer => {
  if (provider === "bedrock") {
    return eventStream(
      ["messageStart", { role: "assistant" }],
      ["contentBlockDelta", { contentBlockIndex: 0, delta: { text: "It is sunny." } }],
      ["contentBlockStop", { contentBlockIndex: 0 }],
      ["messageStop", { stopReason: "max_tokens" }],
      ["metadata", { metrics: { latencyMs: 1 }, usage: { inputTokens: 20, outputTokens: 9, totalTokens: 29 } }]
    )
  }
  const body = String(second.body)
    .replace("\"finish_reason\":\"stop\"", "\"finish_reason\":\"length\"")
    .replace("\"stop_reason\":\"end_turn\"", "\"stop_reason\":\"max_tokens\"")
    .replace("\"finishReason\":\"STOP\"", "\"finishReason\":\"MAX_TOKENS\"")
    .replaceAll("response.completed", "response.incomplete")
    .replace(
      "\"status\":\"completed\",\"usage\"",
      "\"status\":\"incomplete\",\"incomplete_details\":{\"reason\":\"max_output_tokens\"},\"usage\""
    )
  return { ...second, body }
}

const json = (body: unknown): Answer => ({
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body)
})

const chat = (content: string): Answer =>
  json({
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1_700_000_000,
    model: "model",
    choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }],
    usage: { prompt_tokens: 20, completion_tokens: 9, total_tokens: 29 }
  })

const response = (text: string): Answer =>
  json({
    id: "resp_1",
    object: "response",
    created_at: 1_700_000_000,
    model: "gpt-5",
    status: "completed",
    output: [{
      type: "message",
      id: "msg_1",
      role: "assistant",
      status: "completed",
      content: [{ type: "output_text", text, annotations: [] }]
    }],
    usage: { input_tokens: 20, output_tokens: 9, total_tokens: 29 }
  })

interface Judged {
  /** The answer that holds this text, to a request without a stream. */
  readonly answer: (text: string) => Answer
  /** The part of the request that asks for the schema. */
  readonly asks: RegExp
}

const compatible: Judged = { answer: chat, asks: /"response_format":\{"type":"json_schema"/u }
const ofResponses: Judged = { answer: response, asks: /"text":\{"format":\{"type":"json_schema"/u }

/** The providers that hold an answer to a schema; all others get a tool. */
export const judged: Readonly<Record<string, Judged>> = {
  openai: ofResponses,
  "openai-chat": compatible,
  azure: ofResponses,
  xai: ofResponses,
  anthropic: {
    answer: (text) =>
      json({
        id: "msg_1",
        type: "message",
        role: "assistant",
        model: "claude",
        content: [{ type: "text", text }],
        stop_reason: "end_turn",
        stop_sequence: null,
        usage: { input_tokens: 20, output_tokens: 9 }
      }),
    asks: /"output_config":\{.*"format":\{"type":"json_schema"/u
  },
  google: {
    answer: (text) =>
      json({
        candidates: [{ content: { role: "model", parts: [{ text }] }, index: 0, finishReason: "STOP" }],
        usageMetadata: { promptTokenCount: 20, candidatesTokenCount: 9, totalTokenCount: 29 }
      }),
    asks: /"responseMimeType":"application\/json","responseJsonSchema":\{/u
  },
  mistral: compatible,
  groq: compatible,
  bedrock: {
    answer: (text) =>
      json({
        output: { message: { role: "assistant", content: [{ text }] } },
        stopReason: "end_turn",
        usage: { inputTokens: 20, outputTokens: 9, totalTokens: 29 }
      }),
    asks: /"json_schema"/u
  },
  ollama: compatible,
  lmstudio: compatible,
  vllm: compatible
}
