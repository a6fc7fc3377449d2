import { assert, describe, it } from "@effect/vitest"
import { Agent, App, BlobStore, Content, Files, Message, RunBlobs, RunStore, Runtime, Thread } from "@fastagentic/core"
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

  it.live("outlive their runs: they go with the last thread that names them", () => {
    const blobs = BlobStore.makeMemory()
    const stores = RunBlobs.layer().pipe(
      Layer.provide(Layer.succeed(BlobStore.BlobStore, blobs)),
      Layer.provideMerge(RunStore.RunStore.layerMemory)
    )
    return Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      const store = yield* RunStore.RunStore
      const files = Files.make(blobs, store.identity)
      const { fileId } = yield* files.put({ tenant: "local", owner: "local" }, {
        bytes: new TextEncoder().encode("mine"),
        mediaType: "text/plain"
      })
      const { run } = yield* runtime.start(caller, {
        kind: "agent",
        identifier: "chat",
        payload: { fileId },
        threadId: "t".repeat(512)
      })
      while ((yield* runtime.await(caller, run.runId)).state !== "completed") yield* Effect.sleep("5 millis")
      const { items: [thread] } = yield* runtime.threads(caller, { limit: 1 })
      const { items } = yield* runtime.messages(caller, thread?.threadId ?? "", { limit: 9 })
      const ids = items.flatMap(({ content }) => Content.fileIdsOf(content))
      assert.strictEqual(ids.length, 2)
      const states = ["completed"] as const
      yield* store.remove({ runIds: [run.runId], states, finishedBefore: Date.now() + 1, limit: 9 })
      assert.isUndefined(yield* store.get(run.runId))
      const left = Effect.gen(function*() {
        yield* store.sweepBlobs?.({ writtenBefore: Date.now() + 1_000 }) ?? Effect.void
        return (yield* Effect.forEach(ids, (id) => blobs.has(id))).filter((is) => is).length
      })
      assert.strictEqual(yield* left, 2)
      const fork = yield* runtime.forkThread(caller, thread?.threadId ?? "", {})
      yield* runtime.eraseThread(caller, thread?.threadId ?? "")
      assert.strictEqual(yield* left, 2)
      assert.strictEqual(new TextDecoder().decode(yield* files.read(fileId)), "mine")
      yield* runtime.eraseThread(caller, fork.threadId)
      assert.strictEqual(yield* left, 0)
    }).pipe(Effect.provide(layerRuntime(Acme, ChatLayer, stores)))
  })
})
