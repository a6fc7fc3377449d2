// Sends a client's requests and reads their answers and refusals.
import type { AnySchema } from "@fastagentic/core/app/Agent"
import type { Credentials } from "@fastagentic/core/run/Credentials"
import type { Failure } from "@fastagentic/core/run/Event"
import { InterruptDenied } from "@fastagentic/core/run/Run"
import * as RunError from "@fastagentic/core/run/RunError"
import { Duration, Effect, Option, Redacted, Schedule, Schema } from "effect"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import { ClientError, Disconnected, isTransient, RunFailed, UnexpectedResponse } from "./ClientError.ts"
import { Problem } from "./ProblemDetails.ts"

const longestPause = Duration.seconds(2)

export interface Request {
  readonly method: "GET" | "POST" | "DELETE"
  readonly path: string
  readonly body?: Schema.Json
  readonly form?: FormData
  readonly headers?: Record<string, string | undefined>
  readonly query?: Record<string, string | undefined>
}

/** A response together with the name of its request. */
export interface Answered {
  readonly name: string
  readonly response: HttpClientResponse
}

export interface Transport {
  readonly send: (request: Request) => Effect.Effect<Answered, ClientError>
  /** The schedule on which a broken call is repeated. */
  readonly again: Schedule.Schedule<unknown, unknown>
}

export const make = (
  http: HttpClient.HttpClient,
  options: { readonly url: string; readonly credentials: Credentials; readonly retries: number }
): Transport => {
  const { apiKey, bearer } = options.credentials
  const base = options.url.replace(/\/+$/u, "")
  const sent = {
    ...(bearer === undefined ? {} : { authorization: `Bearer ${Redacted.value(bearer)}` }),
    ...(apiKey === undefined ? {} : { "x-api-key": Redacted.value(apiKey) })
  }
  return {
    send: ({ body, form, headers, method, path, query }) => {
      const bare = HttpClientRequest.make(method)(base + path, {
        headers: { ...sent, ...defined(headers) },
        urlParams: defined(query)
      })
      const name = `${method} ${path}`
      const request = form !== undefined
        ? HttpClientRequest.bodyFormData(bare, form)
        : body === undefined
        ? bare
        : HttpClientRequest.bodyJsonUnsafe(bare, body)
      return http.execute(request).pipe(
        Effect.mapError((error) => disconnected(name, error)),
        Effect.map((response) => ({ name, response }))
      )
    },
    again: Schedule.exponential("100 millis").pipe(
      Schedule.modifyDelay(({ duration }) => Effect.succeed(Duration.min(duration, longestPause))),
      Schedule.while(({ attempt, input }) => attempt <= options.retries && isTransient(input))
    )
  }
}

const defined = (fields: Record<string, string | undefined> = {}): Record<string, string> => {
  const some: Record<string, string> = {}
  for (const [key, value] of Object.entries(fields)) if (value !== undefined) some[key] = value
  return some
}

/** The kind of failure. Its cause can hold the request with its headers, so only a code of it is kept. */
export const disconnected = (request: string, error: HttpClientError | string) =>
  new ClientError({
    reason: new Disconnected({
      request,
      detail: typeof error === "string" ? error : [error.reason._tag, codeOf(error.reason)].filter(Boolean).join(" ")
    })
  })

const codeOf = (error: unknown): string | undefined => {
  if (typeof error !== "object" || error === null) return undefined
  if ("code" in error && typeof error.code === "string" && /^[A-Z_]+$/u.test(error.code)) return error.code
  return "cause" in error ? codeOf(error.cause) : undefined
}

export const textOf = ({ name, response }: Answered): Effect.Effect<string, ClientError> =>
  Effect.mapError(response.text, (error) => disconnected(name, error))

/** The bytes of a 2xx response; any other response fails with its problem. */
export const bytesOf = (answered: Answered): Effect.Effect<Uint8Array, ClientError> =>
  isOk(answered)
    ? Effect.map(
      Effect.mapError(answered.response.arrayBuffer, (error) => disconnected(answered.name, error)),
      (buffer) => new Uint8Array(buffer)
    )
    : refusal(answered)

/** The JSON of a response. */
export const jsonOf = (answered: Answered): Effect.Effect<unknown, ClientError> =>
  Effect.flatMap(textOf(answered), (text) =>
    Effect.try({
      try: (): unknown => JSON.parse(text),
      catch: () => unexpected(answered, "the body is not JSON")
    }))

/** The body of a response, decoded by a schema. */
export const read = <S extends AnySchema>(answered: Answered, schema: S): Effect.Effect<S["Type"], ClientError> =>
  Effect.flatMap(jsonOf(answered), (value) => decode(answered, schema, value))

/** A value of a response, decoded by a schema. */
export const decode = <S extends AnySchema>(
  answered: Answered,
  schema: S,
  value: unknown
): Effect.Effect<S["Type"], ClientError> =>
  Effect.mapError(
    Schema.decodeUnknownEffect(Schema.toCodecJson(schema))(value),
    (error) => unexpected(answered, error.message)
  )

export const unexpected = ({ name, response }: Answered, detail: string) =>
  new ClientError({ reason: new UnexpectedResponse({ request: name, status: response.status, detail }) })

/** The body of a 2xx response; any other response fails with its problem. */
export const readOk = <S extends AnySchema>(answered: Answered, schema: S): Effect.Effect<S["Type"], ClientError> =>
  isOk(answered) ? read(answered, schema) : refusal(answered)

export const isOk = ({ response }: Answered) => response.status >= 200 && response.status < 300

const decodeReason = Schema.decodeUnknownOption(
  Schema.toCodecJson(Schema.Union([...RunError.Reason.members, InterruptDenied]))
)

/** Nothing of a 2xx response; any other response fails with its problem. */
export const readNothing = (answered: Answered): Effect.Effect<void, ClientError> =>
  isOk(answered) ? Effect.void : refusal(answered)

/** Fails with the problem of a response. */
export const refusal = (answered: Answered): Effect.Effect<never, ClientError> =>
  Effect.flatMap(read(answered, Problem), (problem) => Effect.fail(errorOf(answered, problem, false)))

/** Fails with the problem of a call, which may be a declared error. */
export const failure = (answered: Answered, declared: AnySchema): Effect.Effect<never, unknown> =>
  Effect.flatMap(
    read(answered, Problem),
    (problem) => Effect.andThen(failDeclared(declared, problem.error), Effect.fail(errorOf(answered, problem, true)))
  )

const errorOf = (answered: Answered, problem: Problem, ran: boolean) =>
  new ClientError({
    reason: Option.getOrElse(reasonOf(answered, problem), () =>
      ran ? runFailed(problem) : unexpectedProblem(answered, problem)),
    traceId: problem.traceId,
    ...(problem.runId === undefined ? {} : { runId: problem.runId })
  })

/** The cause of a store's failure stays on the server. */
const reasonOf = ({ name }: Answered, { error, title }: Problem) =>
  title === "StoreUnavailable" ? Option.some(new RunError.StoreUnavailable({ operation: name })) : decodeReason(error)

const runFailed = ({ detail, error, status, title }: Problem) => {
  const { rule } = Object(error)
  return new RunFailed({ tag: title, status, detail: detail ?? title, ...(typeof rule === "string" ? { rule } : {}) })
}

const unexpectedProblem = ({ name }: Answered, { detail, status, title }: Problem) =>
  new UnexpectedResponse({ request: name, status, detail: detail === undefined ? title : `${title}: ${detail}` })

const failDeclared = (declared: AnySchema, error: unknown): Effect.Effect<void, unknown> =>
  Option.match(Schema.decodeUnknownOption(Schema.toCodecJson(declared))(error), {
    onNone: () => Effect.void,
    onSome: Effect.fail
  })

/** The failure of a run that has no value of its own. */
export const runFailedBy = ({ message: detail, rule, status, tag }: Failure) =>
  new RunFailed({ tag, status, detail, ...(rule === undefined ? {} : { rule }) })

/** Fails as the run did: with its declared error if it has one. */
export const failed = Effect.fnUntraced(function*(failure: Failure, declared: AnySchema, runId: string) {
  if (failure.declared) yield* failDeclared(declared, failure.value)
  const reason = Option.getOrElse(decodeReason(failure.value), () => runFailedBy(failure))
  return yield* new ClientError({ reason, runId })
})
