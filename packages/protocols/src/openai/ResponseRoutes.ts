// OpenAI's Responses API: a response is a run of an agent, or its rest after a decision; a conversation is a thread.
import { RunError, RunNotFound } from "@fastagentic/core/run/RunError"
import { needsSomebody } from "@fastagentic/core/run/RunRecord"
import { Effect, Schema } from "effect"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as ChatIds from "../chat/ChatIds.ts"
import { toPayload } from "../chat/ChatPayload.ts"
import * as ChatRuns from "../chat/ChatRuns.ts"
import * as ChatStream from "../chat/ChatStream.ts"
import * as ClientCalls from "../chat/ClientCalls.ts"
import { BadBody } from "../http/Problem.ts"
import * as RequestContext from "../http/RequestContext.ts"
import * as Responses from "../http/Responses.ts"
import * as Route from "../http/Route.ts"
import { links } from "../internal/fileLinks.ts"
import * as OpenAiInput from "./OpenAiInput.ts"
import * as OpenAiRoute from "./OpenAiRoute.ts"
import { ResponseWriter } from "./ResponseWriter.ts"
import { whole } from "./Waiting.ts"

const optional = Schema.optionalKey
const orNull = <S extends Schema.Top>(schema: S) => optional(Schema.NullOr(schema))

const ResponseRequest = Schema.Struct({
  model: optional(Schema.String),
  input: Schema.Union([Schema.String, Schema.Array(Schema.Json)]),
  instructions: orNull(Schema.String),
  stream: orNull(Schema.Boolean),
  background: orNull(Schema.Boolean),
  previous_response_id: orNull(Schema.String),
  conversation: orNull(Schema.Union([Schema.String, Schema.Struct({ id: Schema.String })])),
  metadata: OpenAiRoute.Metadata,
  payload: OpenAiRoute.Rest,
  tools: OpenAiRoute.Tools
}).annotate({ identifier: "ResponseRequest" })

type ResponseRequest = typeof ResponseRequest.Type
type Context = RequestContext.RequestContext

/** The id of a response: its run, and for the rest of a run the event after which it begins. */
const idOf = (runId: string, after = 0) => `resp_${runId}${after === 0 ? "" : `_${after}`}`

const named = (id: string): { readonly runId: string; readonly after: number } | undefined => {
  const [, runId, after = "0"] = /^resp_([0-9a-f-]{36})(?:_(\d{1,15}))?$/u.exec(id) ?? []
  return runId === undefined ? undefined : { runId, after: Number(after) }
}

/** A run that a response names; every other id looks like no run. */
const openOf = Effect.fnUntraced(function*({ caller, runtime }: Context, id: string) {
  const known = named(id)
  if (known === undefined) return yield* new RunError({ reason: new RunNotFound({ runId: id }) })
  const handle = yield* runtime.open(caller, known.runId)
  if (handle.run.kind !== "agent") return yield* new RunError({ reason: new RunNotFound({ runId: id }) })
  return { ...known, handle }
})

const create = RequestContext.handle(
  Effect.fnUntraced(function*(context) {
    const request = yield* RequestContext.openBodyAs(context, ResponseRequest)
    const { caller, runtime } = context
    const items = typeof request.input === "string" ? [{ role: "user", content: request.input }] : request.input
    const { decisions, messages } = OpenAiInput.fromItems(items)
    const answering = decisions.length > 0
      ? yield* decide(context, request, decisions)
      : yield* start(context, request, messages)
    const { run } = answering.handle
    const writer = new ResponseWriter({
      id: idOf(run.runId, answering.after),
      run,
      previous: request.previous_response_id ?? undefined,
      metadata: request.metadata ?? {},
      background: request.background === true,
      links: yield* links,
      traceId: caller.traceId
    })
    if (request.stream === true) {
      return ChatStream.response(context, answering, {
        start: () => frames(writer.start()),
        write: (parts, decidable) => frames(writer.write(parts, decidable)),
        end: () => frames(writer.end()),
        refuse: (reason) => frames(writer.refuse(ChatStream.refusalOf(reason)))
      })
    }
    const subject = { runId: run.runId, traceId: caller.traceId }
    const answer = () => OpenAiRoute.answer(() => writer.response(), writer.failure, subject)
    if (request.background === true) return answer()
    yield* whole(runtime, caller, answering, (parts, decidable) => writer.write(parts, decidable))
    writer.end()
    return answer()
  }),
  OpenAiRoute.manner
)

const frames = (events: ReadonlyArray<{ readonly [key: string]: unknown }>) =>
  events.map((event) => `event: ${String(event["type"])}\n${ChatStream.frame(event)}`).join("")

const start = Effect.fnUntraced(function*(
  context: Context,
  request: ResponseRequest,
  messages: ReadonlyArray<OpenAiInput.Message>
) {
  const { request: { headers }, runtime } = context
  const previous = request.previous_response_id ?? undefined
  const before = previous === undefined ? undefined : (yield* openOf(context, previous)).handle.run
  const conversation = typeof request.conversation === "string" ? request.conversation : request.conversation?.id
  const threadId = before?.threadId ?? conversation ?? request.metadata?.["thread_id"] ??
    (headers["x-thread-id"] || undefined)
  const model = request.model ?? before?.agent
  if (model === undefined) return yield* new BadBody({ detail: "model: Expected the name of an agent" })
  const agent = yield* ChatRuns.agentOf(runtime, model)
  const instructions = typeof request.instructions === "string" && threadId === undefined
    ? [{ role: "system" as const, content: request.instructions }]
    : []
  const contents = OpenAiInput.contentOf([...instructions, ...messages], {
    hasThread: threadId !== undefined,
    links: yield* links
  })
  if (contents === undefined) {
    return yield* new BadBody({ detail: "input: Expected a message of the user as the last one" })
  }
  return yield* ChatRuns.start(context, {
    agent,
    payload: yield* toPayload(agent, contents, request.payload ?? {}),
    contents,
    offer: yield* ClientCalls.offerOf(runtime, agent, { tools: OpenAiInput.functionsOf(request.tools ?? []) }),
    // A response that names no thread begins one, which the next names by previous_response_id.
    threadId: threadId ?? globalThis.crypto.randomUUID()
  })
})

const decide = Effect.fnUntraced(function*(
  context: Context,
  request: ResponseRequest,
  decisions: ReadonlyArray<OpenAiInput.Decision>
) {
  const { caller, runtime } = context
  const answers: Array<ChatRuns.Decided> = []
  const runs = new Set<string>()
  for (const decision of decisions) {
    const isApproval = decision.type === "mcp_approval_response"
    const known = ChatIds.namedBy(isApproval ? decision.approval_request_id : decision.call_id)
    if (known === undefined) {
      return yield* new BadBody({ detail: "input: Expected the id of a question of this server" })
    }
    runs.add(known.runId)
    const reason = isApproval ? decision.reason ?? undefined : undefined
    answers.push(
      isApproval
        ? {
          id: known.interruptId,
          decision: decision.approve ? "approve" : "deny",
          ...(reason === undefined ? {} : { reason })
        }
        : { id: known.interruptId, decision: "approve", value: decision.output }
    )
  }
  const [runId = "", ...more] = runs
  const handle = yield* runtime.open(caller, runId)
  const previous = request.previous_response_id ?? undefined
  const isOther = request.model !== undefined && request.model !== handle.run.agent
  if (more.length > 0 || isOther || (previous !== undefined && named(previous)?.runId !== runId)) {
    return yield* new RunError({ reason: new RunNotFound({ runId: more[0] ?? runId }) })
  }
  return yield* ChatRuns.decided(context, handle, answers)
})

/** A response as it stands: the answer of its run after its beginning. */
const retrieve = RequestContext.handle(
  Effect.fnUntraced(function*(context) {
    const id = RequestContext.param(context, "responseId")
    return yield* shown(context, id)
  }),
  OpenAiRoute.manner
)

const shown = Effect.fnUntraced(function*(context: Context, id: string) {
  const { caller, runtime } = context
  const { after, handle } = yield* openOf(context, id)
  const writer = new ResponseWriter({
    id,
    run: handle.run,
    previous: undefined,
    metadata: {},
    background: true,
    links: yield* links,
    traceId: caller.traceId
  })
  const parts = yield* ChatRuns.stands(runtime, handle, after)
  writer.write(parts, yield* ChatStream.decidableIn(runtime, caller, handle.run.runId, parts))
  if (needsSomebody(handle.run) || ChatRuns.endsTurn(parts.at(-1))) writer.end()
  return HttpServerResponse.jsonUnsafe(writer.response(), { headers: { "x-run-id": handle.run.runId } })
})

const cancel = RequestContext.handle(
  Effect.fnUntraced(function*(context) {
    const id = RequestContext.param(context, "responseId")
    const { runId } = yield* openOf(context, id)
    yield* context.runtime.cancel(context.caller, runId)
    return yield* shown(context, id)
  }),
  OpenAiRoute.manner
)

const params = { responseId: Schema.String }

export const routes: ReadonlyArray<Route.Route> = [
  Route.make(
    "openai",
    HttpApiEndpoint.post("responses", "/v1/responses", {
      payload: ResponseRequest,
      ...OpenAiRoute.starting
    }).annotateMerge(Responses.summary("OpenAI's Responses API, whose model is an agent")),
    create
  ),
  Route.make(
    "openai",
    HttpApiEndpoint.get("response", "/v1/responses/:responseId", {
      params,
      success: OpenAiRoute.documented,
      error: OpenAiRoute.errors(404)
    }).annotateMerge(Responses.summary("A response as it stands, or its stream")),
    retrieve
  ),
  Route.make(
    "openai",
    HttpApiEndpoint.post("cancelResponse", "/v1/responses/:responseId/cancel", {
      params,
      success: OpenAiRoute.documented,
      error: OpenAiRoute.errors(404, 409)
    }).annotateMerge(Responses.summary("Cancel a response that works in the background")),
    cancel
  )
]
