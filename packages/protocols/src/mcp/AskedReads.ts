// Prompts and resources that ask their client while they are read. Neither is a run, so nothing is kept: in rounds
// (2026-07-28) the read starts again with all answers so far, which the client carries in `requestState`.
import * as JsonSchema from "@fastagentic/core/base/JsonSchema"
import type { Asked, Runtime } from "@fastagentic/core/operations/Runtime"
import * as ClientRequest from "@fastagentic/core/run/ClientRequest"
import type { Interrupt, Request, Resolution } from "@fastagentic/core/run/Interrupt"
import type * as Sdk from "@modelcontextprotocol/server"
import { Deferred, Effect, Option, Schema } from "effect"
import * as Base64Url from "effect/encoding/Base64Url"
import { again, type Client, type Question, questionOf } from "./ClientQuestion.ts"
import { digestOf } from "./digest.ts"
import { invalidParams, McpError, pageRequired } from "./McpError.ts"

/** A client's answer to a request as it came, or the message of its error. */
export type Raw = { readonly result: unknown } | { readonly error: string }

/** The way to ask: not at all, while the read waits, or in rounds. */
export type ReadFlow =
  & { readonly client: Client }
  & (
    | { readonly _tag: "None" }
    | { readonly _tag: "Push"; readonly put: (question: Question) => Effect.Effect<Raw> }
    | {
      readonly _tag: "Rounds"
      readonly state: string | undefined
      readonly responses: { readonly [name: string]: unknown }
    }
  )

/** The number of times that a question is put when its answer does not fit. */
const attempts = 3

const denied = (reason: string): Resolution => ({ decision: "deny", reason, by: "client", at: 0 })

/** Reads with a client that can be asked; in rounds the questions may be the answer. */
export const run = <A, E>(
  runtime: Runtime["Service"],
  flow: ReadFlow,
  { params, traceId }: { readonly params: unknown; readonly traceId: string },
  read: (client: Asked) => Effect.Effect<A, E>
): Effect.Effect<A | Sdk.InputRequiredResult, E | McpError> => {
  switch (flow._tag) {
    case "None":
      return read({ ask: () => Effect.succeed(denied(ClientRequest.unsupported)) })
    case "Push":
      return Effect.flatMap(Deferred.make<never, McpError>(), (page) =>
        Effect.raceFirst(
          read({ ask: (request) => pushed(runtime, flow, request, page, traceId) }),
          Deferred.await(page)
        ))
    case "Rounds":
      return rounds(runtime, flow, params, traceId, read)
  }
}

const pushed = Effect.fnUntraced(function*(
  runtime: Runtime["Service"],
  { client, put }: Extract<ReadFlow, { readonly _tag: "Push" }>,
  request: Request,
  page: Deferred.Deferred<never, McpError>,
  traceId: string
): Effect.fn.Return<Resolution> {
  const question = questionFor(runtime, client, request)
  if (question === undefined) return denied(ClientRequest.unsupported)
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const raw = yield* put(attempt > 1 ? again(question) : question)
    if ("error" in raw) return denied(raw.error)
    // The read cannot learn when the page is done: its client reads again then.
    if (question.read(raw.result) === "opened") {
      yield* Deferred.fail(page, pageRequired(question.page, traceId))
      return yield* Effect.never
    }
    const resolution = yield* resolved(question, request, raw.result)
    if (resolution !== undefined) return resolution
  }
  return denied("The answers did not fit")
})

const questionFor = (runtime: Runtime["Service"], client: Client, request: Request): Question | undefined => {
  // The id of a page is the client's name for it, over all of its requests.
  const id = request.url === undefined ? request.name : globalThis.crypto.randomUUID()
  const interrupt: Interrupt = { ...request, id, runId: "", createdAt: 0, state: "open" }
  const question = questionOf(runtime, interrupt, client)
  return question === "unsupported" ? undefined : question
}

/** The answer in a result; nothing when it does not fit. */
const resolved = Effect.fnUntraced(function*({ read }: Question, { responseSchema }: Request, result: unknown) {
  const answer = read(result)
  if (answer === "unclear" || answer === "opened") return undefined
  if (answer === "left") return denied("The user gave no answer")
  if (answer.decision === "deny") return denied(answer.reason ?? "The user declined")
  const schema = JsonSchema.toSchema(responseSchema ?? {})
  const fits = yield* Effect.option(Schema.decodeUnknownEffect(schema)(answer.value ?? null))
  return Option.isNone(fits) ? undefined : { ...answer, by: "client", at: 0 }
})

const State = Schema.fromJsonString(
  Schema.Struct({ of: Schema.String, answers: Schema.Record(Schema.String, Schema.Json) })
)
const decodeState = Schema.decodeUnknownEffect(State)
const encodeState = Schema.encodeEffect(State)
const isJson = Schema.is(Schema.Json)

const rounds = Effect.fnUntraced(function*<A, E>(
  runtime: Runtime["Service"],
  { client, responses, state }: Extract<ReadFlow, { readonly _tag: "Rounds" }>,
  params: unknown,
  traceId: string,
  read: (client: Asked) => Effect.Effect<A, E>
): Effect.fn.Return<A | Sdk.InputRequiredResult, E | McpError> {
  const of = yield* digestOf(params)
  const before = state === undefined ? { of, answers: {} } : yield* Effect.mapError(
    Effect.flatMap(Effect.fromResult(Base64Url.decodeString(state)), decodeState),
    () => invalid(traceId)
  )
  if (before.of !== of) return yield* invalid(traceId)
  const answers = new Map(Object.entries(before.answers))
  for (const [name, response] of Object.entries(responses)) if (isJson(response)) answers.set(name, response)
  const open = new Map<string, Question>()
  const asked = yield* Deferred.make<void>()
  const ask = Effect.fnUntraced(function*(request: Request) {
    const question = questionFor(runtime, client, request)
    if (question === undefined) return denied(ClientRequest.unsupported)
    const resolution = answers.has(request.name)
      ? yield* resolved(question, request, answers.get(request.name))
      : undefined
    if (resolution !== undefined) return resolution
    open.set(request.name, answers.has(request.name) ? again(question) : question)
    answers.delete(request.name)
    yield* Deferred.succeed(asked, undefined)
    return yield* Effect.never
  })
  // Questions that are asked at the same moment are one round.
  const questions = Effect.andThen(Deferred.await(asked), Effect.sleep(0)).pipe(
    Effect.andThen(encodeState({ of, answers: Object.fromEntries(answers) })),
    Effect.orDie,
    Effect.map((encoded): Sdk.InputRequiredResult => ({
      resultType: "input_required",
      inputRequests: Object.fromEntries(Array.from(open, ([name, { request }]) => [name, request])),
      requestState: Base64Url.encode(encoded)
    }))
  )
  return yield* Effect.raceFirst(read({ ask }), questions)
})

const invalid = (traceId: string) =>
  new McpError({
    code: invalidParams,
    message: "Invalid or expired requestState",
    data: { tag: "InvalidRequestState", reason: "invalid_request_state", traceId }
  })
