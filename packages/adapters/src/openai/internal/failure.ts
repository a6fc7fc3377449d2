// Maps HTTP failures to `AiError`, with the API key removed from every text.
import { Clock, Duration, Effect, Option, Redacted, Schema } from "effect"
import * as AiError from "effect/ai/AiError"
import type * as HttpClientError from "effect/http/HttpClientError"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Wire from "./wire.ts"

export type Method = "generateText" | "streamText"

/** Maps failures to `AiError`, with the key removed from every text that came from outside. */
export interface Failures {
  readonly fail: (method: Method, reason: AiError.AiErrorReason) => AiError.AiError
  readonly fromResponse: (
    method: Method,
    response: HttpClientResponse.HttpClientResponse
  ) => Effect.Effect<never, AiError.AiError>
  readonly fromTransport: (method: Method, error: HttpClientError.HttpClientError) => AiError.AiError
  readonly fromEvent: (method: Method, failure: Wire.Failure | string) => AiError.AiError
  readonly malformed: (method: Method, description: string) => AiError.AiError
  readonly connectionLost: (method: Method) => AiError.AiError
}

interface Report {
  readonly status: number | undefined
  readonly message: string
  readonly code: string | undefined
  readonly type: string | undefined
  readonly parameter: string | undefined
  readonly retryAfter: Duration.Duration | undefined
  readonly http: typeof AiError.HttpContext.Type | undefined
  readonly metadata: AiError.ProviderMetadata
}

const module = "OpenAiCompatible"

const keptHeaders = ["x-request-id", "retry-after", "retry-after-ms", "openai-processing-ms"]

const decodeBody = Schema.decodeUnknownOption(Schema.fromJsonString(Wire.FailureBody))

const isContentFilter = (code: string | undefined) =>
  code === "content_filter" || code === "content_policy_violation" || code === "ResponsibleAIPolicyViolation"

const isQuota = (report: Report) => report.code === "insufficient_quota" || report.type === "insufficient_quota"

const reasonOf = (report: Report): AiError.AiErrorReason => {
  const { code, http, message: description, metadata, parameter, retryAfter, status, type } = report
  if (isContentFilter(code)) return new AiError.ContentPolicyError({ description, http, metadata })
  if (isQuota(report) || status === 402) return new AiError.QuotaExhaustedError({ http, metadata })
  if (status === 429 || code === "rate_limit_exceeded" || type === "rate_limit_error") {
    return new AiError.RateLimitError({ retryAfter, http, metadata })
  }
  if (status === 401 || code === "invalid_api_key") {
    const kind = code === "expired_api_key" ? "ExpiredKey" : "InvalidKey"
    return new AiError.AuthenticationError({ kind, description, http, metadata })
  }
  if (status === 403) {
    return new AiError.AuthenticationError({ kind: "InsufficientPermissions", description, http, metadata })
  }
  const isTransient = status === 408 || status === 409
  if (status !== undefined && status >= 400 && status < 500 && !isTransient || type === "invalid_request_error") {
    return new AiError.InvalidRequestError({ parameter, description, http, metadata })
  }
  return new AiError.InternalProviderError({ description, http, metadata })
}

const retryAfter = (
  headers: Readonly<Record<string, string | undefined>>,
  now: number
): Duration.Duration | undefined => {
  const millis = Number(headers["retry-after-ms"] ?? Number.NaN)
  if (Number.isFinite(millis)) return Duration.millis(Math.max(0, millis))
  const header = headers["retry-after"]
  if (header === undefined) return undefined
  const seconds = Number(header)
  if (Number.isFinite(seconds)) return Duration.seconds(Math.max(0, seconds))
  const date = Date.parse(header)
  return Number.isNaN(date) ? undefined : Duration.millis(Math.max(0, date - now))
}

const withoutSecrets = (url: string): string => {
  try {
    const { origin, pathname } = new URL(url)
    return `${origin}${pathname}`
  } catch {
    return "the configured base URL"
  }
}

export const make = (apiKey: Redacted.Redacted, baseUrl: string): Failures => {
  const url = withoutSecrets(baseUrl)
  const key = Redacted.value(apiKey)
  const scrub = (text: string): string => (key === "" ? text : text.replaceAll(key, "<redacted>")).slice(0, 2000)

  const fail = (method: Method, reason: AiError.AiErrorReason) => AiError.make({ module, method, reason })

  const toReport = (failure: Wire.Failure | string, rest: Pick<Report, "status" | "retryAfter" | "http">): Report => {
    const { code, message, param, type } = typeof failure === "string"
      ? { message: failure, code: undefined, param: undefined, type: undefined }
      : failure
    const codeText = typeof code === "number" ? String(code) : code ?? undefined
    const kind = type ?? undefined
    const fallback = rest.status === undefined ? "the provider reported an error" : `HTTP ${rest.status}`
    return {
      ...rest,
      message: scrub(message === undefined || message === null || message === "" ? fallback : message),
      code: codeText === undefined ? undefined : scrub(codeText),
      type: kind === undefined ? undefined : scrub(kind),
      parameter: param === undefined || param === null ? undefined : scrub(param),
      metadata: { openai: { code: scrub(codeText ?? ""), type: scrub(kind ?? "") } }
    }
  }

  const fromResponse = Effect.fnUntraced(function*(method: Method, response: HttpClientResponse.HttpClientResponse) {
    const body = yield* Effect.orElseSucceed(response.text, () => "")
    const now = yield* Clock.currentTimeMillis
    const kept = keptHeaders.flatMap((name) => {
      const value = response.headers[name]
      return value === undefined ? [] : [[name, scrub(value)] as const]
    })
    const failure = Option.match(decodeBody(body), {
      onNone: () => `HTTP ${response.status}`,
      onSome: ({ error }) => error
    })
    const report = toReport(failure, {
      status: response.status,
      retryAfter: retryAfter(response.headers, now),
      http: { response: { status: response.status, headers: Object.fromEntries(kept) } }
    })
    return yield* fail(method, reasonOf(report))
  })

  const network = (method: Method, description: string, reason: AiError.NetworkError["reason"] = "TransportError") =>
    fail(method, new AiError.NetworkError({ reason, description: scrub(description), method: "POST", url }))

  return {
    fail,
    fromResponse,
    fromTransport: (method, { reason }) => {
      switch (reason._tag) {
        case "TransportError":
          return network(method, reason.description ?? "the provider could not be reached")
        case "EncodeError":
        case "InvalidUrlError":
          return network(method, reason.description ?? "the request could not be made", reason._tag)
        default:
          return network(method, "the connection was lost before the answer was complete")
      }
    },
    fromEvent: (method, failure) =>
      fail(method, reasonOf(toReport(failure, { status: undefined, retryAfter: undefined, http: undefined }))),
    malformed: (method, description) =>
      fail(method, new AiError.InvalidResponseError({ description: scrub(description) })),
    connectionLost: (method) => network(method, "the connection was closed before the answer was complete")
  }
}
