import { assert, describe, it } from "@effect/vitest"
import { Auth } from "@fastagentic/core/door/Auth"
import { Context, Effect, Layer, Redacted } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { Oidc } from "../../src/oidc/index.ts"
import { audience, makeKey, sign, startIssuer } from "./issuer.ts"

const listen = (handle: (request: IncomingMessage, response: ServerResponse, body: string) => void) =>
  Effect.gen(function*() {
    const server = createServer((request, response) => {
      let body = ""
      request.setEncoding("utf8").on("data", (chunk: string) => body += chunk)
      request.on("end", () => handle(request, response, body))
    })
    yield* Effect.acquireRelease(
      Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
      () => Effect.sync(() => server.close().closeAllConnections())
    )
    const address = server.address()
    return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
  })

const authenticator = (options: Oidc.Options) =>
  Effect.map(
    Layer.build(Oidc.layer(options).pipe(Layer.provide(FetchHttpClient.layer))),
    (context) => Context.get(context, Auth).authenticate
  )

/** An issuer that introspects slowly and knows one token. */
const slowIssuer = Effect.gen(function*() {
  const key = yield* Effect.promise(() => makeKey("one"))
  const state: { readonly asked: Array<string>; answer?: string; redirect?: string } = { asked: [] }
  let issuer = ""
  issuer = yield* listen((request, response, body) => {
    response.setHeader("content-type", "application/json")
    if (request.url === "/jwks") return void response.end(JSON.stringify({ keys: [key.jwk] }))
    if (request.url !== "/introspect") {
      const introspection_endpoint = `${issuer}/introspect`
      return void response.end(JSON.stringify({ issuer, jwks_uri: `${issuer}/jwks`, introspection_endpoint }))
    }
    const token = new URLSearchParams(body).get("token") ?? ""
    state.asked.push(token)
    if (state.redirect !== undefined) return void response.writeHead(307, { location: state.redirect }).end()
    setTimeout(() => {
      const exp = Math.floor(Date.now() / 1_000) + 60
      const claims = token === "good" ? { active: true, sub: "ada", aud: audience, exp } : { active: false }
      response.end(state.answer ?? JSON.stringify(claims))
    }, 100)
  })
  const introspection = { clientId: "server", clientSecret: Redacted.make("secret") }
  const authenticate = yield* authenticator({ issuer, audience, introspection })
  const attempt = (token: string, peer = "203.0.113.1") =>
    Effect.match(authenticate({ bearer: Redacted.make(token), peer }), {
      onFailure: (error) => error._tag,
      onSuccess: ({ id }) => id
    })
  return { attempt, state }
})

describe("Oidc at its edges", () => {
  it.live("600 unknown tokens of one address do not delay the token of another one", () =>
    Effect.gen(function*() {
      const { attempt, state } = yield* slowIssuer
      const tags: Array<string> = []
      yield* Effect.forkScoped(Effect.forEach(
        Array.from({ length: 600 }, (_, n) => `unknown-${n}`),
        (token) => Effect.map(attempt(token), (tag) => tags.push(tag)),
        { concurrency: "unbounded" }
      ))
      yield* Effect.sleep("20 millis")
      const began = Date.now()
      assert.strictEqual(yield* attempt("good", "198.51.100.7"), "ada")
      assert.isBelow(Date.now() - began, 1_500)
      assert.isAtMost(state.asked.length, 40)
      assert.isAtLeast(tags.filter((tag) => tag === "StoreUnavailable").length, 500)
    }).pipe(Effect.scoped))

  it.live("equal tokens are asked for once, and an unknown one is remembered", () =>
    Effect.gen(function*() {
      const { attempt, state } = yield* slowIssuer
      yield* Effect.forEach(Array.from({ length: 50 }), () => attempt("unknown"), { concurrency: "unbounded" })
      assert.strictEqual(yield* attempt("unknown"), "Unauthenticated")
      assert.deepStrictEqual(state.asked, ["unknown"])
    }).pipe(Effect.scoped))

  it.live("no redirect of an introspection is followed, so the token goes nowhere else", () =>
    Effect.gen(function*() {
      const { attempt, state } = yield* slowIssuer
      const bodies: Array<string> = []
      state.redirect = yield* listen((_, response, body) => {
        bodies.push(body)
        response.end(JSON.stringify({ active: true, sub: "eve", aud: audience }))
      })
      assert.strictEqual(yield* attempt("good"), "StoreUnavailable")
      assert.deepStrictEqual(bodies, [])
    }).pipe(Effect.scoped))

  it.live("an answer without end is cut off", () =>
    Effect.gen(function*() {
      const { attempt, state } = yield* slowIssuer
      state.answer = JSON.stringify({ active: true, sub: "ada", aud: audience, more: "x".repeat(2_000_000) })
      assert.strictEqual(yield* attempt("good"), "StoreUnavailable")
    }).pipe(Effect.scoped))

  it.live("no redirect of the keys is followed", () =>
    Effect.gen(function*() {
      let issuer = ""
      const key = yield* Effect.promise(() => makeKey("one"))
      const other = yield* listen((_, response) => void response.end(JSON.stringify({ keys: [key.jwk] })))
      issuer = yield* listen((request, response) =>
        void (request.url === "/jwks"
          ? response.writeHead(302, { location: other }).end()
          : response.end(JSON.stringify({ issuer, jwks_uri: `${issuer}/jwks` })))
      )
      const error = yield* Effect.flip(authenticator({ issuer, audience }))
      assert.include(error.message, "answers 302")
    }).pipe(Effect.scoped))

  it.live("a token bound to a key, one that lives too long, and one of the wrong type are refused", () =>
    Effect.gen(function*() {
      const key = yield* Effect.promise(() => makeKey("one"))
      const { issuer } = yield* startIssuer(key)
      const authenticate = yield* authenticator({ issuer, audience, requireAccessTokenType: true })
      const attempt = (wish: Parameters<typeof sign>[2]) =>
        Effect.flatMap(
          Effect.promise(() => sign(issuer, key, wish)),
          (token) =>
            Effect.match(authenticate({ bearer: Redacted.make(token) }), {
              onFailure: (error) => error._tag === "Unauthenticated" ? error.reason : error._tag,
              onSuccess: ({ id }) => id
            })
        )
      assert.strictEqual(yield* attempt({}), "ada")
      assert.match(yield* attempt({ claims: { cnf: { jkt: "thumbprint" } } }), /bound to a key/u)
      const exp = Math.floor(Date.now() / 1_000) + 10 * 86_400
      assert.match(yield* attempt({ claims: { exp } }), /valid for too long/u)
      assert.match(yield* attempt({ header: { typ: "JWT" } }), /not an access token/u)
    }).pipe(Effect.scoped))
})
