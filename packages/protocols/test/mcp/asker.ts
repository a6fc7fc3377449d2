import {
  Agent,
  App,
  ClientRequest,
  Content,
  Event,
  Policy,
  Presentation,
  PromptTemplate,
  Resource,
  Run,
  Runtime
} from "@fastagentic/core"
import { Effect, Layer, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { by, type lasting, serveApp } from "./asking.ts"

const asks = <const Name extends string>(name: Name) =>
  Tool.make(name, {
    parameters: Schema.Struct({ of: Schema.optionalKey(Schema.String) }),
    success: Schema.String,
    failure: ClientRequest.ClientRefused,
    dependencies: [Run.CurrentRun]
  }).annotate(Policy.Durable, true)

const Tools = Toolkit.make(
  asks("ask_model"),
  asks("ask_roots"),
  asks("ask_all"),
  asks("ask_twice"),
  asks("need_model").annotate(ClientRequest.Requires, ["sampling"]),
  Tool.make("job", {
    parameters: Schema.Struct({ asks: Schema.optionalKey(Schema.Boolean) }),
    success: Schema.String,
    failure: ClientRequest.ClientRefused,
    dependencies: [Run.CurrentRun]
  }).annotate(Policy.Task, "always"),
  asks("sampling_job").annotate(Policy.Task, "always"),
  asks("only_task").annotate(Policy.Task, "required"),
  Tool.make("work", { success: Schema.String, dependencies: [Run.CurrentRun] })
    .annotate(Presentation.OfTool, { title: "Works", meta: { "example.com/ui": { a: [1] } } }),
  Tool.make("counting", { success: Schema.String, dependencies: [Run.CurrentRun] }).annotate(Policy.Durable, true),
  Tool.make("slow", { success: Schema.String, dependencies: [Run.CurrentRun] }).annotate(Policy.Durable, true),
  Tool.make("regional", {
    parameters: Schema.Struct({
      region: Schema.String.annotate({ "x-mcp-header": "Region" }),
      size: Schema.Finite.annotate({ "x-mcp-header": "Size" })
    }),
    success: Schema.String
  })
)

export const icon = { src: "https://example.com/icon.svg", mimeType: "image/svg+xml", sizes: ["any"] }

class Delegating extends Agent.make("delegating", {
  description: "Logs",
  payload: {},
  success: Schema.String,
  presentation: { title: "Delegates", icons: [icon], meta: { "example.com/kind": 1 }, hints: { readonly: true } }
}) {}

class Guest extends Agent.make("guest", {
  description: "Asks for a name",
  payload: {},
  success: Schema.String
}) {}

class Host extends Agent.make("host", { description: "Delegates to a guest", payload: {}, success: Schema.String }) {}

const Pages = Resource.make("pages", "pages://{name}", {
  description: "Pages",
  params: { name: Schema.String },
  presentation: { title: "All pages", annotations: { audience: ["user"], priority: 0.5 } }
})

const Books = Resource.make("books", "books://all", { description: "The books", scopes: ["books:read"] })

const Question = PromptTemplate.make("question", {
  description: "Asks for a topic and a mood",
  params: { lang: Schema.String },
  presentation: { title: "A question", icons: [icon] }
})

class Asker extends App.make("asker", {
  version: "1",
  description: "Asks its clients",
  icons: [icon],
  agents: [Delegating, Guest, Host],
  tools: Tools,
  resources: [Pages, Books],
  prompts: [Question]
}) {}

const answer = Effect.map(
  ClientRequest.sample("model", { messages: [{ role: "user", content: [Content.text("Hi")] }], maxTokens: 5 }),
  ({ content, model }) => `${model}: ${content.flatMap((one) => one.type === "text" ? [one.text] : []).join()}`
)
const name = ClientRequest.elicit("name", {
  message: "Your name?",
  schema: Schema.Struct({ name: Schema.NonEmptyString })
})

/** The pages that the app has; tests change it. */
export const pages = new Set(["tea", "coffee"])

const handlers = Layer.mergeAll(
  Guest.toLayer(() =>
    Effect.orDie(Effect.map(
      Run.interrupt("name", { schema: Schema.Struct({ name: Schema.NonEmptyString }), message: "Your name?" }),
      ({ name }) => name
    ))
  ),
  Host.toLayer(() => Effect.orDie(Effect.map(Run.delegate(Guest, {}), (name) => `welcome ${name}`))),
  Delegating.toLayer(() => Effect.as(Run.emit(Event.log("error", "from the agent")), "logged")),
  Tools.toLayer({
    ask_model: () => answer,
    need_model: () => answer,
    ask_roots: () => Effect.map(ClientRequest.roots(), (roots) => roots.map(({ uri }) => uri).join()),
    ask_all: () =>
      Effect.map(
        Effect.all([name, answer, ClientRequest.roots()], { concurrency: "unbounded" }),
        ([{ name }, said, roots]) => `${name} ${said} ${roots.length}`
      ),
    ask_twice: Effect.fn(function*() {
      yield* Run.emit(Event.token("once "))
      const { name: first } = yield* name
      const { name: second } = yield* ClientRequest.elicit("second", {
        message: "And?",
        schema: Schema.Struct({ name: Schema.String })
      })
      return `${first} ${second}`
    }),
    job: Effect.fn(function*({ asks }) {
      if (asks !== true) return "done"
      const ask = (name: string) =>
        ClientRequest.elicit(name, { message: name, schema: Schema.Struct({ name: Schema.NonEmptyString }) })
      const [one, two] = yield* Effect.all([ask("one"), ask("two")], { concurrency: "unbounded" })
      return `${one.name} ${two.name}`
    }),
    sampling_job: () => answer,
    only_task: () => Effect.fail(new ClientRequest.ClientRefused({ name: "task", reason: "declined" })),
    work: Effect.fn(function*() {
      yield* Run.emit(Event.log("debug", "small"))
      yield* Run.emit(Event.log("warn", "large"))
      yield* Run.emit(Event.progress(0, { total: 10, message: "begins" }))
      yield* Run.emit(Event.token("between"))
      yield* Run.emit(Event.progress(5.5, { total: 10 }))
      yield* Run.emit(Event.progress(2))
      return "done"
    }),
    counting: Effect.fn(function*() {
      for (let count = 1; count <= 6; count++) {
        yield* Run.step(`count ${count}`, Effect.as(Effect.sleep("150 millis"), count))
        yield* Run.emit(Event.token(`${count} `))
      }
      return "counted"
    }),
    slow: () => Effect.never,
    regional: ({ region, size }) => Effect.succeed(`${region} ${size}`)
  }),
  Pages.toLayer(({ name }) => Effect.succeed(`the page ${name}`), {
    list: Effect.sync(() =>
      Array.from(pages, (name) => ({ params: { name }, title: `Page ${name}`, size: name.length }))
    ),
    complete: {
      name: (value) => Effect.sync(() => [...pages].filter((page) => page.startsWith(value)))
    }
  }),
  Books.toLayer(() => Effect.succeed("the books")),
  Question.toLayer(
    ({ lang }) =>
      Effect.gen(function*() {
        const [topic, mood] = yield* Effect.all([
          ClientRequest.elicit("topic", { message: "Topic?", schema: Schema.Struct({ topic: Schema.NonEmptyString }) }),
          ClientRequest.elicit("mood", { message: "Mood?", schema: Schema.Literals(["good", "bad"]) })
        ], { concurrency: "unbounded" })
        const { end } = yield* ClientRequest.elicit("end", {
          message: "End?",
          schema: Schema.Struct({ end: Schema.Int })
        })
        return `${lang} ${topic.topic} ${mood} ${end}`
      }).pipe(Effect.catchTag("ClientRefused", ({ reason }) => Effect.succeed(`refused: ${reason}`))),
    { complete: { lang: (value, { topic = "" }) => Effect.succeed([`${value}-${topic}`]) } }
  )
)

/** A node of the app over MCP and REST, on stores that may outlive it and that other nodes may share. */
export const serveAsker = (kept: Effect.Success<typeof lasting>, limits: Layer.Layer<never> = Layer.empty) =>
  Effect.map(
    serveApp(
      kept,
      Runtime.layer(Asker, { grace: "100 millis" }).pipe(Layer.provide([handlers, limits])),
      { ann: [], bob: [] }
    ),
    ({ runtime, url }) => ({ url: `${url}/mcp`, rest: url, runtime })
  )

/** A session of a client of 2025 with these capabilities. */
export const open = Effect.fnUntraced(function*(url: string, capabilities: object, who = "ann") {
  const { response } = yield* post(url, {
    jsonrpc: "2.0",
    id: 0,
    method: "initialize",
    params: { protocolVersion: "2025-11-25", capabilities, clientInfo: { name: "t", version: "1" } }
  }, by(who))
  return {
    "mcp-session-id": response.headers.get("mcp-session-id") ?? "",
    "mcp-protocol-version": "2025-11-25",
    ...by(who)
  }
})

/** Posts a message, and reads the whole answer: its messages in their order. */
export const post = (url: string, body: unknown, headers: Record<string, string> = by("ann")) =>
  Effect.promise(async (signal) => {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json, text/event-stream", ...headers },
      body: JSON.stringify(body),
      signal
    })
    const text = await response.text()
    return { response, messages: messagesIn(text) }
  })

/** The messages of a JSON or an event stream body. */
export const messagesIn = (text: string): ReadonlyArray<ReturnType<typeof JSON.parse>> => {
  if (text === "") return []
  if (text.startsWith("{")) return [JSON.parse(text)]
  return text.split("\n").flatMap((line) =>
    line.startsWith("data: ") && line.length > 6 ? [JSON.parse(line.slice(6))] : []
  )
}

/** A request of 2026-07-28 of a client with these capabilities; the last message is the answer. */
export const modern = (
  url: string,
  method: string,
  params: Record<string, unknown>,
  { capabilities = {}, headers = {}, meta = {} }: {
    readonly capabilities?: object
    readonly headers?: Record<string, string>
    readonly meta?: object
  } = {}
) =>
  post(url, {
    jsonrpc: "2.0",
    id: 1,
    method,
    params: {
      ...params,
      _meta: {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": capabilities,
        ...meta
      }
    }
  }, {
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": method,
    "mcp-name": String(params["name"] ?? params["uri"] ?? params["taskId"]),
    ...by("ann"),
    ...headers
  })

/** The request of a client of 2026-07-28 for the stream of these notifications. */
export const listen = (notifications: object, who = "ann", capabilities: object = {}): RequestInit => ({
  method: "POST",
  headers: {
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": "subscriptions/listen",
    ...by(who)
  },
  body: JSON.stringify({
    jsonrpc: "2.0",
    id: 9,
    method: "subscriptions/listen",
    params: {
      notifications,
      _meta: {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": capabilities
      }
    }
  })
})
