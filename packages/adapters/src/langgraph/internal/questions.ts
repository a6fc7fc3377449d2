// Puts the questions of a graph before humans, as pauses of the run; LangGraph.ts resumes the graph with the answers. LangChain's
// human-in-the-loop middleware asks about all calls of a message at once: each is an approval of its own.
import { CurrentRun, InterruptDenied } from "@fastagentic/core/run/Run"
import { Effect, Option, Schema } from "effect"
import { toJson } from "../../adapter/Json.ts"
import type { Decisions } from "./appParts.ts"
import type { Question } from "./state.ts"

const Action = Schema.Struct({
  name: Schema.String,
  args: Schema.Record(Schema.String, Schema.Json),
  description: Schema.optionalKey(Schema.String)
})

const Reviewed = Schema.Struct({
  actionRequests: Schema.NonEmptyArray(Action),
  reviewConfigs: Schema.Array(
    Schema.Struct({ actionName: Schema.String, allowedDecisions: Schema.Array(Schema.String) })
  )
})

const decodeReviewed = Schema.decodeUnknownOption(Reviewed)

/** The value with which the graph resumes. */
export const ask = (
  question: Question,
  decisions: Decisions
): Effect.Effect<unknown, InterruptDenied, CurrentRun> => {
  const ofCall = decisions.of(question.value)
  if (ofCall !== undefined) {
    return CurrentRun.use(({ interrupt }) =>
      Effect.map(interrupt(ofCall), (resolution) => {
        decisions.take(ofCall, resolution)
        return true
      })
    )
  }
  const reviewed = decodeReviewed(question.value)
  return Option.isSome(reviewed) ? review(question.id, reviewed.value) : askValue(question)
}

const askValue = Effect.fnUntraced(function*({ id, schema, value }: Question) {
  const { interrupt } = yield* CurrentRun
  const name = `interrupt ${id}`
  const resolution = yield* interrupt({
    name,
    kind: "input",
    arguments: toJson(value),
    ...(schema === undefined ? {} : { responseSchema: toJson(schema) })
  })
  const { decision, reason } = resolution
  if (decision === "approve" || decision === "edit") return resolution.value ?? true
  return yield* new InterruptDenied({ name, ...(reason === undefined ? {} : { reason }) })
})

/** The decisions in the form of the middleware, which tells the model of a denial. */
const review = (id: string, { actionRequests, reviewConfigs }: typeof Reviewed.Type) =>
  Effect.map(
    Effect.forEach(actionRequests, ({ args, description, name }, index) => {
      const isEditable = reviewConfigs.some(({ actionName, allowedDecisions }) =>
        actionName === name && allowedDecisions.includes("edit")
      )
      const asked = CurrentRun.use(({ interrupt }) =>
        interrupt({
          name: `interrupt ${id} ${index + 1}`,
          kind: "approval",
          message: description ?? `${name} asks for approval`,
          tool: name,
          arguments: args,
          ...(isEditable ? { responseSchema: { type: "object" } } : {})
        })
      )
      return Effect.map(asked, ({ decision, reason, value }) => {
        switch (decision) {
          case "approve":
            return { type: "approve" }
          case "edit":
            return { type: "edit", editedAction: { name, args: value } }
          default:
            return { type: "reject", message: reason ?? (decision === "expire" ? "nobody decided in time" : "denied") }
        }
      })
    }, { concurrency: "unbounded" }),
    (decisions) => ({ decisions })
  )
