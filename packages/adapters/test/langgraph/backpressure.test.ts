import { assert, describe, it } from "@effect/vitest"
import { LangGraph } from "@fastagentic/adapters/langgraph"
import { Run } from "@fastagentic/core"
import { MessagesAnnotation, START, StateGraph } from "@langchain/langgraph"
import { Deferred, Effect, Fiber, Stream } from "effect"
import { FakeModel } from "./fakeModel.ts"
import { Ask, ask, input, ofType, serve } from "./support.ts"

const fast = () => {
  const model = new FakeModel(() => ({ texts: Array.from({ length: 500 }, (_, index) => `${index} `) }))
  const graph = new StateGraph(MessagesAnnotation)
    .addNode("model", async ({ messages }) => ({ messages: [await model.invoke(messages)] }))
    .addEdge(START, "model")
    .compile()
  return { model, layer: LangGraph.layer(Ask, graph, input) }
}

/** More than the window, far less than the answer. */
const few = 32

describe("500 fast tokens", () => {
  it.live("wait for a slow hook", () =>
    Effect.gen(function*() {
      const { layer, model } = fast()
      const slow = yield* Deferred.make<void>()
      const asked = yield* Effect.forkChild(
        ask("?").pipe(Effect.provide(serve(layer, {
          llm: (call, next) =>
            Stream.tap(
              next(call),
              (part) => part.type === "text-delta" && part.delta === "5 " ? Deferred.await(slow) : Effect.void
            )
        })))
      )
      yield* Effect.sleep("100 millis")
      assert.isBelow(model.chunks, few)
      yield* Deferred.succeed(slow, undefined)
      const { events, run } = yield* Fiber.join(asked)
      assert.strictEqual(ofType(events, "token").length, 500)
      assert.strictEqual(ofType(events, "token").map(({ data }) => data.delta).join(""), run.output)
    }))

  it.live("wait for a journal that has no room", () =>
    Effect.gen(function*() {
      const { layer, model } = fast()
      const room = yield* Deferred.make<void>()
      let emitted = 0
      const record = (yield* Effect.provide(ask("?"), serve(fast().layer))).run
      const current: Run.CurrentRun["Service"] = {
        record,
        model: undefined,
        clientTools: false,
        principal: { id: "local", tenant: "local", scopes: [], roles: [], claims: {} },
        emit: () => ++emitted > 10 ? Deferred.await(room) : Effect.void,
        step: (_name, effect) => effect,
        interrupt: () => Effect.never,
        isRecorded: () => false,
        tools: {
          authorize: () => Effect.succeed(undefined),
          admit: () => Effect.succeed(undefined),
          audit: () => Effect.void,
          refused: () => Effect.void,
          saw: () => Effect.void,
          declares: () => true,
          judge: ({ declared }) => Effect.succeed(declared)
        },
        recall: () => undefined,
        files: {
          read: () => Effect.never,
          save: () => Effect.never,
          resolve: (_places, value) => Effect.succeed(value)
        },
        receive: () => Effect.never,
        sideEffect: () => Effect.never,
        sleep: () => Effect.never,
        delegate: () => Effect.never,
        compensate: () => Effect.void,
        scope: (_name, effect) => effect,
        retract: Effect.void,
        leave: Effect.never,
        idle: (wait) => wait,
        busy: (work) => work,
        contextWindow: () => Effect.succeed(undefined),
        places: true,
        rootMessage: Effect.undefined,
        message: Effect.undefined,
        thread: { id: undefined, read: () => Effect.succeed([]), add: () => Effect.void },
        idempotencyKey: record.runId,
        decided: () => Effect.void,
        spend: ({ maxOutputTokens, model }) =>
          Effect.succeed({ model, maxOutputTokens, settle: Effect.succeed, cancelReservation: Effect.void }),
        hooks: {
          llm: (call, next) => next(call),
          tool: (call, next) => next(call),
          node: (call, next) => next(call),
          checkpoint: (call, next) => next(call)
        }
      }
      const answer = Effect.service(Ask.handler).pipe(
        Effect.flatMap((handler) => Effect.scoped(handler.run({ question: "?" }))),
        Effect.provideService(Run.CurrentRun, current),
        Effect.provide(layer)
      )
      const running = yield* Effect.forkChild(answer)
      yield* Effect.sleep("100 millis")
      assert.isBelow(model.chunks, few)
      yield* Deferred.succeed(room, undefined)
      assert.strictEqual(String(yield* Fiber.join(running)).split(" ").length, 501)
    }))
})
