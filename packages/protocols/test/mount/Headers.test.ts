import { assert, describe, it } from "@effect/vitest"
import { Auth, RunError } from "@fastagentic/core"
import { Effect, Layer, Schema } from "effect"
import { as, get, post, type Raw, raw } from "../http/rest.ts"
import { serveDesk } from "./support.ts"

const Document = Schema.Struct({
  paths: Schema.Record(Schema.String, Schema.Record(Schema.String, Schema.Json))
})

const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
const contentTypes = [
  "application/json",
  "text/plain",
  "application/x-www-form-urlencoded",
  "text/html",
  "multipart/form-data; boundary=x"
]
const accepts = ["*/*", "application/json", "text/event-stream", "text/html", "*/*"]

/** Paths that the document does not list. */
const otherPaths = [
  "/",
  "/nothing",
  "/%zz",
  "/docs",
  "/openapi.json",
  "/ws",
  "/mcp",
  "/mcp/schema",
  "/a2a",
  "/a2a/echo",
  "/a2a/message:send",
  "/a2a/message:stream",
  "/a2a/tasks",
  "/a2a/tasks/x",
  "/a2a/tasks/x:cancel",
  "/a2a/tasks/x:subscribe",
  "/a2a/extendedAgentCard",
  "/a2a/echo/message:send",
  "/a2a/v1/message:send",
  "/v1/models",
  "/v1/chat/completions",
  "/v1/responses",
  "/.well-known/agent-card.json",
  "/a2a/echo/.well-known/agent.json"
]

const checkHeaders = ({ headers, status }: Raw, label: string) => {
  assert.strictEqual(headers["x-content-type-options"], "nosniff", label)
  assert.strictEqual(headers["cross-origin-resource-policy"], "same-origin", label)
  assert.include(String(headers["content-security-policy"]), "frame-ancestors 'none'", label)
  const isDocs = label.includes(" /docs ") && status === 200
  assert.strictEqual(String(headers["content-security-policy"]).endsWith("sandbox"), !isDocs, label)
  const isCard = label.includes("/.well-known/") && status === 200
  assert.match(String(headers["cache-control"]), isCard ? /^public/u : /^no-store/u, label)
  assert.isUndefined(headers["access-control-allow-origin"], label)
  assert.isUndefined(headers["access-control-allow-credentials"], label)
}

describe("Every answer", () => {
  it.live("has the security headers, for each route, method and content type", () =>
    Effect.gen(function*() {
      const url = yield* serveDesk({ prefix: "/desk" })
      const { paths } = yield* Effect.flatMap(get(`${url}/desk/openapi.json`), as(Document))
      // A stream of the agent that never ends is the only answer without an end.
      const listed = Object.keys(paths).filter((path) => path !== "/agents/stay/stream")
      for (const part of ["/threads/", "/files/", "/signals/", "/schedules/", "/ag-ui", "/chat/"]) {
        assert.isTrue(listed.some((path) => path.includes(part)), part)
      }
      let checked = 0
      for (const path of [...listed, ...otherPaths]) {
        const target = `/desk${path.replaceAll(/\{\w+\}/gu, "x")}`
        for (const method of methods) {
          const isRead = method === "GET" || method === "HEAD"
          for (const [index, type] of contentTypes.entries()) {
            const accept = accepts[index] ?? "*/*"
            const headers: Record<string, string> = isRead ? { accept } : { accept, "content-type": type }
            const answer = yield* raw(url, target, { method, headers, body: isRead ? "" : "[" })
            checkHeaders(answer, `${method} ${path} ${accept} ${type}`)
            checked++
          }
        }
      }
      assert.isAbove(checked, 1_000)
    }).pipe(Effect.scoped), 60_000)

  it.live("has them on the OAuth metadata of a mounted app, under its prefix and where RFC 9728 has it", () =>
    Effect.gen(function*() {
      const issuing = Layer.succeed(Auth.Auth, {
        open: false,
        schemes: ["bearer"],
        issuers: [{ issuer: "https://id.example.com", audiences: ["https://agents.example.com"] }],
        authenticate: () => Effect.fail(new RunError.Unauthenticated({ reason: "credentials are required" }))
      })
      const url = yield* serveDesk({ prefix: "/desk" }, issuing)
      const wellKnown = "/.well-known/oauth-protected-resource"
      for (const path of [`/desk${wellKnown}`, `/desk${wellKnown}/mcp`, `${wellKnown}/desk`, `${wellKnown}/desk/mcp`]) {
        for (const method of methods) {
          const answer = yield* raw(url, path, { method })
          assert.strictEqual(answer.status === 200, method === "GET" || method === "HEAD", `${method} ${path}`)
          checkHeaders(answer, `${method} ${path}`)
        }
      }
    }).pipe(Effect.scoped))

  it.live("has them on streams, refusals of the door and refusals of the guard", () =>
    Effect.gen(function*() {
      const url = yield* serveDesk()
      const streamed = yield* post(`${url}/agents/echo/stream`, { text: "hello" })
      assert.strictEqual(streamed.headers.get("cache-control"), "no-store, no-transform")
      assert.strictEqual(streamed.headers.get("x-content-type-options"), "nosniff")
      yield* Effect.promise(() => streamed.text())
      const refused = yield* raw(url, "/runs", { headers: { origin: "https://evil.example" } })
      assert.strictEqual(refused.status, 403)
      checkHeaders(refused, "GET /runs")
      const closed = yield* raw(yield* serveDesk({}, Auth.layerKeys([])), "/runs")
      assert.strictEqual(closed.status, 401)
      checkHeaders(closed, "GET /runs")
    }).pipe(Effect.scoped))

  it.live("offers active types as a download in a sandbox, and shows others", () =>
    Effect.gen(function*() {
      const url = yield* serveDesk()
      const active = [["page", "text/html"], ["drawing", "image/svg+xml"], ["feed", "application/atom+xml"]] as const
      for (const [name, type] of active) {
        const answer = yield* raw(url, `/resources/${name}`)
        assert.strictEqual(answer.status, 200)
        assert.include(String(answer.headers["content-type"]), type)
        assert.strictEqual(answer.headers["content-disposition"], "attachment")
        checkHeaders(answer, `GET /resources/${name}`)
      }
      const note = yield* raw(url, "/resources/note")
      assert.isUndefined(note.headers["content-disposition"])
      checkHeaders(note, "GET /resources/note")
    }).pipe(Effect.scoped))
})
