import { assert, describe, it } from "@effect/vitest"
import { Agent, App, type Event, Hook, Run, Runtime, ToolCall } from "@fastagentic/core"
import { Effect, Layer, Schema, Stream } from "effect"
import * as Prompt from "effect/ai/Prompt"
import * as Response from "effect/ai/Response"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { caller, journal, layerRuntime, settle, start, summaryOf } from "../support.ts"

class NotThere extends Schema.TaggedError<NotThere>()("NotThere", {}, { httpApiStatus: 404 }) {}

const [AppOuter, AppInner, AgentOuter, AgentInner] = [
  Hook.make("app-outer"),
  Hook.make("app-inner"),
  Hook.make("agent-outer"),
  Hook.make("agent-inner")
]

const Double = Tool.make("double", {
  description: "Doubles",
  parameters: Schema.Struct({ n: Schema.Int }),
  success: Schema.Int,
  failure: NotThere
})
const Tools = Toolkit.make(Double)

class Work extends Agent.make("work", {
  description: "Passes every point",
  payload: { n: Schema.Int },
  success: Schema.Int,
  error: NotThere
}).hook(AgentOuter, AgentInner) {}

const Acme = App.make("acme", { version: "1", agents: [Work], tools: Tools }).hook(AppOuter, AppInner)

let doubled: Array<number> = []
const ToolsLayer = Tools.toLayer({
  double: ({ n }) =>
    Effect.suspend(() => {
      doubled.push(n)
      return n < 0 ? Effect.fail(new NotThere()) : Effect.succeed(n * 2)
    })
})

const finished = Response.makePart("text-delta", { id: "1", delta: "hi" })

const WorkLayer = Work.toLayer(Effect.fn(function*({ n }) {
  const run = yield* Run.CurrentRun
  const handlers = ToolCall.handlersOf(yield* Tools)
  if (n === 404) return yield* new NotThere()
  const outcome = yield* Effect.orDie(
    ToolCall.invoke(handlers, { toolCallId: "call", name: "double", arguments: { n } })
  )
  yield* Effect.orDie(run.hooks.node({ nodeId: "1", name: "node", kind: "node" }, () => Effect.succeed(1)))
  yield* Run.step("mark", Effect.succeed(1))
  yield* run.hooks.llm(
    { callId: "1", model: "m", prompt: Prompt.make("say") },
    ({ model }) =>
      Stream.fromIterable([finished]).pipe(
        Stream.tap(() => run.emit({ type: "log", data: { level: "info", message: model } }))
      )
  )
    .pipe(Stream.runDrain, Effect.orDie)
  return Number(outcome.result)
}))

/** Writes down every point it passes, from outside in and back. */
const tracing = (name: string, trace: Array<string>): Hook.Points => {
  const passing = <A, E, R>(point: string, inner: Effect.Effect<A, E, R>) =>
    Effect.suspend(() => {
      trace.push(`${point} ${name} >`)
      return Effect.ensuring(inner, Effect.sync(() => trace.push(`${point} ${name} <`)))
    })
  return {
    request: (call, next) => passing("request", next(call)),
    tool: (call, next) => passing("tool", next(call)),
    node: (call, next) => passing("node", next(call)),
    checkpoint: (call, next) => passing("checkpoint", next(call)),
    llm: (call, next) =>
      Stream.suspend(() => {
        trace.push(`llm ${name} >`)
        return Stream.ensuring(next(call), Effect.sync(() => trace.push(`llm ${name} <`)))
      }),
    error: (failure) =>
      Effect.sync(() => {
        trace.push(`error ${name}`)
        return failure
      })
  }
}

interface Doing {
  readonly appOuter?: Hook.Points
  readonly appInner?: Hook.Points
  readonly agentOuter?: Hook.Points
  readonly agentInner?: Hook.Points
}

const withHooks = ({ agentInner = {}, agentOuter = {}, appInner = {}, appOuter = {} }: Doing) =>
  Effect.provide(
    layerRuntime(
      Acme,
      Layer.mergeAll(
        WorkLayer.pipe(Layer.provide(ToolsLayer)),
        ToolsLayer,
        AppOuter.toLayer(appOuter),
        AppInner.toLayer(appInner),
        AgentOuter.toLayer(agentOuter),
        AgentInner.toLayer(agentInner)
      )
    )
  )

const decisions = (events: ReadonlyArray<Event.RunEvent>) =>
  summaryOf(events).filter((line) => line.startsWith("hook_decision"))

describe("Hook", () => {
  it.effect("goes outside in, the app's before the agent's, at every point", () => {
    const trace: Array<string> = []
    const inward = ["app-outer", "app-inner", "agent-outer", "agent-inner"]
    const around = (point: string) => [
      ...inward.map((name) => `${point} ${name} >`),
      ...inward.toReversed().map((name) => `${point} ${name} <`)
    ]
    return Effect.gen(function*() {
      const run = yield* settle("work", { n: 2 })
      assert.strictEqual(run.output, 4)
      const [request, tool, node, checkpoint, llm] = ["request", "tool", "node", "checkpoint", "llm"].map(around)
      assert.deepStrictEqual(trace, [
        ...(request ?? []).slice(0, 4),
        // The result of a tool is a step of its own.
        ...(tool ?? []).slice(0, 4),
        ...(checkpoint ?? []),
        ...(tool ?? []).slice(4),
        // And so is what the hooks have made of it.
        ...(checkpoint ?? []),
        ...(node ?? []),
        ...(checkpoint ?? []),
        ...(llm ?? []),
        ...(request ?? []).slice(4)
      ])
      assert.deepStrictEqual(decisions(yield* journal(run.runId)), [])
    }).pipe(withHooks({
      appOuter: tracing("app-outer", trace),
      appInner: tracing("app-inner", trace),
      agentOuter: tracing("agent-outer", trace),
      agentInner: tracing("agent-inner", trace)
    }))
  })

  it.effect("sees an error from the inside out", () => {
    const trace: Array<string> = []
    return Effect.gen(function*() {
      const run = yield* settle("work", { n: 404 })
      assert.deepInclude(run.error, { tag: "NotThere", message: "told twice" })
      assert.deepStrictEqual(trace.filter((line) => line.startsWith("error")), ["error agent-inner", "error app-outer"])
    }).pipe(withHooks({
      appOuter: {
        error: (failure) =>
          Effect.map(tracing("app-outer", trace).error?.(failure, noCall) ?? Effect.succeed(failure), () => ({
            ...failure,
            message: `${failure.message} twice`
          }))
      },
      agentInner: {
        error: (failure) =>
          Effect.sync(() => {
            trace.push("error agent-inner")
            return { ...failure, message: "told" }
          })
      }
    }))
  })

  it.effect("that breaks over an error does not break the run", () =>
    Effect.gen(function*() {
      const run = yield* settle("work", { n: 404 })
      assert.deepInclude(run, { state: "failed" })
      assert.deepInclude(run.error, { tag: "InternalError", status: 500 })
      assert.deepStrictEqual(decisions(yield* journal(run.runId)), ["hook_decision app-outer error block"])
    }).pipe(withHooks({ appOuter: { error: () => Effect.die(new Error("no")) } })))

  it.effect("answers itself without going in", () => {
    doubled = []
    return Effect.gen(function*() {
      assert.strictEqual((yield* settle("work", { n: 2 })).output, 7)
      assert.deepStrictEqual(doubled, [])
    }).pipe(withHooks({ appInner: { request: () => Effect.succeed(7) } }))
  })

  it.effect("answers for a tool", () => {
    doubled = []
    return Effect.gen(function*() {
      const run = yield* settle("work", { n: 2 })
      assert.strictEqual(run.output, 8)
      assert.deepStrictEqual(doubled, [])
    }).pipe(withHooks({ agentOuter: { tool: () => Effect.succeed({ result: 8, isError: false }) } }))
  })

  it.effect("changes what goes in and what comes out, which is journaled", () => {
    doubled = []
    return Effect.gen(function*() {
      const run = yield* settle("work", { n: 2 })
      assert.strictEqual(run.output, 2_401)
      assert.deepStrictEqual(doubled, [1_200])
      const events = yield* journal(run.runId)
      assert.deepStrictEqual(decisions(events), [
        "hook_decision app-outer request modify",
        "hook_decision agent-inner tool modify",
        "hook_decision agent-inner llm modify"
      ])
      const tool = events.find((event) => event.type === "tool_start")
      assert.deepInclude(tool?.data, { arguments: { n: 1_200 }, modified: true })
      assert.isTrue(events.some((event) => event.type === "log" && event.data.message === "other"))
      assert.deepStrictEqual(run.payload, { n: 2 })
    }).pipe(withHooks({
      appOuter: {
        request: (call, next) => Effect.map(next({ ...call, payload: { n: 12 } }), (output) => Number(output) + 1)
      },
      agentInner: {
        tool: (call, next) => next({ ...call, arguments: { n: 1_200 } }),
        llm: (call, next) => next({ ...call, model: "other" })
      }
    }))
  })

  it.effect("refuses a request: the run is rejected and says by whom and why", () => {
    doubled = []
    return Effect.gen(function*() {
      const run = yield* settle("work", { n: 2 })
      assert.deepInclude(run, { state: "rejected" })
      assert.deepStrictEqual(run.error, {
        tag: "HookBlocked",
        message: "not today",
        status: 403,
        declared: false,
        rule: "hook: app-inner"
      })
      const events = yield* journal(run.runId)
      assert.deepStrictEqual(summaryOf(events), ["run_started", "hook_decision app-inner request block", "error"])
      assert.deepInclude(events[1]?.data, { reason: "not today" })
      assert.deepStrictEqual(doubled, [])
    }).pipe(withHooks({ appInner: { request: () => Hook.block(AppInner, "request", "not today") } }))
  })

  for (const point of ["tool", "node", "checkpoint"] as const) {
    it.effect(`refuses at ${point}: the run fails and says why`, () =>
      Effect.gen(function*() {
        const run = yield* settle("work", { n: 2 })
        assert.strictEqual(run.state, "failed")
        assert.deepInclude(run.error, { tag: "HookBlocked", message: "no", status: 403 })
        assert.deepStrictEqual(decisions(yield* journal(run.runId)), [`hook_decision agent-inner ${point} block`])
      }).pipe(withHooks({ agentInner: { [point]: () => Hook.block(AgentInner, point, "no") } })))
  }

  it.effect("refuses at llm", () =>
    Effect.gen(function*() {
      const run = yield* settle("work", { n: 2 })
      assert.deepInclude(run.error, { tag: "HookBlocked", message: "no" })
      assert.deepStrictEqual(decisions(yield* journal(run.runId)), ["hook_decision app-outer llm block"])
    }).pipe(withHooks({ appOuter: { llm: () => Stream.fromEffect(Hook.block(AppOuter, "llm", "no")) } })))

  it.effect("tries again by going in again, and each try is a call of its own", () => {
    doubled = []
    let tries = 0
    return Effect.gen(function*() {
      const run = yield* settle("work", { n: 1 })
      assert.strictEqual(run.output, 6)
      assert.deepStrictEqual(doubled, [-1, 2, 3])
      const events = yield* journal(run.runId)
      assert.deepStrictEqual(summaryOf(events).filter((line) => /tool|hook/u.test(line)), [
        "hook_decision agent-outer tool modify",
        "tool_start",
        "hook_decision agent-outer tool retry",
        "hook_decision agent-outer tool modify",
        "tool_start",
        "hook_decision agent-outer tool retry",
        "hook_decision agent-outer tool modify",
        "tool_start",
        "tool_result"
      ])
    }).pipe(
      withHooks({
        agentOuter: {
          tool: (call, next) => {
            const attempt = (n: number) => next({ ...call, arguments: { n } })
            return Effect.gen(function*() {
              tries++
              yield* Effect.exit(attempt(-1))
              yield* attempt(2)
              return yield* attempt(3)
            })
          }
        }
      }),
      Effect.tap(() => Effect.sync(() => assert.strictEqual(tries, 1)))
    )
  })

  it.effect("stands around a tool that is called directly, with the app's hooks only", () => {
    const trace: Array<string> = []
    return Effect.gen(function*() {
      const run = yield* settle("double", { n: 4 }, "tool")
      assert.strictEqual(run.output, 8)
      assert.deepStrictEqual(trace, [
        "request app-outer >",
        "tool app-outer >",
        "checkpoint app-outer >",
        "checkpoint app-outer <",
        "tool app-outer <",
        "checkpoint app-outer >",
        "checkpoint app-outer <",
        "request app-outer <"
      ])
    }).pipe(withHooks({ appOuter: tracing("app-outer", trace), agentOuter: tracing("agent-outer", trace) }))
  })

  it.effect("that waits can be cancelled with its run", () =>
    Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      const run = yield* start("work", { n: 1 })
      assert.strictEqual((yield* runtime.cancel(caller, run.runId)).state, "cancelled")
    }).pipe(withHooks({ appOuter: { request: () => Effect.never } })))

  it.effect("adds hooks without touching the declaration it was called on", () =>
    Effect.sync(() => {
      const bare = Agent.make("bare", { description: "", payload: {} })
      const hooked = bare.hook(AppOuter).hook(AppInner, AgentOuter)
      assert.deepStrictEqual(bare.hooks, [])
      assert.deepStrictEqual(hooked.hooks.map(({ identifier }) => identifier), [
        "app-outer",
        "app-inner",
        "agent-outer"
      ])
    }))
})

const noCall: Hook.RequestCall = {
  runId: "",
  kind: "agent",
  agent: "",
  principal: { id: "", tenant: "", scopes: [], roles: [], claims: {} },
  payload: null
}
