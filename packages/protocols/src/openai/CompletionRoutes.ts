// OpenAI's chat completions and models, for tools that know only these: agents are models.
import type { Callable } from "@fastagentic/core/app/Fusion"
import * as ClientTools from "@fastagentic/core/run/ClientTools"
import * as Content from "@fastagentic/core/run/Content"
import { NotDeclared, RunError } from "@fastagentic/core/run/RunError"
import { Effect, Schema } from "effect"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { namedBy } from "../chat/ChatIds.ts"
import { chatOf, toPayload } from "../chat/ChatPayload.ts"
import * as ChatRuns from "../chat/ChatRuns.ts"
import * as ChatStream from "../chat/ChatStream.ts"
import * as ClientCalls from "../chat/ClientCalls.ts"
import { BadBody } from "../http/Problem.ts"
import * as RequestContext from "../http/RequestContext.ts"
import * as Responses from "../http/Responses.ts"
import * as Route from "../http/Route.ts"
import { links } from "../internal/fileLinks.ts"
import { CompletionWriter } from "./CompletionWriter.ts"
import * as OpenAiInput from "./OpenAiInput.ts"
import * as OpenAiRoute from "./OpenAiRoute.ts"
import * as SpokenDecision from "./SpokenDecision.ts"
import { whole } from "./Waiting.ts"

const optional = Schema.optionalKey

const CompletionRequest = Schema.Struct({
  model: Schema.String,
  messages: Schema.NonEmptyArray(OpenAiInput.Message),
  stream: optional(Schema.NullOr(Schema.Boolean)),
  stream_options: optional(Schema.NullOr(Schema.Struct({ include_usage: optional(Schema.NullOr(Schema.Boolean)) }))),
  n: optional(Schema.NullOr(Schema.Int)),
  metadata: OpenAiRoute.Metadata,
  payload: OpenAiRoute.Rest,
  tools: OpenAiRoute.Tools
}).annotate({ identifier: "CompletionRequest" })

const complete = RequestContext.handle(
  Effect.fnUntraced(function*(context) {
    const request = yield* RequestContext.openBodyAs(context, CompletionRequest)
    const { caller, request: { headers }, runtime } = context
    const agent = yield* ChatRuns.agentOf(runtime, request.model)
    if ((request.n ?? 1) !== 1) return yield* new BadBody({ detail: "n: Expected 1, because an agent has one answer" })
    const threadId = request.metadata?.["thread_id"] ?? (headers["x-thread-id"] || undefined)
    const files = yield* links
    const results = OpenAiInput.resultsOf(request.messages)
    const contents = OpenAiInput.contentOf(request.messages, { hasThread: threadId !== undefined, links: files })
    if (contents === undefined && results.length === 0) {
      return yield* new BadBody({ detail: "messages: Expected a message of the user as the last one" })
    }
    const answering = contents === undefined
      ? yield* given(context, agent, results)
      : (yield* SpokenDecision.decided(context, agent, threadId, Content.textOf(contents))) ??
        (yield* ChatRuns.start(context, {
          agent,
          payload: yield* toPayload(agent, contents, request.payload ?? {}),
          contents,
          threadId,
          offer: yield* ClientCalls.offerOf(runtime, agent, { tools: OpenAiInput.functionsOf(request.tools ?? []) })
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
        refuse: (reason) => frames(writer.fail(ChatStream.refusalOf(reason)))
      })
    }
    yield* whole(runtime, caller, answering, (parts, decidable) => writer.write(parts, decidable))
    writer.end()
    return OpenAiRoute.answer(() => writer.completion(), writer.failure, { runId: run.runId, traceId })
  }),
  OpenAiRoute.manner
)

/** The rest of the run whose calls these results answer: the id of a call names both. */
const given = Effect.fnUntraced(function*(
  context: RequestContext.RequestContext,
  { identifier: agent }: Callable,
  results: ReadonlyArray<ClientCalls.Result>
): Effect.fn.Return<ChatRuns.Answering, RunError | BadBody> {
  const { caller, runtime } = context
  const known = results.map(({ toolCallId, value }) => ({ question: namedBy(toolCallId), value }))
  const runId = known[0]?.question?.runId
  if (runId === undefined || known.some(({ question }) => question?.runId !== runId)) return yield* ClientCalls.unknown
  const handle = yield* ChatRuns.openOf(runtime, caller, runId, { agent, threadId: undefined })
  const calls = new Set((yield* handle.interrupts).flatMap((one) => ClientTools.isCall(one) ? [one.id] : []))
  const answers = known.map(({ question, value }) => ({
    id: question?.interruptId ?? "",
    decision: "approve" as const,
    value
  }))
  if (!answers.every(({ id }) => calls.has(id))) return yield* ClientCalls.unknown
  return yield* ChatRuns.decided(context, handle, answers)
})

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
  OpenAiRoute.manner
)

const model = RequestContext.handle(
  Effect.fnUntraced(function*(context) {
    const identifier = RequestContext.param(context, "model")
    const found = (yield* modelsFor(context)).find(({ id }) => id === identifier)
    if (found === undefined) return yield* new RunError({ reason: new NotDeclared({ kind: "agent", identifier }) })
    return HttpServerResponse.jsonUnsafe(found)
  }),
  OpenAiRoute.manner
)

const Model = Schema.Struct({
  id: Schema.String,
  object: Schema.String,
  created: Schema.Int,
  owned_by: Schema.String
}).annotate({ identifier: "Model" })

export const routes: ReadonlyArray<Route.Route> = [
  Route.make(
    "openai",
    HttpApiEndpoint.get("models", "/v1/models", {
      success: Schema.Struct({ object: Schema.String, data: Schema.Array(Model) }),
      error: OpenAiRoute.errors()
    }).annotateMerge(Responses.summary("The agents that a message starts, as models of OpenAI's API")),
    models
  ),
  Route.make(
    "openai",
    HttpApiEndpoint.get("model", "/v1/models/:model", {
      params: { model: Schema.String },
      success: Model,
      error: OpenAiRoute.errors(404)
    }).annotateMerge(Responses.summary("One agent as a model of OpenAI's API")),
    model
  ),
  Route.make(
    "openai",
    HttpApiEndpoint.post("chatCompletions", "/v1/chat/completions", {
      payload: CompletionRequest,
      ...OpenAiRoute.starting
    }).annotateMerge(Responses.summary("OpenAI's chat completions, whose model is an agent")),
    complete
  )
]
