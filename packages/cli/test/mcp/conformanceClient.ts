/** The client that the official conformance suite drives: an app whose agent calls everything that a server offers. */
import { PrivateKeyJwtProvider } from "@modelcontextprotocol/client"
import { Effect, Redacted, Schema } from "effect"
import { createServer } from "node:http"
import { McpAuth, TokenStore } from "../../src/mcp.ts"
import { deciding, openOffice, Shop } from "./desk.ts"

const optional = Schema.optionalKey
const Context = Schema.Struct({
  client_id: optional(Schema.String),
  client_secret: optional(Schema.String),
  issuer: optional(Schema.String),
  private_key_pem: optional(Schema.String),
  signing_algorithm: optional(Schema.String),
  toolCalls: optional(Schema.Array(Schema.Struct({ name: Schema.String, arguments: Schema.Json })))
})
const decodeContext = Schema.decodeUnknownSync(Schema.fromJsonString(Context))

const authFor = (scenario: string, context: typeof Context.Type): McpAuth.Auth => {
  const { client_id: clientId, client_secret: clientSecret, issuer } = context
  if (scenario === "auth/client-credentials-jwt" && clientId !== undefined && context.private_key_pem !== undefined) {
    const options = { clientId, privateKey: context.private_key_pem, algorithm: context.signing_algorithm ?? "ES256" }
    return McpAuth.fromProvider(() => new PrivateKeyJwtProvider(options))
  }
  if (scenario === "auth/client-credentials-basic" && clientId !== undefined && clientSecret !== undefined) {
    return McpAuth.clientCredentials({ clientId, clientSecret: Redacted.make(clientSecret), issuer })
  }
  return McpAuth.oauth({
    redirectUrl: "http://localhost:3000/callback",
    clientName: "conformance",
    clientMetadataUrl: "https://conformance-test.local/client-metadata.json",
    store: TokenStore.memory(),
    key: Redacted.make("a key of thirty-two characters!!"),
    ...(clientId === undefined || issuer === undefined ? {} : {
      client: {
        id: clientId,
        issuer,
        ...(clientSecret === undefined ? {} : { secret: Redacted.make(clientSecret) })
      }
    })
  })
}

const Asked = Schema.fromJsonString(Schema.Union([
  Schema.Struct({ does: Schema.Literals(["list", "authorize", "read"]) }),
  Schema.Struct({ callback: Schema.String }),
  Schema.Struct({ name: Schema.String, args: Schema.Json })
]))

/** Does one thing at the server, and tells how it ended. */
const act = (question: string) =>
  Effect.gen(function*() {
    const shop = yield* Shop
    const asked = yield* Effect.orDie(Schema.decodeUnknownEffect(Asked)(question))
    if ("name" in asked) return yield* shop.call(asked.name, asked.args)
    if ("callback" in asked) return yield* shop.authorized(new URLSearchParams(asked.callback))
    if (asked.does === "authorize") return (yield* shop.authorize)?.href
    if (asked.does === "list") return yield* shop.tools
    for (const { uri } of yield* shop.resources) yield* shop.read(uri)
    for (const { name } of yield* shop.prompts) yield* shop.prompt(name)
    return null
  }).pipe(Effect.match({
    onSuccess: (value): Schema.Json => ({ value: JSON.parse(JSON.stringify(value ?? null)) }),
    onFailure: ({ _tag, message }): Schema.Json => ({ failure: _tag, message })
  }))

const Outcome = Schema.Struct({
  value: optional(Schema.Json),
  failure: optional(Schema.String),
  message: optional(Schema.String)
})

const Tool = Schema.Struct({
  name: Schema.String,
  inputSchema: Schema.Struct({
    properties: optional(Schema.Record(Schema.String, Schema.Struct({ type: optional(Schema.Json) })))
  })
})
const Tools = Schema.Array(Tool)

/** Arguments of the types that a schema wants. */
const argumentsFor = ({ inputSchema: { properties = {} } }: typeof Tool.Type, schemas: ReadonlyArray<Schema.Json>) =>
  Object.fromEntries(
    Object.entries(properties).map(([name, { type }]) => [
      name,
      name === "schema"
        ? schemas[0] ?? {}
        : type === "number" || type === "integer"
        ? 3
        : type === "boolean"
        ? true
        : type === "object"
        ? {}
        : "text"
    ])
  )

/** Does all that a scenario may want to see, and tells how it ended. */
const drive = Effect.fnUntraced(function*(url: string, scenario: string, given: string) {
  const context = decodeContext(given)
  const told: Array<string> = []
  const office = yield* openOffice(act, {
    url,
    auth: authFor(scenario, context),
    egress: { allow: ["127.0.0.1", "::1"] },
    rules: () => ({ approval: false })
  }, deciding(() => ""))
  const decode = Schema.decodeUnknownEffect(Outcome)

  /** Does something, answers what is asked meanwhile, and lets the app in where a person would. */
  const does = (question: object, tries = 3): Effect.Effect<typeof Outcome.Type> =>
    Effect.gen(function*() {
      const outcome = yield* office.ask(JSON.stringify(question)).pipe(
        Effect.flatMap(({ body }) => decode(body)),
        Effect.orDie
      )
      if (outcome.failure !== "RemoteUnauthorized" || tries === 0) return outcome
      const { value: address } = yield* Effect.orDie(
        decode((yield* office.ask(JSON.stringify({ does: "authorize" }))).body)
      )
      if (typeof address !== "string") return outcome
      const back = yield* Effect.promise(() => fetch(address, { redirect: "manual" }))
      const location = new URL(back.headers.get("location") ?? "", address)
      const let_in = yield* office.ask(JSON.stringify({ callback: location.search.slice(1) }))
      const { failure } = yield* Effect.orDie(decode(let_in.body))
      return failure === undefined ? yield* does(question, tries - 1) : outcome
    })

  yield* Effect.forkScoped(Effect.forever(Effect.gen(function*() {
    yield* Effect.sleep("100 millis")
    if ((yield* office.interrupts).length > 0) yield* office.answer({ decision: "approve", value: {} })
  })))

  const listed = yield* does({ does: "list" })
  told.push(JSON.stringify(listed))
  if (listed.failure !== undefined) return told
  const raw = yield* Effect.orDie(
    Schema.decodeUnknownEffect(Schema.Array(Schema.Record(Schema.String, Schema.Json)))(listed.value)
  )
  const tools = yield* Effect.orDie(Schema.decodeUnknownEffect(Tools)(listed.value))
  const schemas = raw.map(({ inputSchema = {} }) => inputSchema)
  const calls = context.toolCalls ??
    tools.map((tool) => ({ name: tool.name, arguments: argumentsFor(tool, schemas) }))
  for (const { arguments: args, name } of calls) told.push(JSON.stringify(yield* does({ name, args })))
  told.push(JSON.stringify(yield* does({ does: "read" })))
  return told
}, Effect.scoped)

/** Serves the client, so that forty scenarios need no process each; gives the address. */
export const serveClient = Effect.acquireRelease(
  Effect.promise(async () => {
    const server = createServer((request, response) => {
      const { searchParams } = new URL(request.url ?? "/", "http://localhost")
      const named = (name: string) => searchParams.get(name) ?? ""
      Effect.runPromise(drive(named("url"), named("scenario"), named("context") || "{}")).then(
        (told) => response.end(told.join("\n")),
        (error: unknown) => response.writeHead(500).end(String(error))
      )
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    return server
  }),
  (server) => Effect.sync(() => server.close())
).pipe(Effect.map((server) => {
  const address = server.address()
  return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
}))
