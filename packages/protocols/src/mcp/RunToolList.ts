// The tools of every app with agents or approvals, for clients that know neither tasks nor forms; RunTools calls them.
import type * as Sdk from "@modelcontextprotocol/server"

const runId = { type: "string", description: "The id of the run, from the result of an earlier call" }

/** Nearly any JSON: hosts refuse a property that says nothing of its values. */
const single = ["object", "string", "number", "boolean", "null"].map((type) => ({ type }))
const values = [...single, { type: "array", items: { anyOf: single } }]

const hints = { openWorldHint: false, idempotentHint: true }

export const tools = [
  {
    name: "answer_run",
    title: "Answer a run",
    description:
      "Answers the question of a run that waits for a decision. Only pass on what the user has decided: never decide yourself. " +
      "An approval repeats the tool and its arguments, exactly as the run shows them.",
    inputSchema: {
      type: "object",
      properties: {
        runId,
        question: {
          type: "string",
          description: "The id or the name of the question; not needed when there is only one"
        },
        decision: { type: "string", enum: ["approve", "deny", "edit"] },
        value: { description: "The answer of a question; with edit, the other arguments of the tool", anyOf: values },
        reason: { type: "string" },
        tool: { type: "string", description: "The tool that is approved" },
        arguments: { type: "object", description: "The exact arguments that are approved" }
      },
      required: ["runId", "decision"],
      additionalProperties: false
    },
    annotations: { ...hints, readOnlyHint: false, destructiveHint: true }
  },
  {
    name: "cancel_run",
    title: "Cancel a run",
    description: "Ends a run that is not wanted any more.",
    inputSchema: {
      type: "object",
      properties: { runId, reason: { type: "string" } },
      required: ["runId"],
      additionalProperties: false
    },
    annotations: { ...hints, readOnlyHint: false, destructiveHint: true }
  },
  {
    name: "get_run",
    title: "Get a run",
    description: "Waits a little for a run, and gives its result, its open questions or its state.",
    inputSchema: { type: "object", properties: { runId }, required: ["runId"], additionalProperties: false },
    annotations: { ...hints, readOnlyHint: true, destructiveHint: false }
  }
] satisfies ReadonlyArray<Sdk.Tool>
