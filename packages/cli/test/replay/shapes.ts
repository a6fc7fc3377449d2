// How servers of the chat completions API really answer: one entry for each known shape, and what it means.
import type { Answer } from "./replayServer.ts"

export interface Meaning {
  readonly text?: string
  readonly reasoning?: string
  readonly calls?: ReadonlyArray<readonly [name: string, params: unknown]>
  readonly finish?: string
  /** Input and output tokens; `"none"` when the server reported none. */
  readonly usage?: readonly [number, number] | "none"
  readonly error?: {
    readonly tag: string
    readonly words?: string
    readonly retryAfter?: number
    /** The typed end of a loop that it is. */
    readonly end?: string
  }
}

export interface Shape {
  readonly name: string
  readonly answer: Answer
  readonly means: Meaning
  /** The answer to a request without a stream. */
  readonly whole?: boolean
}

const frame = (value: unknown) => `data: ${typeof value === "string" ? value : JSON.stringify(value)}\n\n`

const chunk = (delta: unknown, finish: unknown = null, more: object = {}) => ({
  id: "chatcmpl-1",
  object: "chat.completion.chunk",
  created: 1_700_000_000,
  model: "test-model",
  choices: [{ index: 0, delta, finish_reason: finish }],
  ...more
})

const counted = { prompt_tokens: 20, completion_tokens: 9, total_tokens: 29 }
const usage = (counts: unknown = counted) => ({ id: "chatcmpl-1", model: "test-model", choices: [], usage: counts })
const sse = { "content-type": "text/event-stream" }
const body = (events: ReadonlyArray<unknown>, end = frame("[DONE]")) => events.map(frame).join("") + end
const stream = (events: ReadonlyArray<unknown>, more: Partial<Answer> = {}): Answer => ({
  headers: sse,
  body: body(events),
  ...more
})

const hi = [chunk({ role: "assistant", content: "" }), chunk({ content: "Hi" }), chunk({ content: " there" })]
const ended = [chunk({}, "stop"), usage()]
const said: Meaning = { text: "Hi there", finish: "stop", usage: [20, 9] }
const speaking = (name: string, events: ReadonlyArray<unknown>, means: Meaning = {}, more: Partial<Answer> = {}) => ({
  name,
  answer: stream(events, more),
  means: { ...said, ...means }
})

const call = (fields: object) => chunk({ tool_calls: [fields] })
const oslo = "{\"city\":\"Oslo\"}"
const rome = "{\"city\":\"Rome\"}"
const asOslo = ["get_weather", { city: "Oslo" }] as const
const asRome = ["get_weather", { city: "Rome" }] as const
const named = (args: unknown) => ({ name: "get_weather", arguments: args })
const calling = (
  name: string,
  events: ReadonlyArray<unknown>,
  calls: Meaning["calls"] = [asOslo],
  finish = "tool_calls"
) => ({
  name,
  answer: stream([...events, chunk({}, finish), usage()]),
  means: { calls, finish: "tool-calls", usage: [20, 9] } satisfies Meaning
})

const calls: ReadonlyArray<Shape> = [
  calling("a call whose arguments arrive in pieces", [
    call({ index: 0, id: "c1", type: "function", function: named("") }),
    call({ index: 0, function: { arguments: "{\"city\"" } }),
    call({ index: 0, function: { arguments: ":\"Oslo\"}" } })
  ]),
  calling("two calls with index 0 and ids of their own", [
    call({ index: 0, id: "c1", function: named(oslo) }),
    call({ index: 0, id: "c2", function: named(rome) })
  ], [asOslo, asRome]),
  calling("two calls with index 0, ids of their own and arguments in pieces", [
    call({ index: 0, id: "c1", function: named("") }),
    call({ index: 0, function: { arguments: oslo } }),
    call({ index: 0, id: "c2", function: named("") }),
    call({ index: 0, function: { arguments: rome } })
  ], [asOslo, asRome]),
  calling("two calls without an index", [
    call({ id: "c1", function: named(oslo) }),
    call({ id: "c2", function: named(rome) })
  ], [asOslo, asRome]),
  calling("a call without an id", [call({ index: 0, function: named(oslo) })]),
  calling("a call with an empty id", [call({ index: 0, id: "", function: named(oslo) })]),
  calling("two calls without an id and without an index", [
    call({ function: named(oslo) }),
    call({ function: named(rome) })
  ], [asOslo, asRome]),
  calling("two whole calls in one chunk", [
    chunk({
      tool_calls: [{ index: 0, id: "c1", function: named(oslo) }, { index: 1, id: "c2", function: named(rome) }]
    })
  ], [asOslo, asRome]),
  calling("an index as text", [
    call({ index: "0", id: "c1", function: named("") }),
    call({ index: "0", function: { arguments: oslo } })
  ]),
  calling("an id as a number", [call({ index: 0, id: 7, function: named(oslo) })]),
  calling("one id for two calls of one message", [
    call({ index: 0, id: "same", function: named(oslo) }),
    call({ index: 1, id: "same", function: named(rome) })
  ], [asOslo, asRome]),
  calling("the function's name as the id of two calls", [
    call({ index: 0, id: "get_weather", function: named(oslo) }),
    call({ index: 1, id: "get_weather", function: named(rome) })
  ], [asOslo, asRome]),
  calling("arguments as an object", [call({ index: 0, id: "c1", function: named({ city: "Oslo" }) })]),
  calling("arguments encoded twice", [call({ index: 0, id: "c1", function: named(JSON.stringify(oslo)) })]),
  calling("arguments as an empty text", [call({ index: 0, id: "c1", function: { name: "now", arguments: "" } })], [[
    "now",
    {}
  ]]),
  calling("arguments as null", [call({ index: 0, id: "c1", function: { name: "now", arguments: null } })], [[
    "now",
    {}
  ]]),
  calling("no arguments", [call({ index: 0, id: "c1", function: { name: "now" } })], [["now", {}]]),
  calling("arguments that are no JSON", [call({ index: 0, id: "c1", function: named("{city: Oslo") })], [[
    "get_weather",
    "{city: Oslo"
  ]]),
  {
    name: "arguments that the length limit cut off",
    answer: stream([call({ index: 0, id: "c1", function: named("{\"city\":\"Os") }), chunk({}, "length"), usage()]),
    means: { calls: [["get_weather", "{\"city\":\"Os"]], finish: "length", usage: [20, 9] }
  },
  calling("the reason stop with calls", [call({ index: 0, id: "c1", function: named(oslo) })], [asOslo], "stop"),
  calling(
    "a legacy function call",
    [
      chunk({ function_call: { name: "get_weather", arguments: "" } }),
      chunk({ function_call: { arguments: oslo } })
    ],
    [asOslo],
    "function_call"
  ),
  speaking("an empty legacy function call", [
    chunk({ content: "Hi there", function_call: { name: "", arguments: "" } }),
    ...ended
  ]),
  speaking("null in place of calls", [chunk({ content: "Hi there", tool_calls: null, function_call: null }), ...ended]),
  calling("one call that is no list", [chunk({ tool_calls: { id: "c1", function: named(oslo) } })]),
  calling("a call of a tool that nobody declared", [
    call({ index: 0, id: "c1", function: { name: "unheard_of", arguments: "{}" } })
  ], [["unheard_of", {}]]),
  calling("a call without a name", [
    call({ index: 0, id: "c1", function: { arguments: oslo } })
  ], [["call_without_a_name", { city: "Oslo" }]]),
  calling("a call with an empty name, beside another", [
    call({ index: 0, id: "c1", function: { name: "", arguments: "" } }),
    call({ index: 0, function: { arguments: rome } }),
    call({ index: 1, id: "c2", function: named(oslo) })
  ], [["call_without_a_name", { city: "Rome" }], asOslo]),
  calling("two calls without names and without indexes", [
    call({ id: "c1", function: { arguments: oslo } }),
    call({ id: "c2", function: { arguments: rome } })
  ], [["call_without_a_name", { city: "Oslo" }], ["call_without_a_name", { city: "Rome" }]]),
  calling("a name behind the first arguments", [
    call({ index: 0, id: "c1", function: { arguments: "{\"city\"" } }),
    call({ index: 0, function: named(":\"Oslo\"}") })
  ]),
  calling("an id that is new in each chunk", [
    call({ index: 0, id: "c1", function: named("{\"city\"") }),
    call({ index: 0, id: "c2", function: { arguments: ":\"Oslo\"}" } })
  ]),
  {
    name: "a call without a name before the end marker",
    answer: stream([call({ index: 0, id: "c1", function: { arguments: oslo } })]),
    means: { calls: [["call_without_a_name", { city: "Oslo" }]], finish: "tool-calls", usage: "none" }
  },
  speaking("an empty call", [chunk({ content: "Hi there", tool_calls: [{}] }), ...ended])
]

const texts: ReadonlyArray<Shape> = [
  speaking("a plain answer", [...hi, ...ended]),
  speaking("thought in `reasoning_content`", [chunk({ reasoning_content: "hm" }), ...hi, ...ended], {
    reasoning: "hm"
  }),
  speaking("thought in `reasoning`", [chunk({ reasoning: "hm" }), ...hi, ...ended], { reasoning: "hm" }),
  speaking("thought in both", [chunk({ reasoning: "hm", reasoning_content: "hm" }), ...hi, ...ended], {
    reasoning: "hm"
  }),
  speaking("thought beside an empty field of the other name", [
    chunk({ reasoning: "hm", reasoning_content: "" }),
    ...hi,
    ...ended
  ], { reasoning: "hm" }),
  speaking("thought as an object", [chunk({ reasoning: { content: "hm" } }), ...hi, ...ended], { reasoning: "hm" }),
  speaking("thought in details alone", [
    chunk({ reasoning_details: [{ type: "reasoning.text", text: "hm" }] }),
    ...hi,
    ...ended
  ], { reasoning: "hm" }),
  speaking("content as a list", [
    chunk({ content: [{ type: "text", text: "Hi" }, { type: "text", text: " there" }] }),
    ...ended
  ]),
  speaking("content as a list with thought inside", [
    chunk({ content: [{ type: "thinking", thinking: [{ type: "text", text: "hm" }] }] }),
    chunk({ content: [{ type: "text", text: "Hi there" }] }),
    ...ended
  ], { reasoning: "hm" }),
  speaking("thought inside content as text", [
    chunk({ content: [{ type: "thinking", thinking: "hm" }, "Hi there"] }),
    ...ended
  ], { reasoning: "hm" }),
  speaking("a delta of null", [chunk(null), ...hi, ...ended]),
  speaking("a message in place of a delta", [
    { id: "c", choices: [{ index: 0, message: { role: "assistant", content: "Hi there" }, finish_reason: "stop" }] },
    usage()
  ]),
  speaking("text in place of a delta", [
    { id: "c", choices: [{ index: 0, text: "Hi there", finish_reason: "stop" }] },
    usage()
  ]),
  speaking("a role that is not the assistant's", [chunk({ role: "model", content: "Hi there" }), ...ended]),
  speaking("a refusal", [chunk({ refusal: "Hi there" }), ...ended], { finish: "content-filter" })
]

const fields: ReadonlyArray<Shape> = [
  speaking("`error: null` on each chunk", [...hi, ...ended].map((event) => ({ ...event, error: null }))),
  speaking("an id as a number", [...hi.map((event) => ({ ...event, id: 12 })), ...ended]),
  speaking("the time as text", [...hi.map((event) => ({ ...event, created: "2026-11-30" })), ...ended]),
  speaking("choices of null before and after", [{ choices: null }, ...hi, chunk({}, "stop"), {
    choices: null,
    usage: counted
  }]),
  speaking("no choices with the usage", [...hi, chunk({}, "stop"), { usage: counted }]),
  speaking("an unknown event between", [{ type: "ping" }, ...hi, { object: "progress", value: 3 }, ...ended])
]

const ends: ReadonlyArray<Shape> = [
  speaking("objects for counts", [
    ...hi,
    chunk({}, "stop"),
    usage({ ...counted, total_tokens: {}, completion_tokens_details: { reasoning_tokens: {} } })
  ]),
  speaking("no finish reason before the end marker", [...hi, usage()]),
  {
    name: "calls without a finish reason before the end marker",
    answer: stream([call({ index: 0, id: "c1", function: named(oslo) }), usage()]),
    means: { calls: [asOslo], finish: "tool-calls", usage: [20, 9] }
  },
  speaking("an empty finish reason on each chunk", [
    chunk({ content: "Hi" }, ""),
    chunk({ content: " there" }, ""),
    chunk({}, "stop"),
    usage()
  ]),
  speaking("an empty finish reason after the real one", [...hi, chunk({}, "stop"), chunk({}, ""), usage()]),
  speaking("a finish reason as a number", [...hi, chunk({}, 1), usage()]),
  speaking("a finish reason of another vendor", [...hi, chunk({}, "end_turn"), usage()]),
  speaking("the length limit", [...hi, chunk({}, "length"), usage()], { finish: "length" }),
  speaking("a content filter", [...hi, chunk({}, "content_filter"), usage()], { finish: "content-filter" }),
  speaking("more text after the finish reason", [
    chunk({ content: "Hi" }),
    chunk({}, "stop"),
    chunk({ content: " there" }),
    usage()
  ]),
  speaking("usage in every chunk", [
    chunk({ content: "Hi" }, null, { usage: { prompt_tokens: 20, completion_tokens: 1, total_tokens: 21 } }),
    chunk({ content: " there" }, "stop", { usage: counted })
  ]),
  speaking("usage with the finish reason", [...hi, chunk({}, "stop", { usage: counted })]),
  speaking("no usage", [...hi, chunk({}, "stop")], { usage: "none" }),
  speaking("usage of null", [...hi, chunk({}, "stop"), usage(null)], { usage: "none" }),
  speaking("a last event without a blank line", [], {}, {
    body: [...hi, ...ended].map(frame).join("").trimEnd()
  }),
  speaking("a last line that is cut off", [], {}, { body: `${[...hi, ...ended].map(frame).join("")}data` }),
  speaking("no end marker", [], {}, { body: [...hi, ...ended].map(frame).join("") }),
  {
    name: "a stream that is cut in the middle",
    answer: stream([], { body: hi.map(frame).join(""), breaks: true }),
    means: { text: "Hi there", error: { tag: "NetworkError" } }
  },
  {
    name: "a stream that ends in the middle of an event",
    answer: stream([], { body: `${hi.map(frame).join("")}data: {"id":"chat` }),
    means: { text: "Hi there", error: { tag: "NetworkError", words: "closed before the answer was complete" } }
  },
  {
    name: "a stream that ends without an end",
    answer: stream([], { body: hi.map(frame).join("") }),
    means: { text: "Hi there", error: { tag: "NetworkError", words: "closed before the answer was complete" } }
  }
]

const counts: ReadonlyArray<Shape> = [
  speaking("a total larger than its parts", [
    ...hi,
    chunk({}, "stop"),
    usage({ prompt_tokens: 20, completion_tokens: 2, total_tokens: 29 })
  ]),
  speaking("counts as text", [
    ...hi,
    chunk({}, "stop"),
    usage({ prompt_tokens: "20", completion_tokens: "9", total_tokens: "29" })
  ]),
  speaking("fractional counts", [...hi, chunk({}, "stop"), usage({ prompt_tokens: 19.2, completion_tokens: 8.6 })]),
  speaking("negative counts", [...hi, chunk({}, "stop"), usage({ prompt_tokens: -20, completion_tokens: 9 })], {
    usage: "none"
  }),
  speaking("details of null", [
    ...hi,
    chunk({}, "stop"),
    usage({ ...counted, prompt_tokens_details: null, completion_tokens_details: null })
  ]),
  speaking("details with odd fields", [
    ...hi,
    chunk({}, "stop"),
    usage({
      ...counted,
      prompt_tokens_details: { cached_tokens: "8", audio: "none" },
      completion_tokens_details: { reasoning_tokens: 4 }
    })
  ]),
  speaking("a cost as text", [...hi, chunk({}, "stop"), usage({ ...counted, cost: "0.25" })]),
  speaking("a cost as an object", [...hi, chunk({}, "stop"), usage({ ...counted, cost: { total_cost: 0.25 } })]),
  speaking("counts under other names", [...hi, chunk({}, "stop"), usage({ input_tokens: 20, output_tokens: 9 })]),
  speaking("counts in a vendor's own field", [...hi, chunk({}, "stop", { x_groq: { usage: counted } })])
]

const plain = body([...hi, ...ended])
const framed = (name: string, more: Partial<Answer>): Shape => speaking(name, [], {}, { body: plain, ...more })

const framing: ReadonlyArray<Shape> = [
  framed("lines that end with CRLF", { body: plain.replaceAll("\n", "\r\n") }),
  framed("lines that end with CR", { body: plain.replaceAll("\n", "\r") }),
  framed("a byte order mark", { body: `\uFEFF${plain}` }),
  framed("comments between events", { body: `: open\n\n${plain.replaceAll("\n\n", "\n\n: keep-alive\n\n")}` }),
  framed("`data:` without a space", { body: plain.replaceAll("data: ", "data:") }),
  framed("event names and ids", { body: plain.replaceAll("data: ", "event: message\nid: 1\ndata: ") }),
  speaking("characters that are split", [chunk({ content: "Grüße 👋🏽" }), ...ended], { text: "Grüße 👋🏽" }),
  framed("`Text/Event-Stream`", { headers: { "content-type": "Text/Event-Stream; charset=UTF-8" } }),
  framed("no content type", { headers: {} }),
  framed("`text/plain`", { headers: { "content-type": "text/plain" } }),
  {
    name: "a whole completion in place of a stream",
    answer: {
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        id: "c",
        choices: [{ index: 0, message: { role: "assistant", content: "Hi there" }, finish_reason: "stop" }],
        usage: counted
      })
    },
    means: said
  },
  {
    name: "a whole completion with calls in place of a stream",
    answer: {
      body: JSON.stringify({
        choices: [{
          message: {
            content: null,
            tool_calls: [{ id: "c1", function: named(oslo) }, { id: "c2", function: named(rome) }]
          },
          finish_reason: "tool_calls"
        }],
        usage: counted
      })
    },
    means: { calls: [asOslo, asRome], finish: "tool-calls", usage: [20, 9] }
  }
]

const failing = (name: string, event: unknown, tag: string, words = "slow down"): Shape => ({
  name,
  answer: stream([...hi, event], {}),
  means: { text: "Hi there", error: { tag, words } }
})

const inside: ReadonlyArray<Shape> = [
  failing("an error object with a numeric code 429", { error: { message: "slow down", code: 429 } }, "RateLimitError"),
  failing("an error object with a code 401", { error: { message: "slow down", code: 401 } }, "AuthenticationError"),
  failing("an error object with a code 400", { error: { message: "slow down", code: 400 } }, "InvalidRequestError"),
  failing("an error object with a code 503", { error: { message: "slow down", code: 503 } }, "InternalProviderError"),
  failing("an error object with a code as text", { error: { message: "slow down", code: "429" } }, "RateLimitError"),
  failing(
    "an error object with a type",
    { error: { message: "slow down", type: "rate_limit_error" } },
    "RateLimitError"
  ),
  failing("an error object without anything but words", { error: { message: "slow down" } }, "InternalProviderError"),
  failing("an error in its choice", {
    choices: [{ index: 0, delta: {}, finish_reason: "error", error: { message: "slow down", code: 429 } }]
  }, "RateLimitError"),
  failing("an error as text", { error: "slow down" }, "InternalProviderError"),
  failing("an error at the top", { object: "error", message: "slow down", code: 429 }, "RateLimitError"),
  failing(
    "an error of Anthropic's form",
    { type: "error", error: { type: "overloaded_error", message: "slow down" } },
    "RateLimitError"
  ),
  {
    name: "a prompt that is too long, told in the stream",
    answer: stream([{ error: { message: "prompt is too long", code: 500 } }], {}),
    means: { error: { tag: "InvalidRequestError", words: "prompt is too long", end: "ContextExceeded" } }
  },
  {
    name: "an error event",
    answer: stream([], {
      body: `${hi.map(frame).join("")}event: error\n${frame({ message: "slow down", code: 429 })}`
    }),
    means: { text: "Hi there", error: { tag: "RateLimitError", words: "slow down" } }
  },
  {
    name: "plain words in place of an event",
    answer: stream([], { body: `${hi.map(frame).join("")}${frame("slow down")}` }),
    means: { text: "Hi there", error: { tag: "InternalProviderError", words: "slow down" } }
  },
  {
    name: "an error body with the status 200",
    answer: {
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ error: { message: "slow down", code: 429 } })
    },
    means: { error: { tag: "RateLimitError", words: "slow down" } }
  },
  {
    name: "a page of a proxy with the status 200",
    answer: { headers: { "content-type": "text/html" }, body: "<html><head><title>slow down</title></head></html>" },
    means: { error: { tag: "InternalProviderError", words: "slow down" } }
  }
]

const refused = (
  name: string,
  status: number,
  content: unknown,
  error: NonNullable<Meaning["error"]>,
  headers: Readonly<Record<string, string>> = {}
): Shape => ({
  name,
  answer: { status, headers, body: typeof content === "string" ? content : JSON.stringify(content) },
  means: { error: { words: "slow down", ...error } }
})

const errors: ReadonlyArray<Shape> = [
  refused("OpenAI's error", 429, { error: { message: "slow down", type: "requests", code: "rate_limit_exceeded" } }, {
    tag: "RateLimitError"
  }),
  refused("an error in a list", 429, [{ error: { code: 429, message: "slow down", status: "RESOURCE_EXHAUSTED" } }], {
    tag: "RateLimitError"
  }),
  refused("Google's time to wait", 429, [{
    error: {
      code: 429,
      message: "slow down",
      details: [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "17s" }]
    }
  }], { tag: "RateLimitError", retryAfter: 17 }),
  refused("an error at the top of the body", 400, {
    object: "error",
    message: "slow down",
    type: "BadRequestError",
    code: 400
  }, { tag: "InvalidRequestError" }),
  refused("a detail as text", 404, { detail: "slow down" }, { tag: "InvalidRequestError" }),
  refused("details as a list", 422, { detail: [{ loc: ["body", "x"], msg: "slow down", type: "missing" }] }, {
    tag: "InvalidRequestError"
  }),
  refused("a message that is an object", 422, {
    object: "error",
    message: { detail: [{ type: "missing", msg: "slow down" }] },
    type: "invalid_request_error"
  }, { tag: "InvalidRequestError" }),
  refused("a prompt that is too long", 400, {
    error: { message: "slow down", type: "invalid_request_error", code: "context_length_exceeded" }
  }, { tag: "InvalidRequestError", end: "ContextExceeded" }),
  refused("a prompt that is too long, as a failure of the server", 500, {
    error: { message: "slow down: the request exceeds the available context size" }
  }, { tag: "InvalidRequestError", end: "ContextExceeded" }),
  refused("plain text", 503, "slow down", { tag: "InternalProviderError" }),
  refused("a page of a proxy", 502, "<html><head><title>slow  down</title></head><body></body></html>", {
    tag: "InternalProviderError"
  }),
  refused("no body", 500, "", { tag: "InternalProviderError", words: "" }),
  refused("an unknown key", 401, { error: { message: "slow down", code: "invalid_api_key" } }, {
    tag: "AuthenticationError"
  }),
  refused("a forbidden model", 403, { error: { message: "slow down" } }, { tag: "AuthenticationError" }),
  refused("no money", 429, { error: { message: "slow down", code: "insufficient_quota" } }, {
    tag: "QuotaExhaustedError"
  }),
  refused("no money by status", 402, { error: { message: "slow down" } }, { tag: "QuotaExhaustedError" }),
  refused("a filtered prompt", 400, { error: { message: "slow down", code: "content_filter" } }, {
    tag: "ContentPolicyError"
  }),
  refused(
    "Retry-After in seconds",
    429,
    { error: { message: "slow down" } },
    { tag: "RateLimitError", retryAfter: 7 },
    { "retry-after": "7" }
  ),
  refused("Retry-After in milliseconds", 429, { error: { message: "slow down" } }, {
    tag: "RateLimitError",
    retryAfter: 1.5
  }, { "retry-after-ms": "1500" }),
  refused("the reset of an empty counter", 429, { error: { message: "slow down" } }, {
    tag: "RateLimitError",
    retryAfter: 61
  }, {
    "x-ratelimit-remaining-requests": "12",
    "x-ratelimit-reset-requests": "20ms",
    "x-ratelimit-remaining-tokens": "0",
    "x-ratelimit-reset-tokens": "1m1s"
  }),
  refused(
    "Retry-After as a date",
    429,
    { error: { message: "slow down" } },
    { tag: "RateLimitError", retryAfter: -1 },
    {
      "retry-after": new Date(Date.now() + 3_600_000).toUTCString()
    }
  ),
  refused("an overloaded server", 529, { error: { message: "slow down" } }, { tag: "RateLimitError" }),
  refused("an unavailable server that says when", 503, { error: { message: "slow down" } }, {
    tag: "RateLimitError",
    retryAfter: 3
  }, { "retry-after": "3" }),
  refused("the words of a provider behind a router", 429, {
    error: {
      message: "Provider returned error",
      code: 429,
      metadata: { raw: "{\"error\":{\"message\":\"slow down\"}}" }
    }
  }, { tag: "RateLimitError" })
]

const wholes: ReadonlyArray<Shape> = [
  {
    name: "a completion",
    whole: true,
    answer: {
      body: JSON.stringify({
        id: "c",
        created: "now",
        error: null,
        choices: [{
          index: 0,
          message: { role: "assistant", content: "Hi there", reasoning: "hm" },
          finish_reason: "stop"
        }],
        usage: { ...counted, prompt_tokens: "20" }
      })
    },
    means: { ...said, reasoning: "hm" }
  },
  {
    name: "a completion with calls of one id and odd arguments",
    whole: true,
    answer: {
      body: JSON.stringify({
        choices: [{
          message: {
            content: null,
            tool_calls: [{ id: 1, function: named({ city: "Oslo" }) }, { id: 1, function: named(JSON.stringify(rome)) }]
          },
          finish_reason: "stop"
        }],
        usage: counted
      })
    },
    means: { calls: [asOslo, asRome], finish: "tool-calls", usage: [20, 9] }
  },
  {
    name: "a completion with a call without a name",
    whole: true,
    answer: {
      body: JSON.stringify({
        choices: [{ message: { content: null, tool_calls: [{ id: "c1", function: { arguments: oslo } }] } }],
        usage: counted
      })
    },
    means: { calls: [["call_without_a_name", { city: "Oslo" }]], finish: "tool-calls", usage: [20, 9] }
  },
  {
    name: "a completion without a finish reason",
    whole: true,
    answer: {
      body: JSON.stringify({
        choices: [{ message: { content: [{ type: "text", text: "Hi there" }] } }],
        usage: counted
      })
    },
    means: said
  },
  {
    name: "an error in place of a completion, with the status 200",
    whole: true,
    answer: { body: JSON.stringify({ error: { message: "slow down", code: 429 } }) },
    means: { error: { tag: "RateLimitError", words: "slow down" } }
  }
]

export const shapes: ReadonlyArray<Shape> = [
  ...texts,
  ...calls,
  ...fields,
  ...ends,
  ...counts,
  ...framing,
  ...inside,
  ...errors,
  ...wholes
]

/** The answer of a model that has nothing more to do. */
export const closing: Answer = stream([
  chunk({ content: "Done." }),
  chunk({}, "stop"),
  usage({ prompt_tokens: 1, completion_tokens: 1 })
])
