import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Auth, Principal } from "@fastagentic/core"
import { CardSigner, PushSender } from "@fastagentic/protocols/a2a"
import { Client } from "@fastagentic/protocols/http"
import { Mount } from "@fastagentic/protocols/mount"
import { Cause, Effect, Exit, Fiber, Layer, Redacted, Scope, Stream } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as NetAddress from "effect/net/NetAddress"
import { createServer } from "node:http"
import { receiver, until } from "../a2a/receiver.ts"
import { list, object } from "../a2a/wires.ts"
import { get, json, post, raw, text } from "../http/rest.ts"
import { modern } from "../mcp/wire.ts"
import { Desk, hostRoutes, mountDesk, serveDesk, serveHost, statusOf } from "./support.ts"

const principal = (id: string, scopes: ReadonlyArray<string>) =>
  new Principal.Principal({ id, tenant: "acme", scopes: [...scopes], roles: [], claims: {} })

const keys = Auth.layerKeys([
  { key: Redacted.make("key-of-ada"), principal: principal("ada", []) },
  { key: Redacted.make("key-of-ops"), principal: principal("ops", ["metrics:read"]) }
])

const problemOf = <A>(layer: Layer.Layer<A, unknown, HttpRouter.HttpRouter>) =>
  Effect.map(
    Effect.exit(Effect.scoped(Layer.build(Layer.provide(layer, HttpRouter.layer)))),
    (exit) => Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
  )

describe("A mounted app", () => {
  it.live("answers under its prefix, beside routes of the host with the same names", () =>
    Effect.gen(function*() {
      const url = yield* serveDesk({ prefix: "/desk" })
      assert.strictEqual((yield* raw(url, "/health")).body, "the host is well")
      assert.strictEqual((yield* raw(url, "/desk/health")).body, "{\"status\":\"ok\"}")
      assert.strictEqual((yield* raw(url, "/desk/agents")).status, 200)
      assert.strictEqual((yield* raw(url, "/desk/nothing")).status, 404)
      assert.include((yield* raw(url, "/desk/%zz")).body, "NoSuchRoute")
      assert.notInclude((yield* raw(url, "/nothing")).body, "NoSuchRoute")
      assert.notInclude((yield* raw(url, "/desktop")).body, "NoSuchRoute")
    }).pipe(Effect.scoped))

  it.live("at the root leaves the host's own /health to the host", () =>
    Effect.gen(function*() {
      const url = yield* serveDesk()
      assert.strictEqual((yield* raw(url, "/health")).body, "the host is well")
      assert.strictEqual((yield* raw(url, "/ready")).body, "{\"status\":\"ready\"}")
    }).pipe(Effect.scoped))

  it.live("exists twice on one router, under two prefixes", () =>
    Effect.gen(function*() {
      const url = yield* serveHost(Layer.merge(mountDesk({ prefix: "/one" }), mountDesk({ prefix: "/two", cors: [] })))
      for (const prefix of ["/one", "/two"]) {
        const started = yield* post(`${url}${prefix}/agents/echo/runs`, { text: "hello" })
        assert.strictEqual(started.status, 202)
        assert.match(started.headers.get("location") ?? "", new RegExp(`^${prefix}/runs/`, "u"))
      }
    }).pipe(Effect.scoped))

  it.live("names its prefix in Location, the agent card, OpenAPI, its page and MCP results", () =>
    Effect.gen(function*() {
      const url = yield* serveDesk({ prefix: "/desk" })
      const started = yield* post(`${url}/desk/agents/ask/runs`, {})
      const location = started.headers.get("location") ?? ""
      assert.match(location, /^\/desk\/runs\//u)
      assert.strictEqual((yield* get(url + location)).status, 200)
      const card: { supportedInterfaces?: ReadonlyArray<{ readonly url: string }> } = yield* json(
        yield* get(`${url}/desk/.well-known/agent-card.json`)
      )
      assert.strictEqual(card.supportedInterfaces?.[0]?.url, `${url}/desk/a2a`)
      assert.deepStrictEqual((yield* json(yield* get(`${url}/desk/openapi.json`)))["servers"], [{ url: `${url}/desk` }])
      const page = yield* get(`${url}/desk/docs`)
      assert.strictEqual(page.status, 200)
      assert.include(yield* text(page), `"servers":[{"url":"${url}/desk"}]`)
      const { body, headers } = modern("tools/call", { name: "ask", arguments: {} })
      const called = yield* text(yield* post(`${url}/desk/mcp`, body, headers))
      assert.match(called, /"path":"\/desk\/runs\/[^"]+\/interrupts\//u)
    }).pipe(Effect.scoped))

  it.live("signs its cards and pushes under its prefix, where the host gives the layers", () =>
    Effect.gen(function*() {
      const sender = PushSender.PushSender.layer({ secrets: [Redacted.make("a secret of the host")], insecure: true })
      const url = yield* serveHost(
        mountDesk({ prefix: "/desk" }).pipe(
          Layer.provide(CardSigner.CardSigner.layer([Redacted.make("9d".repeat(32))])),
          Layer.provide(Layer.provide(sender, FetchHttpClient.layer))
        )
      )
      const card = object(yield* json(yield* get(`${url}/desk/.well-known/agent-card.json`)))
      assert.strictEqual(object(card["capabilities"])["pushNotifications"], true)
      const [signature] = list(card["signatures"])
      const header = JSON.parse(Buffer.from(String(object(signature)["protected"]), "base64url").toString())
      assert.strictEqual(header.jku, `${url}/desk/a2a/.well-known/jwks.json`)
      const { keys } = yield* json(yield* get(header.jku))
      assert.strictEqual(object(list(keys)[0])["kid"], header.kid)
      const hook = yield* receiver
      const message = { messageId: "m", role: "ROLE_USER", parts: [{ text: "hello" }] }
      const configuration = { taskPushNotificationConfig: { url: hook.url } }
      const sent = { message, configuration, metadata: { skillId: "echo" } }
      assert.strictEqual((yield* post(`${url}/desk/a2a/message:send`, sent, { "a2a-version": "1.0" })).status, 200)
      assert.isTrue(yield* until(() => JSON.stringify(hook.deliveries).includes("TASK_STATE_COMPLETED")))
    }).pipe(Effect.scoped))

  it.live("is called under its prefix by the typed client", () =>
    Effect.gen(function*() {
      const url = yield* serveDesk({ prefix: "/desk" })
      const client = yield* Effect.provide(Client.make(Desk, { url: `${url}/desk` }), FetchHttpClient.layer)
      const started = yield* client.agents.echo.start({ text: "hello" })
      const events = yield* Stream.runCollect(client.runs.events(started.runId))
      assert.strictEqual(events.at(-1)?.type, "done")
    }).pipe(Effect.scoped))

  it.live("names its public URL, which a request's host cannot change", () =>
    Effect.gen(function*() {
      const publicUrl = "https://agents.example.com/acme/desk/"
      const url = yield* serveDesk({ prefix: "/desk", publicUrl })
      const started = yield* post(`${url}/desk/agents/ask/runs`, {})
      assert.match(started.headers.get("location") ?? "", /^\/acme\/desk\/runs\//u)
      const openapi = yield* raw(url, "/desk/openapi.json", { headers: { host: "agents.example.com" } })
      assert.include(openapi.body, "\"servers\":[{\"url\":\"https://agents.example.com/acme/desk\"}]")
      assert.strictEqual(yield* statusOf(url, "/desk/agents", { host: "other.example.com" }), 403)
      const origin = "https://agents.example.com"
      assert.strictEqual(yield* statusOf(url, "/desk/agents", { host: "agents.example.com", origin }), 200)
    }).pipe(Effect.scoped))

  it.live("believes X-Forwarded headers of trusted proxies only", () =>
    Effect.gen(function*() {
      const headers = {
        host: "internal.example",
        "x-api-key": "key-of-ada",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "edge.example.com",
        "x-forwarded-prefix": "/public"
      }
      const serverOf = (options: Mount.Options) =>
        Effect.gen(function*() {
          const url = yield* serveDesk({ prefix: "/desk", ...options }, keys)
          const { body } = yield* raw(url, "/desk/openapi.json", { headers })
          return /"servers":\[\{"url":"([^"]+)"/u.exec(body)?.[1] ?? body
        })
      const hosts = ["internal.example"]
      const trusted = { guards: { hosts, proxies: ["127.0.0.0/8"] } }
      assert.strictEqual(yield* serverOf(trusted), "https://edge.example.com/public/desk")
      assert.strictEqual(yield* serverOf({ guards: { hosts } }), "http://internal.example/desk")
      assert.strictEqual(
        yield* serverOf({ guards: { hosts, proxies: ["10.0.0.1"] } }),
        "http://internal.example/desk"
      )
      assert.strictEqual(
        yield* serverOf({ guards: { hosts }, publicUrl: "https://agents.example.com/desk" }),
        "https://agents.example.com/desk"
      )
    }).pipe(Effect.scoped))

  it.live("ignores X-Forwarded values that are not an address", () =>
    Effect.gen(function*() {
      const url = yield* serveDesk({ guards: { proxies: ["127.0.0.1"] } })
      const { body } = yield* raw(url, "/openapi.json", {
        headers: {
          "x-forwarded-proto": "javascript",
          "x-forwarded-host": "a\"<script>",
          "x-forwarded-prefix": "/a/../\"b"
        }
      })
      assert.include(body, `"servers":[{"url":"${url}"}]`)
      for (const prefix of ["/../x", "/a/..", "/./a", "/%2E%2e/a", "//evil.example"]) {
        const shown = yield* raw(url, "/openapi.json", { headers: { "x-forwarded-prefix": prefix } })
        assert.include(shown.body, `"servers":[{"url":"${url}"}]`, prefix)
      }
    }).pipe(Effect.scoped))

  it.live("refuses a foreign name that a trusted proxy of its machine passes on, while it has no auth layer", () =>
    Effect.gen(function*() {
      const open = yield* serveDesk({ guards: { hosts: ["edge.example"], proxies: ["127.0.0.1"] } })
      const pointed = { "x-forwarded-host": "evil.example", "x-forwarded-for": "127.0.0.1" }
      assert.strictEqual(yield* statusOf(open, "/runs", pointed), 403)
      assert.strictEqual(yield* statusOf(open, "/runs", { ...pointed, origin: "http://evil.example" }), 403)
      for (const host of ["edge.example", "localhost:3000", "127.0.0.1"]) {
        assert.strictEqual(yield* statusOf(open, "/runs", { "x-forwarded-host": host }), 200, host)
      }
    }).pipe(Effect.scoped))
})

describe("The limits of a mounted app", () => {
  it.live("hold under a router of the host: bodies on every protocol, and the wait of a call", () =>
    Effect.gen(function*() {
      const url = yield* serveDesk({ prefix: "/desk", bodyLimit: 1_000, wait: "100 millis" })
      const large = JSON.stringify({ text: "x".repeat(2_000) })
      for (const path of ["/desk/agents/echo", "/desk/mcp", "/desk/a2a"]) {
        const headers = { accept: "application/json, text/event-stream" }
        assert.strictEqual((yield* post(url + path, large, headers)).status, 413, path)
      }
      assert.strictEqual((yield* post(`${url}/desk/agents/stay`, {})).status, 202)
    }).pipe(Effect.scoped))
})

describe("The guard of a mounted app", () => {
  it.live("refuses foreign hosts and origins, and leaves the host's own routes alone", () =>
    Effect.gen(function*() {
      const url = yield* serveDesk({ prefix: "/desk" })
      const { host } = new URL(url)
      for (const path of ["/desk/agents", "/desk/mcp/schema", "/desk/.well-known/agent-card.json", "/desk/docs"]) {
        assert.strictEqual(yield* statusOf(url, path, { host }), 200, path)
        assert.strictEqual(yield* statusOf(url, path, { host, origin: url }), 200, path)
        for (const origin of ["https://evil.example", "null", "http://localhost:3000", "file://", `${url}/`]) {
          assert.strictEqual(yield* statusOf(url, path, { host, origin }), 403, `${path} ${origin}`)
        }
        assert.strictEqual(yield* statusOf(url, path, { host: "rebound.example" }), 403, path)
      }
      assert.strictEqual(yield* statusOf(url, "/health", { host: "rebound.example", origin: "null" }), 200)
    }).pipe(Effect.scoped))

  it.live("refuses requests of others that a proxy on the same machine passes to an open app", () =>
    Effect.gen(function*() {
      const url = yield* serveDesk()
      assert.strictEqual(yield* statusOf(url, "/agents", { "x-forwarded-for": "127.0.0.1" }), 200)
      assert.strictEqual(yield* statusOf(url, "/agents", { "x-forwarded-for": "203.0.113.9" }), 403)
      const guarded = yield* serveDesk({}, keys)
      const headers = { "x-forwarded-for": "203.0.113.9", "x-api-key": "key-of-ada" }
      assert.strictEqual(yield* statusOf(guarded, "/agents", headers), 200)
    }).pipe(Effect.scoped))

  it.live("stops the start of an open app on a public address", () =>
    Effect.gen(function*() {
      const address = NetAddress.inetAddressFromIpStringUnsafe("203.0.113.9", 80)
      const server = Layer.succeed(HttpServer.HttpServer, HttpServer.make({ address, serve: () => Effect.void }))
      const problem = yield* problemOf(Layer.provide(mountDesk(), server))
      assert.instanceOf(problem, Mount.InsecureBind)
      assert.include(String(problem), "203.0.113.9")
      assert.isUndefined(yield* problemOf(Layer.provide(mountDesk({}, keys), server)))
    }))

  it.live("stops the start for an invalid option and names it", () =>
    Effect.gen(function*() {
      const invalid: ReadonlyArray<readonly [string, Mount.Options]> = [
        ["prefix", { prefix: "desk" }],
        ["prefix", { prefix: "/desk/" }],
        ["prefix", { prefix: "/:desk" }],
        ["publicUrl", { publicUrl: "agents.example.com" }],
        ["publicUrl", { publicUrl: "https://user:secret@agents.example.com" }],
        ["cors", { cors: ["*"] }],
        ["cors", { cors: ["https://app.example.com/"] }],
        ["guards.hosts", { guards: { hosts: ["agents.example:80"] } }],
        ["guards.proxies", { guards: { proxies: ["10.0.0.0/33"] } }],
        ...[
          "prefix",
          "publicUrl",
          "cors",
          "guards",
          "protocols",
          "bodyLimit",
          "bodyTimeout",
          "wait",
          "grace",
          "credentialCheck",
          "longestDelay"
        ].map((name) => [`${name}s`, { [`${name}s`]: undefined }] as const),
        ...["hosts", "proxies", "unknownPeers"].map((name) =>
          [`guards.${name}x`, { guards: { [`${name}x`]: [] } }] as const
        )
      ]
      for (const [option, options] of invalid) {
        const problem = yield* problemOf(mountDesk(options))
        assert.instanceOf(problem, Mount.InvalidMount)
        assert.include(String(problem), `the option ${option} of`)
        assert.notInclude(String(problem), "secret")
      }
    }))
})

describe("A mounted app without a server", () => {
  it.live("refuses requests of unknown peers unless they are accepted", () =>
    Effect.gen(function*() {
      const ask = (options: Mount.Options) =>
        Effect.promise(async () => {
          const { dispose, handler } = HttpRouter.toWebHandler(mountDesk(options), { disableLogger: true })
          const headers = { host: "localhost" }
          const response = await handler(new Request("http://localhost/agents", { headers }))
          const page = await handler(new Request("http://localhost/docs", { headers }))
          await page.text()
          await dispose()
          return [response.status, page.status]
        })
      assert.deepStrictEqual(yield* ask({}), [403, 403])
      assert.deepStrictEqual(yield* ask({ guards: { unknownPeers: "accept" } }), [200, 200])
    }))

  it.live("ends its streams with a retry hint when its handler is disposed", () =>
    Effect.gen(function*() {
      const { dispose, handler } = HttpRouter.toWebHandler(
        mountDesk({ prefix: "/desk", guards: { unknownPeers: "accept" } }),
        { disableLogger: true }
      )
      const streamed = yield* Effect.promise(() =>
        handler(
          new Request("http://localhost/desk/agents/stay/stream", {
            method: "POST",
            headers: { host: "localhost", "content-type": "application/json" },
            body: "{}"
          })
        )
      )
      assert.strictEqual(streamed.status, 200)
      const body = streamed.text()
      yield* Effect.sleep("100 millis")
      yield* Effect.promise(dispose)
      assert.include(yield* Effect.promise(() => body), "retry: 1000")
    }).pipe(Effect.timeout("10 seconds")))
})

describe("A mounted app behind a request handler of another framework", () => {
  it.live("answers under its prefix, and ends its streams when the framework's server closes", () =>
    Effect.gen(function*() {
      const scope = yield* Effect.scope
      const desk = yield* HttpRouter.toHttpEffect(mountDesk({ prefix: "/desk" }))
      const handler = yield* NodeHttpServer.makeHandler(desk, { scope })
      const server = createServer((request, response) => {
        if (request.url?.startsWith("/desk") === true) handler(request, response)
        else response.end("the framework")
      })
      yield* Effect.callback<void>((resume) => {
        server.listen(0, "127.0.0.1", () => resume(Effect.void))
      })
      const address = server.address()
      const url = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`
      assert.strictEqual((yield* raw(url, "/health")).body, "the framework")
      assert.strictEqual((yield* raw(url, "/desk/health")).status, 200)
      assert.strictEqual(yield* statusOf(url, "/desk/agents", { host: "rebound.example" }), 403)
      const streamed = yield* post(`${url}/desk/agents/stay/stream`, {})
      const body = text(streamed)
      yield* Effect.sleep("100 millis")
      const started = Date.now()
      const closed = new Promise((resolve) => server.close(resolve))
      assert.include(yield* body, "retry: 1000")
      yield* Effect.promise(() => closed)
      assert.isBelow(Date.now() - started, 3_000)
    }).pipe(Effect.scoped))
})

describe("The shutdown of a host", () => {
  it.live("ends open streams with a retry hint at once", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const url = yield* Scope.provide(serveHost(Layer.merge(hostRoutes, mountDesk({ prefix: "/desk" }))), scope)
      const streamed = yield* post(`${url}/desk/agents/stay/stream`, {})
      const body = text(streamed)
      yield* Effect.sleep("100 millis")
      const started = Date.now()
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      assert.include(yield* body, "retry: 1000")
      assert.isBelow(Date.now() - started, 2_000)
      yield* Fiber.join(closing)
      // Without the drain the server waits 20 seconds for the stream of the run that never ends.
      assert.isBelow(Date.now() - started, 8_000)
    }))
})

describe("Metrics", () => {
  it.live("need the scope metrics:read on a server with an auth layer", () =>
    Effect.gen(function*() {
      const url = yield* serveDesk({}, keys)
      assert.strictEqual(yield* statusOf(url, "/metrics"), 401)
      assert.strictEqual(yield* statusOf(url, "/metrics", { "x-api-key": "key-of-ada" }), 403)
      yield* post(`${url}/agents/echo`, { text: "hello" }, { "x-api-key": "key-of-ada" })
      const { body, status } = yield* raw(url, "/metrics", { headers: { "x-api-key": "key-of-ops" } })
      assert.strictEqual(status, 200)
      assert.include(body, "fastagentic_runs_started_total")
      const own = body.split("\n").filter((line) => line.includes("app=\"desk\""))
      assert.isAbove(own.length, 5)
      for (const line of own) assert.notMatch(line, /tenant|acme|ada/u)
      assert.strictEqual(yield* statusOf(yield* serveDesk(), "/metrics"), 200)
    }).pipe(Effect.scoped))
})
