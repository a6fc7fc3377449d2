// An AG-UI endpoint for each agent: `HttpAgent` and CopilotKit speak to it without code.
import type { Callable } from "@fastagentic/core/app/Fusion"
import type { RunError } from "@fastagentic/core/run/RunError"
import { Effect } from "effect"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as ChatIds from "../chat/ChatIds.ts"
import * as ChatKey from "../chat/ChatKey.ts"
import { toPayload } from "../chat/ChatPayload.ts"
import * as ChatRuns from "../chat/ChatRuns.ts"
import * as ChatStream from "../chat/ChatStream.ts"
import * as ClientCalls from "../chat/ClientCalls.ts"
import * as MessageSignal from "../chat/MessageSignal.ts"
import { BadBody } from "../http/Problem.ts"
import * as RequestContext from "../http/RequestContext.ts"
import * as Responses from "../http/Responses.ts"
import * as Route from "../http/Route.ts"
import { links } from "../internal/fileLinks.ts"
import * as AgUiRequest from "./AgUiRequest.ts"
import { type AgUiEvent, AgUiWriter, waitPrefix } from "./AgUiWriter.ts"

const frames = (events: ReadonlyArray<AgUiEvent>): string => events.map(ChatStream.frame).join("")

/** Starts a run with the user's message, or answers the interrupts of one, and streams events. */
const run = RequestContext.handle(
  Effect.fnUntraced(function*(context) {
    const input = yield* RequestContext.openBodyAs(context, AgUiRequest.RunAgentInput)
    const files = yield* links
    const answering = (input.resume ?? []).length > 0
      ? yield* resumed(context, input)
      : yield* started(context, input, AgUiRequest.contentOf(input, files))
    const { handle } = answering
    const writer = new AgUiWriter({ input, run: handle.run, links: files, traceId: context.caller.traceId })
    return ChatStream.response(context, answering, {
      start: () => frames(writer.start()),
      write: (parts, decidable) => frames(writer.write(parts, decidable)),
      end: () => frames(writer.end()),
      refuse: (reason) => frames(writer.fail(ChatStream.refusalOf(reason)))
    })
  }),
  { protocol: "ag-ui" }
)

type Context = RequestContext.RequestContext

const started = Effect.fnUntraced(function*(
  context: Context,
  input: AgUiRequest.RunAgentInput,
  contents: ReturnType<typeof AgUiRequest.contentOf>
): Effect.fn.Return<ChatRuns.Answering, RunError | BadBody> {
  const agent = yield* ChatRuns.agentOf(context.runtime, RequestContext.param(context, "identifier"))
  if (contents === undefined) {
    const results = AgUiRequest.resultsOf(input)
    return yield* results.length > 0
      ? given(context, agent, input.threadId, results)
      : new BadBody({ detail: "messages: Expected a message of the user as the last one, or resume" })
  }
  const offer = yield* ClientCalls.offerOf(context.runtime, agent, {
    tools: (input.tools ?? []).map(ClientCalls.named),
    context: input.context,
    state: input.state
  })
  const payload = yield* toPayload(agent, contents, AgUiRequest.restOf(input))
  // An agent that receives messages takes each once, also where its repeat is another run of AG-UI.
  const id = MessageSignal.isTakenBy(agent) ? AgUiRequest.messageIdOf(input) : undefined
  const name = id === undefined ? [input.runId] : ["message", id]
  const key = yield* ChatKey.of("ag-ui", [input.threadId, ...name, payload])
  return yield* ChatRuns.start(context, { agent, payload, contents, key, threadId: input.threadId, offer })
})

/** The rest of the newest run of the thread that has made these calls. */
const given = Effect.fnUntraced(function*(
  context: Context,
  { identifier: agent }: Callable,
  threadId: string,
  results: ReadonlyArray<ClientCalls.Result>
): Effect.fn.Return<ChatRuns.Answering, RunError | BadBody> {
  const { caller, runtime } = context
  for (const { runId } of yield* ChatRuns.newestRuns(runtime, caller, { agent, threadId })) {
    const handle = yield* runtime.open(caller, runId)
    const answers = yield* ClientCalls.answersOf(handle, results)
    if (answers.length > 0) return yield* ChatRuns.decided(context, handle, answers)
  }
  return yield* ClientCalls.unknown
})

const resumed = Effect.fnUntraced(function*(
  context: Context,
  input: AgUiRequest.RunAgentInput
): Effect.fn.Return<ChatRuns.Answering, RunError | BadBody> {
  const { caller, runtime } = context
  const { resume, threadId } = input
  const entries = (resume ?? []).map((entry) => ({ entry, named: ChatIds.namedBy(entry.interruptId) }))
  const runId = entries[0]?.named?.runId ?? ""
  const foreign = entries.findIndex(({ named }) => named?.runId !== runId)
  if (foreign !== -1 || runId === "") {
    return yield* new BadBody({
      detail: `resume.${Math.max(0, foreign)}.interruptId: Expected an interrupt of one run`
    })
  }
  const agent = RequestContext.param(context, "identifier")
  const handle = yield* ChatRuns.openOf(runtime, caller, runId, { agent, threadId })
  const known = new Map((yield* handle.interrupts).map((one) => [one.id, one]))
  const answers: Array<ChatRuns.Decided> = []
  const ids: Array<string> = []
  for (const { entry, named } of entries) {
    const id = named?.interruptId ?? ""
    const question = known.get(id)
    ids.push(id)
    // A pause that is no question ends without an answer; so does a question that others have decided, for who turns it away.
    if (id.startsWith(waitPrefix) || (entry.status === "cancelled" && question?.state === "resolved")) continue
    const answer = AgUiRequest.answerOf(entry, question?.kind ?? "input")
    if (answer === undefined) {
      return yield* new BadBody({ detail: "resume.payload: Expected { approved, editedArgs?, reason? }" })
    }
    answers.push({ id, ...answer })
  }
  // Calls of the client's tools may wait beside the questions.
  for (const answer of yield* ClientCalls.answersOf(handle, AgUiRequest.resultsOf(input))) {
    if (known.get(answer.id)?.state === "open") answers.push(answer)
  }
  return yield* ChatRuns.decided(context, handle, answers, { ids, after: afterOf(ids) })
})

/** The event that the id of a pause names. */
const afterOf = (ids: ReadonlyArray<string>): number | undefined => {
  const [, seq] = /^wait-(\d{1,15})$/u.exec(ids.find((id) => id.startsWith(waitPrefix)) ?? "") ?? []
  return seq === undefined ? undefined : Number(seq)
}

export const routes: ReadonlyArray<Route.Route> = [
  Route.forEach({
    group: "agents",
    method: "POST",
    path: "/agents/:identifier/ag-ui",
    declarations: ({ agents }) => agents.values(),
    identifierOf: ({ identifier }: Callable) => identifier,
    name: (identifier) => `${identifier}.agUi`,
    handler: run,
    describe: (name, path, callable) =>
      HttpApiEndpoint.post(name, path, {
        payload: AgUiRequest.RunAgentInput,
        headers: Responses.startHeaders,
        success: Responses.journal,
        error: Responses.problems(...Responses.refusals, 404, 409)
      }).annotateMerge(Responses.summary(`${callable.description}, as a run of AG-UI`))
  })
]
