import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import { Agent, App } from "fastagentic"
import { Oidc } from "fastagentic/oidc"
import { createServer, type RequestListener } from "node:http"
import { join } from "node:path"
import { startIssuer } from "./issuing.ts"
import { command, fixture, temporaryFolder } from "./process.ts"
import { onSqlite } from "./serving.ts"

const Notes = Agent.make("notes", { description: "Reads the notes", payload: {}, scopes: ["notes:read"] })
const Desk = App.make("desk", { version: "1.0.0", agents: [Notes] })
const handlers = Notes.toLayer(() => Effect.succeed("a note"))

/** A server that answers as it is told, until the scope closes. */
const answering = (listener: RequestListener) =>
  Effect.acquireRelease(
    Effect.promise(() =>
      new Promise<{ url: string; close: () => void }>((resolve) => {
        const server = createServer(listener).listen(0, "127.0.0.1", () => {
          const address = server.address()
          const port = typeof address === "object" && address !== null ? address.port : 0
          resolve({ url: `http://127.0.0.1:${port}`, close: () => server.close() })
        })
      })
    ),
    ({ close }) => Effect.sync(close)
  )

const doctor = (...args: ReadonlyArray<string>) => Effect.promise(() => command(["doctor", ...args]))

const walk = (url: string, ...more: ReadonlyArray<string>) =>
  Effect.map(doctor("mcp", url, "--json", ...more), ({ code, stdout }) => {
    const findings: ReadonlyArray<{ check: string; verdict: string; detail: string }> = stdout.trim().split("\n")
      .map((line) => JSON.parse(line))
    return {
      code,
      findings,
      last: findings.at(-1),
      checks: findings.map(({ check, verdict }) => `${verdict} ${check}`)
    }
  })

describe("doctor mcp", () => {
  it.live("walks to an open server, down to its tools", () =>
    Effect.gen(function*() {
      const { url } = yield* onSqlite(Desk, handlers, join(temporaryFolder(), "app.db"))
      const { checks, code, last } = yield* walk(`${url}/mcp`)
      assert.deepStrictEqual([code, checks], [0, ["ok server", "ok handshake", "ok tools"]])
      assert.include(last?.detail, "notes")
    }))

  it.live("walks from the challenge of a guarded server to its issuer, and refuses a token that is not its own", () =>
    Effect.gen(function*() {
      const { issuer } = yield* startIssuer(["notes:read"])
      const auth = Layer.orDie(Oidc.layer({ issuer, audience: "http://127.0.0.1/mcp" })).pipe(
        Layer.provide(FetchHttpClient.layer)
      )
      const { url } = yield* onSqlite(Desk, handlers, join(temporaryFolder(), "app.db"), { auth })
      const { checks, code, last } = yield* walk(`${url}/mcp`)
      assert.deepStrictEqual([code, checks], [0, [
        "ok server",
        "ok challenge",
        "ok resource metadata",
        "ok resource",
        `ok metadata of ${issuer}`,
        `ok issuer ${issuer}`,
        "note token"
      ]])
      assert.include(last?.detail, "no token was given")
      const refused = yield* walk(`${url}/mcp`, "--token", "forged")
      assert.deepStrictEqual([refused.code, refused.checks.at(-1)], [1, "fault handshake"])
      assert.include(refused.last?.detail, "the token is refused")
      const { stderr } = yield* doctor("mcp", `${url}/mcp`, "--token", "forged")
      assert.strictEqual(stderr.trim(), "fastagentic: 1 fault found")
    }))

  it.live("names what is wrong on the way: silence, redirects, challenges and metadata", () =>
    Effect.gen(function*() {
      const bare = yield* answering((_, response) => void response.writeHead(401).end())
      const without = yield* walk(`${bare.url}/mcp`)
      assert.deepStrictEqual([without.code, without.checks], [1, [
        "ok server",
        "fault challenge",
        "fault resource metadata",
        "fault token"
      ]])
      const moved = yield* answering((_, response) =>
        void response.writeHead(302, { location: "http://else.test/" }).end()
      )
      const redirected = yield* walk(`${moved.url}/mcp`)
      assert.deepStrictEqual([redirected.code, redirected.checks], [1, ["fault server"]])
      assert.include(redirected.last?.detail, "redirects to http://else.test/")
      const wrong = yield* answering((request, response) => {
        const isMetadata = request.url?.startsWith("/.well-known/oauth-protected-resource") === true
        if (!isMetadata) return void response.writeHead(401, { "www-authenticate": "Bearer realm=\"x\"" }).end()
        const body = { resource: "https://other.test/mcp", authorization_servers: [bare.url] }
        response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body))
      })
      const other = yield* walk(`${wrong.url}/mcp`)
      assert.deepStrictEqual([other.code, other.checks], [1, [
        "ok server",
        "note challenge",
        "ok resource metadata",
        "fault resource",
        `fault metadata of ${bare.url}`,
        "fault token"
      ]])
      const silent = yield* walk("http://127.0.0.1:9/mcp")
      assert.deepStrictEqual([silent.code, silent.checks], [1, ["fault server"]])
      assert.strictEqual((yield* doctor("mcp", "nowhere")).code, 2)
    }))
})

describe("doctor app", () => {
  const app = (name: string, ...more: ReadonlyArray<string>) => doctor("app", fixture(name), "--port", "0", ...more)

  it.live("finds nothing wrong with an app that starts, and makes no store", () =>
    Effect.gen(function*() {
      const { code, stderr, stdout } = yield* app("app.ts")
      assert.deepStrictEqual([code, stderr], [0, ""], stdout)
      for (const check of ["node", "variables", "effect", "port", "file", "start"]) {
        assert.match(stdout, new RegExp(`^ok {5}${check}: `, "mu"))
      }
      assert.match(stdout, /^note {3}store: \.fastagentic\/\w+\.db is made at the first start$/mu)
    }))

  it.live("names each fault with its remedy, and exits with 1", () =>
    Effect.gen(function*() {
      const { url } = yield* answering((_, response) => void response.end())
      const { port } = new URL(url)
      const taken = yield* doctor("app", fixture("throws.ts"), "--port", port)
      assert.strictEqual(taken.code, 1)
      assert.match(taken.stdout, /^FAULT  port: .*EADDRINUSE.*\n {7}Stop what listens there/mu)
      assert.match(taken.stdout, /^FAULT  file: .*throws\.ts:4: no such order$/mu)
      assert.strictEqual(taken.stderr.trim(), "fastagentic: 2 faults found")
      const half = yield* app("noHandler.js", "--json")
      assert.strictEqual(half.code, 1)
      assert.match(half.stdout, /"check":"start","verdict":"fault","detail":"agent \\"ask\\": has no handler/u)
    }))
})
