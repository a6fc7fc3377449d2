import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, type Schema } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { Agent, App } from "fastagentic"
import { Oidc } from "fastagentic/oidc"
import { readFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { McpAuth, TokenStore } from "../../src/mcp.ts"
import { browse, startIssuer } from "../issuing.ts"
import { temporaryFolder } from "../process.ts"
import { onSqlite } from "../serving.ts"
import { deciding, loopback, openOffice, Shop } from "./desk.ts"

class Notes extends Agent.make("notes", { description: "Reads the notes", payload: {}, scopes: ["notes:read"] }) {}
class Archive extends Agent.make("archive", {
  description: "Archives the notes",
  payload: {},
  scopes: ["notes:read", "notes:write"]
}) {}
class Library extends App.make("library", { version: "1.0.0", agents: [Notes, Archive] }) {}

const all = ["notes:read", "notes:write"]
const callback = "http://127.0.0.1:9/callback"

const freePort = Effect.promise(() =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })
)

/** An app of this framework behind a certified issuer. */
const serveLibrary = Effect.gen(function*() {
  const issuing = yield* startIssuer(all)
  const port = yield* freePort
  const auth = Layer.orDie(Oidc.layer({ issuer: issuing.issuer, audience: `http://127.0.0.1:${port}/mcp` })).pipe(
    Layer.provide(FetchHttpClient.layer)
  )
  const handlers = Layer.merge(
    Notes.toLayer(() => Effect.succeed("a note")),
    Archive.toLayer(() => Effect.succeed("archived"))
  )
  const { url } = yield* onSqlite(Library, handlers, join(temporaryFolder(), "library.db"), { auth, port })
  return { ...issuing, url: `${url}/mcp` }
})

const act = (question: string) =>
  Effect.gen(function*() {
    const shop = yield* Shop
    if (question === "authorize") return (yield* shop.authorize)?.href
    if (question.startsWith("?")) return yield* shop.authorized(new URLSearchParams(question))
    return yield* shop.call(question)
  }).pipe(Effect.match({
    onSuccess: (value): Schema.Json => JSON.parse(JSON.stringify(value ?? null)),
    onFailure: ({ _tag, message }): Schema.Json => ({ _tag, message })
  }))

const open = (url: string, tokens: string, key = "the key of this app, 32 characters") =>
  openOffice(act, {
    url,
    ...loopback,
    rules: () => ({ approval: false }),
    auth: McpAuth.oauth({
      redirectUrl: callback,
      clientName: "office",
      store: TokenStore.file(tokens),
      key: Redacted.make(key)
    })
  }, deciding(() => ""))

/** A person follows the address and agrees; gives the query of the callback. */
const consent = Effect.fnUntraced(function*(office: Effect.Success<ReturnType<typeof open>>) {
  const { body } = yield* office.ask("authorize")
  return `?${yield* Effect.promise(() => browse(new URL(String(body)), callback))}`
})

describe("an app that a person lets in at an MCP server, with a certified issuer", () => {
  it.live("registers, calls with a token for the endpoint, and keeps it encrypted over a restart", () =>
    Effect.scoped(Effect.gen(function*() {
      const { asked, url } = yield* serveLibrary
      const tokens = join(temporaryFolder(), "tokens")
      const office = yield* open(url, tokens)
      assert.include(JSON.stringify((yield* office.ask("notes")).body), "RemoteUnauthorized")
      const query = yield* consent(office)
      assert.include(
        JSON.stringify((yield* office.ask(query.replace(/state=[^&]*/u, "state=of-another"))).body),
        "RemoteUnauthorized"
      )
      assert.isNull((yield* office.ask(query)).body)
      assert.include(JSON.stringify((yield* office.ask("notes")).body), "a note")
      assert.deepStrictEqual([...new Set(asked)], [url])
      assert.notMatch(readFileSync(tokens, "latin1"), /token|client|verifier/u)
      // A code is taken once.
      assert.include(JSON.stringify((yield* office.ask(query)).body), "RemoteUnauthorized")

      yield* office.stop
      const again = yield* open(url, tokens)
      assert.include(JSON.stringify((yield* again.ask("archive")).body), "archived")
      const stranger = yield* open(url, tokens, "the key of another, 32 characters!")
      assert.notInclude(JSON.stringify((yield* stranger.ask("notes")).body), "a note")
    })))
})
