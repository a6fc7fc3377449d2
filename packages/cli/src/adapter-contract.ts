/**
 * The conformance kit for adapters: what an adapter promises in its `AdapterCapabilities` is played through a socket on
 * SQLite, with kills between any two steps. A test file of the adapter calls `suite` once.
 *
 * @since 0.1.0
 */
import { assert, describe, it } from "@effect/vitest"
import { Event } from "@fastagentic/core"
import type { AdapterCapabilities } from "@fastagentic/core/app/AdapterCapabilities"
import { Cause, Effect } from "effect"
import * as AppParts from "./internal/contract/appParts.ts"
import {
  NoSuchOrder,
  Play,
  type Point,
  type Question,
  scripts,
  type ToolName,
  type Turn
} from "./internal/contract/play.ts"
import { probe } from "./internal/contract/probes.ts"
import * as Stage from "./internal/contract/stage.ts"

export {
  /** The declared error of the kit's agent. @category models @since 0.1.0 */
  NoSuchOrder,
  /** The play of one test: the answers of the model, and the work of the tools. @category models @since 0.1.0 */
  Play
}

/**
 * The tools of the play as a toolkit of an app, for the test of an agent that a function of the run makes.
 *
 * @category fixtures
 * @since 0.1.0
 */
export const toolkit = AppParts.toolkit

/**
 * The handlers of that toolkit, and a model of the app that performs the play.
 *
 * @category fixtures
 * @since 0.1.0
 */
export const layerApp = (play: Play) => AppParts.layer(() => play)

/** @category models @since 0.1.0 */
export type { Question, ToolName, Turn }

/** The agent that the adapter implements. @category models @since 0.1.0 */
export type Subject = typeof Stage.Subject

/**
 * An adapter with its framework's fake model.
 *
 * `perform` implements the agent: its model gives `play.answer(answers, heard, signal)`, its tools `look`, `refund` and `pay`
 * do `play.work(name, args, signal)`, and `pay` needs an approval.
 *
 * @category models
 * @since 0.1.0
 */
export interface Fixture {
  readonly capabilities: AdapterCapabilities
  readonly perform: Stage.Perform
  /** The receiver of a denial: the model, or the run, which fails with `InterruptDenied`. By default the model. */
  readonly denial?: "model" | "run"
  /** Whether an approver can edit the arguments of a call; by default where hooks can. */
  readonly edits?: boolean
  /** How far hooks reach in this agent, if that is further than the adapter says of every agent. */
  readonly reaches?: AdapterCapabilities["hooks"]
  /** Whether the adapter sees tool calls and their arguments; `false` for code that nobody looks into. */
  readonly sees?: { readonly models: boolean; readonly tools: boolean }
  /** Whether an error that a model or a tool throws reaches the run; `false` for a framework that keeps it. */
  readonly declares?: boolean
}

const points: ReadonlyArray<Point> = ["model 0", "tool look", "model 1", "tool refund", "model 2"]

const wholeText = (question: Question) => scripts[question].flatMap(({ texts }) => texts).join("")

const lastText = (question: Question) => scripts[question].at(-1)?.texts.join("") ?? ""

const textOf = (events: ReadonlyArray<Event.RunEvent>) =>
  events.flatMap((event) => event.type === "token" ? [event.data.delta] : []).join("")

const idsOf = (events: ReadonlyArray<Event.RunEvent>, type: "tool_call" | "tool_start" | "tool_result") =>
  events.flatMap((event) =>
    event.type === "tool_call" || event.type === "tool_start" || event.type === "tool_result"
      ? event.type === type ? [event.data.toolCallId] : []
      : []
  )

/**
 * Declares the tests that every adapter passes; those of a capability that it does not have are about the refusal.
 *
 * @category contracts
 * @since 0.1.0
 */
export const suite = (
  name: string,
  {
    capabilities,
    declares = true,
    denial = "model",
    reaches = capabilities.hooks,
    edits = reaches.tool === "modify",
    perform,
    sees = { models: true, tools: true }
  }: Fixture
) =>
  describe(`${name}, on SQLite through a socket`, () => {
    const isBarrier = capabilities.commit === "barrier"
    const stage = (play: Play, options: Partial<Stage.Staging> = {}) =>
      Stage.serve({ perform, durable: isBarrier, play, ...options })

    it.live("the tokens are the text, and tool events tell of calls that happened", () =>
      Effect.gen(function*() {
        const play = new Play()
        const server = yield* stage(play)
        const runId = yield* server.start("plain")
        const { error, output, state } = yield* server.ended(runId)
        assert.deepStrictEqual({ state, error, output }, {
          state: "completed",
          error: undefined,
          output: lastText("plain")
        })
        const events = Event.visible(yield* server.journal(runId))
        assert.strictEqual(textOf(events), wholeText("plain"))
        assert.deepStrictEqual(play.ended, points)
        if (!sees.tools) return
        for (const type of ["tool_call", "tool_start", "tool_result"] as const) {
          assert.strictEqual(new Set(idsOf(events, type)).size, 2, type)
          assert.strictEqual(idsOf(events, type).length, 2, type)
        }
        for (const id of idsOf(events, "tool_result")) {
          const at = (type: string) =>
            events.findIndex((event) =>
              event.type === type && "toolCallId" in event.data && event.data.toolCallId === id
            )
          assert.isTrue(at("tool_call") < at("tool_start") && at("tool_start") < at("tool_result"), id)
        }
        const results = events.flatMap((event) => event.type === "tool_result" ? [event.data.result] : [])
        assert.deepStrictEqual(results, ["look of 7 is done", "refund of 7 is done"])
      }).pipe(Effect.scoped))

    if (capabilities.usage) {
      it.live("the usage of a run is the sum of what its model reported", () =>
        Effect.gen(function*() {
          const server = yield* stage(new Play())
          const runId = yield* server.start("plain")
          const { usage } = yield* server.ended(runId)
          assert.deepInclude(usage, { inputTokens: 30, outputTokens: 9 })
        }).pipe(Effect.scoped))
    }

    if (isBarrier) {
      for (const point of points) {
        it.live(`a run whose process dies in ${point} ends elsewhere, and no finished work is done again`, () =>
          Effect.gen(function*() {
            const dying = new Play(point)
            const first = yield* stage(dying)
            const runId = yield* first.start("plain")
            yield* Effect.promise(() => dying.hangs)
            const folder = Stage.copyOf(first.folder)
            const play = new Play()
            const second = yield* stage(play, { folder })
            const { error, output, state } = yield* second.ended(runId)
            assert.deepStrictEqual({ state, error, output }, {
              state: "completed",
              error: undefined,
              output: lastText("plain")
            })
            assert.deepStrictEqual(play.ended, points.slice(points.indexOf(point)))
            const events = Event.visible(yield* second.journal(runId))
            assert.strictEqual(textOf(events), wholeText("plain"))
            if (sees.tools) assert.strictEqual(idsOf(events, "tool_result").length, 2)
            if (capabilities.usage) assert.deepInclude((yield* second.run(runId)).usage, { inputTokens: 30 })
          }).pipe(Effect.scoped))
      }
    } else {
      it.live("a durable agent does not start, because finished work would be done again", () =>
        Effect.gen(function*() {
          const exit = yield* Effect.exit(Effect.scoped(stage(new Play(), { durable: true })))
          assert.strictEqual(exit._tag, "Failure")
          if (exit._tag === "Failure") assert.match(Cause.pretty(exit.cause), /agent "subject": it is durable/u)
        }))
    }

    if (isBarrier && reaches.tool === "modify") {
      it.live("calls side by side, and an id that comes again, are kept apart over a process that dies", () =>
        Effect.gen(function*() {
          const dying = new Play("tool refund")
          const first = yield* stage(dying)
          const runId = yield* first.start("pair")
          yield* Effect.promise(() => dying.hangs)
          for (
            let tries = 0;
            tries < 200 && !JSON.stringify(yield* first.journal(runId)).includes("look of 1");
            tries++
          ) {
            yield* Effect.sleep("10 millis")
          }
          const play = new Play()
          const second = yield* stage(play, { folder: Stage.copyOf(first.folder) })
          assert.strictEqual((yield* second.ended(runId)).state, "completed")
          assert.deepStrictEqual(play.ended, ["tool refund", "model 1", "tool refund", "model 2"])
          const events = Event.visible(yield* second.journal(runId))
          const results = events.flatMap((event) => event.type === "tool_result" ? [event.data.result] : [])
          assert.deepStrictEqual(results, ["look of 1 is done", "refund of 1 is done", "refund of 2 is done"])
          assert.strictEqual(new Set(idsOf(events, "tool_call")).size, 3)
        }).pipe(Effect.scoped))
    }

    it.live("a cancellation reaches the tool that works", () =>
      Effect.gen(function*() {
        const play = new Play("tool look")
        const server = yield* stage(play)
        const runId = yield* server.start("plain")
        yield* Effect.promise(() => play.hangs)
        yield* server.request("POST", `/runs/${runId}/cancel`, {})
        assert.strictEqual((yield* server.ended(runId)).state, "cancelled")
        for (let tries = 0; tries < 100 && !play.aborted; tries++) yield* Effect.sleep("10 millis")
        assert.isTrue(play.aborted)
        assert.notInclude(play.begun, "model 1")
      }).pipe(Effect.scoped))

    if (capabilities.interrupts) {
      const asked = Effect.fnUntraced(function*() {
        const play = new Play()
        const server = yield* stage(play)
        const runId = yield* server.start("approve")
        assert.strictEqual((yield* server.until(runId, "suspended", "completed", "failed")).state, "suspended")
        assert.notInclude(play.begun, "tool pay")
        const [one] = yield* server.open(runId)
        return { play, server, runId, id: one?.id }
      })
      const decide = (
        server: Effect.Success<ReturnType<typeof stage>>,
        runId: string,
        id: string | undefined,
        decision: object
      ) => server.request("POST", `/runs/${runId}/interrupts/${id}`, decision)

      if (isBarrier) {
        it.live("an approval that comes after a restart lets the call be made, once", () =>
          Effect.gen(function*() {
            const { id, runId, server: { folder } } = yield* asked()
            const play = new Play()
            const server = yield* stage(play, { folder: Stage.copyOf(folder) })
            assert.strictEqual((yield* decide(server, runId, id, { decision: "approve" })).status, 202)
            const { output, state } = yield* server.ended(runId)
            assert.deepStrictEqual({ state, output }, { state: "completed", output: lastText("approve") })
            assert.deepStrictEqual(play.ended, ["tool pay", "model 1"])
            assert.strictEqual(textOf(Event.visible(yield* server.journal(runId))), wholeText("approve"))
          }).pipe(Effect.scoped))
      }

      it.live(`a call that is denied is not made, and the ${denial} learns of it`, () =>
        Effect.gen(function*() {
          const { id, play, runId, server } = yield* asked()
          yield* decide(server, runId, id, { decision: "deny", reason: "too much" })
          assert.strictEqual((yield* server.ended(runId)).state, denial === "model" ? "completed" : "failed")
          assert.notInclude(play.begun, "tool pay")
          if (denial === "model") assert.include(play.asked.at(-1), "too much")
        }).pipe(Effect.scoped))

      it.live("a run that waits for a decision can be cancelled", () =>
        Effect.gen(function*() {
          const { play, runId, server } = yield* asked()
          yield* server.request("POST", `/runs/${runId}/cancel`, {})
          assert.strictEqual((yield* server.ended(runId)).state, "cancelled")
          assert.notInclude(play.begun, "tool pay")
        }).pipe(Effect.scoped))

      if (edits) {
        it.live("a call whose arguments the approver edits is made with those", () =>
          Effect.gen(function*() {
            const { id, play, runId, server } = yield* asked()
            const edited = yield* decide(server, runId, id, { decision: "edit", value: { order: 5 } })
            assert.strictEqual(edited.status, 202, JSON.stringify(edited.body))
            assert.strictEqual((yield* server.ended(runId)).state, "completed")
            assert.deepStrictEqual(play.args, [{ order: 5 }])
            assert.include(play.asked.at(-1), "pay of 5 is done")
          }).pipe(Effect.scoped))
      }
    }

    if (capabilities.budget) {
      it.live("a hard limit of the budget stops the next call of the model", () =>
        Effect.gen(function*() {
          const play = new Play()
          // The first call costs 40 millionths; the second would go beyond.
          const server = yield* stage(play, { budget: Stage.limited(0.000_035) })
          const { error, state } = yield* server.ended(yield* server.start("plain"))
          assert.strictEqual(state, "failed")
          assert.deepInclude(error, { tag: "BudgetExceeded" })
          assert.notInclude(play.begun, "model 2")
        }).pipe(Effect.scoped))
    }

    if (declares) {
      it.live("a declared error that is thrown inside arrives as that error", () =>
        Effect.gen(function*() {
          const server = yield* stage(new Play())
          const { error, state } = yield* server.ended(yield* server.start("missing"))
          assert.strictEqual(state, "failed")
          assert.deepInclude(error, { status: 404, declared: true, value: { _tag: "NoSuchOrder", order: 4 } })
        }).pipe(Effect.scoped))
    }

    it.live("an unknown error says nothing of itself to callers", () =>
      Effect.gen(function*() {
        const server = yield* stage(new Play())
        const { error, state } = yield* server.ended(yield* server.start("broken"))
        assert.strictEqual(state, "failed")
        assert.notInclude(JSON.stringify(error), "hunter2")
      }).pipe(Effect.scoped), 20_000)

    if (capabilities.usage) {
      it.live("a prompt that its model refuses as too long ends the run as such", () =>
        Effect.gen(function*() {
          const server = yield* stage(new Play())
          const { error, state } = yield* server.ended(yield* server.start("tooLong"))
          assert.strictEqual(state, "failed")
          assert.deepInclude(error, { tag: "ContextExceeded", status: 413 })
          assert.include(JSON.stringify(error), "203456 tokens")
        }).pipe(Effect.scoped), 20_000)
    }

    it.live("runs at the same time keep their words apart", () =>
      Effect.gen(function*() {
        const server = yield* stage(new Play())
        const questions = ["plain", "twins", "plain", "twins", "plain", "twins"] as const
        const runs = yield* Effect.forEach(questions, (question) => server.start(question), {
          concurrency: "unbounded"
        })
        for (const [index, question] of questions.entries()) {
          const runId = runs[index] ?? ""
          assert.strictEqual((yield* server.ended(runId)).output, lastText(question))
          assert.strictEqual(textOf(yield* server.journal(runId)), wholeText(question))
        }
      }).pipe(Effect.scoped))

    it.live("the capabilities are those that the kit finds", () =>
      Effect.gen(function*() {
        const found = yield* probe(perform)
        const { budget, commit, interrupts, tokens, toolInjection, usage } = capabilities
        const said = { budget, commit: commit === "barrier", hooks: reaches, interrupts, tokens, toolInjection, usage }
        assert.deepStrictEqual(found, said)
      }), 120_000)

    it.live("callers read the capabilities in the list of agents", () =>
      Effect.gen(function*() {
        const server = yield* stage(new Play())
        const { body } = yield* server.request("GET", "/agents")
        assert.deepStrictEqual(Stage.capabilitiesIn(body), capabilities)
      }).pipe(Effect.scoped))
  })
