// Maps everything that a provider package throws or puts into a stream to `AiError`: its class, the time to wait and the
// provider's own words. Secrets are removed from every text, and the request, which holds the prompt, is never kept.
import { Predicate, Redacted } from "effect"
import * as AiError from "effect/ai/AiError"
import { excessIn } from "../../adapter/internal/contextWords.ts"
import { fieldsOf, numberOf, textOf } from "./fields.ts"
import { retryTime } from "./retryTime.ts"
import { AnswerTooLong, TransportFailure } from "./transport.ts"
import { connectionLost, malformed } from "./wire/frames.ts"
import { statusIn, type Words, wordsOf } from "./words.ts"

export type Method = "generateText" | "streamText"

export interface Failures {
  readonly of: (method: Method, error: unknown) => AiError.AiError
  readonly reason: (method: Method, reason: AiError.AiErrorReason) => AiError.AiError
  readonly network: (method: Method, description: string) => AiError.AiError
}

const keptHeaders = /^(?:x-request-id|request-id|retry-after(?:-ms)?|x-amzn-requestid|apim-request-id)$/u

/** The statuses that words stand for, where a provider gives no number. */
const statuses: ReadonlyArray<readonly [RegExp, number]> = [
  [/insufficient_quota|billing|payment_required/iu, 402],
  [/overloaded/iu, 529],
  [/rate.?limit|too.?many.?requests|resource_exhausted|throttl/iu, 429],
  [
    /invalid_api_key|expired_api_key|unauthenticated|unauthorized|authentication|unrecognizedclient|expiredtoken/iu,
    401
  ],
  [/permission|accessdenied|forbidden/iu, 403],
  [/not.?found/iu, 404],
  [/timeout|deadline_exceeded/iu, 408],
  [/invalid_request|invalid_argument|invalid_prompt|validation|bad_?request|context_length/iu, 400],
  [/unavailable/iu, 503]
]

const statusOfWords = ({ code, type }: Words): number | undefined =>
  statuses.find(([words]) => words.test(`${code ?? ""} ${type ?? ""}`))?.[1]

const isContentFilter = /content_?filter|content_policy|responsibleaipolicy|prohibited_content|moderation/iu

interface Report extends Words {
  readonly status: number | undefined
  readonly headers: Readonly<Record<string, string>>
}

/** An error and the errors behind it. */
const causes = (error: unknown): ReadonlyArray<unknown> => {
  const found: Array<unknown> = []
  for (let next = error; next !== undefined && next !== null && !found.includes(next);) {
    found.push(next)
    next = Predicate.hasProperty(next, "cause") ? next.cause : undefined
  }
  return found
}

const named = (error: unknown, name: string): boolean => Predicate.isError(error) && error.name === name

/** A package's report of an answer: status, headers and body, or an object of a stream. */
const reportOf = (error: unknown): Report => {
  const fields = fieldsOf(error)
  const headers = fieldsOf(fields.responseHeaders)
  const body = textOf(fields.responseBody)
  const inBody = wordsOf(body ?? (Predicate.isError(error) ? error : fields.data ?? error))
  const words = inBody.message === undefined && Predicate.isError(error)
    ? { ...inBody, message: textOf(error.message) }
    : inBody
  return {
    ...words,
    type: words.type ?? textOf(headers["x-amzn-errortype"]),
    status: numberOf(fields.statusCode),
    headers: Object.fromEntries(
      Object.entries(headers).flatMap(([name, value]) => typeof value === "string" ? [[name.toLowerCase(), value]] : [])
    )
  }
}

const withoutQuery = (url: string): string => {
  if (!URL.canParse(url)) return "the provider"
  const { origin, pathname } = new URL(url)
  return `${origin}${pathname}`
}

/** Failures of one model; `secrets` never appear in them. */
export const make = (provider: string, secrets: ReadonlyArray<Redacted.Redacted>): Failures => {
  // A dummy key of a local server is no secret, and often a common word.
  const hidden = secrets.map(Redacted.value).filter((secret) => secret.length >= 8)
  const scrub = (text: string): string =>
    hidden.reduce((shown, secret) => shown.replaceAll(secret, "<redacted>"), text).slice(0, 2000)
  const optional = (text: string | undefined) => text === undefined ? undefined : scrub(text)

  const reason = (method: Method, why: AiError.AiErrorReason) => AiError.make({ module: "Models", method, reason: why })

  const network = (method: Method, description: string, url = "") =>
    reason(
      method,
      new AiError.NetworkError({
        reason: "TransportError",
        description: scrub(description),
        method: "POST",
        url: scrub(withoutQuery(url))
      })
    )

  const reasonOf = (report: Report): AiError.AiErrorReason => {
    const stated = report.status !== undefined && report.status >= 400 ? report.status : statusIn(report)
    const status = stated ?? statusOfWords(report)
    const [code, type] = [optional(report.code), optional(report.type)]
    const description = optional(report.message) ??
      (status === undefined ? "the provider reported an error" : `HTTP ${status}`)
    const kept = Object.entries(report.headers).filter(([name]) => keptHeaders.test(name))
    const http = report.status === undefined ? undefined : {
      response: { status: report.status, headers: Object.fromEntries(kept.map(([name, text]) => [name, scrub(text)])) },
      body: description
    }
    const metadata = { [provider]: { message: description, code: code ?? "", type: type ?? "" } }
    const retryAfter = retryTime(report.headers, report.delay, Date.now())

    // Some servers report it as a failure of their own, which would be tried again.
    if (status !== 429 && status !== 401 && status !== 403 && excessIn(`${description} ${code ?? ""} ${type ?? ""}`)) {
      return new AiError.InvalidRequestError({ parameter: optional(report.parameter), description, http, metadata })
    }
    if (isContentFilter.test(`${code ?? ""} ${type ?? ""}`)) {
      return new AiError.ContentPolicyError({ description, http, metadata })
    }
    if (status === 402 || (status === 429 && statusOfWords(report) === 402)) {
      return new AiError.QuotaExhaustedError({ http, metadata })
    }
    // Only this class carries a time to wait; an overloaded server asks for the same.
    if (status === 429 || status === 529 || (status !== undefined && status >= 500 && retryAfter !== undefined)) {
      return new AiError.RateLimitError({ retryAfter, http, metadata })
    }
    if (status === 401) {
      const kind = /expired/iu.test(`${code ?? ""} ${type ?? ""}`) ? "ExpiredKey" : "InvalidKey"
      return new AiError.AuthenticationError({ kind, description, http, metadata })
    }
    if (status === 403) {
      return new AiError.AuthenticationError({ kind: "InsufficientPermissions", description, http, metadata })
    }
    if (status !== undefined && status < 500 && status !== 408 && status !== 409) {
      return new AiError.InvalidRequestError({ parameter: optional(report.parameter), description, http, metadata })
    }
    return new AiError.InternalProviderError({ description, http, metadata })
  }

  const of = (method: Method, error: unknown): AiError.AiError => {
    if (AiError.isAiError(error)) return error
    const all = causes(error)
    const url = textOf(fieldsOf(error).url) ?? ""
    const lost = all.find((cause) => cause instanceof TransportFailure)
    if (lost instanceof AnswerTooLong) {
      return reason(method, new AiError.InvalidResponseError({ description: lost.message }))
    }
    if (lost instanceof TransportFailure) return network(method, lost.message, lost.url)
    const report = reportOf(error)
    const description = report.message ?? "the provider reported an error"
    if (report.code === connectionLost) return network(method, description, url)
    const isMalformed = report.code === malformed ||
      all.some((cause) =>
        named(cause, "AI_TypeValidationError") || named(cause, "AI_JSONParseError") ||
        named(cause, "AI_InvalidResponseDataError") || named(cause, "AI_EmptyResponseBodyError")
      )
    if (isMalformed) {
      return reason(method, new AiError.InvalidResponseError({ description: scrub(description).slice(0, 500) }))
    }
    if (
      named(error, "AI_UnsupportedFunctionalityError") || named(error, "AI_InvalidPromptError") ||
      named(error, "AI_InvalidArgumentError")
    ) {
      return reason(method, new AiError.InvalidUserInputError({ description: scrub(description) }))
    }
    const isAnswer = named(error, "AI_APICallError") && report.status !== undefined
    const isBroken = Predicate.isError(error) && !isAnswer && !named(error, "AI_APICallError")
    if (isBroken && (error instanceof TypeError || named(error, "AbortError"))) return network(method, description, url)
    if (named(error, "AI_APICallError") && report.status === undefined) return network(method, description, url)
    return reason(method, reasonOf(report))
  }

  return { of, reason, network: (method, description) => network(method, description) }
}
