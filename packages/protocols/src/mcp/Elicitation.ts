// Decisions by elicitation: what a client is asked, and how its answer goes through the door.
import type { Caller } from "@fastagentic/core/door/Caller"
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import { type Answer, Decision, type Interrupt } from "@fastagentic/core/run/Interrupt"
import type { RunError } from "@fastagentic/core/run/RunError"
import type * as Sdk from "@modelcontextprotocol/server"
import { DateTime, Effect, Option, Predicate, Schema } from "effect"
import * as ElicitationForm from "./ElicitationForm.ts"

export interface Question {
  readonly interrupt: Interrupt
  readonly params: Sdk.ElicitRequestFormParams
  /** Nothing when a form was sent that decides nothing. */
  readonly read: (content: ElicitationForm.Content) => Answer | undefined
}

/** What became of a question; one that was `left` is as open as before. */
export type Reply = "decided" | "left" | "unclear"

/** Puts a question to a client whose call waits meanwhile. */
export type Ask = (question: Question) => Effect.Effect<Reply, RunError>

/** Whether a client can show forms; one that says nothing more about it can. */
export const canAsk = (capabilities: unknown): boolean => {
  const elicitation = Predicate.hasProperty(capabilities, "elicitation") ? capabilities.elicitation : undefined
  return Predicate.isObject(elicitation) && ("form" in elicitation || !("url" in elicitation))
}

/** Nothing when a form cannot ask for it. */
export const questionOf = (runtime: Runtime["Service"], interrupt: Interrupt): Question | undefined => {
  const form = interrupt.kind === "approval" ? approval(runtime, interrupt) : input(interrupt)
  return form === undefined ? undefined : {
    interrupt,
    read: form.read,
    params: {
      mode: "form",
      message: messageOf(interrupt),
      requestedSchema: { type: "object", properties: form.fields, required: form.required }
    }
  }
}

interface Asking extends Pick<ElicitationForm.Form, "fields" | "required">, Pick<Question, "read"> {}

const input = ({ responseSchema }: Interrupt): Asking | undefined => {
  const form = ElicitationForm.fromJsonSchema(responseSchema)
  return form === undefined
    ? undefined
    : { ...form, read: (content) => ({ decision: "approve", value: form.valueOf(content) }) }
}

const isDecision = Schema.is(Decision)

/** Arguments can be changed where a form can hold them. */
const approval = (runtime: Runtime["Service"], { arguments: exact, tool }: Interrupt): Asking => {
  const form = ElicitationForm.fromJsonSchema(runtime.fusion.tools.get(tool ?? "")?.payload.json)
  const changes = form === undefined || "decision" in form.fields || "reason" in form.fields ? {} : form.fields
  const now: ElicitationForm.Content = { ...Object(exact) }
  const editable = Object.keys(changes).length > 0
  const decision = {
    type: "string" as const,
    title: "Decision",
    ...(editable ? { description: "edit: with the arguments as they stand below" } : {}),
    enum: editable ? ["approve", "edit", "deny"] : ["approve", "deny"]
  }
  return {
    fields: {
      decision,
      reason: { type: "string", title: "Reason" },
      ...Object.fromEntries(
        Object.entries(changes).map(([name, field]) => [name, { ...field, ...defaultOf(now[name]) }])
      )
    },
    required: ["decision"],
    read: ({ decision, reason, ...changed }) => {
      if (!isDecision(decision) || (decision === "edit" && !editable)) return undefined
      return {
        decision,
        ...(decision === "edit" ? { value: { ...now, ...changed } } : {}),
        ...(typeof reason === "string" && reason !== "" ? { reason } : {})
      }
    }
  }
}

const defaultOf = (value: Schema.Json | undefined) =>
  value === undefined || value === null || typeof value === "object" ? {} : { default: value }

/** Whoever decides sees exactly what will be done, how much is at stake, who wants it decided, and until when. */
const messageOf = (interrupt: Interrupt): string => {
  const { arguments: exact, expiresAt, message, name, risk, rule, runId, tool } = interrupt
  const lines = [
    message ?? (tool === undefined ? name : `Approve the call of ${tool}?`),
    tool === undefined ? undefined : `Tool: ${tool}`,
    exact === undefined ? undefined : `Arguments: ${JSON.stringify(exact)}`,
    risk === undefined ? undefined : `Risk: ${risk}`,
    rule === undefined ? undefined : `Rule: ${rule}`,
    expiresAt === undefined ? undefined : `Expires: ${DateTime.formatIso(DateTime.makeUnsafe(expiresAt))}`,
    `Run: ${runId}`
  ]
  return lines.filter((line) => line !== undefined).join("\n")
}

/** The same form, with the word that what was filled in did not do. */
export const again = (question: Question): Question => ({
  ...question,
  params: { ...question.params, message: `That did not fit what is asked for.\n${question.params.message}` }
})

const Result = Schema.Struct({
  action: Schema.Literals(["accept", "decline", "cancel"]),
  content: Schema.optionalKey(Schema.NullOr(Schema.Record(Schema.String, Schema.Json)))
})
const decodeResult = Schema.decodeUnknownOption(Result)

/** Decides as the caller, or leaves it open. When somebody else was faster their decision stands. */
export const decide = (
  runtime: Runtime["Service"],
  caller: Caller,
  { interrupt: { id, runId }, read }: Question,
  result: unknown
): Effect.Effect<Reply, RunError> => {
  const given = Option.getOrUndefined(decodeResult(result))
  if (given === undefined || given.action === "cancel") return Effect.succeed("left")
  const answer: Answer | undefined = given.action === "decline" ? { decision: "deny" } : read(given.content ?? {})
  if (answer === undefined) return Effect.succeed("unclear")
  return runtime.answer(caller, runId, id, answer).pipe(
    Effect.as<Reply>("decided"),
    Effect.catchReason("RunError", "InterruptResolved", () => Effect.succeed<Reply>("decided")),
    Effect.catchReason("RunError", "RunFinished", () => Effect.succeed<Reply>("decided")),
    Effect.catchReason("RunError", "InvalidPayload", () => Effect.succeed<Reply>("unclear"))
  )
}
