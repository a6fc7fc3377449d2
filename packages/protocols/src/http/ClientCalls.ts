// A client's calls of declared agents, tools, resources and prompts.
import type { AnySchema } from "@fastagentic/core/app/Agent"
import type * as PromptTemplate from "@fastagentic/core/app/PromptTemplate"
import * as Resource from "@fastagentic/core/app/Resource"
import type { RunEvent } from "@fastagentic/core/run/Event"
import { InvalidPayload } from "@fastagentic/core/run/RunError"
import { isSettled } from "@fastagentic/core/run/RunRecord"
import { Transcript } from "@fastagentic/core/run/Transcript"
import { Effect, Schema, Stream } from "effect"
import type { CallOptions, StartOptions } from "./Client.ts"
import { ClientError, RunFailed, RunSuspended } from "./ClientError.ts"
import * as ClientJournal from "./ClientJournal.ts"
import * as ClientRuns from "./ClientRuns.ts"
import * as Transport from "./ClientTransport.ts"
import * as Schemas from "./Schemas.ts"

/** The schemas of an agent or tool. */
export interface Target {
  readonly identifier: string
  readonly payloadSchema: AnySchema
  readonly successSchema: AnySchema
  readonly errorSchema: AnySchema
}

export const agent = (transport: Transport.Transport, target: Target) => {
  const path = `/agents/${target.identifier}`
  const streaming = (payload: unknown, options?: CallOptions) =>
    Stream.unwrap(
      Effect.map(requestOf(target, `${path}/stream`, payload, options), (open) => stream(transport, target, open))
    )
  return Object.assign(waitingCall(transport, target, path), {
    stream: streaming,
    text: (payload: unknown, options?: CallOptions) =>
      Stream.suspend(() => {
        const transcript = new Transcript()
        return streaming(payload, options).pipe(
          Stream.filter((event) => transcript.add(event)),
          Stream.map(() => transcript.text)
        )
      }),
    start: (payload: unknown, options?: StartOptions) =>
      requestOf(target, `${path}/runs`, payload, options).pipe(
        Effect.flatMap(transport.send),
        Effect.flatMap((answered) => Transport.readOk(answered, Schemas.Run)),
        Effect.retry(transport.again)
      )
  })
}

export const tool = (transport: Transport.Transport, target: Target) =>
  waitingCall(transport, target, `/tools/${target.identifier}`)

/** One request, whose idempotency key stays the same when it is repeated. */
const requestOf = (target: Target, path: string, payload: unknown, options: StartOptions = {}) =>
  Effect.map(encode(target.identifier, target.payloadSchema, payload), (body): Transport.Request => ({
    method: "POST",
    path,
    body,
    headers: {
      "idempotency-key": options.idempotencyKey ?? globalThis.crypto.randomUUID(),
      "x-thread-id": options.threadId
    },
    query: {
      priority: options.priority?.toString(),
      timeout: options.timeout?.toString(),
      startAt: options.startAt === undefined ? undefined : String(Number(options.startAt))
    }
  }))

export const encode = (
  target: string,
  schema: AnySchema,
  value: unknown = {}
): Effect.Effect<Schema.Json, ClientError> =>
  Effect.mapError(
    Schema.encodeUnknownEffect(Schema.toCodecJson(schema))(value),
    (error) =>
      new ClientError({ reason: new InvalidPayload({ target, issues: [{ path: [], message: error.message }] }) })
  )

const waitingCall = (transport: Transport.Transport, target: Target, path: string) => {
  const attempt = Effect.fnUntraced(function*(request: Transport.Request) {
    const answered = yield* transport.send(request)
    const { response: { headers, status } } = answered
    if (status === 200) return yield* Transport.read(answered, target.successSchema)
    if (status === 202) return yield* outcome(transport, target, yield* Transport.read(answered, Schemas.Run))
    return yield* headers["x-run-id"] === undefined
      ? Transport.refusal(answered)
      : Transport.failure(answered, target.errorSchema)
  })
  return (payload: unknown, options?: CallOptions) =>
    Effect.flatMap(
      requestOf(target, path, payload, options),
      (request) => Effect.retry(attempt(request), transport.again)
    )
}

/** The result of a run; a run that continues because its server shut down is followed until it settles. */
const outcome = Effect.fnUntraced(function*(transport: Transport.Transport, target: Target, seen: Schemas.Run) {
  const { runId } = seen
  const runs = ClientRuns.make(transport)
  if (!isSettled(seen)) {
    yield* Stream.runDrain(
      ClientJournal.events({ transport, source: { runId }, after: seen.seq, until: "settled" })
    )
  }
  const run = yield* runs.get(runId)
  if (run.error !== undefined) return yield* Transport.failed(run.error, target.errorSchema, runId)
  switch (run.state) {
    case "completed":
      return yield* answerOf(target, run.output, runId)
    case "cancelled":
      return yield* cancelled(runId)
    default: {
      const interrupts = yield* runs.interrupts(runId)
      return yield* new RunSuspended({ run, interrupts: interrupts.filter(({ state }) => state === "open") })
    }
  }
})

/** The answer of a run that has completed. */
export const answerOf = (target: Target, output: unknown, runId: string): Effect.Effect<unknown, ClientError> =>
  Effect.mapError(
    Schema.decodeUnknownEffect(Schema.toCodecJson(target.successSchema))(output),
    (error) =>
      new ClientError({ reason: new RunFailed({ tag: "UnknownAnswer", status: 200, detail: error.message }), runId })
  )

const cancelled = (runId: string) =>
  new ClientError({
    reason: new RunFailed({ tag: "RunCancelled", status: 409, detail: "the run was cancelled" }),
    runId
  })

/** The journal of a new run. The stream fails after the last event when the run ended without an answer. */
const stream = (transport: Transport.Transport, target: Target, open: Transport.Request) => {
  let last: RunEvent | undefined
  return ClientJournal.events({ transport, source: { open }, after: 0, until: "settled" }).pipe(
    Stream.tap((event) =>
      Effect.sync(() => {
        last = event
      })
    ),
    Stream.concat(Stream.suspend((): Stream.Stream<never, unknown> => {
      if (last?.type === "error") return Stream.fromEffect(Transport.failed(last.data, target.errorSchema, last.runId))
      return last?.type === "run_cancelled" ? Stream.fail(cancelled(last.runId)) : Stream.empty
    }))
  )
}

export const resource = (transport: Transport.Transport, declared: Resource.Any) =>
  Effect.fnUntraced(function*(params?: unknown) {
    const { errorSchema, identifier, paramsSchema, successSchema, uriTemplate } = declared
    const encoded = new Map<string, unknown>(Object.entries((yield* encode(identifier, paramsSchema, params)) ?? {}))
    const segments = Resource.paramNames(uriTemplate).map((name) => encodeURIComponent(String(encoded.get(name))))
    const answered = yield* transport.send({ method: "GET", path: ["/resources", identifier, ...segments].join("/") })
    if (!Transport.isOk(answered)) return yield* Transport.failure(answered, errorSchema)
    // The server sends a string as text, and everything else as JSON.
    const content = answered.response.headers["content-type"] === "application/json"
      ? Transport.jsonOf(answered)
      : Transport.textOf(answered)
    return yield* Transport.decode(answered, successSchema, yield* content)
  })

const Messages = Schema.Struct({
  messages: Schema.Array(Schema.Struct({ role: Schema.Literals(["user", "assistant"]), text: Schema.String }))
})

export const prompt = (transport: Transport.Transport, { identifier, paramsSchema }: PromptTemplate.Any) =>
  Effect.fnUntraced(function*(params?: unknown) {
    const body = yield* encode(identifier, paramsSchema, params)
    const answered = yield* transport.send({ method: "POST", path: `/prompts/${identifier}`, body })
    const { messages } = yield* Transport.readOk(answered, Messages)
    return messages
  })
