// The AI SDK's UI message stream for each agent: `useChat` and `DefaultChatTransport` speak to these routes without code.
import type { Callable } from "@fastagentic/core/app/Fusion"
import { RunError, RunNotFound } from "@fastagentic/core/run/RunError"
import { isFinal } from "@fastagentic/core/run/RunRecord"
import { Effect, Schema } from "effect"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as ChatKey from "../chat/ChatKey.ts"
import { toPayload } from "../chat/ChatPayload.ts"
import * as ChatRuns from "../chat/ChatRuns.ts"
import * as ClientCalls from "../chat/ClientCalls.ts"
import * as MessageSignal from "../chat/MessageSignal.ts"
import { BadBody } from "../http/Problem.ts"
import * as RequestContext from "../http/RequestContext.ts"
import * as Responses from "../http/Responses.ts"
import * as Route from "../http/Route.ts"
import { links } from "../internal/fileLinks.ts"
import * as UiContent from "./UiContent.ts"
import * as UiHistory from "./UiHistory.ts"
import * as UiRequest from "./UiRequest.ts"
import * as UiStream from "./UiStream.ts"

const manner = { protocol: "ai-sdk" } as const

/** How long after its end an answer is still replayed to a client that comes back. */
const replayMillis = 5 * 60_000

/** Starts a run with the user's message, or decides what the assistant's message asks, and streams the answer. */
const chat = RequestContext.handle(
  Effect.fnUntraced(function*(context) {
    const request = yield* RequestContext.openBodyAs(context, UiRequest.UiRequest)
    const message = UiRequest.messageOf(request)
    if (message === undefined) return yield* new BadBody({ detail: "messages: Expected a UI message as the last one" })
    if (message.role === "assistant") return yield* decide(context, request.id, message)
    if (message.role !== "user") return yield* new BadBody({ detail: "messages: Expected a message of the user" })
    const agent = yield* ChatRuns.agentOf(context.runtime, RequestContext.param(context, "identifier"))
    const contents = UiContent.fromParts(message.parts, yield* links)
    const payload = yield* toPayload(agent, contents, request.payload ?? {})
    const offer = yield* ClientCalls.offerOf(context.runtime, agent, { tools: UiRequest.toolsOf(request) })
    // A run that waits for a message must not receive one again.
    const isAgain = request.trigger === "regenerate-message" && !MessageSignal.isTakenBy(agent)
    // A message of the same id, chat and content is one run, unless its answer is wanted again.
    const key = message.id === undefined || isAgain
      ? undefined
      : yield* ChatKey.of("ai-sdk", [request.id, message.id, payload])
    const threadId = request.id ?? (context.request.headers["x-thread-id"] || undefined)
    return yield* UiStream.response(
      context,
      yield* ChatRuns.start(context, { agent, payload, contents, key, threadId, offer })
    )
  }),
  manner
)

const decide = Effect.fnUntraced(function*(
  context: RequestContext.RequestContext,
  threadId: string | undefined,
  message: UiRequest.UiMessage
) {
  const { caller, runtime } = context
  const decisions = UiRequest.decisionsOf(message)
  const { results, runId } = UiRequest.resultsOf(message)
  if (decisions === undefined && results.length === 0) {
    return yield* new BadBody({ detail: "messages: Expected a message of the user, or one with an answered question" })
  }
  const agent = RequestContext.param(context, "identifier")
  const handle = yield* ChatRuns.openOf(runtime, caller, decisions?.runId ?? runId, { agent, threadId })
  const answers = [...decisions?.answers ?? [], ...yield* ClientCalls.answersOf(handle, results)]
  if (answers.length === 0) return yield* ClientCalls.unknown
  return yield* UiStream.response(context, yield* ChatRuns.decided(context, handle, answers))
})

const chatIn = (context: RequestContext.RequestContext) => ({
  agent: RequestContext.param(context, "identifier"),
  threadId: RequestContext.param(context, "chatId")
})

/** The newest answer of a chat from its beginning, while it is not over or was a moment ago; 204 otherwise. */
const reconnect = RequestContext.handle(
  Effect.fnUntraced(function*(context) {
    const { caller, runtime } = context
    const chat = chatIn(context)
    yield* ChatRuns.agentOf(runtime, chat.agent)
    const newest = yield* ChatRuns.newestOf(runtime, caller, chat)
    if (newest === undefined) return HttpServerResponse.empty({ status: 204 })
    const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
    if (isFinal(newest.state) && now - (newest.finishedAt ?? 0) > replayMillis) {
      return HttpServerResponse.empty({ status: 204 })
    }
    const handle = yield* runtime.open(caller, newest.runId)
    return yield* UiStream.response(context, yield* ChatRuns.replayed(runtime, handle))
  }),
  manner
)

/** Cancels the answer that a chat is at: a client that only disconnects leaves it working. */
const stop = RequestContext.handle(
  Effect.fnUntraced(function*(context) {
    const { caller, runtime } = context
    const chat = chatIn(context)
    yield* ChatRuns.agentOf(runtime, chat.agent)
    const newest = yield* ChatRuns.newestOf(runtime, caller, chat)
    if (newest === undefined) return yield* new RunError({ reason: new RunNotFound({ runId: chat.threadId }) })
    const run = yield* runtime.cancel(caller, newest.runId)
    return HttpServerResponse.empty({ status: 204, headers: { "x-run-id": run.runId } })
  }),
  manner
)

/** The messages of a chat as UI messages, for `useChat({ messages })`. */
const history = RequestContext.handle(
  Effect.fnUntraced(function*(context) {
    const chat = chatIn(context)
    yield* ChatRuns.agentOf(context.runtime, chat.agent)
    return HttpServerResponse.jsonUnsafe({ messages: yield* UiHistory.of(context, chat) })
  }),
  manner
)

const agents = {
  group: "agents",
  declarations: ({ agents }: { readonly agents: ReadonlyMap<string, Callable> }) => agents.values(),
  identifierOf: ({ identifier }: Callable) => identifier
} as const

const params = { chatId: Schema.String }
const error = Responses.problems(...Responses.refusals, 404, 409)

export const routes: ReadonlyArray<Route.Route> = [
  Route.forEach({
    ...agents,
    method: "POST",
    path: "/agents/:identifier/chat",
    name: (identifier) => `${identifier}.chat`,
    handler: chat,
    describe: (name, path, callable) =>
      HttpApiEndpoint.post(name, path, {
        payload: UiRequest.UiRequest,
        headers: Responses.startHeaders,
        success: Responses.journal,
        error
      }).annotateMerge(Responses.summary(`${callable.description}, as the UI message stream of the AI SDK`))
  }),
  Route.forEach({
    ...agents,
    method: "GET",
    path: "/agents/:identifier/chat/:chatId",
    name: (identifier) => `${identifier}.chatMessages`,
    handler: history,
    describe: (name, path) =>
      HttpApiEndpoint.get(name, path, { params, success: UiHistory.Messages, error }).annotateMerge(
        Responses.summary("The messages of a chat as UI messages of the AI SDK")
      )
  }),
  Route.forEach({
    ...agents,
    method: "GET",
    path: "/agents/:identifier/chat/:chatId/stream",
    name: (identifier) => `${identifier}.chatStream`,
    handler: reconnect,
    describe: (name, path) =>
      HttpApiEndpoint.get(name, path, { params, success: [Responses.journal, HttpApiSchema.NoContent], error })
        .annotateMerge(Responses.summary("The newest answer of a chat, for a client that comes back"))
  }),
  Route.forEach({
    ...agents,
    method: "DELETE",
    path: "/agents/:identifier/chat/:chatId/stream",
    name: (identifier) => `${identifier}.chatStop`,
    handler: stop,
    describe: (name, path) =>
      HttpApiEndpoint.delete(name, path, { params, success: HttpApiSchema.NoContent, error })
        .annotateMerge(Responses.summary("Cancel the answer that a chat is at"))
  })
]
