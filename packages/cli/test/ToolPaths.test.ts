import { assert, describe, it } from "@effect/vitest"
import { Sqlite } from "@fastagentic/stores/sqlite"
import { Effect, Layer, Redacted, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import {
  Agent,
  App,
  Auth,
  Budget,
  PolicyRules,
  Principal,
  RateLimit,
  Run,
  Schedule,
  Server,
  ToolCall,
  ToolPolicy
} from "fastagentic"
import { join } from "node:path"
import * as Transports from "./matrix/transports.ts"
import { temporaryFolder } from "./process.ts"
import { urlOf } from "./serving.ts"

const parameters = Schema.Struct({ to: Schema.String })
const Send = Tool.make("send", { parameters, success: Schema.String })
const Wipe = Tool.make("wipe", { parameters, success: Schema.String })
const Read = Tool.make("read", { parameters, success: Schema.String }).annotate(Tool.Readonly, true)
const Tools = Toolkit.make(Send, Wipe, Read)

const payload = { tool: Schema.String, to: Schema.String, calls: Schema.optionalKey(Schema.Int) }

class Uses extends Agent.make("uses", { description: "Calls a tool", payload }) {}
class Boss extends Agent.make("boss", { description: "Lets another agent call it", payload }) {}

class Office extends App.make("office", {
  version: "1",
  agents: [Uses, Boss],
  tools: Tools,
  schedules: [
    Schedule.make("wiping", {
      agent: Uses,
      cron: "0 0 1 1 *",
      payload: { tool: "wipe", to: "all" },
      as: { principal: "robot", tenant: "acme", scopes: [] }
    })
  ]
}) {}

const OfficeLayer = (done: Array<string>) =>
  Layer.mergeAll(
    Uses.toLayer(Effect.fn(function*({ calls = 1, to, tool }) {
      const handlers = ToolCall.handlersOf(yield* Tools)
      const results = yield* Effect.forEach(Array.from({ length: calls }, (_, index) => index), (index) =>
        ToolCall.invoke(handlers, { toolCallId: `call ${index}`, name: tool, arguments: { to } }))
      return JSON.stringify(results.map(({ result }) =>
        result
      ))
    }, Effect.orDie)),
    Boss.toLayer((asked) => Effect.orDie(Run.delegate(Uses, asked)))
  ).pipe(Layer.provideMerge(Tools.toLayer({
    send: ({ to }) => Effect.sync(() => `sent ${done.push(to)}`),
    wipe: ({ to }) => Effect.sync(() => `wiped ${done.push(to)}`),
    read: ({ to }) => Effect.succeed(`read ${to}`)
  })))

const person = (id: string, ...scopes: ReadonlyArray<string>) => ({
  key: Redacted.make(`key-of-${id}`),
  principal: new Principal.Principal({ id, tenant: "acme", scopes, roles: [], claims: {} })
})

const Rules = PolicyRules.layer([
  { name: "nobody wipes", allows: ({ identifier, kind }) => !(kind === "tool" && identifier === "wipe") }
])

/** A server on a SQLite file, with a rule and a limit on tools. */
const office = Effect.fnUntraced(function*(policy: Layer.Layer<never>, limit: number) {
  const done: Array<string> = []
  const filename = join(temporaryFolder(), "office.sqlite")
  const context = yield* Layer.build(
    Layer.fresh(Server.layer(Office, { port: 0, grace: "200 millis" })).pipe(
      Layer.provide(OfficeLayer(done)),
      Layer.provide([
        Auth.layerKeys([
          person("ann"),
          person("lead", "audit:read", "tools:approve", "schedules:manage", "runs:act:tenant")
        ]),
        Budget.layerUnlimited,
        RateLimit.layer([{ name: "letters", by: ["user"], limit, window: "1 hour", endpoints: ["tool/send"] }]),
        Sqlite.layer({ filename }),
        Rules,
        policy
      ])
    )
  )
  const url = urlOf(context)
  const call = (who: string, method: "GET" | "POST", path: string, body?: unknown) =>
    Effect.promise(() =>
      Transports.request(url + path, {
        method,
        headers: { ...Transports.json, "x-api-key": `key-of-${who}` },
        ...(body === undefined ? {} : { body: JSON.stringify(body) })
      })
    )
  const settled = (who: string, runId: string) =>
    Effect.gen(function*() {
      while (true) {
        const { body } = yield* call(who, "GET", `/runs/${runId}`)
        if (body.finishedAt !== undefined || body.waitsFor === "interrupt") return body
        yield* Effect.sleep("10 millis")
      }
    })
  const entries = Effect.map(call("lead", "GET", "/audit?limit=200"), ({ body }) => body.items)
  return { call, done, entries, settled }
})

interface Entry {
  readonly target: string
  readonly decision: string
  readonly rule?: string
  readonly runId?: string
  readonly principal: string
}

describe("a tool", () => {
  it.live("a rule about a tool refuses its calls on each path", () =>
    Effect.gen(function*() {
      const { call, done, entries, settled } = yield* office(Layer.empty, 2)
      const direct = yield* call("ann", "POST", "/tools/wipe", { to: "all" })
      assert.deepInclude(direct.body.error, { _tag: "Forbidden", rule: "nobody wipes" })
      for (const path of ["/agents/uses", "/agents/boss"]) {
        const { text } = yield* call("ann", "POST", path, { tool: "wipe", to: "all" })
        assert.include(text, "nobody wipes", path)
        assert.include(text, "denied", path)
      }
      const scheduled = yield* call("lead", "POST", "/schedules/wiping/run", {})
      assert.include((yield* settled("lead", String(scheduled.body.runId))).output, "nobody wipes")
      const forked = yield* call("lead", "POST", `/runs/${scheduled.body.runId}/fork`, { after: 1 })
      assert.include((yield* settled("lead", String(forked.body.runId))).output, "nobody wipes")
      assert.deepStrictEqual(done, [])
      const refused = (yield* entries).filter(({ decision, rule, target }: Entry) =>
        decision === "Forbidden" && rule === "nobody wipes" && target === "tool/wipe"
      )
      assert.deepStrictEqual(
        refused.map(({ principal }: Entry) => principal).sort(),
        ["ann", "ann", "ann", "lead", "robot"]
      )
    }).pipe(Effect.scoped))

  it.live("a limit on a tool counts its calls on each path, and each call is in the audit log", () =>
    Effect.gen(function*() {
      const { call, done, entries } = yield* office(Layer.empty, 2)
      assert.strictEqual((yield* call("ann", "POST", "/tools/send", { to: "a" })).status, 200)
      const { text } = yield* call("ann", "POST", "/agents/uses", { tool: "send", to: "b", calls: 3 })
      assert.strictEqual(text.split("letters").length - 1, 2, text)
      assert.deepStrictEqual(done, ["a", "b"])
      assert.strictEqual((yield* call("ann", "POST", "/tools/send", { to: "c" })).status, 429)
      const ofTool = (yield* entries).filter(({ target }: Entry) => target === "tool/send")
      const said = ofTool.map(({ action, decision, rule = "" }: Entry & { readonly action: string }) =>
        `${action} ${decision} ${rule}`.trim()
      )
      assert.deepStrictEqual(said.sort(), [
        "call RateLimited letters",
        "call RateLimited letters",
        "call RateLimited letters",
        "call allowed",
        "run completed",
        "start allowed"
      ])
    }).pipe(Effect.scoped))

  it.live("the app's policy answers for each call, is asked each time, and may ask a human on any path", () =>
    Effect.gen(function*() {
      const asked: Array<string> = []
      const policy = ToolPolicy.layer(({ arguments: args, declared, hints, tool }) =>
        Effect.gen(function*() {
          yield* Effect.sleep("1 millis")
          asked.push(tool)
          if (hints.readOnly) return declared
          if (JSON.stringify(args).includes("enemy")) return { decision: "deny", reason: "not to them" } as const
          return { decision: "ask", scopes: ["tools:approve"], notRequester: true } as const
        })
      )
      const { call, done, entries, settled } = yield* office(policy, 100)
      assert.strictEqual((yield* call("ann", "POST", "/tools/read", { to: "x" })).status, 200)
      assert.include((yield* call("ann", "POST", "/agents/uses", { tool: "send", to: "enemy" })).text, "not to them")
      assert.strictEqual((yield* call("ann", "POST", "/tools/send", { to: "enemy" })).body.error._tag, "ToolDenied")
      assert.deepStrictEqual([asked.splice(0), done], [["read", "send", "send"], []])
      for (
        const [path, body] of [["/tools/send", { to: "a" }], ["/agents/uses/runs", { tool: "send", to: "a" }]] as const
      ) {
        const started = yield* call("ann", "POST", path, body)
        const runId = String(started.body.runId)
        assert.strictEqual((yield* settled("ann", runId)).state, "suspended", path)
        const open = yield* call("lead", "GET", `/runs/${runId}/interrupts`)
        const interrupt = `/runs/${runId}/interrupts/${open.body.items[0].id}`
        assert.strictEqual((yield* call("ann", "POST", interrupt, { decision: "approve" })).status, 403, path)
        // An edit is a new call: the policy sees it again.
        const edit = { decision: "edit", value: { to: path === "/tools/send" ? "enemy" : "b" } }
        assert.strictEqual((yield* call("lead", "POST", interrupt, edit)).status, 202, path)
        const { state } = yield* settled("ann", runId)
        assert.strictEqual(state, path === "/tools/send" ? "rejected" : "completed", path)
      }
      assert.deepStrictEqual(done, ["b"])
      assert.deepStrictEqual(asked, ["send", "send", "send", "send"])
      const approved = (yield* entries).find(({ reason }: { readonly reason?: string }) =>
        reason === "approved by lead"
      )
      assert.deepInclude(approved, { action: "call", target: "tool/send", principal: "ann" })
    }).pipe(Effect.scoped))
})
