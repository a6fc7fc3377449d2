import { Effect, Schema } from "effect"
import { Tool, Toolkit } from "effect/ai"
import { ClientRequest, Content, Event, Policy, Run } from "fastagentic"

const asking = <const Name extends string, Fields extends Schema.Struct.Fields = {}>(
  name: Name,
  description: string,
  parameters?: Fields
) =>
  Tool.make(name, {
    description,
    parameters: Schema.Struct({ ...parameters } as Fields), // cast: without fields there are none
    success: Schema.String,
    failure: ClientRequest.ClientRefused,
    dependencies: [Run.CurrentRun]
  }).annotate(Policy.Durable, true)

/** Tools that ask the user of their client, its model, and for its folders. */
export const Asking = Toolkit.make(
  asking("test_sampling", "Asks the model of the client", { prompt: Schema.String }),
  asking("test_elicitation", "Asks the user of the client", { message: Schema.String }),
  asking("test_elicitation_sep1034_defaults", "Shows a form with defaults"),
  asking("test_elicitation_sep1330_enums", "Shows a form with choices"),
  asking("test_missing_capability", "Needs the model of the client").annotate(ClientRequest.Requires, ["sampling"]),
  asking("test_streaming_elicitation", "Logs, and asks the user of the client"),
  asking("test_input_required_result_elicitation", "Asks for a name"),
  asking("test_input_required_result_sampling", "Asks the model for a capital"),
  asking("test_input_required_result_list_roots", "Asks for the folders of the client"),
  asking("test_input_required_result_request_state", "Asks for a confirmation"),
  asking("test_input_required_result_multiple_inputs", "Asks for three things at once"),
  asking("test_input_required_result_multi_round", "Asks twice"),
  asking("test_input_required_result_tampered_state", "Asks for a confirmation"),
  asking("test_input_required_result_capabilities", "Asks the user and the model")
)

const form = <Fields extends Schema.Struct.Fields>(fields: Fields) => Schema.Struct(fields)

const titled = (titles: { readonly [value: string]: string }) =>
  Schema.Union(Object.entries(titles).map(([value, title]) => Schema.Literal(value).annotate({ title })))

const options = Schema.Literals(["option1", "option2", "option3"])

const sample = (name: string, text: string, maxTokens = 100) =>
  Effect.map(
    ClientRequest.sample(name, { messages: [{ role: "user", content: [Content.text(text)] }], maxTokens }),
    ({ content }) => content.flatMap((part) => part.type === "text" ? [part.text] : []).join("\n")
  )

const askName = ClientRequest.elicit("user_name", {
  message: "What is your name?",
  schema: form({ name: Schema.String })
})
const confirm = ClientRequest.elicit("confirm", { message: "Please confirm", schema: form({ ok: Schema.Boolean }) })
const completed = (content: unknown) => `Elicitation completed: action=accept, content=${JSON.stringify(content)}`

const all = { concurrency: "unbounded" } as const

export const AskingLayer = Asking.toLayer({
  test_sampling: ({ prompt }) => Effect.map(sample("sampling", prompt), (text) => `LLM response: ${text}`),
  test_elicitation: ({ message }) =>
    Effect.map(
      ClientRequest.elicit("user", {
        message,
        schema: form({
          username: Schema.String.annotate({ description: "User's response" }),
          email: Schema.String.annotate({ description: "User's email address" })
        })
      }),
      (content) => `User response: accept, ${JSON.stringify(content)}`
    ),
  test_elicitation_sep1034_defaults: () =>
    Effect.map(
      ClientRequest.elicit("profile", {
        message: "Please check your profile",
        schema: form({
          name: Schema.String.annotate({ default: "John Doe" }),
          age: Schema.Int.annotate({ default: 30 }),
          score: Schema.Finite.annotate({ default: 95.5 }),
          status: Schema.Literals(["active", "inactive", "pending"]).annotate({ default: "active" }),
          verified: Schema.Boolean.annotate({ default: true })
        })
      }),
      completed
    ),
  test_elicitation_sep1330_enums: () =>
    Effect.map(
      ClientRequest.elicit("choices", {
        message: "Please choose",
        schema: form({
          untitledSingle: options,
          titledSingle: titled({ value1: "First Option", value2: "Second Option", value3: "Third Option" }),
          legacyEnum: Schema.Literals(["opt1", "opt2", "opt3"]).annotate({
            enumNames: ["Option One", "Option Two", "Option Three"]
          }),
          untitledMulti: Schema.Array(options),
          titledMulti: Schema.Array(titled({ value1: "First Choice", value2: "Second Choice", value3: "Third Choice" }))
        })
      }),
      completed
    ),
  test_missing_capability: () => sample("sampling", "Say hello"),
  test_streaming_elicitation: Effect.fn(function*() {
    yield* Run.emit(Event.log("info", "This tool asks for a name"))
    return (yield* askName).name
  }),
  test_input_required_result_elicitation: () => Effect.map(askName, ({ name }) => `Hello, ${name}!`),
  test_input_required_result_sampling: () => sample("capital_question", "What is the capital of France?"),
  test_input_required_result_list_roots: () =>
    Effect.map(ClientRequest.roots("client_roots"), (roots) => roots.map(({ uri }) => uri).join("\n")),
  test_input_required_result_request_state: () => Effect.map(confirm, ({ ok }) => `state-ok: ${ok}`),
  test_input_required_result_multiple_inputs: () =>
    Effect.map(
      Effect.all([askName, sample("greeting", "Generate a greeting", 50), ClientRequest.roots("client_roots")], all),
      ([{ name }, greeting, roots]) => `${greeting} ${name}, with ${roots.length} folders`
    ),
  test_input_required_result_multi_round: Effect.fn(function*() {
    const { name } = yield* ClientRequest.elicit("step1", {
      message: "Step 1: What is your name?",
      schema: form({ name: Schema.String })
    })
    const { color } = yield* ClientRequest.elicit("step2", {
      message: "Step 2: What is your favorite color?",
      schema: form({ color: Schema.String })
    })
    return `${name} likes ${color}`
  }),
  test_input_required_result_tampered_state: () => Effect.map(confirm, ({ ok }) => `confirmed: ${ok}`),
  test_input_required_result_capabilities: () =>
    Effect.map(
      Effect.all([askName, sample("greeting", "Generate a greeting")], all),
      ([{ name }, text]) => `${text} ${name}`
    )
})
