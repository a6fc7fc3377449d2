// The connection of an HTTP request, with the session of its client and what the SDK's request cannot carry; Endpoint makes
// one for each request that the SDK handles.
import type * as Caller from "@fastagentic/core/door/Caller"
import type { NoteOwner, Runtime } from "@fastagentic/core/operations/Runtime"
import * as Credentials from "@fastagentic/core/run/Credentials"
import type { RunError } from "@fastagentic/core/run/RunError"
import type * as Sdk from "@modelcontextprotocol/server"
import { Deferred, Effect, Exit, Predicate } from "effect"
import type { Limits } from "../internal/limits.ts"
import { type PublicAddress, urlOf } from "../internal/publicAddress.ts"
import * as Abilities from "./Abilities.ts"
import type { Client } from "./ClientQuestion.ts"
import { type Connection, notRegistered } from "./Connection.ts"
import type { InFlightCalls } from "./InFlightCalls.ts"
import type { PendingQuestions } from "./PendingQuestions.ts"
import type * as Resumption from "./Resumption.ts"
import type { Sessions } from "./Sessions.ts"

export const sessionHeader = "mcp-session-id"

/** The limits and credentials of each request that the SDK handles, because its request cannot carry them. */
export type RequestStates = WeakMap<
  Request,
  {
    readonly limits: Limits
    readonly caller: Caller.Caller
    readonly address: PublicAddress
    readonly streamed: Resumption.Streamed | undefined
  }
>

/**
 * A client of 2026-07-28 cancels its request by closing it. In earlier versions a closed connection has no meaning, and a
 * cancellation is a message of its own.
 */
export const connectionOf = (
  { era, requestInfo }: Sdk.McpRequestContext,
  { calls, questions, runtime, sessions, states }: {
    readonly runtime: Runtime["Service"]
    readonly sessions: Sessions
    readonly calls: InFlightCalls
    readonly questions: PendingQuestions
    readonly states: RequestStates
  }
): Connection => {
  const headers = Object.fromEntries(requestInfo?.headers ?? [])
  const session = headers[sessionHeader]
  const state = requestInfo === undefined ? undefined : states.get(requestInfo)
  const within = <A>(
    method: (owner: NoteOwner, session: string) => Effect.Effect<A, RunError>
  ): Effect.Effect<A | undefined, RunError> =>
    session === undefined || state === undefined
      ? Effect.undefined
      : Effect.flatMap(runtime.principal(state.caller), (owner) => method(owner, session))
  return {
    era,
    credentials: state?.caller.credentials ?? Credentials.none,
    authenticated: state?.caller.authenticated,
    traceparent: headers["traceparent"],
    path: state?.address.path ?? "",
    url: state === undefined ? undefined : urlOf(state.address),
    revision: headers["mcp-protocol-version"],
    onLimits: state?.limits.record,
    abilities: () => Abilities.fromSession(session),
    logLevel: within((owner, session) => sessions.level(owner, session)),
    subscribe: (uri, wanted) => within((owner, session) => sessions.subscribe(owner, session, uri, wanted)),
    setLogLevel: (level) => within((owner, session) => sessions.setLevel(owner, session, level)),
    put: (server, { mcpReq }, caller) => questions.reader(server, mcpReq.id, caller),
    complete: (server, { mcpReq }) => questions.completer(server, mcpReq.id),
    ask: (server, { mcpReq }, caller) => questions.asker(server, mcpReq.id, caller),
    isCancelled: () => era === "modern" && requestInfo?.signal.aborted === true,
    register: (requestId, call, seq) => {
      if (state?.streamed !== undefined) {
        Deferred.doneUnsafe(state.streamed.run, Exit.succeed({ runId: call.runId, seq }))
      }
      return era === "modern" || session === undefined ? notRegistered : calls.add(session, requestId, call)
    }
  }
}

/** The client that answers a question: it has shown that it can. */
export const clientOf = ({ headers }: { readonly headers: Record<string, string | undefined> }): Client => ({
  abilities: Abilities.all,
  revision: headers["mcp-protocol-version"] ?? "2025-03-26"
})

/** The id of a session. It holds the client's abilities, so that every server knows them. */
export const sessionFor = (body: unknown) => {
  const params = Predicate.hasProperty(body, "params") ? body.params : undefined
  const capabilities = Predicate.hasProperty(params, "capabilities") ? params.capabilities : undefined
  return `${globalThis.crypto.randomUUID()}${Abilities.toSuffix(Abilities.fromCapabilities(capabilities))}`
}
