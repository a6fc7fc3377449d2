import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schedule, Schema } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { Agent, App, Content, Run } from "fastagentic"
import { A2aRemote } from "fastagentic/a2a"
import { McpAuth, McpRemote } from "fastagentic/mcp"
import { OAuthTokens, Oidc } from "fastagentic/oidc"
import { existsSync, readFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { startExchange } from "./exchanging.ts"
import { temporaryFolder } from "./process.ts"
import { onSqlite } from "./serving.ts"

/** Says who called it. */
class Desk extends Agent.make("desk", { description: "Says who calls", payload: { text: Schema.String } }) {}
class There extends App.make("there", { version: "1", agents: [Desk] }) {}

class Remote extends A2aRemote.agent("remote", { description: "The desk of another server" }) {}
class Boss extends Agent.make("boss", {
  description: "Delegates, after a question when it is asked to",
  payload: { question: Schema.String },
  error: A2aRemote.RemoteTaskFailed
}) {}
class Tools extends McpRemote.Service<Tools>()("tools") {}
class Clerk extends Agent.make("clerk", { description: "Uses the tools of another server", payload: {} }) {}
class Shop extends App.make("shop", { version: "1", agents: [Clerk] }) {}

class Here extends App.make("here", { version: "1", agents: [Boss, Remote] }) {}

const deskLayer = Desk.toLayer(() =>
  Run.CurrentRun.use(({ principal: { claims, id, tenant } }) =>
    Effect.succeed(`${tenant}/${id} by ${JSON.stringify(claims["act"] ?? null)}`)
  )
)
const bossLayer = Boss.toLayer(({ question }) =>
  Effect.gen(function*() {
    if (question === "ask") yield* Run.interrupt("ask", { schema: Schema.String, message: "may it be sent?" })
    const answer = yield* Run.delegate(Remote, { message: [Content.text(question)] }).pipe(
      Effect.catchTag(["DelegationFailed", "RunError"], Effect.die)
    )
    return Content.textOf(answer)
  }).pipe(Effect.catchTag("InterruptDenied", Effect.die))
)

const freePort = Effect.promise(() =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })
)

const secret = Redacted.make("a secret of 32 characters or more")
const here = "https://here.example.com"
type Issuing = Effect.Success<ReturnType<typeof startExchange>>

const issuing = (ttl?: number) =>
  startExchange({
    clients: { "here-app": "top secret" },
    tenants: { ada: "acme", bea: "beta", "here-app": "apps" },
    scopes: ["desk:call"],
    ...(ttl === undefined ? {} : { ttl })
  })

const serveThere = Effect.fnUntraced(function*({ issuer }: Issuing) {
  const port = yield* freePort
  const auth = Layer.orDie(Oidc.layer({
    issuer,
    audience: [`http://127.0.0.1:${port}`, `http://127.0.0.1:${port}/mcp`],
    tenantClaim: "org_id",
    clockTolerance: 0
  })).pipe(Layer.provide(FetchHttpClient.layer))
  return (yield* onSqlite(There, deskLayer, join(temporaryFolder(), "there.db"), { auth, port })).url
})

const authHere = (issuer: string, keepsTokens: boolean) =>
  Layer.orDie(Oidc.layer({
    issuer,
    audience: here,
    tenantClaim: "org_id",
    clockTolerance: 0,
    ...(keepsTokens ? { subjectTokens: [secret] as const } : {})
  })).pipe(Layer.provide(FetchHttpClient.layer))

type Source = "client" | "caller" | "caller or client"

const serveHere = (
  { issuer }: Issuing,
  there: string,
  from: Source,
  options: {
    readonly filename?: string
    readonly port?: number
    readonly more?: Partial<OAuthTokens.ExchangeOptions>
  } = {}
) => {
  const client = { issuer, clientId: "here-app", clientSecret: Redacted.make("top secret"), ...options.more }
  const source = from === "client"
    ? OAuthTokens.clientCredentials(client)
    : OAuthTokens.exchange({
      subjectTokens: [secret],
      ...client,
      withoutCaller: from === "caller" ? "refuse" : "client"
    })
  const remote = Layer.unwrap(
    Effect.map(source, (auth) => A2aRemote.toLayer(Remote, { url: `${there}/.well-known/agent-card.json`, auth }))
  ).pipe(Layer.provide(FetchHttpClient.layer))
  return onSqlite(Here, Layer.merge(bossLayer, remote), options.filename ?? join(temporaryFolder(), "here.db"), {
    auth: authHere(issuer, from !== "client"),
    ...(options.port === undefined ? {} : { port: options.port })
  })
}

/** The clerk's server, which reaches the other one over MCP. */
const serveShop = ({ issuer }: Issuing, there: string) => {
  const client = { issuer, clientId: "here-app", clientSecret: Redacted.make("top secret") }
  const tools = Layer.unwrap(
    Effect.map(OAuthTokens.exchange({ ...client, subjectTokens: [secret] }), (source) =>
      McpRemote.layer(Tools, {
        url: `${there}/mcp`,
        auth: McpAuth.tokens(source),
        egress: { allow: ["127.0.0.1"] },
        rules: () => ({ approval: false })
      }))
  ).pipe(Layer.orDie, Layer.provide(FetchHttpClient.layer))
  const clerk = Clerk.toLayer(() =>
    Effect.flatMap(Tools, (tools) => tools.call("desk", { text: "who?" })).pipe(
      Effect.match({ onSuccess: Content.textOf, onFailure: ({ message }) => message })
    )
  ).pipe(Layer.provide(tools))
  return onSqlite(Shop, clerk, join(temporaryFolder(), "shop.db"), { auth: authHere(issuer, true) })
}

const call = (url: string, token: string, path = "/agents/boss", body: unknown = { question: "who?" }) =>
  Effect.promise(async () => {
    const response = await fetch(url + path, {
      ...(body === null ? {} : { method: "POST", body: JSON.stringify(body) }),
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
        accept: "application/json"
      }
    })
    return { status: response.status, text: await response.text() }
  })

describe("a delegation to a remote agent behind an issuer", () => {
  it.live("with client credentials the remote agent sees the app and its tenant, and many runs need one token", () =>
    Effect.gen(function*() {
      const issuer = yield* issuing()
      const there = yield* serveThere(issuer)
      const { url } = yield* serveHere(issuer, there, "client")
      const token = yield* issuer.login("ada", here, "")
      const answers = yield* Effect.all(Array.from({ length: 8 }, () => call(url, token)), { concurrency: 8 })
      for (const { text } of answers) assert.include(text, "apps/here-app by null")
      assert.strictEqual(issuer.state.requests.length, 1)
      assert.deepStrictEqual(issuer.state.requests[0], { grant_type: "client_credentials", resource: there })
    }).pipe(Effect.scoped))

  it.live("with token exchange the remote agent sees each caller with its own tenant, and the app as its actor", () =>
    Effect.gen(function*() {
      const issuer = yield* issuing()
      const there = yield* serveThere(issuer)
      const { url } = yield* serveHere(issuer, there, "caller")
      const [ada, bea] = [yield* issuer.login("ada", here, ""), yield* issuer.login("bea", here, "")]
      const sent = [ada, bea, ada, bea]
      const answers = yield* Effect.all(sent.map((token) => call(url, token)), { concurrency: 4 })
      const seen = answers.map(({ text }) => /"(\w+\/\w+) by/u.exec(text)?.[1] ?? text)
      assert.deepStrictEqual(seen, ["acme/ada", "beta/bea", "acme/ada", "beta/bea"])
      assert.include(answers[0]?.text, "here-app")
      assert.strictEqual(issuer.state.requests.length, 2)
    }).pipe(Effect.scoped))

  it.live("a run acts for its caller after a restart, with the token that it was started with", () =>
    Effect.gen(function*() {
      const issuer = yield* issuing()
      const there = yield* serveThere(issuer)
      const filename = join(temporaryFolder(), "here.db")
      const first = yield* serveHere(issuer, there, "caller", { filename })
      const token = yield* issuer.login("ada", here, "")
      const started = yield* call(first.url, token, "/agents/boss/runs", { question: "ask" })
      const { runId } = Schema.decodeUnknownSync(Schema.Struct({ runId: Schema.String }))(JSON.parse(started.text))
      const questions = (url: string) =>
        Effect.map(
          call(url, token, `/runs/${runId}/interrupts`, null),
          ({ text }) => /"id":"([^"]+)"/u.exec(text)?.[1]
        )
      const id = yield* questions(first.url).pipe(
        Effect.repeat({ until: (id) => id !== undefined, times: 100, schedule: Schedule.spaced("20 millis") })
      )
      yield* first.stop
      const second = yield* serveHere(issuer, there, "caller", { filename })
      yield* call(second.url, token, `/runs/${runId}/interrupts/${id}`, { decision: "approve", value: "yes" })
      const ended = yield* call(second.url, token, `/runs/${runId}`, null).pipe(
        Effect.repeat({
          until: ({ text }) => /completed|failed/u.test(text),
          times: 100,
          schedule: Schedule.spaced("50 millis")
        })
      )
      assert.include(ended.text, "acme/ada")
      for (const file of [filename, `${filename}-wal`]) {
        if (existsSync(file)) assert.isFalse(readFileSync(file).includes(token), "the store has the token in the clear")
      }
    }).pipe(Effect.scoped))

  it.live("a token of the caller that has expired fails the delegation with the issuer's reason, and is not shown", () =>
    Effect.gen(function*() {
      const issuer = yield* issuing()
      const there = yield* serveThere(issuer)
      const { url } = yield* serveHere(issuer, there, "caller")
      const token = yield* issuer.login("ada", here, "", 2)
      const started = yield* call(url, token, "/agents/boss/runs", { question: "ask" })
      const { runId } = Schema.decodeUnknownSync(Schema.Struct({ runId: Schema.String }))(JSON.parse(started.text))
      yield* Effect.sleep("2100 millis")
      const later = yield* issuer.login("ada", here, "")
      const { text } = yield* call(url, later, `/runs/${runId}/interrupts`, null)
      const id = /"id":"([^"]+)"/u.exec(text)?.[1]
      yield* call(url, later, `/runs/${runId}/interrupts/${id}`, { decision: "approve", value: "yes" })
      const ended = yield* call(url, later, `/runs/${runId}`, null).pipe(
        Effect.repeat({
          until: ({ text }) => /completed|failed/u.test(text),
          times: 100,
          schedule: Schedule.spaced("50 millis")
        })
      )
      assert.include(ended.text, "invalid_grant")
      assert.notInclude(ended.text, token)
    }).pipe(Effect.scoped))

  it.live("a token of the caller that no secret opens is refused, and the app does not act as itself for the caller", () =>
    Effect.gen(function*() {
      const issuer = yield* issuing()
      const there = yield* serveThere(issuer)
      const more = { subjectTokens: [Redacted.make("another secret of 32 characters or more")] } as const
      const { url } = yield* serveHere(issuer, there, "caller or client", { more })
      const { text } = yield* call(url, yield* issuer.login("ada", here, ""))
      assert.include(text, "SUBJECT_TOKEN_UNREADABLE")
      assert.deepStrictEqual(issuer.state.requests, [])
    }).pipe(Effect.scoped))

  it.live("a token for another audience is refused by the remote agent, and the run says so", () =>
    Effect.gen(function*() {
      const issuer = yield* issuing()
      const there = yield* serveThere(issuer)
      const { url } = yield* serveHere(issuer, there, "client", { more: { resource: "https://elsewhere.example.com" } })
      const token = yield* issuer.login("ada", here, "")
      const { text } = yield* call(url, token)
      assert.include(text, "RemoteTaskFailed")
      assert.include(text, "\"refused\"")
      assert.include(text, "UNAUTHENTICATED")
    }).pipe(Effect.scoped))

  it.live("a client that was revoked gets no further token: its delegations end when the last one has expired", () =>
    Effect.gen(function*() {
      const issuer = yield* issuing(2)
      const there = yield* serveThere(issuer)
      const { url } = yield* serveHere(issuer, there, "caller or client")
      const token = yield* issuer.login("ada", here, "", 600)
      assert.include((yield* call(url, token)).text, "acme/ada")
      issuer.state.revoked.add("here-app")
      yield* Effect.sleep("2100 millis")
      const { text } = yield* call(url, token)
      assert.include(text, "invalid_client")
      assert.notInclude(text, "top secret")
    }).pipe(Effect.scoped))

  it.live("a remote tool sees the caller of the run that calls it, and the app in the lists of its server", () =>
    Effect.gen(function*() {
      const issuer = yield* issuing()
      const there = yield* serveThere(issuer)
      const { url } = yield* serveShop(issuer, there)
      const [ada, bea] = [yield* issuer.login("ada", here, ""), yield* issuer.login("bea", here, "")]
      for (const [token, seen] of [[ada, "acme/ada"], [bea, "beta/bea"], [ada, "acme/ada"]] as const) {
        assert.include((yield* call(url, token, "/agents/clerk", {})).text, seen)
      }
      const grants = issuer.state.requests.map(({ grant_type, resource }) => [grant_type, resource])
      assert.deepStrictEqual(grants, [
        ["client_credentials", `${there}/mcp`],
        ["urn:ietf:params:oauth:grant-type:token-exchange", `${there}/mcp`],
        ["urn:ietf:params:oauth:grant-type:token-exchange", `${there}/mcp`]
      ])
    }).pipe(Effect.scoped))

  it.live("a remote tool is not called once the app is revoked, and the error names the reason", () =>
    Effect.gen(function*() {
      const issuer = yield* issuing()
      const there = yield* serveThere(issuer)
      const { url } = yield* serveShop(issuer, there)
      const token = yield* issuer.login("ada", here, "")
      issuer.state.revoked.add("here-app")
      const { text } = yield* call(url, token, "/agents/clerk", {})
      assert.include(text, "invalid_client")
      assert.notInclude(text, "top secret")
    }).pipe(Effect.scoped))
})
