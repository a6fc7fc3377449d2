import { assert, describe, layer } from "@effect/vitest"
import { Auth, Budget, Event, Message, RateLimit, Run, Thread } from "@fastagentic/core"
import { Mount } from "@fastagentic/protocols/mount"
import { Context, Effect, Layer, Schema, Stream } from "effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { type Browser, chromium, type Page } from "playwright-core"
import { rolldown } from "rolldown"
import { serveHost } from "../mount/support.ts"
import { sqliteIn } from "../stores.ts"
import { Count, Desk, OutOfPaper, Refund } from "./desk.ts"

const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium"
const isMissing = !existsSync(executablePath)
if (isMissing && process.env["FASTAGENTIC_REQUIRE_SERVICES"] === "1") {
  throw new Error(`no Chromium at ${executablePath}`)
}
if (isMissing) console.warn(`The trials of React are skipped: there is no Chromium at ${executablePath}.`)

/** The page's script as a bundler of an app makes it, with the development build of React, which has strict mode. */
const bundle = Effect.promise(async () => {
  const build = await rolldown({
    input: fileURLToPath(new URL("page.ts", import.meta.url)),
    platform: "browser",
    logLevel: "silent",
    transform: { define: { "process.env.NODE_ENV": "\"development\"" } }
  })
  const { output: [{ code }] } = await build.generate({ format: "esm" })
  await build.close()
  return code
})

class Chromium extends Context.Service<Chromium, { readonly browser: Browser; readonly script: string }>()(
  "test/ReactChromium"
) {
  static readonly layer = Layer.effect(
    Chromium,
    Effect.gen(function*() {
      const browser = yield* Effect.acquireRelease(
        Effect.promise(() => chromium.launch({ executablePath, args: ["--no-sandbox"] })),
        (browser) => Effect.promise(() => browser.close())
      )
      return { browser, script: yield* bundle }
    })
  )
}

const Handlers = Layer.mergeAll(
  Count.toLayer(({ words }) =>
    Stream.range(1, words).pipe(
      Stream.mapEffect((word) =>
        word > 90
          ? Effect.fail(new OutOfPaper({ tray: word }))
          : Effect.delay(Effect.succeed(Event.token(`${word} `)), "40 millis")
      ),
      Stream.concat(Stream.fromEffectDrain(Thread.add(Message.user("Count"), Message.assistant(`to ${words}`))))
    )
  ),
  Refund.toLayer(({ amount }) =>
    Effect.as(
      Effect.orDie(Run.interrupt("refund", { schema: Schema.Boolean, message: `Refund ${amount}?` })),
      { refunded: amount }
    )
  )
)

/** The desk on a socket and a SQLite file, and a page on another origin. */
const open = Effect.fnUntraced(function*(query: Record<string, string> = {}) {
  const { browser, script } = yield* Chromium
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "react-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )
  const origin = yield* serveHost(HttpRouter.use((router) =>
    Effect.andThen(
      router.add("GET", "/", HttpServerResponse.html("<!doctype html><script type=module src=/page.js></script>")),
      router.add("GET", "/page.js", HttpServerResponse.text(script, { contentType: "text/javascript" }))
    )
  ))
  const url = yield* serveHost(
    Mount.layer(Desk, { grace: "100 millis", cors: [origin] }).pipe(
      Layer.provide(Handlers),
      Layer.provide([sqliteIn(folder), Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited])
    )
  )
  const page = yield* Effect.acquireRelease(
    Effect.promise(() => browser.newPage()),
    (page) => Effect.promise(() => page.close())
  )
  const errors: Array<string> = []
  const requests: Array<string> = []
  page.on("pageerror", (error) => errors.push(error.message))
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().includes("404")) errors.push(message.text())
  })
  page.on("request", (request) => {
    if (request.method() !== "OPTIONS") requests.push(`${request.method()} ${new URL(request.url()).pathname}`)
  })
  yield* Effect.promise(() => page.goto(`${origin}/?${new URLSearchParams({ url, ...query })}`))
  return { errors, page, requests, url, ...driver(page) }
})

const driver = (page: Page) => ({
  click: (id: string) => Effect.promise(() => page.click(`#${id}`)),
  reload: Effect.promise(() => page.reload()),
  /** Waits until what a page shows has a text. */
  shows: (id: string, part: string) =>
    Effect.promise(async () => {
      const shown = page.locator(`#${id}`)
      await shown.filter({ hasText: part }).waitFor({ timeout: 10_000, state: "attached" }).catch(async () => {
        throw new Error(`${id} does not show ${part}: ${await shown.textContent({ timeout: 100 })}`)
      })
    }),
  view: (id: string) => Effect.promise(async () => JSON.parse((await page.locator(`#${id}`).textContent()) ?? "null"))
})

const starts = (requests: ReadonlyArray<string>, agent: string) =>
  requests.filter((request) => request === `POST /agents/${agent}/runs`).length

const counted = (words: number) => Array.from({ length: words }, (_, index) => `${index + 1} `).join("")

describe.skipIf(isMissing)("The hooks of React in strict mode", () => {
  layer(Chromium.layer, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect(
      "start a run once, show its words as they come, and its turn in the thread",
      () =>
        Effect.gen(function*() {
          const { click, errors, requests, shows, view } = yield* open()
          yield* shows("counted", "\"state\":\"idle\"")
          yield* click("count")
          yield* shows("counted", "\"text\":\"1 2 ")
          yield* shows("counted", "\"state\":\"completed\"")
          const { events, output, text } = yield* view("counted")
          assert.strictEqual(text, counted(5))
          assert.strictEqual(output, counted(5))
          assert.deepStrictEqual(events, events.map((_: number, index: number) => index + 1))
          yield* shows("thread", "to 5")
          assert.strictEqual(starts(requests, "count"), 1)
          assert.deepStrictEqual(errors, [])
        }).pipe(Effect.scoped),
      60_000
    )

    it.effect(
      "continue a run after reloads in mid-stream, and one whose start was cut off, without a second run",
      () =>
        Effect.gen(function*() {
          const { click, page, reload, shows, url, view } = yield* open({ words: "60" })
          yield* click("count")
          yield* shows("counted", "1 2 3 ")
          yield* reload
          yield* shows("counted", "9 10 11 ")
          yield* reload
          yield* shows("counted", "\"state\":\"completed\"")
          assert.strictEqual((yield* view("counted")).text, counted(60))
          yield* reload
          yield* shows("counted", "\"state\":\"completed\"")
          yield* click("reset")
          // The answer to the start never arrives: the page is left while it waits.
          yield* Effect.promise(() =>
            page.route("**/agents/count/runs", async (route) => {
              await route.fetch()
            }, { times: 1 })
          )
          yield* click("count")
          yield* shows("counted", "connecting")
          yield* Effect.promise(() => page.waitForTimeout(300))
          yield* reload
          yield* shows("counted", "1 2 3 ")
          const runs = yield* Effect.promise(async () => (await fetch(`${url}/runs`)).json())
          assert.strictEqual(Object(runs).items.length, 2)
        }).pipe(Effect.scoped),
      60_000
    )

    it.effect("cancel a run, and a run whose start is on its way", () =>
      Effect.gen(function*() {
        const { click, page, shows, view } = yield* open({ words: "80" })
        yield* click("count")
        yield* shows("counted", "1 2 ")
        yield* click("cancel")
        yield* shows("counted", "\"state\":\"cancelled\"")
        assert.strictEqual((yield* view("counted")).error, undefined)
        yield* Effect.promise(() =>
          page.evaluate(() => {
            document.getElementById("count")?.click()
            document.getElementById("cancel")?.click()
          })
        )
        yield* shows("counted", "connecting")
        yield* shows("counted", "\"state\":\"cancelled\"")
      }).pipe(Effect.scoped), 60_000)

    it.effect("show a declared error, and a refused payload without a request", () =>
      Effect.gen(function*() {
        const failing = yield* open({ words: "91" })
        yield* failing.click("count")
        yield* failing.shows("counted", "\"state\":\"failed\"")
        assert.strictEqual((yield* failing.view("counted")).error, "OutOfPaper")
        const refused = yield* open({ words: "0.5" })
        yield* refused.click("count")
        yield* refused.shows("counted", "\"state\":\"failed\"")
        assert.strictEqual(starts(refused.requests, "count"), 0)
      }).pipe(Effect.scoped), 60_000)

    it.effect("show an approval over a reload, and take a decision once", () =>
      Effect.gen(function*() {
        const { click, errors, page, reload, requests, shows, view } = yield* open()
        // The first look at the questions finds no server.
        yield* Effect.promise(() => page.route(/\/runs\/[^/]+\/interrupts$/u, (route) => route.abort(), { times: 1 }))
        yield* click("refund")
        yield* shows("refunded", "\"interrupts\":[{")
        assert.strictEqual((yield* view("refunded")).error, undefined)
        yield* shows("approvals", "Refund 50?")
        yield* reload
        yield* shows("refunded", "\"state\":\"suspended\"")
        yield* shows("approvals", "Refund 50?")
        yield* click("approve")
        yield* shows("refunded", "\"output\":{\"refunded\":50}")
        yield* shows("approvals", "[]")
        assert.deepStrictEqual((yield* view("refunded")).interrupts, [])
        assert.strictEqual(requests.filter((request) => /^POST .*interrupts/u.test(request)).length, 1)
        yield* click("refund")
        yield* shows("refunded", "\"state\":\"suspended\"")
        yield* click("deny")
        yield* shows("refunded", "\"state\":\"failed\"")
        yield* shows("approvals", "[]")
        assert.deepStrictEqual(errors.filter((error) => !error.includes("ERR_FAILED")), [])
      }).pipe(Effect.scoped), 60_000)
  })
})
