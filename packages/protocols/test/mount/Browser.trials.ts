import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { existsSync } from "node:fs"
import { type Browser as ChromiumBrowser, chromium, type Page } from "playwright-core"
import { serveDesk, serveHost } from "./support.ts"

const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium"
const isMissing = !existsSync(executablePath)
if (isMissing && process.env["FASTAGENTIC_REQUIRE_SERVICES"] === "1") {
  throw new Error(`no Chromium at ${executablePath}`)
}
if (isMissing) console.warn(`The tests in a browser are skipped: there is no Chromium at ${executablePath}.`)

class Chromium extends Context.Service<Chromium, ChromiumBrowser>()("test/Chromium") {
  static readonly layer = Layer.effect(
    Chromium,
    Effect.acquireRelease(
      Effect.promise(() => chromium.launch({ executablePath, args: ["--no-sandbox"] })),
      (browser) => Effect.promise(() => browser.close())
    )
  )
}

/** A page with the messages of its console. */
const open = Effect.fnUntraced(function*(url: string) {
  const browser = yield* Chromium
  const page = yield* Effect.acquireRelease(
    Effect.promise(() => browser.newPage()),
    (page) => Effect.promise(() => page.close())
  )
  const messages: Array<string> = []
  page.on("console", (message) => messages.push(message.text()))
  page.on("pageerror", (error) => messages.push(error.message))
  yield* Effect.promise(() => page.goto(url))
  return { page, messages }
})

/** A site of another origin on the same machine. */
const site = (html = "<!doctype html><title>site</title>") =>
  serveHost(HttpRouter.use((router) => router.add("GET", "/", HttpServerResponse.html(html))))

/** The requests that a page of the app's users makes; each gives a status and a part of the answer, or its failure. */
const calls = (page: Page, url: string) =>
  Effect.promise(() =>
    page.evaluate(async (url) => {
      const call = async (path: string, init: RequestInit) => {
        try {
          const response = await fetch(url + path, init)
          return `${response.status} ${response.headers.get("x-run-id") === null ? "" : "run "}${
            (await response.text()).slice(0, 20)
          }`
        } catch (error) {
          return String(error)
        }
      }
      const json = { "content-type": "application/json" }
      const initialize = {
        jsonrpc: "2.0",
        id: 1,
        method: "initialize",
        params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "page", version: "1" } }
      }
      return {
        read: await call("/runs", {}),
        simple: await call("/agents/echo", { method: "POST", body: "{\"text\":\"hello\"}" }),
        rest: await call("/agents/echo", {
          method: "POST",
          headers: { ...json, "idempotency-key": crypto.randomUUID(), "x-thread-id": "t" },
          body: "{\"text\":\"hello\"}"
        }),
        stream: await call("/agents/echo/stream", { method: "POST", headers: json, body: "{\"text\":\"hello\"}" }),
        mcp: await call("/mcp", {
          method: "POST",
          headers: { ...json, accept: "application/json, text/event-stream", "mcp-protocol-version": "2025-06-18" },
          body: JSON.stringify(initialize)
        }),
        a2a: await call("/a2a", {
          method: "POST",
          headers: { ...json, "a2a-version": "1.0" },
          body: "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"Nothing\"}"
        }),
        socket: await new Promise<string>((resolve) => {
          const socket = new WebSocket(`${url.replace("http", "ws")}/ws`)
          socket.onopen = () => resolve("open")
          socket.onerror = () => resolve("refused")
        })
      }
    }, url)
  )

describe.skipIf(isMissing)("A browser", () => {
  layer(Chromium.layer, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect(
      "shows the page of the document, whose policy blocks nothing that it needs",
      () =>
        Effect.gen(function*() {
          const url = yield* serveDesk({ prefix: "/desk" })
          const { messages, page } = yield* open(`${url}/desk/docs`)
          yield* Effect.promise(() => page.getByText("Echoes, in the background").first().waitFor({ timeout: 20_000 }))
          yield* Effect.promise(() => page.getByText(`${url}/desk`).first().waitFor({ timeout: 20_000 }))
          assert.deepStrictEqual(messages.filter((text) => /policy|refused|violat/iu.test(text)), [])
          const evaluated = yield* Effect.promise(() =>
            page.evaluate(() => {
              const script = document.createElement("script")
              script.textContent = "window.injected = true"
              document.body.append(script)
              return "injected" in window
            })
          )
          assert.isFalse(evaluated)
        }).pipe(Effect.scoped),
      60_000
    )

    it.effect("on another origin can neither read nor start anything", () =>
      Effect.gen(function*() {
        const url = yield* serveDesk()
        const { page } = yield* open(yield* site())
        const failed = "TypeError: Failed to fetch"
        assert.deepStrictEqual(yield* calls(page, url), {
          read: failed,
          simple: failed,
          rest: failed,
          stream: failed,
          mcp: failed,
          a2a: failed,
          socket: "refused"
        })
        const own = yield* open(`${url}/`)
        assert.strictEqual((yield* calls(own.page, url)).read, "200 {\"items\":[],\"next\":n")
      }).pipe(Effect.scoped), 60_000)

    it.effect("on a listed origin uses REST, streams, MCP, A2A and WebSocket", () =>
      Effect.gen(function*() {
        const origin = yield* site()
        const url = yield* serveDesk({ cors: [origin] })
        const { page } = yield* open(origin)
        const answers = yield* calls(page, url)
        assert.match(answers.read, /^200 \{"items"/u)
        assert.match(answers.simple, /^200 run/u)
        assert.match(answers.rest, /^200 run/u)
        assert.match(answers.stream, /^200 run id: 1/u)
        assert.match(answers.mcp, /^200/u)
        assert.match(answers.a2a, /^200 \{"jsonrpc"/u)
        assert.strictEqual(answers.socket, "open")
      }).pipe(Effect.scoped), 60_000)

    it.effect("frames neither the page of the document nor any answer", () =>
      Effect.gen(function*() {
        const url = yield* serveDesk()
        for (const path of ["/docs", "/runs", "/resources/note"]) {
          const { messages, page } = yield* open(yield* site(`<!doctype html><iframe src="${url}${path}"></iframe>`))
          yield* Effect.promise(() => page.waitForTimeout(500))
          assert.include(messages.join("\n"), "frame", path)
          assert.strictEqual(page.frames()[1]?.url(), "chrome-error://chromewebdata/", path)
        }
      }).pipe(Effect.scoped), 60_000)

    it.effect("runs no script of a resource", () =>
      Effect.gen(function*() {
        const url = yield* serveDesk()
        const requested: Array<string> = []
        const { page } = yield* open(`${url}/`)
        page.on("request", (request) => requested.push(new URL(request.url()).pathname))
        for (const name of ["page", "drawing"]) {
          const download = page.waitForEvent("download")
          yield* Effect.promise(() => page.goto(`${url}/resources/${name}`).catch(() => null))
          yield* Effect.promise(() => download)
          assert.strictEqual(yield* Effect.promise(() => page.title()), "host")
          yield* Effect.promise(() =>
            page.evaluate((source) => {
              const frame = document.createElement("iframe")
              frame.src = source
              document.body.append(frame)
            }, `/resources/${name}`)
          )
          yield* Effect.promise(() => page.waitForTimeout(300))
        }
        assert.notInclude(requested, "/runs")
      }).pipe(Effect.scoped), 60_000)
  })
})
