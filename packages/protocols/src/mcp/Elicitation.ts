// Decisions by elicitation: an interrupt as a form, and the form's content as an answer. ClientQuestion uses it.
import { escapeUnseen } from "@fastagentic/core/base/VisibleText"
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import { type Answer, Decision, type Interrupt } from "@fastagentic/core/run/Interrupt"
import type * as Sdk from "@modelcontextprotocol/server"
import { DateTime, Schema } from "effect"
import * as ElicitationForm from "./ElicitationForm.ts"

/** An interrupt as a form. */
export interface Elicited {
  readonly params: Sdk.ElicitRequestFormParams
  /** The decision in a form's content; nothing when it holds none. */
  readonly read: (content: ElicitationForm.Content) => Answer | undefined
}

/** The form of an interrupt, for a client of a revision; nothing when no form can ask it. */
export const elicited = (
  runtime: Runtime["Service"],
  interrupt: Interrupt,
  revision: string
): Elicited | undefined => {
  const form = interrupt.kind === "approval" ? approval(runtime, interrupt, revision) : input(interrupt, revision)
  return form === undefined ? undefined : {
    read: form.read,
    params: {
      mode: "form",
      message: messageOf(interrupt),
      requestedSchema: { type: "object", properties: form.fields, required: form.required }
    }
  }
}

interface FormQuestion extends Pick<ElicitationForm.Form, "fields" | "required">, Pick<Elicited, "read"> {}

const input = ({ responseSchema }: Interrupt, revision: string): FormQuestion | undefined => {
  const form = ElicitationForm.fromJsonSchema(responseSchema, revision)
  return form === undefined
    ? undefined
    : { ...form, read: (content) => ({ decision: "approve", value: form.valueOf(content) }) }
}

const isDecision = Schema.is(Decision)

/** The arguments are editable if a form can hold them. */
const approval = (
  runtime: Runtime["Service"],
  { arguments: exact, tool }: Interrupt,
  revision: string
): FormQuestion => {
  const form = ElicitationForm.fromJsonSchema(runtime.fusion.tools.get(tool ?? "")?.payload.json, revision)
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
