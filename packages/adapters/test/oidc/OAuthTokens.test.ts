import { assert, describe, it } from "@effect/vitest"
import { Egress } from "@fastagentic/adapters/egress"
import { OAuthTokens } from "@fastagentic/adapters/oidc"
import { Effect, Redacted } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as TestClock from "effect/testing/TestClock"
import { createServer, type ServerResponse } from "node:http"

/** An issuer whose token endpoint answers as the test says, and the requests that it got. */
const issuing = Effect.fnUntraced(function*(
  answer: (response: ServerResponse, count: number) => void,
  methods: ReadonlyArray<string> = ["client_secret_basic"]
) {
  const requests: Array<{ readonly authorization: string | undefined; readonly body: string }> = []
  const server = createServer((request, response) => {
    if (request.url !== "/token") {
      if (request.url !== "/.well-known/openid-configuration") return void response.writeHead(404).end()
      return void response.end(JSON.stringify({
        issuer,
        token_endpoint: `${issuer}/token`,
        token_endpoint_auth_methods_supported: methods
      }))
    }
    let body = ""
    request.on("data", (part: Buffer) => body += part.toString())
    request.on("end", () => {
      requests.push({ authorization: request.headers.authorization, body })
      answer(response, requests.length)
    })
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
    () =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )
  const address = server.address()
  const issuer = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
  return { issuer, requests }
})

const json = (value: unknown, status = 200) => (response: ServerResponse) =>
  void response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value))

const granting = (seconds: number) => (response: ServerResponse, count: number) =>
  json({ access_token: `token-${count}`, token_type: "bearer", expires_in: seconds })(response)

const client = (issuer: string) => ({ issuer, clientId: "an app", clientSecret: Redacted.make("se:cret") })
const wanted = { resource: "https://there.example.com", scopes: ["b", "a"] }

describe("tokens of an app", () => {
  it.effect("are asked for once by many at once, again shortly before they expire, and apart for each server", () =>
    Effect.gen(function*() {
      const { issuer, requests } = yield* issuing(granting(300))
      const source = yield* OAuthTokens.clientCredentials(client(issuer))
      const all = yield* Effect.all(Array.from({ length: 50 }, () => source.token(wanted)), { concurrency: 50 })
      assert.deepStrictEqual([...new Set(all.map((token) => Redacted.value(token)))], ["token-1"])
      yield* TestClock.adjust("269 seconds")
      assert.strictEqual(Redacted.value(yield* source.token(wanted)), "token-1")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(Redacted.value(yield* source.token(wanted)), "token-2")
      assert.strictEqual(Redacted.value(yield* source.token({ ...wanted, resource: "https://other.dev" })), "token-3")
      assert.strictEqual(requests[0]?.authorization, `Basic ${btoa("an%20app:se%3Acret")}`)
      assert.strictEqual(
        requests[0]?.body,
        "grant_type=client_credentials&resource=https%3A%2F%2Fthere.example.com&scope=a+b"
      )
    }).pipe(Effect.scoped, Effect.provide(FetchHttpClient.layer)))

  it.effect("are replaced when their server refuses them, unless they are new", () =>
    Effect.gen(function*() {
      const { issuer, requests } = yield* issuing(granting(300))
      const source = yield* OAuthTokens.clientCredentials(client(issuer))
      const first = yield* source.token(wanted)
      yield* source.rejected(first)
      assert.strictEqual(yield* source.token(wanted), first)
      yield* TestClock.adjust("10 seconds")
      yield* Effect.all(Array.from({ length: 20 }, () => source.rejected(first)), { concurrency: 20 })
      assert.notStrictEqual(yield* source.token(wanted), first)
      yield* source.rejected(first)
      yield* source.token(wanted)
      assert.strictEqual(requests.length, 2)
    }).pipe(Effect.scoped, Effect.provide(FetchHttpClient.layer)))

  it.effect("are asked for with the secret in the body where the issuer takes it only there", () =>
    Effect.gen(function*() {
      const { issuer, requests } = yield* issuing(granting(300), ["client_secret_post"])
      const source = yield* OAuthTokens.clientCredentials({ ...client(issuer), audience: "there", scopes: ["c"] })
      yield* source.token(wanted)
      const { authorization, body } = requests[0] ?? {}
      assert.strictEqual(authorization, undefined)
      assert.strictEqual(
        body,
        "grant_type=client_credentials&audience=there&scope=c&client_id=an+app&client_secret=se%3Acret"
      )
    }).pipe(Effect.scoped, Effect.provide(FetchHttpClient.layer)))

  const cases: ReadonlyArray<readonly [string, (response: ServerResponse) => void, string, string]> = [
    ["a client that is not known", json({ error: "invalid_client" }, 401), "TokenRefused", "invalid_client"],
    ["a scope that it may not have", json({ error: "invalid_scope" }, 400), "TokenRefused", "invalid_scope"],
    ["an error with a secret", json({ error: "no se:cret" }, 400), "TokenRefused", "HTTP_400"],
    ["a token of another type", json({ access_token: "x", token_type: "DPoP" }), "TokenRefused", "TOKEN_TYPE"],
    [
      "a token with a line break",
      json({ access_token: "x\r\ny: 1", token_type: "bearer" }),
      "TokenUnavailable",
      "no token"
    ],
    ["an answer that is no JSON", (response) => void response.end("<html>"), "TokenUnavailable", "no token"],
    ["a limit", json({}, 429), "TokenUnavailable", "429"],
    ["an error of its own", json({ error: "server_error" }, 400), "TokenUnavailable", "400"],
    [
      "a redirect to another server",
      (response) => void response.writeHead(307, { location: "http://127.0.0.1:9/" }).end(),
      "TokenRefused",
      "HTTP_307"
    ],
    ["a connection that breaks", (response) => void response.destroy(), "TokenUnavailable", "does not answer"]
  ]
  for (const [name, answer, tag, text] of cases) {
    it.effect(`${name} is ${tag} without a secret`, () =>
      Effect.gen(function*() {
        const { issuer, requests } = yield* issuing(answer)
        const source = yield* OAuthTokens.clientCredentials(client(issuer))
        const errors = yield* Effect.all(Array.from({ length: 5 }, () => Effect.flip(source.token(wanted))), {
          concurrency: 5
        })
        assert.strictEqual(errors[0]?._tag, tag)
        assert.include(errors[0]?.message, text)
        assert.notInclude(JSON.stringify(errors), "cret")
        assert.strictEqual(requests.length, 1)
      }).pipe(Effect.scoped, Effect.provide(FetchHttpClient.layer)))
  }

  it.effect("are not asked for in an internal network, and the rule is named", () =>
    Effect.gen(function*() {
      const { issuer, requests } = yield* issuing(granting(300))
      const source = yield* OAuthTokens.clientCredentials(client(issuer))
      const error = yield* Effect.flip(source.token(wanted))
      assert.strictEqual(error._tag, "TokenRefused")
      assert.include(error.message, "EGRESS_REFUSED")
      assert.include(error.message, "rule address")
      assert.strictEqual(requests.length, 0)
    }).pipe(Effect.scoped, Effect.provide(Egress.layer())))
})
