import { assert, describe, it } from "@effect/vitest"
import { Auth } from "@fastagentic/core"
import { Effect } from "effect"
import { raw } from "../http/rest.ts"
import { serveDesk } from "./support.ts"

const app = "https://app.example.com"

const preflight = (url: string, path: string, origin: string, headers: string) =>
  raw(url, path, {
    method: "OPTIONS",
    headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": headers }
  })

const calls = [
  ["/desk/agents/echo", "content-type,idempotency-key,x-thread-id,authorization,x-api-key"],
  ["/desk/runs/x/events", "last-event-id"],
  ["/desk/schedules/x", "content-type"],
  ["/desk/mcp", "content-type,mcp-protocol-version,mcp-session-id,mcp-method,mcp-name"],
  ["/desk/a2a", "content-type,a2a-version"]
] as const

describe("Cross-origin requests", () => {
  it.live("of a listed origin are allowed on REST, MCP and A2A, without credentials", () =>
    Effect.gen(function*() {
      const url = yield* serveDesk({ prefix: "/desk", cors: [app] })
      for (const [path, headers] of calls) {
        const answer = yield* preflight(url, path, app, headers)
        assert.strictEqual(answer.status, 204, path)
        assert.strictEqual(answer.headers["access-control-allow-origin"], app)
        assert.isUndefined(answer.headers["access-control-allow-credentials"])
        const allowed = String(answer.headers["access-control-allow-headers"]).split(", ")
        assert.includeMembers(allowed, headers.split(","))
        assert.includeMembers(String(answer.headers["access-control-allow-methods"]).split(", "), [
          "GET",
          "POST",
          "PUT"
        ])
        assert.strictEqual(answer.headers.vary, "Origin")
      }
      const read = yield* raw(url, "/desk/runs", { headers: { origin: app } })
      assert.strictEqual(read.status, 200)
      assert.strictEqual(read.headers["access-control-allow-origin"], app)
      assert.include(String(read.headers["access-control-expose-headers"]), "x-run-id")
    }).pipe(Effect.scoped))

  it.live("of other origins are refused, and their pages can read nothing", () =>
    Effect.gen(function*() {
      const url = yield* serveDesk({ prefix: "/desk", cors: [app] })
      for (
        const origin of ["https://evil.example", `${app}.evil.example`, `${app}:8443`, "http://app.example.com", "null"]
      ) {
        for (const [path, headers] of calls) {
          const answer = yield* preflight(url, path, origin, headers)
          assert.strictEqual(answer.status, 403, `${path} ${origin}`)
          assert.isUndefined(answer.headers["access-control-allow-origin"])
        }
        assert.strictEqual((yield* raw(url, "/desk/runs", { headers: { origin } })).status, 403)
      }
    }).pipe(Effect.scoped))

  it.live("of a listed origin can read refusals, and the answers of a cache differ by origin", () =>
    Effect.gen(function*() {
      const url = yield* serveDesk({ cors: [app] }, Auth.layerKeys([]))
      const refused = yield* raw(url, "/runs", { headers: { origin: app } })
      assert.strictEqual(refused.status, 401)
      assert.strictEqual(refused.headers["access-control-allow-origin"], app)
      const card = yield* raw(url, "/.well-known/agent-card.json")
      assert.include(String(card.headers.vary), "Origin")
      assert.isUndefined(card.headers["access-control-allow-origin"])
    }).pipe(Effect.scoped))
})
