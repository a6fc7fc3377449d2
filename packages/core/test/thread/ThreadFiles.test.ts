import { assert, describe, it } from "@effect/vitest"
import { Agent, App, BlobStore, Content, Files, Message, RunStore, Runtime, Thread } from "@fastagentic/core"
import { Effect, Layer, Schema } from "effect"
import { caller, layerRuntime } from "../support.ts"

const Chat = Agent.make("chat", { description: "Talks", payload: { fileId: Schema.String }, threads: "enqueue" })
const Acme = App.make("acme", { version: "1", agents: [Chat] })

const ChatLayer = Chat.toLayer(Effect.fnUntraced(function*({ fileId }) {
  yield* Thread.add(Message.user([
    Content.file({ fileId }, "text/plain"),
    Content.binary({ bytes: new TextEncoder().encode("drawn") }, "image/png", { name: "b.png" })
  ]))
  return "seen"
}))

describe("Files of a thread", () => {
  it.live("are kept as long as the run that names them, and messages have no bytes", () => {
    const held: Array<string> = []
    const memory = Files.make(BlobStore.makeMemory(), Effect.succeed("test"))
    const files = Files.Files.of({
      ...memory,
      hold: (runId, fileId) =>
        Effect.andThen(Effect.sync(() => held.push(`${runId} ${fileId}`)), memory.hold(runId, fileId))
    })
    const stores = Layer.merge(RunStore.RunStore.layerMemory, Layer.succeed(Files.Files, files))
    return Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      const { fileId } = yield* memory.put({ tenant: "local", owner: "local" }, {
        bytes: new TextEncoder().encode("mine"),
        mediaType: "text/plain"
      })
      const { run } = yield* runtime.start(caller, {
        kind: "agent",
        identifier: "chat",
        payload: { fileId },
        threadId: "t"
      })
      while ((yield* runtime.await(caller, run.runId)).state !== "completed") yield* Effect.sleep("5 millis")
      const { items } = yield* runtime.messages(caller, "t", { limit: 9 })
      const ids = items.flatMap(({ content }) => Content.fileIdsOf(content))
      assert.strictEqual(ids.length, 2)
      for (const id of ids) assert.include(held, `${run.runId} ${id}`)
      assert.notInclude(JSON.stringify(items), "bytes")
    }).pipe(Effect.provide(layerRuntime(Acme, ChatLayer, stores)))
  })
})
