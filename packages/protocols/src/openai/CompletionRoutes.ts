// OpenAI's chat completions and models, for tools that know only these: agents are models.
import type { Callable } from "@fastagentic/core/app/Fusion"
import * as Content from "@fastagentic/core/run/Content"
import type { Answer, Interrupt } from "@fastagentic/core/run/Interrupt"
import { IdempotencyConflict, NotDeclared, RunError } from "@fastagentic/core/run/RunError"
import { Effect, Predicate, Schema } from "effect"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { chatOf, invalid, toPayload } from "../chat/ChatPayload.ts"
import * as ChatRuns from "../chat/ChatRuns.ts"
import * as ChatStream from "../chat/ChatStream.ts"
import { BadBody } from "../http/Problem.ts"
import * as RequestContext from "../http/RequestContext.ts"
import * as Responses from "../http/Responses.ts"
import * as Route from "../http/Route.ts"
import { links } from "../internal/fileLinks.ts"
import { CompletionWriter } from "./CompletionWriter.ts"
import * as OpenAiError from "./OpenAiError.ts"
import * as OpenAiInput from "./OpenAiInput.ts"
import { whole } from "./Waiting.ts"

export const manner = { protocol: "openai", render: OpenAiError.render } as const

const optional = Schema.optionalKey

export const Metadata = optional(Schema.NullOr(Schema.Record(Schema.String, Schema.String)))

/** Further fields of the agent's payload. */
export const Rest = optional(Schema.Record(Schema.String, Schema.Json))

const CompletionRequest = Schema.Struct({
  model: Schema.String,
  messages: Schema.NonEmptyArray(OpenAiInput.Message),
  stream: optional(Schema.NullOr(Schema.Boolean)),
  stream_options: optional(Schema.NullOr(Schema.Struct({ include_usage: optional(Schema.NullOr(Schema.Boolean)) }))),
  n: optional(Schema.NullOr(Schema.Int)),
  metadata: Metadata,
  payload: Rest
}).annotate({ identifier: "CompletionRequest" })

const complete = RequestContext.handle(
  Effect.fnUntraced(function*(context) {
    const request = yield* RequestContext.openBodyAs(context, CompletionRequest)
    const { caller, request: { headers }, runtime } = context
    const agent = yield* ChatRuns.agentOf(runtime, request.model)
    if ((request.n ?? 1) !== 1) return yield* new BadBody({ detail: "n: Expected 1, because an agent has one answer" })
    const threadId = request.metadata?.["thread_id"] ?? (headers["x-thread-id"] || undefined)
    const files = yield* links
    const contents = OpenAiInput.contentOf(request.messages, { hasThread: threadId !== undefined, links: files })
    if (contents === undefined) {
      return yield* new BadBody({ detail: "messages: Expected a message of the user as the last one" })
    }
    const answering = (yield* decided(context, agent, threadId, Content.textOf(contents))) ??
      (yield* ChatRuns.start(context, {
        agent,
        payload: yield* toPayload(agent, contents, request.payload ?? {}),
        threadId
      }))
    const { run } = answering.handle
    const { traceId } = caller
    const writer = new CompletionWriter({
      run,
      links: files,
      traceId,
      includesUsage: request.stream_options?.include_usage === true
    })
    if (request.stream === true) {
      const frames = (chunks: ReadonlyArray<object>) => chunks.map(ChatStream.frame).join("")
      return ChatStream.response(context, answering, {
        start: () => frames(writer.start()),
        write: (parts, decidable) => frames(writer.write(parts, decidable)),
        end: () => `${frames(writer.end())}data: [DONE]\n\n`,
        refuse: ({ _tag, message }) => frames(writer.fail({ tag: _tag, message, status: 401, declared: false }))
      })
    }
    yield* whole(runtime, caller, answering, (parts, decidable) => writer.write(parts, decidable))
    writer.end()
    const subject = { runId: run.runId, traceId }
    return writer.failure === undefined
      ? HttpServerResponse.jsonUnsafe(writer.completion(), { headers: { "x-run-id": run.runId } })
      : HttpServerResponse.jsonUnsafe({ error: OpenAiError.ofFailure(writer.failure, subject) }, {
        status: writer.failure.status,
        headers: { "x-run-id": run.runId, "x-should-retry": "false" }
      })
  }),
  manner
)

/**
 * The rest of a run of the thread that waits for a decision, if the message is one. A message that is none would wait for
 * the run that waits for it. A repeat under the key of a start, or of a decision, is no new decision.
 */
const decided = Effect.fnUntraced(function*(
  context: RequestContext.RequestContext,
  agent: Callable,
  threadId: string | undefined,
  text: string
): Effect.fn.Return<ChatRuns.Answering | undefined, RunError> {
  const { caller, request: { headers }, runtime } = context
  if (threadId === undefined) return undefined
  const runs = yield* ChatRuns.newestRuns(runtime, caller, { agent: agent.identifier, threadId })
  const key = headers["idempotency-key"] || undefined
  if (key !== undefined) {
    if (runs.some(({ idempotencyKey }) => idempotencyKey === key)) return undefined
    const earlier = yield* earlierUnder(context, runs.map(({ runId }) => runId), key)
    if (earlier !== undefined) {
      const answer = answerIn(earlier.question, text)
      if (answer === undefined) {
        return yield* new RunError({ reason: new IdempotencyConflict({ key, runId: earlier.question.runId }) })
      }
      return yield* ChatRuns.decided(context, earlier.handle, [{ id: earlier.question.id, ...answer }])
    }
  }
  const [newest] = runs
  if (newest?.state !== "suspended" || newest.waitsFor !== "interrupt") return undefined
  const open = (yield* runtime.decidable(caller, newest.runId)).filter(({ state }) => state === "open")
  const [question, ...more] = open
  const answer = question === undefined || more.length > 0 ? undefined : answerIn(question, text)
  if (question !== undefined && answer !== undefined) {
    const handle = yield* runtime.open(caller, newest.runId)
    return yield* ChatRuns.decided(context, handle, [{ id: question.id, ...answer }])
  }
  if (agent.threads !== "enqueue") return undefined
  return yield* invalid(
    agent.identifier,
    ["messages"],
    question === undefined || more.length > 0
      ? `the thread waits for decisions at /runs/${newest.runId}/interrupts`
      : `the thread waits for approve or deny about "${question.tool ?? question.name}"`
  )
})

/** The question of these runs that the caller has decided under a key. */
const earlierUnder = Effect.fnUntraced(function*(
  { caller, runtime }: RequestContext.RequestContext,
  runIds: ReadonlyArray<string>,
  key: string
) {
  const { id } = yield* runtime.principal(caller)
  for (const runId of runIds) {
    const handle = yield* runtime.open(caller, runId)
    const question = (yield* handle.interrupts).find(({ resolution }) =>
      resolution?.by === id && isUnder(resolution.idempotencyKey, key)
    )
    if (question !== undefined) return { handle, question }
  }
  return undefined
})

/** Whether the key of a decision is this one: a list of decisions keeps a space and 64 hex digits after it. */
const isUnder = (kept: string | undefined, key: string) => kept === key || kept?.slice(0, -65) === key

const yes = /^(approve|approved|yes|y|ok)[.!]?$/iu
const no = /^(deny|denied|no|n|reject)[.!]?$/iu

/** The decision that a text is about a question: approve or deny, or the value that is asked for. */
const answerIn = ({ kind, responseSchema }: Interrupt, text: string): Answer | undefined => {
  const word = text.trim()
  if (kind === "approval") {
    return yes.test(word) ? { decision: "approve" } : no.test(word) ? { decision: "deny" } : undefined
  }
  const type = Predicate.hasProperty(responseSchema, "type") ? responseSchema.type : undefined
  if (type === "string") return { decision: "approve", value: text }
  if (type === "boolean") {
    return yes.test(word)
      ? { decision: "approve", value: true }
      : no.test(word)
      ? { decision: "approve", value: false }
      : undefined
  }
  const value = parsed(word)
  return value === undefined ? undefined : { decision: "approve", value }
}

const isJson = Schema.is(Schema.Json)

const parsed = (text: string): Schema.Json | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return isJson(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** Agents that a message alone can start, which the caller may call. */
const modelsFor = Effect.fnUntraced(function*({ caller, runtime }: RequestContext.RequestContext) {
  const { agents, app } = yield* runtime.visibleTo(caller)
  return Array.from(agents.values()).flatMap((agent) => {
    const chat = chatOf(agent)
    return chat._tag === "Chat" && chat.requires.length === 0
      ? [{ id: agent.identifier, object: "model", created: 0, owned_by: app.identifier }]
      : []
  })
})

const models = RequestContext.handle(
  Effect.fnUntraced(function*(context) {
    return HttpServerResponse.jsonUnsafe({ object: "list", data: yield* modelsFor(context) })
  }),
  manner
)

const model = RequestContext.handle(
  Effect.fnUntraced(function*(context) {
    const identifier = RequestContext.param(context, "model")
    const found = (yield* modelsFor(context)).find(({ id }) => id === identifier)
    if (found === undefined) return yield* new RunError({ reason: new NotDeclared({ kind: "agent", identifier }) })
    return HttpServerResponse.jsonUnsafe(found)
  }),
  manner
)

const Model = Schema.Struct({
  id: Schema.String,
  object: Schema.String,
  created: Schema.Int,
  owned_by: Schema.String
}).annotate({ identifier: "Model" })

/** An error in OpenAI's shape, with these statuses. */
export const errors = (...statuses: ReadonlyArray<number>) =>
  [...new Set([...Responses.refusals, ...statuses])].sort().map((status) =>
    Schema.Struct({ error: Schema.Record(Schema.String, Schema.Json) }).annotate({ httpApiStatus: status })
  )

/** A body that OpenAI documents. */
export const documented = Schema.Record(Schema.String, Schema.Json)

export const routes: ReadonlyArray<Route.Route> = [
  Route.make(
    "openai",
    HttpApiEndpoint.get("models", "/v1/models", {
      success: Schema.Struct({ object: Schema.String, data: Schema.Array(Model) }),
      error: errors()
    }).annotateMerge(Responses.summary("The agents that a message starts, as models of OpenAI's API")),
    models
  ),
  Route.make(
    "openai",
    HttpApiEndpoint.get("model", "/v1/models/:model", {
      params: { model: Schema.String },
      success: Model,
      error: errors(404)
    }),
    model
  ),
  Route.make(
    "openai",
    HttpApiEndpoint.post("chatCompletions", "/v1/chat/completions", {
      payload: CompletionRequest,
      headers: Responses.startHeaders,
      success: [documented, Responses.journal],
      error: errors(404, 409)
    }).annotateMerge(Responses.summary("OpenAI's chat completions, whose model is an agent")),
    complete
  )
]
