import { assert, describe, it } from "@effect/vitest"
import { LangGraph } from "@fastagentic/adapters/langgraph"
import { Audit, Hook, PolicyRules, ToolPolicy } from "@fastagentic/core"
import { Effect, Layer, Stream } from "effect"
import { Ask, ask, input, lookup, ofType, serve, types, Watched } from "./support.ts"

const answered = (points: Hook.Points) => {
  const { graph, model } = lookup()
  const results = ask("Where is order 7?").pipe(Effect.provide(serve(LangGraph.layer(Ask, graph, input), points)))
  return Effect.map(results, (result) => ({ ...result, model }))
}

const refusal = { tag: "HookBlocked", status: 403, declared: false }

describe("a hook around models", () => {
  it.live("a refusal comes before the model is called", () =>
    Effect.gen(function*() {
      const { events, model, run } = yield* answered({
        llm: () => Stream.unwrap(Hook.block(Watched, "llm", "not today"))
      })
      assert.deepInclude(run.error, { ...refusal, message: "not today" })
      assert.strictEqual(model.calls, 0)
      assert.deepStrictEqual(types(events), ["run_started", "node_enter", "hook_decision", "node_exit", "error"])
    }))

  it.live("a refused part of an answer is not emitted", () =>
    Effect.gen(function*() {
      const { events, run } = yield* answered({
        llm: (call, next) =>
          Stream.mapEffect(next(call), (part) =>
            part.type === "text-delta" && part.delta.includes("look")
              ? Hook.block(Watched, "llm", "no looking")
              : Effect.succeed(part))
      })
      assert.deepInclude(run.error, { ...refusal, message: "no looking" })
      assert.deepStrictEqual(ofType(events, "token").map(({ data }) => data.delta), ["Let me "])
      assert.strictEqual(ofType(events, "llm_end").length, 1)
      assert.strictEqual(ofType(events, "tool_start").length, 0)
    }))

  it.live("the hook receives the conversation and all parts", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const { run } = yield* answered({
        llm: (call, next) => {
          seen.push(call.prompt.content.map(({ role }) => role).join())
          return Stream.tap(next(call), (part) => Effect.sync(() => void seen.push(part.type)))
        }
      })
      assert.strictEqual(run.state, "completed")
      assert.deepStrictEqual(seen.slice(0, 10), [
        "user",
        "response-metadata",
        "text-start",
        "text-delta",
        "text-delta",
        "tool-params-start",
        "tool-params-delta",
        "tool-params-delta",
        "text-end",
        "tool-params-end"
      ])
      assert.include(seen, "user,assistant,tool")
    }))

  it.live("an attempt to change the graph's input is refused", () =>
    Effect.gen(function*() {
      const redacted = yield* answered({
        llm: (call, next) =>
          Stream.map(next(call), (part) => part.type === "text-delta" ? { ...part, delta: "***" } : part)
      })
      assert.deepInclude(redacted.run.error, refusal)
      assert.strictEqual(ofType(redacted.events, "token").length, 0)
      const changed = yield* answered({ llm: (call, next) => next({ ...call, model: "cheaper" }) })
      assert.deepInclude(changed.run.error, refusal)
      assert.strictEqual(changed.model.calls, 0)
    }))
})

describe("a hook around tools", () => {
  it.live("a refused tool call is reported to the model", () =>
    Effect.gen(function*() {
      let found = 0
      const { graph } = lookup(() => String(found++))
      const { events, run } = yield* ask("?").pipe(
        Effect.provide(serve(LangGraph.layer(Ask, graph, input), {
          tool: ({ name }) => Hook.block(Watched, "tool", `${name} is not for you`)
        }))
      )
      assert.strictEqual(found, 0)
      assert.strictEqual(run.state, "completed")
      assert.include(String(run.output), "find is not for you")
      const [result] = ofType(events, "tool_result")
      assert.deepInclude(result?.data, {
        toolCallId: "call_1",
        denied: true,
        isError: true,
        result: { denied: true, reason: "find is not for you" }
      })
      assert.strictEqual(ofType(events, "tool_start").length, 0)
      assert.deepStrictEqual(ofType(events, "hook_decision").map(({ data }) => data), [
        { hook: "watched", point: "tool", decision: "block", reason: "find is not for you" }
      ])
    }))

  it.live("a refused result does not reach the model", () =>
    Effect.gen(function*() {
      const { events, run } = yield* answered({
        tool: (call, next) =>
          Effect.flatMap(next(call), ({ result }) => Hook.block(Watched, "tool", `no ${JSON.stringify(result)}`))
      })
      assert.include(String(run.output), `no "order 7"`)
      assert.deepInclude(ofType(events, "tool_result")[0]?.data, { denied: true })
    }))

  it.live("an attempt to change, skip or repeat a tool call is refused", () =>
    Effect.gen(function*() {
      const changes: ReadonlyArray<Required<Hook.Points>["tool"]> = [
        (call, next) => next({ ...call, arguments: { id: 8 } }),
        () => Effect.succeed({ result: "made up", isError: false }),
        (call, next) => Effect.andThen(next(call), next(call)),
        (call, next) => Effect.map(next(call), () => ({ result: "made up", isError: false }))
      ]
      for (const tool of changes) {
        const { events } = yield* answered({ tool })
        assert.deepInclude(ofType(events, "tool_result")[0]?.data, { denied: true })
      }
    }))
})

describe("a hook around nodes", () => {
  it.live("a refusal comes before the node runs", () =>
    Effect.gen(function*() {
      const { events, model, run } = yield* answered({
        node: (call, next) => call.name === "tools" ? Hook.block(Watched, "node", "no tools") : next(call)
      })
      assert.deepInclude(run.error, { ...refusal, message: "no tools" })
      assert.strictEqual(model.calls, 1)
      assert.deepStrictEqual(ofType(events, "node_enter").map(({ data }) => data.name), ["model"])
    }))
})

describe("the door around tools of a graph", () => {
  const refusedBy = Effect.fnUntraced(function*(services: Layer.Layer<never>) {
    let found = 0
    const { graph } = lookup(() => String(found++))
    const { events } = yield* ask("?").pipe(
      Effect.provide(serve(LangGraph.layer(Ask, graph, input)).pipe(Layer.provide(services)))
    )
    return { found, result: ofType(events, "tool_result")[0]?.data.result }
  })

  it.live("a rule and the tool policy of the app refuse a call of a graph", () =>
    Effect.gen(function*() {
      const rules = PolicyRules.layer([{ name: "no finding", allows: ({ kind }) => kind !== "tool" }])
      const reason = "The rule \"no finding\" does not allow this."
      assert.deepStrictEqual(yield* refusedBy(rules), { found: 0, result: { denied: true, reason } })
      const policy = ToolPolicy.layer(() => Effect.succeed({ decision: "deny", reason: "not now" }))
      assert.deepStrictEqual(yield* refusedBy(policy), { found: 0, result: { denied: true, reason: "not now" } })
      const asks = yield* refusedBy(ToolPolicy.layer(() => Effect.succeed({ decision: "ask" })))
      assert.strictEqual(asks.found, 0)
    }))

  it.live("a call of a graph is in the audit log", () =>
    Effect.gen(function*() {
      const { graph } = lookup()
      const entries = yield* Effect.andThen(
        ask("?"),
        Audit.Audit.use((audit) => audit.page({ tenant: "local", limit: 10 }))
      ).pipe(Effect.provide(serve(LangGraph.layer(Ask, graph, input))))
      const call = entries.find(({ target }) => target === "tool/find")
      assert.deepInclude(call, { action: "call", decision: "allowed", principal: "local" })
    }))
})
