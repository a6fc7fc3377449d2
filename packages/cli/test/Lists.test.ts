import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted, Schema } from "effect"
import { Agent, App, Auth, Budget, Principal, RateLimit, Run, RunStore, Server, Sqlite } from "fastagentic"
import { memory, urlOf } from "./serving.ts"

class Echo extends Agent.make("echo", {
  description: "Answers with its payload",
  payload: { text: Schema.String },
  success: Schema.String
}) {}
class Asks extends Agent.make("asks", { description: "Asks a lead", payload: { plan: Schema.String } }) {}
class Other extends Agent.make("other", { description: "Asks the board", payload: { plan: Schema.String } }) {}
class Desk extends App.make("desk", { version: "1", agents: [Echo, Asks, Other] }) {}

const DeskLayer = Layer.mergeAll(
  Echo.toLayer(({ text }) => Effect.succeed(text)),
  Asks.toLayer(({ plan }) =>
    Effect.orDie(Run.interrupt("lead", { schema: Schema.String, scopes: ["lead"], default: plan }))
  ),
  Other.toLayer(() => Effect.orDie(Run.interrupt("board", { schema: Schema.String, scopes: ["board"] })))
)

const person = (id: string, ...scopes: ReadonlyArray<string>) => ({
  key: Redacted.make(id),
  principal: new Principal.Principal({ id, tenant: "acme", scopes, roles: [], claims: {} })
})

const auth = Auth.layerKeys([person("ann"), person("lea", "lead"), person("zoe", "*")])
const stores = {
  memory,
  SQLite: Layer.mergeAll(Sqlite.layer({ filename: ":memory:" }), RateLimit.layerUnlimited, Budget.layerUnlimited)
}

const Page = Schema.Struct({
  items: Schema.Array(Schema.Record(Schema.String, Schema.Json)),
  next: Schema.NullOr(Schema.String)
})
const decodePage = Schema.decodeUnknownSync(Schema.fromJsonString(Page))

for (const [name, store] of Object.entries(stores)) {
  const serve = Effect.gen(function*() {
    const kept = yield* Layer.build(Layer.fresh(store))
    const server = Server.layer(Desk, { port: 0, grace: "200 millis" }).pipe(
      Layer.provide([DeskLayer, auth, Layer.succeedContext(kept)])
    )
    const url = urlOf(yield* Layer.build(Layer.fresh(server)))
    const call = (who: string, path: string, body?: unknown) =>
      Effect.promise(async () => {
        const response = await fetch(url + path, {
          method: body === undefined ? "GET" : "POST",
          headers: { authorization: `Bearer ${who}`, "content-type": "application/json" },
          ...(body === undefined ? {} : { body: JSON.stringify(body) })
        })
        return { status: response.status, text: await response.text() }
      })
    /** All items of a list by its cursor, and the size of its largest page. */
    const all = Effect.fnUntraced(function*(who: string, path: string) {
      const items: Array<Readonly<Record<string, Schema.Json>>> = []
      let [largest, pages, next] = [0, 0, ""]
      do {
        const { text } = yield* call(who, `${path}${next === "" ? "" : `&after=${next}`}`)
        const page = decodePage(text)
        items.push(...page.items)
        largest = Math.max(largest, text.length)
        pages++
        next = page.next ?? ""
      } while (next !== "")
      return { items, largest, pages }
    })
    return { all, call, store: Context.get(kept, RunStore.RunStore) }
  })

  describe(`Lists of large values in ${name}`, () => {
    it.live(
      "show no payloads and outputs unless they are asked for, and then in pages of some megabytes",
      () =>
        Effect.gen(function*() {
          const { all, call } = yield* serve
          const text = "x".repeat(900_000)
          for (let count = 0; count < 16; count++) yield* call("ann", "/agents/echo", { text })

          const short = yield* all("ann", "/runs?limit=200")
          assert.strictEqual(short.items.length, 16)
          assert.isBelow(short.largest, 20_000)
          assert.isTrue(
            short.items.every((run) => !("payload" in run) && !("output" in run) && run["state"] === "completed")
          )

          const outputs = yield* all("ann", "/runs?limit=200&fields=output")
          assert.strictEqual(outputs.items.length, 16)
          assert.isTrue(outputs.items.every((run) => run["output"] === text && !("payload" in run)))
          assert.isBelow(outputs.largest, 8_000_000)
          const whole = yield* all("ann", "/runs?limit=200&fields=payload,output")
          assert.isTrue(whole.items.every((run) => run["output"] === text && "payload" in run))
          assert.isAbove(whole.pages, outputs.pages)
          assert.isBelow(whole.largest, 8_000_000)
          assert.strictEqual((yield* call("ann", "/runs?fields=tenant")).status, 400)
        }).pipe(Effect.scoped),
      60_000
    )

    it.live("name the large values of an interrupt that they leave out", () =>
      Effect.gen(function*() {
        const { all, call } = yield* serve
        const plan = "x".repeat(900_000)
        yield* call("ann", "/agents/asks/runs", { plan: "short" })
        for (let count = 0; count < 12; count++) yield* call("ann", "/agents/asks/runs", { plan })
        let short = yield* all("lea", "/interrupts?limit=200")
        while (short.items.length < 13) short = yield* all("lea", "/interrupts?limit=200")
        assert.isBelow(short.largest, 20_000)
        assert.strictEqual(short.items.at(-1)?.["default"], "short")
        assert.isTrue(short.items.slice(0, -1).every((one) => !("default" in one)))
        assert.deepStrictEqual(short.items[0]?.["omitted"], ["default"])

        const whole = yield* all("lea", "/interrupts?limit=200&fields=default,arguments")
        assert.strictEqual(whole.items.length, 13)
        assert.isTrue(whole.items.slice(0, -1).every((one) => one["default"] === plan && !("omitted" in one)))
        assert.isBelow(whole.largest, 8_000_000)
        assert.isAbove(whole.pages, 1)
      }).pipe(Effect.scoped), 60_000)
  })

  describe(`Approvals in ${name}`, () => {
    it.live("are found behind thousands that others decide, and by pages to the last", () =>
      Effect.gen(function*() {
        const { all, call, store } = yield* serve
        const oldest = yield* call("ann", "/agents/asks/runs", { plan: "first" })
        const other = yield* call("ann", "/agents/other/runs", { plan: "" })
        let [waiting] = yield* store.list({ tenant: "acme", agent: "other", state: "suspended", limit: 1 })
        while (waiting === undefined) {
          ;[waiting] = yield* store.list({ tenant: "acme", agent: "other", state: "suspended", limit: 1 })
        }
        assert.include(other.text, waiting.runId)
        const [asked] = yield* store.interrupts(waiting.runId)
        if (asked === undefined) return assert.fail("it asks")
        // The same run 2,099 times more.
        const prefix = waiting.runId.slice(0, -6)
        const copies = Array.from({ length: 2_099 }, (_, index): RunStore.Admit => {
          const runId = prefix + index.toString(16).padStart(6, "0")
          const interrupts = [{ ...asked, runId, id: globalThis.crypto.randomUUID() }]
          return { _tag: "Admit", run: { ...waiting, runId }, events: [], interrupts }
        })
        for (let from = 0; from < copies.length; from += 300) yield* store.write(copies.slice(from, from + 300))
        let found = decodePage((yield* call("lea", "/interrupts")).text)
        while (found.items.length === 0) found = decodePage((yield* call("lea", "/interrupts")).text)
        assert.strictEqual(found.items.length, 1)
        assert.include(oldest.text, String(found.items[0]?.["runId"]))
        assert.isNull(found.next)

        let reached = yield* all("zoe", "/interrupts?limit=200")
        while (reached.items.length < 2_101) reached = yield* all("zoe", "/interrupts?limit=200")
        const runIds = reached.items.map((one) => one["runId"])
        assert.strictEqual(new Set(runIds).size, 2_101)
        assert.strictEqual(runIds.at(-1), found.items[0]?.["runId"])
      }).pipe(Effect.scoped), 120_000)
  })
}
