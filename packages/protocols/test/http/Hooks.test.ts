import { assert, describe, it } from "@effect/vitest"
import {
  Agent,
  App,
  Auth,
  Budget,
  Event,
  Hook,
  RateLimit,
  Redaction,
  Run,
  RunStore,
  Runtime,
  ToolCall
} from "@fastagentic/core"
import { Effect, Layer, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { mounted, serve } from "../fixture.ts"
import { layerStores } from "../stores.ts"
import { as, frames, get, isWhole, json, post, Run as RunBody, text, until } from "./rest.ts"

class Outer extends Hook.make("outer", { timeout: "50 millis" }) {}
class Inner extends Hook.make("inner", { timeout: "50 millis", onFailure: "open" }) {}
class Own extends Hook.make("own", { suspends: true }) {}
class Seen extends Hook.observer("seen", { capacity: 4 }) {}

const Pay = Hook.on(
  Tool.make("pay", {
    parameters: Schema.Struct({ to: Schema.String }),
    success: Schema.Struct({ receipt: Schema.String })
  }),
  Own
)
const Tools = Toolkit.make(Pay)

/** Emits the pieces one by one; "|" is a step, "?" waits for a decision, "(wait)" takes time. */
class Say extends Agent.make("say", { description: "Says", payload: { pieces: Schema.Array(Schema.String) } }) {}

/** Pays and returns the receipt. */
class Payer extends Agent.make("payer", { description: "Pays", payload: { to: Schema.String } }) {}

const Desk = App.make("desk", { version: "1", agents: [Say, Payer.hook(Inner)], tools: Tools })
  .hook(Seen, Redaction.Redaction, Outer)

const SayLayer = Say.toLayer(Effect.fn(function*({ pieces }) {
  let said = ""
  for (const piece of pieces) {
    if (piece === "|") yield* Run.step("mark", Run.emit(Event.custom("mark", said)).pipe(Effect.as(1)))
    else if (piece === "?") yield* Effect.ignore(Run.interrupt("go on", { schema: Schema.Boolean }))
    else if (piece === "(wait)") yield* Effect.sleep("150 millis")
    else {
      said += piece
      yield* Run.emit(Event.token(piece))
    }
  }
  return said
}))

const PayerLayer = Payer.toLayer(Effect.fn(function*({ to }) {
  const handlers = ToolCall.handlersOf(yield* Tools)
  const outcome = yield* Effect.orDie(
    ToolCall.invoke(handlers, { toolCallId: "call_1", name: "pay", arguments: { to } })
  )
  return JSON.stringify(outcome.result)
}))

interface Doing {
  readonly outer?: Hook.Points
  readonly inner?: Hook.Points
  readonly own?: Hook.Points
  readonly see?: (observation: Hook.Observation) => Effect.Effect<void>
  readonly redaction?: Redaction.Options
}

/** The desk on a socket, with its hooks and a list of its tool's effects. */
const startDesk = Effect.fnUntraced(function*({ inner = {}, outer = {}, own = {}, redaction, see }: Doing) {
  const paid: Array<string> = []
  const ToolsLayer = Tools.toLayer({
    pay: ({ to }) =>
      Effect.sync(() => {
        paid.push(to)
        return { receipt: `paid ${to}` }
      })
  })
  const context = yield* Layer.build(
    Runtime.layer(Desk, { grace: "100 millis" }).pipe(
      Layer.provide(Layer.mergeAll(
        Seen.toLayer(see ?? (() => Effect.void)),
        Redaction.layer(redaction),
        Outer.toLayer(outer),
        Inner.toLayer(inner),
        SayLayer,
        PayerLayer.pipe(Layer.provide(ToolsLayer), Layer.provide(Own.toLayer(own))),
        ToolsLayer,
        Own.toLayer(own)
      )),
      Layer.provideMerge(Layer.mergeAll(
        layerStores,
        Auth.layerNone,
        RateLimit.layerUnlimited,
        Budget.layerUnlimited
      ))
    )
  )
  const url = yield* serve(mounted("rest").pipe(Layer.provide(Layer.succeedContext(context))))
  return { url, paid, store: yield* Effect.provideContext(RunStore.RunStore, context) }
})

const stream = (url: string, agent: string, payload: unknown) =>
  Effect.map(Effect.flatMap(post(`${url}/agents/${agent}/stream`, payload), text), (body) => ({
    body,
    events: frames(body).map((frame) => frame.data)
  }))

const tokens = (events: ReadonlyArray<{ readonly type: string; readonly data: Schema.Json }>) =>
  events.filter(({ type }) => type === "token").map(({ data }) =>
    Schema.decodeUnknownSync(Schema.Struct({ delta: Schema.String }))(data).delta
  )

const Decision = Schema.Struct({ hook: Schema.String, point: Schema.String, decision: Schema.String })

const decisions = (events: ReadonlyArray<{ readonly type: string; readonly data: Schema.Json }>) =>
  events.filter(({ type }) => type === "hook_decision").map(({ data }) => {
    const { decision, hook, point } = Schema.decodeUnknownSync(Decision)(data)
    return `${hook} ${point} ${decision}`
  })

const dataOf = (events: ReadonlyArray<{ readonly type: string; readonly data: Schema.Json }>, type: string) =>
  events.find((event) => event.type === type)?.data

const Asked = Schema.Struct({
  runId: Schema.String,
  interrupts: Schema.Array(Schema.Struct({ id: Schema.String, tool: Schema.String, arguments: Schema.Json }))
})

const Open = Schema.Struct({ items: Schema.Array(Schema.Struct({ id: Schema.String, state: Schema.String })) })

const key = `sk-proj-${"aB3".repeat(12)}`
const adding = (word: string): Hook.Points => ({
  tool: (call, next) =>
    Effect.map(
      next({ ...call, arguments: { to: `${Schema.decodeUnknownSync(To)(call.arguments).to}>${word}` } }),
      ({ isError, result }) => ({
        isError,
        result: { receipt: `${Schema.decodeUnknownSync(Receipt)(result).receipt}<${word}` }
      })
    )
})
const To = Schema.Struct({ to: Schema.String })
const Receipt = Schema.Struct({ receipt: Schema.String })

describe("Hooks over HTTP", () => {
  it.live("run around a tool in this order: the app's, the agent's, the tool's own", () =>
    Effect.gen(function*() {
      const { paid, url } = yield* startDesk({ outer: adding("app"), inner: adding("agent"), own: adding("tool") })
      const { events } = yield* stream(url, "payer", { to: "ann" })
      assert.deepStrictEqual(paid, ["ann>app>agent>tool"])
      assert.deepInclude(dataOf(events, "done"), {
        output: JSON.stringify({ receipt: "paid ann>app>agent>tool<tool<agent<app" })
      })
      // The event of a result holds the result of the hooks.
      assert.deepInclude(dataOf(events, "tool_result"), {
        result: { receipt: "paid ann>app>agent>tool<tool<agent<app" }
      })
      const direct = yield* Effect.flatMap(post(`${url}/tools/pay`, { to: "ben" }), json)
      assert.deepInclude(direct, { receipt: "paid ben>app>tool<tool<app" })
      assert.isTrue(isWhole(events))
    }))

  it.live("answer without calling inner hooks and the tool", () =>
    Effect.gen(function*() {
      const { paid, url } = yield* startDesk({
        outer: { tool: () => Effect.succeed({ result: { receipt: "cached" }, isError: false }) },
        inner: { tool: () => Effect.die("never") }
      })
      const { events } = yield* stream(url, "payer", { to: "ann" })
      assert.deepInclude(dataOf(events, "done"), { output: JSON.stringify({ receipt: "cached" }) })
      assert.deepStrictEqual([paid, decisions(events)], [[], []])
    }))

  it.live("that time out closed run nothing, and the refusal names the hook", () =>
    Effect.gen(function*() {
      const { paid, url } = yield* startDesk({ outer: { request: () => Effect.never } })
      const response = yield* post(`${url}/agents/payer`, { to: "ann" })
      assert.strictEqual(response.status, 403)
      assert.include(yield* text(response), "the hook outer took too long")
      assert.deepStrictEqual(paid, [])
      const { events } = yield* stream(url, "payer", { to: "ann" })
      assert.deepStrictEqual(decisions(events), ["outer request block"])
    }))

  it.live("that time out open are skipped", () =>
    Effect.gen(function*() {
      const { paid, url } = yield* startDesk({ inner: { tool: () => Effect.never } })
      const { events } = yield* stream(url, "payer", { to: "ann" })
      assert.deepInclude(dataOf(events, "done"), { output: JSON.stringify({ receipt: "paid ann" }) })
      assert.deepStrictEqual([paid, decisions(events)], [["ann"], ["inner tool allow"]])
    }))

  it.live("have no running timeout while an inner hook or the tool runs", () =>
    Effect.gen(function*() {
      const { url } = yield* startDesk({ outer: { request: (call, next) => next(call) } })
      const { events } = yield* stream(url, "say", { pieces: ["a ", "(wait)", "b"] })
      assert.deepStrictEqual([tokens(events).join(""), decisions(events)], ["a b", []])
    }))

  it.live("that fail are closed or skipped, and the tool does not run twice", () =>
    Effect.gen(function*() {
      const breaking: Hook.Points = {
        tool: (call, next) => Effect.andThen(next(call), Effect.die(new Error("secret of the hook")))
      }
      const open = yield* startDesk({ inner: breaking })
      const passed = yield* stream(open.url, "payer", { to: "ann" })
      assert.deepInclude(dataOf(passed.events, "done"), { output: JSON.stringify({ receipt: "paid ann" }) })
      assert.deepStrictEqual([open.paid, decisions(passed.events)], [["ann"], ["inner tool allow"]])
      const closed = yield* startDesk({ outer: breaking })
      const refused = yield* stream(closed.url, "payer", { to: "ann" })
      assert.deepInclude(dataOf(refused.events, "error"), { tag: "HookBlocked", message: "the hook outer failed" })
      assert.deepStrictEqual([closed.paid, decisions(refused.events)], [["ann"], ["outer tool block"]])
      assert.notInclude(passed.body + refused.body, "secret of the hook")
    }))

  it.live("do not count a failure of an inner call as their own", () =>
    Effect.gen(function*() {
      const { url } = yield* startDesk({
        outer: { request: (call) => Effect.die(new Error(call.agent)) },
        inner: { request: (call, next) => next(call) }
      })
      const { events } = yield* stream(url, "payer", { to: "ann" })
      assert.deepStrictEqual(decisions(events), ["outer request block"])
    }))

  it.live("ask for one decision with the exact arguments, which approves, edits or denies", () =>
    Effect.gen(function*() {
      const { paid, url } = yield* startDesk({
        own: { tool: (call, next) => Effect.flatMap(Hook.suspend(Own, call, { message: "Pay?" }), next) }
      })
      for (const path of ["/agents/payer", "/tools/pay"]) {
        for (
          const answer of [
            { decision: "approve" },
            { decision: "edit", value: { to: "ben" } },
            { decision: "deny", reason: "not today" }
          ]
        ) {
          paid.length = 0
          const asked = yield* Effect.flatMap(post(`${url}${path}`, { to: "ann" }), as(Asked))
          const run = yield* until(url, asked.runId, "suspended")
          assert.deepInclude(asked.interrupts[0], { tool: "pay", arguments: { to: "ann" } })
          assert.deepStrictEqual(paid, [])
          yield* post(`${url}/runs/${run.runId}/interrupts/${asked.interrupts[0]?.id}`, answer)
          yield* until(url, run.runId, answer.decision === "deny" ? "failed" : "completed")
          const events = frames(yield* Effect.flatMap(get(`${url}/runs/${run.runId}/events`), text))
            .map((frame) => frame.data)
          assert.isTrue(isWhole(events))
          const wanted = { approve: ["ann"], edit: ["ben"], deny: [] }[answer.decision]
          assert.deepStrictEqual(paid, wanted)
          assert.deepStrictEqual(decisions(events), [
            "own tool suspend",
            ...(answer.decision === "approve"
              ? []
              : answer.decision === "edit"
              ? ["own tool modify"]
              : ["own tool block"])
          ])
        }
      }
    }))

  it.live("see a call that an approver of another hook has edited, on each path", () =>
    Effect.gen(function*() {
      const { paid, url } = yield* startDesk({
        outer: {
          tool: (call, next) =>
            JSON.stringify(call.arguments).includes("ben") ? Hook.block(Outer, "tool", "not ben") : next(call)
        },
        own: { tool: (call, next) => Effect.flatMap(Hook.suspend(Own, call, { message: "Pay?" }), next) }
      })
      for (const path of ["/agents/payer", "/tools/pay"]) {
        const asked = yield* Effect.flatMap(post(`${url}${path}`, { to: "ann" }), as(Asked))
        const answer = { decision: "edit", value: { to: "ben" } }
        yield* post(`${url}/runs/${asked.runId}/interrupts/${asked.interrupts[0]?.id}`, answer)
        yield* until(url, asked.runId, "failed")
        assert.deepStrictEqual(paid, [], path)
      }
    }))

  it.live("observe without delaying or failing a run, and dropped events are counted", () =>
    Effect.gen(function*() {
      const slow = yield* startDesk({ see: () => Effect.never })
      for (let turn = 0; turn < 5; turn++) {
        const { events } = yield* stream(slow.url, "payer", { to: "ann" })
        assert.deepInclude(dataOf(events, "done"), { output: JSON.stringify({ receipt: "paid ann" }) })
      }
      const metrics = yield* Effect.flatMap(get(`${slow.url}/metrics`), text)
      assert.match(metrics, /fastagentic_observations_dropped_total\{[^}]*observer="seen"[^}]*\} [1-9]/u)

      const seen: Array<string> = []
      const broken = yield* startDesk({
        see: (observation) =>
          Effect.andThen(
            Effect.sync(() => seen.push(`${observation.point} ${observation.phase}`)),
            Effect.die(new Error("no"))
          )
      })
      yield* stream(broken.url, "say", { pieces: ["a"] })
      yield* Effect.sleep("20 millis")
      assert.deepStrictEqual(seen, ["request start", "request end"])
    }))
})

describe("The output of a run", () => {
  it.live("contains no secret, on the wire and in the store, however the text was split", () =>
    Effect.gen(function*() {
      const { store, url } = yield* startDesk({})
      for (const size of [1, 5, 20]) {
        const said = `use ${key} and postgres://app:hunter2@db/app now`
        const pieces = said.match(new RegExp(`.{1,${size}}`, "gu")) ?? []
        const { body, events } = yield* stream(url, "say", { pieces })
        assert.strictEqual(
          tokens(events).join(""),
          "use [redacted: api-key] and postgres://app:[redacted: url-password]@db/app now"
        )
        assert.deepInclude(dataOf(events, "done"), { output: tokens(events).join("") })
        assert.notInclude(body, "aB3aB3")
        assert.isTrue(isWhole(events))
        const runId = events[0]?.runId ?? ""
        const stored = yield* store.events(runId, 0, 1_000)
        assert.strictEqual(stored.length, events.length)
        assert.notInclude(JSON.stringify(stored), "aB3aB3")
        assert.notInclude(JSON.stringify(stored), "hunter2")
        assert.notInclude(JSON.stringify((yield* store.get(runId))?.output), "aB3aB3")
        assert.include(decisions(events), "redaction output modify")
      }
    }))

  it.live("is streamed word by word, not at the end", () =>
    Effect.gen(function*() {
      const { url } = yield* startDesk({})
      const { events } = yield* stream(url, "say", { pieces: ["one ", "two ", "thr", "ee "] })
      assert.deepStrictEqual(tokens(events), ["one ", "two ", "three "])
    }))

  it.live("is redacted in arguments and results of tools, which get the original values", () =>
    Effect.gen(function*() {
      const { paid, url } = yield* startDesk({})
      const { body, events } = yield* stream(url, "payer", { to: key })
      assert.deepStrictEqual(paid, [key])
      assert.deepInclude(dataOf(events, "tool_start"), { arguments: { to: "[redacted: api-key]" } })
      assert.deepInclude(dataOf(events, "tool_result"), { result: { receipt: "paid [redacted: api-key]" } })
      assert.notInclude(body, "aB3aB3")
      const direct = yield* Effect.flatMap(post(`${url}/tools/pay`, { to: key }), text)
      assert.notInclude(direct, "aB3aB3")
    }))

  it.live("keeps personal data unless the app redacts it", () =>
    Effect.gen(function*() {
      const pieces = ["card 4111 11", "11 1111 1", "111 and ann@exa", "mple.com."]
      const plain = yield* startDesk({})
      assert.strictEqual(tokens((yield* stream(plain.url, "say", { pieces })).events).join(""), pieces.join(""))
      const asked = yield* startDesk({ redaction: { pii: true } })
      assert.strictEqual(
        tokens((yield* stream(asked.url, "say", { pieces })).events).join(""),
        "card [redacted: card] and [redacted: email]."
      )
    }))

  it.live("is emitted once by a run that is suspended in the middle", () =>
    Effect.gen(function*() {
      const { url } = yield* startDesk({})
      const pieces = ["a ", "half", "?", ` ${key.slice(0, 9)}`, key.slice(9), " b", "|", "c ", "?", "end"]
      let run = yield* Effect.flatMap(post(`${url}/agents/say/runs`, { pieces }), as(RunBody))
      for (let turn = 0; turn < 2; turn++) {
        yield* until(url, run.runId, "suspended")
        const open = yield* Effect.flatMap(get(`${url}/runs/${run.runId}/interrupts`), as(Open))
        const id = open.items.find(({ state }) => state === "open")?.id
        yield* post(`${url}/runs/${run.runId}/interrupts/${id}`, { decision: "approve", value: true })
      }
      run = yield* until(url, run.runId, "completed")
      const events = frames(yield* Effect.flatMap(get(`${url}/runs/${run.runId}/events`), text)).map(({ data }) => data)
      assert.isTrue(isWhole(events))
      assert.deepStrictEqual(tokens(events), ["a ", "half", " ", "[redacted: api-key] ", "b", "c ", "end"])
      assert.strictEqual(run.output, "a half [redacted: api-key] bc end")
      assert.deepStrictEqual(events.filter(({ type }) => type === "custom").length, 1)
      assert.deepStrictEqual(decisions(events).filter((line) => line.startsWith("redaction")), [
        "redaction output modify",
        // The event of the step, and the answer.
        "redaction output modify",
        "redaction output modify"
      ])
    }))

  it.live("can be cut off by a guard: the rest is never emitted, and the failure names the guard", () =>
    Effect.gen(function*() {
      let said = 0
      const { store, url } = yield* startDesk({
        outer: {
          output: {
            text: (whole, { ended }) => {
              said++
              if (whole.includes("forbidden")) return Hook.block(Outer, "output", "off limits")
              const at = ended ? whole.length : whole.lastIndexOf(" ") + 1
              return Effect.succeed({ out: whole.slice(0, at), held: whole.slice(at) })
            }
          }
        }
      })
      const { body, events } = yield* stream(url, "say", { pieces: ["this is for", "bid", "den ", "fruit ", "|", "x"] })
      assert.strictEqual(tokens(events).join(""), "this is ")
      assert.deepInclude(dataOf(events, "error"), { tag: "HookBlocked", message: "off limits", status: 403 })
      assert.deepStrictEqual(decisions(events), ["outer output block"])
      assert.deepStrictEqual(events.at(-1)?.type, "error")
      assert.notInclude(body, "fruit")
      assert.isBelow(said, 5)
      const runId = events[0]?.runId ?? ""
      assert.deepInclude(yield* store.get(runId), { state: "failed" })
      assert.notInclude(JSON.stringify(yield* store.events(runId, 0, 100)), "den")
    }))

  it.live("stops at a closed guard that fails or hangs, and passes an open one", () =>
    Effect.gen(function*() {
      for (const text of [() => Effect.never, () => Effect.die(new Error("no"))]) {
        const closed = yield* startDesk({ outer: { output: { text } } })
        const cut = yield* stream(closed.url, "payer", { to: "ann" })
        assert.strictEqual(cut.events.at(-1)?.type, "done")
        const refused = yield* stream(closed.url, "say", { pieces: ["a ", "b "] })
        assert.deepStrictEqual(tokens(refused.events), [])
        assert.deepInclude(dataOf(refused.events, "error"), { tag: "HookBlocked" })
        assert.deepStrictEqual(decisions(refused.events), ["outer output block"])
      }
      const value = () => Effect.die(new Error("no"))
      const open = yield* startDesk({ inner: { output: { value } } })
      const { events } = yield* stream(open.url, "payer", { to: "ann" })
      assert.deepInclude(dataOf(events, "done"), { output: JSON.stringify({ receipt: "paid ann" }) })
      assert.include(decisions(events), "inner output allow")
    }))

  it.live("is guarded in failures as well", () =>
    Effect.gen(function*() {
      const { url } = yield* startDesk({
        outer: { error: (failure) => Effect.succeed({ ...failure, message: `it was ${key}` }) },
        inner: { request: () => Hook.block(Inner, "request", "no") }
      })
      const response = yield* post(`${url}/agents/payer`, { to: "ann" })
      assert.include(yield* text(response), "it was [redacted: api-key]")
    }))
})
