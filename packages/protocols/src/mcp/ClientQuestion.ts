// A question of a run as a request to the client that called: a form, a request to its model or for its roots. The answer
// is a decision of the caller.
import { escapeUnseen } from "@fastagentic/core/base/VisibleText"
import type { Caller } from "@fastagentic/core/door/Caller"
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import * as ClientRequest from "@fastagentic/core/run/ClientRequest"
import * as ClientTools from "@fastagentic/core/run/ClientTools"
import type { Answer, Interrupt } from "@fastagentic/core/run/Interrupt"
import type { RunError } from "@fastagentic/core/run/RunError"
import type * as Sdk from "@modelcontextprotocol/server"
import { Effect, Option, Schema } from "effect"
import type { Abilities } from "./Abilities.ts"
import { elicited } from "./Elicitation.ts"
import * as Sampling from "./Sampling.ts"

export type Request =
  | { readonly method: "elicitation/create"; readonly params: Sdk.ElicitRequestFormParams | Sdk.ElicitRequestURLParams }
  | { readonly method: "sampling/createMessage"; readonly params: Sdk.CreateMessageRequestParams }
  | { readonly method: "roots/list"; readonly params: {} }

export interface Question {
  readonly interrupt: Pick<Interrupt, "id" | "name" | "runId">
  readonly request: Request
  /** The page to open, as an error names it. */
  readonly page?: { readonly [field: string]: string }
  /**
   * The decision in a client's result: an answer, nothing when the question stays open, a result that does not fit, or the
   * consent to open a page that answers itself.
   */
  readonly read: (result: unknown) => Answer | "left" | "opened" | "unclear"
}

/** The outcome of a question; a question that was `left` is still open, and so is one whose page was `opened`. */
export type Reply = "decided" | "left" | "opened" | "unclear"

/** Asks a client whose call waits for the answer. */
export type Ask = (question: Question) => Effect.Effect<Reply, RunError>

/** The client that a question is for. */
export interface Client {
  readonly abilities: Abilities
  readonly revision: string
}

const decodeQuestion = Schema.decodeUnknownOption(Schema.toCodecJson(ClientRequest.Question))

/** The question of an interrupt; `"unsupported"` when it is for a client that can do more, nothing when no form can ask it. */
export const questionOf = (
  runtime: Runtime["Service"],
  interrupt: Interrupt,
  { abilities, revision }: Client
): Question | "unsupported" | undefined => {
  // A call of a page's tool waits for that page, whoever reads the run meanwhile.
  if (ClientTools.isCall(interrupt)) return undefined
  if (interrupt.url !== undefined) return abilities.url ? pageOf(interrupt, interrupt.url, revision) : undefined
  if (interrupt.client === undefined) {
    const form = abilities.elicitation ? elicited(runtime, interrupt, revision) : undefined
    return form && {
      interrupt,
      request: { method: "elicitation/create", params: form.params },
      read: readForm(form.read)
    }
  }
  const asked = Option.getOrUndefined(decodeQuestion(interrupt.client))
  if (asked?.kind === "roots" && abilities.roots) {
    return { interrupt, request: { method: "roots/list", params: {} }, read: readRoots }
  }
  if (asked?.kind !== "sampling" || !abilities.sampling) return "unsupported"
  if (asked.request.tools !== undefined && !abilities.samplingTools) return "unsupported"
  const params = Sampling.toParams(asked.request, revision)
  return params === undefined
    ? "unsupported"
    : { interrupt, request: { method: "sampling/createMessage", params }, read: Sampling.read }
}

/** The first revision in which a client may be asked to open a page. */
const firstWithPages = "2025-11-25"

const pageOf = (interrupt: Interrupt, url: string, revision: string): Question | undefined => {
  if (revision < firstWithPages) return undefined
  const shown = { mode: "url", message: escapeUnseen(interrupt.message ?? interrupt.name), url } as const
  const page = { ...shown, elicitationId: interrupt.id }
  return {
    interrupt,
    page,
    request: {
      method: "elicitation/create",
      // cast: 2026-07-28 has no such id, which the type of the SDK requires.
      params: revision === firstWithPages ? page : shown as typeof page
    },
    read: readPage(ClientRequest.isAnsweredByPage(interrupt))
  }
}

const decodeForm = Schema.decodeUnknownOption(Schema.Struct({
  action: Schema.Literals(["accept", "decline", "cancel"]),
  content: Schema.optionalKey(Schema.NullOr(Schema.Record(Schema.String, Schema.Json)))
}))

const readForm =
  (read: (content: { readonly [field: string]: Schema.Json }) => Answer | undefined): Question["read"] => (result) => {
    const reply = Option.getOrUndefined(decodeForm(result))
    if (reply === undefined) return "unclear"
    if (reply.action === "cancel") return "left"
    return reply.action === "decline" ? { decision: "deny" } : read(reply.content ?? {}) ?? "unclear"
  }

const readPage = (answersItself: boolean): Question["read"] => {
  const opened = answersItself ? "opened" as const : { decision: "approve" as const }
  return (result) => {
    const reply = Option.getOrUndefined(decodeForm(result))
    if (reply === undefined) return "unclear"
    return reply.action === "accept" ? opened : reply.action === "cancel" ? "left" : { decision: "deny" }
  }
}

const decodeRoots = Schema.decodeUnknownOption(Schema.Struct({ roots: Schema.Array(ClientRequest.Root) }))

const readRoots: Question["read"] = (result) =>
  Option.match(decodeRoots(result), {
    onNone: () => "unclear",
    onSome: ({ roots }) => ({ decision: "approve", value: roots.map((root) => ({ ...root })) })
  })

/** The same question, with a notice that the last content did not fit. */
export const again = (question: Question): Question => {
  const { request } = question
  if (request.method !== "elicitation/create" || request.params.mode === "url") return question
  const message = `The last answer did not fit the form.\n${request.params.message}`
  return { ...question, request: { ...request, params: { ...request.params, message } } }
}

/** Decides as the caller, or leaves it open. An earlier decision of another caller stands. */
export const decide = (
  runtime: Runtime["Service"],
  caller: Caller,
  { interrupt: { id, runId }, read }: Question,
  result: unknown
): Effect.Effect<Reply, RunError> => {
  const answer = read(result)
  if (answer === "left" || answer === "opened" || answer === "unclear") return Effect.succeed(answer)
  return settle(runtime, caller, runId, id, answer)
}

/** Denies a question that the client cannot answer. */
export const refuse = (runtime: Runtime["Service"], caller: Caller, { id, runId }: Interrupt) =>
  settle(runtime, caller, runId, id, { decision: "deny", reason: ClientRequest.unsupported })

/** Denies a question to a client that answered with an error: its user did not allow it. */
export const failed = (
  runtime: Runtime["Service"],
  caller: Caller,
  { interrupt: { id, runId }, request }: Question,
  message: string
): Effect.Effect<Reply, RunError> =>
  request.method === "elicitation/create"
    ? Effect.succeed("left")
    : settle(runtime, caller, runId, id, { decision: "deny", reason: message })

const settle = (
  runtime: Runtime["Service"],
  caller: Caller,
  runId: string,
  id: string,
  answer: Answer
): Effect.Effect<Reply, RunError> =>
  runtime.answer(caller, runId, id, answer).pipe(
    Effect.as<Reply>("decided"),
    Effect.catchReason("RunError", "InterruptResolved", () => Effect.succeed<Reply>("decided")),
    Effect.catchReason("RunError", "RunFinished", () => Effect.succeed<Reply>("decided")),
    Effect.catchReason("RunError", "InvalidPayload", () => Effect.succeed<Reply>("unclear"))
  )
