import { assert, describe, layer } from "@effect/vitest"
import { Context, Deferred, Effect, Layer } from "effect"
import { existsSync } from "node:fs"
import { type Browser, chromium } from "playwright-core"
import { serveFront } from "./lab.ts"
import * as Pages from "./pages.ts"

const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium"
const missing = !existsSync(executablePath)
  ? `there is no Chromium at ${executablePath}`
  : !Pages.areInstalled
  ? "the chat libraries are not installed: npm run front-ends"
  : undefined
if (missing !== undefined && process.env["FASTAGENTIC_REQUIRE_FRONT_ENDS"] === "1") throw new Error(missing)
if (missing !== undefined) console.warn(`The pages of chat libraries are skipped: ${missing}.`)

class Chromium extends Context.Service<Chromium, Browser>()("test/Chromium") {
  static readonly layer = Layer.effect(
    Chromium,
    Effect.acquireRelease(
      Effect.promise(() => chromium.launch({ executablePath, args: ["--no-sandbox"] })),
      (browser) => Effect.promise(() => browser.close())
    )
  )
}

/** A page of the server's own origin that talks to an agent. */
const open = Effect.fnUntraced(function*(url: string, name: Pages.Page, agent: string, id: string) {
  const browser = yield* Chromium
  const code = yield* Effect.promise(() => Pages.scriptOf(name))
  const page = yield* Effect.acquireRelease(
    Effect.promise(() => browser.newPage()),
    (page) => Effect.promise(() => page.close())
  )
  const problems: Array<string> = []
  page.on("pageerror", (error) => problems.push(error.message))
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()))
  yield* Effect.promise(async () => {
    await page.route("**/page?*", (route) =>
      route.fulfill({
        contentType: "text/html",
        body: "<!doctype html><div id=root></div><script type=module src=/page.js></script>"
      }))
    await page.route("**/page.js", (route) => route.fulfill({ contentType: "text/javascript", body: code }))
    await page.goto(`${url}/page?agent=${agent}&id=${id}`)
  })
  const sees = (text: string) =>
    Effect.promise(() =>
      page.waitForFunction((text) => document.body.textContent.includes(text), text, { timeout: 15_000 }).catch(
        async () => {
          throw new Error(`"${text}" is not on the page: ${await page.textContent("body")} ${problems.join()}`)
        }
      )
    )
  return { page, sees }
})

const say = (name: Pages.Page, { page }: Effect.Success<ReturnType<typeof open>>, text: string) =>
  Effect.promise(async () => {
    if (name === "assistantUi") {
      await page.fill(".input", text)
      return await page.click("button:has-text('Send')")
    }
    await page.waitForFunction("window.send !== undefined")
    return await page.evaluate(`window.send(${JSON.stringify(text)})`)
  })

const names = ["useChat", "assistantUi"] as const

describe.skipIf(missing !== undefined)("A page in a browser", () => {
  layer(Chromium.layer, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    it.effect(
      "with useChat is reloaded in the middle of an answer, which it shows from its beginning",
      () =>
        Effect.gen(function*() {
          const { url, world } = yield* serveFront()
          const slow = yield* open(url, "useChat", "slow", "c-1")
          yield* say("useChat", slow, "Tell me")
          yield* slow.sees("First, ")
          yield* Effect.promise(() => slow.page.reload())
          yield* slow.sees("First, ")
          yield* Deferred.succeed(world.gate, undefined)
          yield* slow.sees("First, then.")
        }).pipe(Effect.scoped),
      60_000
    )

    for (const name of names) {
      it.effect(
        `with ${name} shows an answer as it comes, and goes on with its thread after a reload`,
        () =>
          Effect.gen(function*() {
            const { url, world } = yield* serveFront()
            const slow = yield* open(url, name, "slow", "c-1")
            yield* say(name, slow, "Tell me")
            yield* slow.sees("First, ")
            yield* Deferred.succeed(world.gate, undefined)
            yield* slow.sees("First, then.")
            const talk = yield* open(url, name, "talk", "c-2")
            yield* say(name, talk, "Where is order 7?")
            yield* talk.sees("Order 7 is shipped.")
            yield* talk.sees(name === "useChat" ? "tool-find_order:output-available" : "find_order:complete")
            yield* Effect.promise(() => talk.page.reload())
            yield* talk.sees("Order 7 is shipped.")
            yield* say(name, talk, "And order 8?")
            yield* talk.sees("I look (2 messages before). ")
            yield* talk.sees("Order 8 is shipped.")
          }).pipe(Effect.scoped),
        60_000
      )

      it.effect(`with ${name} runs a tool of its own for the agent`, () =>
        Effect.gen(function*() {
          const { url } = yield* serveFront()
          const page = yield* open(url, name, "page", "c-3")
          yield* say(name, page, "Color it")
          yield* page.sees("Color it: [\"red\"]")
          assert.strictEqual(
            yield* Effect.promise(() => page.page.evaluate(() => document.body.style.background)),
            "red"
          )
        }).pipe(Effect.scoped), 60_000)
    }

    it.effect("with useChat shows an approval, also after a reload, and decides it", () =>
      Effect.gen(function*() {
        const { url, world } = yield* serveFront()
        const chat = yield* open(url, "useChat", "talk", "c-4")
        yield* say("useChat", chat, "refund order 7")
        yield* chat.sees("tool-refund_order:approval-requested")
        yield* Effect.promise(() => chat.page.reload())
        yield* chat.sees("tool-refund_order:approval-requested")
        assert.deepStrictEqual(world.refunds, [])
        yield* Effect.promise(() => chat.page.click("button"))
        yield* chat.sees("Order 7 is refunded.")
        assert.deepStrictEqual(world.refunds, [7])
      }).pipe(Effect.scoped), 60_000)
  })
})
