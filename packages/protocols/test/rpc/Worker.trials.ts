import { NodeWorker } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { AppRpc } from "@fastagentic/protocols/rpc"
import { Effect, Layer, Stream } from "effect"
import * as RpcClient from "effect/rpc/RpcClient"
import { Worker } from "node:worker_threads"
import { Acme } from "../fixture.ts"

const protocol = RpcClient.layerProtocolWorker({ size: 1 }).pipe(
  Layer.provide(NodeWorker.layer(() => new Worker(new URL("worker.ts", import.meta.url)))),
  Layer.orDie
)

describe("An app in a worker", () => {
  it.live("is called with the same group, from its answer to its interrupts", () =>
    Effect.gen(function*() {
      const call = yield* RpcClient.make(AppRpc.make(Acme))
      assert.strictEqual(yield* call["agents/echo"]({ text: "one two" }), "one two ")
      const events = yield* Stream.runCollect(call["agents/echo/stream"]({ text: "a b" }))
      assert.strictEqual(events.at(-1)?.type, "done")
      const asked = yield* Effect.flip(call["agents/support"]({ question: "refund order 1042" }))
      assert(asked._tag === "RunSuspended")
      const { interrupts: [question], run: { runId } } = asked
      yield* call["runs/answer"]({ runId, interruptId: question?.id ?? "", decision: "approve", value: true })
      const end = yield* Stream.runLast(call["runs/events"]({ runId }))
      assert.strictEqual(end._tag === "Some" ? end.value.type : "none", "done")
      const failed = yield* Effect.flip(call["agents/support"]({ question: "order 7" }))
      assert.deepInclude(failed, { _tag: "OrderNotFound", orderId: 7 })
    }).pipe(Effect.provide(protocol), Effect.scoped))
})
