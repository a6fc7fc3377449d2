// Takes the notifications of remote agents about tasks that runs of this app wait for. A notification only says that the task is
// worth reading: the run reads it from the remote agent itself, so a body that is forged or comes twice changes nothing. A2aProtocol
// adds its route where a PushReceiver is.
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import { Effect, Option, Predicate, Result } from "effect"
import * as HttpRouter from "effect/http/HttpRouter"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { bodyText, closing } from "../internal/bodyText.ts"
import { isRunId } from "../internal/isRunId.ts"
import type { RequestLimits } from "../internal/requestLimits.ts"
import type { Receiver } from "./PushReceiver.ts"

const statuses = { TooLarge: 413, TooSlow: 408, Unreadable: 400 } as const

export const handle = (
  runtime: Pick<Runtime["Service"], "push">,
  receiver: Receiver,
  limits: RequestLimits
) =>
  Effect.fnUntraced(function*(request: HttpServerRequest) {
    const { runId = "" } = yield* HttpRouter.params
    if (!isRunId(runId) || !(yield* receiver.isToken(runId, tokenIn(request)))) {
      return HttpServerResponse.empty({ status: 404 })
    }
    const body = yield* Effect.result(bodyText(request, limits))
    if (Result.isFailure(body)) {
      return HttpServerResponse.empty({ status: statuses[body.failure], headers: closing })
    }
    const news = newsIn(body.success)
    if (news === undefined) return HttpServerResponse.empty({ status: 204 })
    // The sender tries again while the store is away.
    const kept = yield* Effect.isSuccess(runtime.push.arrived(runId, news))
    return HttpServerResponse.empty({ status: kept ? 204 : 503 })
  })

/** The token of the configuration, in the header of its own or as a credential. */
const tokenIn = ({ headers }: HttpServerRequest) =>
  headers["x-a2a-notification-token"] ?? headers["authorization"]?.replace(/^Bearer /iu, "") ?? ""

/** A status in which the run has something to do: text that is said meanwhile wakes nothing. */
const newsIn = (text: string): string | undefined => {
  const json = Option.getOrUndefined(Option.liftThrowable((): unknown => JSON.parse(text))())
  const status = statusIn(json)
  if (!Predicate.isObject(status)) return undefined
  const { state, timestamp } = { state: "", timestamp: "", ...status }
  const name = String(state).replace(/^TASK_STATE_/u, "").replaceAll("-", "_").toUpperCase()
  return awaited.has(name) ? `${name}/${String(timestamp).replaceAll(/[^\w:.+-]/gu, "").slice(0, 40)}` : undefined
}

/** The status of a task or of an update, in both versions. */
const statusIn = (json: unknown): unknown => {
  for (const name of ["task", "statusUpdate"] as const) {
    if (Predicate.hasProperty(json, name)) return statusIn(json[name])
  }
  return Predicate.hasProperty(json, "status") ? json.status : undefined
}

const awaited: ReadonlySet<string> = new Set([
  "COMPLETED",
  "FAILED",
  "CANCELED",
  "CANCELLED",
  "REJECTED",
  "INPUT_REQUIRED",
  "AUTH_REQUIRED"
])
