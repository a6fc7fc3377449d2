// Decisions by elicitation: the question for a client, and its answer as a decision of the caller.
import { escapeUnseen } from "@fastagentic/core/base/VisibleText"
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
  /** The decision in a form's content; nothing when it holds none. */
  readonly read: (content: ElicitationForm.Content) => Answer | undefined
}

/** The outcome of a question; a question that was `left` is still open. */
export type Reply = "decided" | "left" | "unclear"

/** Asks a client whose call waits for the answer. */
export type Ask = (question: Question) => Effect.Effect<Reply, RunError>

/** Whether a client can show forms; a client that names no mode can. */
export const canAsk = (capabilities: unknown): boolean => {
  const elicitation = Predicate.hasProperty(capabilities, "elicitation") ? capabilities.elicitation : undefined
  return Predicate.isObject(elicitation) && ("form" in elicitation || !("url" in elicitation))
}

/** The question of an interrupt; nothing when a form cannot ask it. */
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

interface FormQuestion extends Pick<ElicitationForm.Form, "fields" | "required">, Pick<Question, "read"> {}

const input = ({ responseSchema }: Interrupt): FormQuestion | undefined => {
  const form = ElicitationForm.fromJsonSchema(responseSchema)
  return form === undefined
    ? undefined
    : { ...form, read: (content) => ({ decision: "approve", value: form.valueOf(content) }) }
}

const isDecision = Schema.is(Decision)

/** The arguments are editable if a form can hold them. */
const approval = (runtime: Runtime["Service"], { arguments: exact, tool }: Interrupt): FormQuestion => {
  const form = ElicitationForm.fromJsonSchema(runtime.fusion.tools.get(tool ?? "")?.payload.json)
  const changes = form === undefined || "decision" in form.fields || "reason" in form.fields ? {} : form.fields
  const now: ElicitationForm.Content = { ...Object(exact) }
  const editable = Object.keys(changes).length > 0
  const decision = {
    type: "string" as const,
    title: "Decision",
    ...(editable ? { description: "edit: call it with the arguments below" } : {}),
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

/** Shows the exact action, its risk, the rule that asks for a decision, and the time until which it is open. */
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
  return escapeUnseen(lines.filter((line) => line !== undefined).join("\n"))
}

/** The same form, with a notice that the last content did not fit. */
export const again = (question: Question): Question => ({
  ...question,
  params: { ...question.params, message: `The last answer did not fit the form.\n${question.params.message}` }
})

const Result = Schema.Struct({
  action: Schema.Literals(["accept", "decline", "cancel"]),
  content: Schema.optionalKey(Schema.NullOr(Schema.Record(Schema.String, Schema.Json)))
})
const decodeResult = Schema.decodeUnknownOption(Result)

/** Decides as the caller, or leaves it open. An earlier decision of another caller stands. */
export const decide = (
  runtime: Runtime["Service"],
  caller: Caller,
  { interrupt: { id, runId }, read }: Question,
  result: unknown
): Effect.Effect<Reply, RunError> => {
  const reply = Option.getOrUndefined(decodeResult(result))
  if (reply === undefined || reply.action === "cancel") return Effect.succeed("left")
  const answer: Answer | undefined = reply.action === "decline" ? { decision: "deny" } : read(reply.content ?? {})
  if (answer === undefined) return Effect.succeed("unclear")
  return runtime.answer(caller, runId, id, answer).pipe(
    Effect.as<Reply>("decided"),
    Effect.catchReason("RunError", "InterruptResolved", () => Effect.succeed<Reply>("decided")),
    Effect.catchReason("RunError", "RunFinished", () => Effect.succeed<Reply>("decided")),
    Effect.catchReason("RunError", "InvalidPayload", () => Effect.succeed<Reply>("unclear"))
  )
}
