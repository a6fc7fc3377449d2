import { assert, describe, it } from "@effect/vitest"
import { LangGraph } from "@fastagentic/adapters/langgraph"
import { Runtime } from "@fastagentic/core"
import { MessagesAnnotation, START, StateGraph } from "@langchain/langgraph"
import { Effect } from "effect"
import { FakeModel } from "./fakeModel.ts"
import { Ask, caller, input, journal, ofType, row, serve, start } from "./support.ts"

/** A gate in a graph that a test awaits or opens. */
const gate = () => {
  let open = () => {}
  const promise = new Promise<void>((resolve) => {
    open = resolve
  })
  return { open: () => open(), isOpen: Effect.promise(() => promise) }
}

const pause = (millis: number, signal?: AbortSignal) =>
  new Promise<void>((resolve, reject) => {
    const timer = setTimeout(resolve, millis)
    signal?.addEventListener("abort", () => {
      clearTimeout(timer)
      reject(signal.reason)
    })
  })

const cancelled = Effect.fnUntraced(function*(runId: string) {
  const runtime = yield* Runtime.Runtime
  yield* runtime.cancel(caller, runId, "enough")
  const events = yield* journal(runId)
  assert.strictEqual(events.at(-1)?.type, "run_cancelled")
  return events
})

describe("a cancelled run", () => {
  const polite = { started: gate(), finished: false, next: false, aborted: false }

  it.live("the node that checks its signal stops, and no other starts", () =>
    Effect.gen(function*() {
      const runId = yield* start("?")
      yield* polite.started.isOpen
      const events = yield* cancelled(runId)
      yield* Effect.sleep("150 millis")
      assert.deepStrictEqual(polite, { ...polite, aborted: true, finished: false, next: false })
      assert.strictEqual(ofType(events, "node_enter").length, 1)
    }).pipe(Effect.provide(serve(LangGraph.layer(
      Ask,
      row({
        slow: async (signal) => {
          signal?.addEventListener("abort", () => {
            polite.aborted = true
          })
          polite.started.open()
          await pause(100, signal)
          polite.finished = true
        },
        next: () => {
          polite.next = true
        }
      }),
      input
    )))))

  const deaf = { started: gate(), next: false }

  it.live("no node starts after one that ignores the signal", () =>
    Effect.gen(function*() {
      const runId = yield* start("?")
      yield* deaf.started.isOpen
      yield* cancelled(runId)
      yield* Effect.sleep("150 millis")
      assert.isFalse(deaf.next)
      assert.strictEqual((yield* journal(runId)).at(-1)?.type, "run_cancelled")
    }).pipe(Effect.provide(serve(LangGraph.layer(
      Ask,
      row({
        slow: async () => {
          deaf.started.open()
          await pause(100)
        },
        next: () => {
          deaf.next = true
        }
      }),
      input
    )))))

  const answering = gate()
  const endless = new FakeModel(() => ({ texts: Array.from({ length: 100_000 }, () => "x") }))
  const streaming = new StateGraph(MessagesAnnotation)
    .addNode("model", async ({ messages }) => {
      setTimeout(answering.open, 20)
      return { messages: [await endless.invoke(messages)] }
    })
    .addEdge(START, "model")
    .compile()

  it.live("a model is stopped in the middle of its answer", () =>
    Effect.gen(function*() {
      const runId = yield* start("?")
      yield* answering.isOpen
      yield* cancelled(runId)
      const soFar = endless.chunks
      yield* Effect.sleep("50 millis")
      assert.strictEqual(endless.chunks, soFar)
      assert.isBelow(soFar, 100_000)
    }).pipe(Effect.provide(serve(LangGraph.layer(Ask, streaming, input)))))
})
