// Errors in OpenAI's shape, whose code is the error's tag where OpenAI has none of its own.
import type { Data, Failure } from "@fastagentic/core/run/Event"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { Problem, Render } from "../http/Problem.ts"

interface Subject {
  readonly traceId: string
  readonly runId?: string | undefined
}

const typeOf = (status: number): string => {
  if (status === 401) return "authentication_error"
  if (status === 402) return "insufficient_quota"
  if (status === 403) return "permission_error"
  if (status === 429) return "rate_limit_error"
  return status < 500 ? "invalid_request_error" : "server_error"
}

const codes: ReadonlyMap<string, string> = new Map([
  ["Unauthenticated", "invalid_api_key"],
  ["NotDeclared", "model_not_found"],
  ["RateLimited", "rate_limit_exceeded"],
  ["BudgetExceeded", "insufficient_quota"],
  ["ContextExceeded", "context_length_exceeded"]
])

/** The error of a request; `error` is the typed error itself. */
const errorOf = ({ detail, error, runId, status, title, traceId }: Problem) => ({
  message: detail ?? title,
  type: typeOf(status),
  param: null,
  code: codes.get(title) ?? title,
  error,
  trace_id: traceId,
  ...(runId === undefined ? {} : { run_id: runId })
})

/** Clients repeat conflicts by themselves; none of ours goes away by that. */
export const render: Render = (problem, headers) =>
  HttpServerResponse.jsonUnsafe({ error: errorOf(problem) }, {
    status: problem.status,
    headers: problem.status === 409 ? { ...headers, "x-should-retry": "false" } : headers
  })

/** The error of a run that has failed. */
export const ofFailure = ({ message, rule, status, tag, value }: Failure, { runId, traceId }: Subject) => ({
  message,
  type: typeOf(status),
  param: null,
  code: codes.get(tag) ?? tag,
  error: value ?? (rule === undefined ? { _tag: tag } : { _tag: tag, rule }),
  trace_id: traceId,
  ...(runId === undefined ? {} : { run_id: runId })
})

/** The failure as which a cancelled run shows: OpenAI's answers have no other end without text. */
export const cancelled = (reason: string): Failure => ({
  tag: "RunCancelled",
  message: `The run was cancelled: ${reason}`,
  status: 409,
  declared: false
})

/** The failure as which a run shows that waits, but not for a decision: a completion has no end that says so. */
export const waits = (runId: string, on: Data<"run_suspended"> | undefined): Failure => {
  const detail = on?.detail === undefined ? "" : ` (${on.detail})`
  return {
    tag: "RunWaits",
    message: `The run has not ended: it waits for ${
      on?.reason ?? "its continuation"
    }${detail}. Read it at /runs/${runId}.`,
    status: 409,
    declared: false
  }
}

/** Words that were sent already do not count any more; they cannot be taken back on this wire. */
export const superseded: Failure = {
  tag: "AnswerSuperseded",
  message: "The run has begun a part of its answer again. Send the request once more, or read the run.",
  status: 503,
  declared: false
}
