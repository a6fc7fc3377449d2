import { Effect, Schema } from "effect"
import { Tool, Toolkit } from "effect/ai"
import { ClientRequest, Policy, Run } from "fastagentic"

class JobFailed extends Schema.TaggedError<JobFailed>()("JobFailed", { message: Schema.String }) {}

const confirmation = Schema.Struct({ confirm: Schema.Boolean })

const asking = { success: Schema.String, failure: ClientRequest.ClientRefused, dependencies: [Run.CurrentRun] }

/** Tools that take their time: clients that know tasks get one. */
export const Working = Toolkit.make(
  Tool.make("greet", {
    description: "Greets at once",
    parameters: Schema.Struct({ name: Schema.String }),
    success: Schema.String
  }),
  Tool.make("slow_compute", {
    description: "Computes for some seconds",
    parameters: Schema.Struct({ seconds: Schema.Finite, label: Schema.String }),
    success: Schema.String,
    dependencies: [Run.CurrentRun]
  }).annotate(Policy.Task, "always"),
  Tool.make("failing_job", { description: "Fails after a second", failure: JobFailed, dependencies: [Run.CurrentRun] })
    .annotate(Policy.Task, "required"),
  Tool.make("protocol_error_job", { description: "Breaks", dependencies: [Run.CurrentRun] })
    .annotate(Policy.Task, "always"),
  Tool.make("confirm_delete", {
    description: "Deletes a file once its user has confirmed it",
    parameters: Schema.Struct({ filename: Schema.String }),
    ...asking
  }).annotate(Policy.Task, "always"),
  Tool.make("multi_input", { description: "Asks for two confirmations at once", ...asking })
    .annotate(Policy.Task, "always"),
  Tool.make("test_tool_with_task", { description: "Asks for a name, and works for a while with it", ...asking })
    .annotate(Policy.Durable, true)
)

const confirm = (name: string, message: string) => ClientRequest.elicit(name, { message, schema: confirmation })

export const WorkingLayer = Working.toLayer({
  greet: ({ name }) => Effect.succeed(`Hello, ${name}!`),
  slow_compute: ({ label, seconds }) => Effect.as(Run.sleep(`${seconds} seconds`), `${label} is done`),
  failing_job: () => Effect.andThen(Effect.sleep("1 second"), Effect.fail(new JobFailed({ message: "It failed" }))),
  protocol_error_job: () => Effect.die(new Error("broken")),
  confirm_delete: ({ filename }) =>
    Effect.map(confirm("confirm", `Delete ${filename}?`), ({ confirm }) => confirm ? `${filename} is deleted` : "kept"),
  multi_input: () =>
    Effect.map(
      Effect.all([confirm("first", "The first?"), confirm("second", "The second?")], { concurrency: "unbounded" }),
      ([first, second]) => `${first.confirm} ${second.confirm}`
    ),
  test_tool_with_task: Effect.fn(function*() {
    const { name } = yield* ClientRequest.elicit("user_name", {
      message: "What is your name?",
      schema: Schema.Struct({ name: Schema.String })
    })
    yield* Effect.sleep("6 seconds")
    return `Hello, ${name}!`
  })
})
