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

  it.live("ends with a fault when a body has no end or is too long, and prints no token", () =>
    Effect.gen(function*() {
      const endless = yield* answering((_, response) => {
        response.writeHead(200, { "content-type": "application/json" })
        const timer = setInterval(() => response.write(" "), 200)
        response.on("close", () => clearInterval(timer))
      })
      const long = yield* answering((_, response) => void response.end(" ".repeat(9_000_000)))
      const echo = yield* answering(({ headers }, response) =>
        void response.writeHead(401, { "www-authenticate": `Bearer error="${headers.authorization}"` }).end()
      )
      const [slow, large, echoed] = yield* Effect.all([
        walk(`${endless.url}/mcp`),
        walk(`${long.url}/mcp`),
        walk(`${echo.url}/mcp`, "--token", "a-secret-token")
      ], { concurrency: "unbounded" })
      assert.deepStrictEqual([slow.code, slow.last?.detail], [1, "its answer has no end after 10 seconds"])
      assert.deepStrictEqual([large.code, large.last?.detail], [1, "its answer is longer than 8388608 bytes"])
      assert.strictEqual(echoed.last?.detail, "the token is refused: Bearer error=\"Bearer (the token)\"")
      assert.notInclude(JSON.stringify(echoed.findings), "a-secret-token")
      const named = yield* answering(({ headers, url }, response) => {
        const challenge = { "www-authenticate": "Bearer resource_metadata=\"/resource\"" }
        if (url !== "/resource") return void response.writeHead(401, challenge).end()
        const issuer = `ftp://${headers.authorization?.slice(7) ?? "a-secret-token"}`
        response.end(JSON.stringify({ resource: `http://${headers.host}/mcp`, authorization_servers: [issuer] }))
      })
      const issuers = yield* walk(`${named.url}/mcp`, "--token", "a-secret-token")
      assert.include(JSON.stringify(issuers.findings), "issuer ftp://(the token)")
      assert.notInclude(JSON.stringify(issuers.findings), "a-secret-token")
    }), 30_000)

  it.live(
    "asks no address of metadata that is not http, and a limited number of issuers",
    () =>
      Effect.gen(function*() {
        const naming = (challenge: string, servers: ReadonlyArray<string>) =>
          answering(({ headers, url }, response) => {
            if (url !== "/resource") return void response.writeHead(401, { "www-authenticate": challenge }).end()
            response.end(JSON.stringify({ resource: `http://${headers.host}/mcp`, authorization_servers: servers }))
          })
        const names = ["nonsense", "javascript:alert(1)", "file:///etc/passwd", "data:application/json,{}", "http://["]
        const odd = yield* naming("Bearer resource_metadata=\"/resource\"", names)
        const { code, findings } = yield* walk(`${odd.url}/mcp`)
        assert.strictEqual(code, 1)
        for (const name of names) {
          assert.deepInclude(findings.find(({ check }) => check === `issuer ${name}`), {
            verdict: "fault",
            detail: "this is no http address"
          })
        }
        for (const named of ["http://[", "javascript:alert(1)"]) {
          const server = yield* naming(`Bearer resource_metadata="${named}"`, [])
          const refused = yield* walk(`${server.url}/mcp`)
          const fault = refused.findings.find(({ check }) => check === "resource metadata")
          assert.deepInclude(fault, { verdict: "fault", detail: `${named}: this is no http address` })
        }
        const many = yield* naming(
          "Bearer resource_metadata=\"/resource\"",
          Array.from({ length: 2000 }, (_, index) => `http://127.0.0.1:9/${index}`)
        )
        const limited = yield* walk(`${many.url}/mcp`)
        assert.strictEqual(limited.checks.filter((check) => check.startsWith("fault metadata of ")).length, 10)
        assert.include(limited.checks, "note authorization server")
      }),
    30_000
  )
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
