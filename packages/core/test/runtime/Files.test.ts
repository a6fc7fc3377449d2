import { assert, describe, it } from "@effect/vitest"
import {
  Agent,
  App,
  Audit,
  BlobStore,
  Content,
  Event,
  File,
  Files,
  Retention,
  Run,
  RunBlobs,
  RunStore,
  Runtime
} from "@fastagentic/core"
import { Effect, Layer, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { TestClock } from "effect/testing"
import { caller, journal, layerRuntime, settle } from "../support.ts"

const bytes = new Uint8Array([1, 2, 3, 250])
const base64 = "AQID+g=="

/** Counts the bytes of a photo by a tool, copies it, and shows the copy. */
class Look extends Agent.make("look", {
  description: "Looks at a photo",
  payload: { photo: File.make({ mediaTypes: ["image/*"], maxBytes: 1_000 }), more: Schema.optionalKey(Content.List) },
  success: Schema.Struct({ size: Schema.Int, copy: File.make() })
}) {}

const Measure = Tool.make("measure", {
  description: "Counts bytes",
  parameters: Schema.Struct({ file: File.make({ mediaTypes: ["image/png"] }) }),
  success: Schema.Int,
  dependencies: [Run.CurrentRun]
})

class Boss extends Agent.make("boss", {
  description: "Delegates",
  payload: { photo: File.make() },
  success: Schema.Struct({ copy: File.make() })
}) {}

class Desk extends App.make("desk", { version: "1.0.0", agents: [Look, Boss], tools: Toolkit.make(Measure) }) {}

const handlers = Layer.mergeAll(
  Look.toLayer(Effect.fn(function*({ photo }) {
    const size = yield* Effect.map(File.read(photo), ({ length }) => length)
    const copy = yield* File.save({
      bytes: (yield* File.read(photo)).slice(1),
      mediaType: "image/png",
      name: "copy.png"
    })
    yield* Run.emit(Event.custom("copied", { ...copy }))
    return { size, copy }
  })),
  Boss.toLayer(Effect.fn(function*({ photo }) {
    const { copy } = yield* Effect.orDie(Run.delegate(Look, { photo }))
    return { copy }
  })),
  Desk.tools.toLayer({ measure: ({ file }) => Effect.map(Effect.orDie(File.read(file)), ({ length }) => length) })
)

const blobs = RunBlobs.layer().pipe(Layer.provideMerge(RunStore.RunStore.layerMemory))
const kept = Layer.provideMerge(blobs, BlobStore.layerMemory)
const layer = Layer.provideMerge(layerRuntime(Desk, handlers, kept), kept)

/** Never finishes a write. */
const hanging = Layer.provideMerge(
  layerRuntime(
    Desk,
    handlers,
    Layer.merge(
      RunStore.RunStore.layerMemory,
      Layer.sync(
        Files.Files,
        () => Files.make({ ...BlobStore.makeMemory(), put: () => Effect.never }, Effect.succeed("memory"))
      )
    )
  ),
  Audit.layerMemory
)

const upload = (file: File.NewFile) => Runtime.Runtime.use((runtime) => runtime.upload(caller, file))
const reasonOf = <A, R>(effect: Effect.Effect<A, { readonly reason: unknown }, R>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)
const filesIn = Effect.map(
  BlobStore.BlobStore.use((store) => store.list("")),
  (all) => new Set(all.map(({ key }) => key))
)
/** All that was written by now is old enough. */
const sweep = Effect.andThen(TestClock.adjust("1 second"), Retention.sweepBlobs({ writtenBefore: 1_000 }))
const forget = RunStore.RunStore.use((store) =>
  store.remove({ states: ["completed"], finishedBefore: Number.MAX_SAFE_INTEGER, limit: 100 })
)

describe("files of a run", () => {
  it.effect("are stored when they come in base64, and the record has the reference only", () =>
    Effect.gen(function*() {
      const run = yield* settle("look", { photo: { bytes: base64, mediaType: "image/png", name: "a.png" } })
      assert.strictEqual(run.state, "completed")
      const { photo } = Schema.decodeUnknownSync(Schema.Struct({ photo: Schema.Record(Schema.String, Schema.Json) }))(
        run.payload
      )
      assert.deepStrictEqual({ ...photo, fileId: "" }, { mediaType: "image/png", name: "a.png", size: 4, fileId: "" })
      assert.deepInclude(run.output, { size: 4 })
      const found = yield* Runtime.Runtime.use((runtime) => runtime.file(caller, String(photo["fileId"])))
      assert.deepStrictEqual(Uint8Array.from(found.bytes), bytes)
    }).pipe(Effect.provide(layer)))

  it.effect("are described as they were uploaded, whatever the caller says about them", () =>
    Effect.gen(function*() {
      const { fileId } = yield* upload({ bytes, mediaType: "image/gif", name: "b.gif" })
      const run = yield* settle("look", { photo: { fileId, mediaType: "image/png", name: "other", size: 1 } })
      assert.deepStrictEqual(run.payload, { photo: { fileId, mediaType: "image/gif", name: "b.gif", size: 4 } })
      const text = yield* upload({ bytes, mediaType: "text/html" })
      const refused = yield* reasonOf(
        settle("look", { photo: { fileId: text.fileId, mediaType: "image/png", size: 1 } })
      )
      assert.deepInclude(refused, { _tag: "InvalidPayload" })
      assert.include(JSON.stringify(refused), "Expected a file of the type image/*, but it is text/html")
      assert.include(JSON.stringify(refused), "\"path\":[\"photo\"]")
    }).pipe(Effect.provide(layer)))

  it.effect("that are too large, of another owner, or of nobody are refused with their place", () =>
    Effect.gen(function*() {
      const large = yield* reasonOf(
        settle("look", {
          photo: { bytes: Content.image({ bytes: new Uint8Array(1_001) }, "image/png").bytes, mediaType: "image/png" }
        })
      )
      assert.include(JSON.stringify(large), "Expected at most 1000 bytes, but the file has 1001")
      const store = yield* Files.Files
      const foreign = yield* store.put({ tenant: "other", owner: "local" }, { bytes, mediaType: "image/png" })
      const shapes = yield* Effect.forEach(
        [foreign.fileId, "0".repeat(64)],
        (fileId) =>
          Effect.gen(function*() {
            const more = [Content.text("see"), Content.image({ fileId }, "image/png")]
            const photo = { bytes: base64, mediaType: "image/png" }
            const refused = yield* reasonOf(settle("look", { photo, more }))
            const unread = yield* reasonOf(Runtime.Runtime.use((runtime) => runtime.file(caller, fileId)))
            return JSON.stringify([refused, unread]).replaceAll(fileId, "ID")
          })
      )
      assert.strictEqual(new Set(shapes).size, 1)
      assert.include(shapes[0], "\"path\":[\"more\",\"1\",\"fileId\"]")
      assert.include(shapes[0], "FileNotFound")
    }).pipe(Effect.provide(layer)))

  it.effect("are the same files when a call is repeated under its key, and another call when the bytes differ", () =>
    Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      const call = (bytes: string) =>
        runtime.start(caller, {
          kind: "agent",
          identifier: "look",
          payload: { photo: { bytes, mediaType: "image/png" } },
          idempotencyKey: "once"
        })
      const first = yield* call(base64)
      const second = yield* call(base64)
      assert.strictEqual(second.run.runId, first.run.runId)
      assert.deepInclude(yield* reasonOf(call("AQID")), { _tag: "IdempotencyConflict" })
    }).pipe(Effect.provide(layer)))

  it.effect("stay as long as a run that holds them, and go with the next sweep after it", () =>
    Effect.gen(function*() {
      const unused = yield* upload({ bytes: new Uint8Array([9]), mediaType: "image/png" })
      const { fileId } = yield* upload({ bytes, mediaType: "image/png" })
      const run = yield* settle("look", { photo: { fileId, mediaType: "image/png" } })
      const { copy } = Schema.decodeUnknownSync(Look.successSchema)(run.output)
      yield* sweep
      const left = yield* filesIn
      assert.isFalse(left.has(unused.fileId))
      assert.isTrue(left.has(fileId) && left.has(copy.fileId ?? ""))
      yield* forget
      yield* sweep
      assert.strictEqual((yield* filesIn).size, 0)
    }).pipe(Effect.provide(layer)))

  it.effect("that were uploaded again, or got a hold, while a sweep was under way are not removed", () =>
    Effect.gen(function*() {
      const again = yield* upload({ bytes, mediaType: "image/png" })
      const held = yield* upload({ bytes, mediaType: "image/gif" })
      const run = yield* settle("look", { photo: { bytes: base64, mediaType: "image/webp" } })
      yield* TestClock.adjust("1 second")
      const [blobs, store, files] = [
        yield* BlobStore.BlobStore,
        yield* RunStore.RunStore.use((store) => Effect.succeed(store)),
        yield* Files.Files
      ]
      // The second reading of all pages begins here.
      let readings = 0
      const racing = RunBlobs.layer().pipe(
        Layer.provide(Layer.succeed(BlobStore.BlobStore, {
          ...blobs,
          list: (after) =>
            after === "" && ++readings === 2
              ? Effect.andThen(
                Effect.andThen(upload({ bytes, mediaType: "image/png" }), files.hold(run.runId, held.fileId)),
                blobs.list(after)
              ).pipe(Effect.provideService(Runtime.Runtime, runtime), Effect.orDie)
              : blobs.list(after)
        })),
        Layer.provide(Layer.succeed(RunStore.RunStore, store))
      )
      const runtime = yield* Runtime.Runtime
      yield* Effect.provide(Retention.sweepBlobs({ writtenBefore: 1_000 }), racing)
      const left = yield* filesIn
      assert.strictEqual(readings, 2)
      assert.isTrue(left.has(again.fileId) && left.has(held.fileId))
    }).pipe(Effect.provide(layer)))

  it.effect("of a fork and of a parent stay when the run that they came from is gone", () =>
    Effect.gen(function*() {
      const runtime = yield* Runtime.Runtime
      const { fileId } = yield* upload({ bytes, mediaType: "image/png" })
      const parent = yield* settle("boss", { photo: { fileId, mediaType: "image/png" } })
      const { copy } = Schema.decodeUnknownSync(Boss.successSchema)(parent.output)
      const forked = yield* runtime.fork(caller, parent.runId, {})
      yield* forked.settled
      const store = yield* RunStore.RunStore
      const all = yield* store.scan({ states: ["completed"], limit: 10 })
      const others = all.map(({ runId }) => runId).filter((runId) => runId !== forked.run.runId)
      yield* store.remove({
        runIds: others,
        states: ["completed"],
        finishedBefore: Number.MAX_SAFE_INTEGER,
        limit: 100
      })
      yield* sweep
      const left = yield* filesIn
      assert.isTrue(left.has(fileId) && left.has(copy.fileId ?? ""))
    }).pipe(Effect.provide(layer)))

  it.effect("reach a tool, which refuses the kinds that it does not take and files that nobody has", () =>
    Effect.gen(function*() {
      const png = yield* upload({ bytes, mediaType: "image/png" })
      const gif = yield* upload({ bytes, mediaType: "image/gif" })
      assert.strictEqual((yield* settle("measure", { file: { ...reference(png) } }, "tool")).output, 4)
      const refused = yield* reasonOf(
        settle("measure", { file: { ...reference(gif), mediaType: "image/png" } }, "tool")
      )
      assert.include(JSON.stringify(refused), "image/gif")
    }).pipe(Effect.provide(layer)))

  it.effect("have the entry of their upload before their bytes, so that a kill loses none", () =>
    Effect.gen(function*() {
      const audit = yield* Audit.Audit
      yield* Effect.forkChild(upload({ bytes, mediaType: "image/png" }), { startImmediately: true })
      const uploads = Effect.map(
        Effect.orDie(audit.page({ tenant: "local", limit: 10 })),
        (trail) => trail.filter(({ action }) => action === "upload")
      )
      const [entry] = yield* Effect.repeat(uploads, { until: (found) => found.length > 0, times: 1_000 })
      assert.match(entry?.target ?? "", /^file\/[0-9a-f]{64}$/u)
    }).pipe(Effect.provide(hanging)))

  it.effect("stay in the payload where no files are kept, and a handler reads them all the same", () =>
    Effect.gen(function*() {
      const photo = { bytes: base64, mediaType: "image/png" }
      const run = yield* settle("look", { photo })
      assert.deepStrictEqual(run.payload, { photo })
      assert.deepInclude(run.output, { size: 4 })
      const [copied] = (yield* journal(run.runId)).filter((event) => event.type === "custom")
      assert.include(JSON.stringify(copied), "\"bytes\":\"AgP6\"")
      assert.deepInclude(yield* reasonOf(upload({ bytes, mediaType: "image/png" })), { _tag: "FilesUnavailable" })
    }).pipe(Effect.provide(layerRuntime(Desk, handlers))))
})

const reference = ({ fileId, mediaType }: Files.Stored) => ({ fileId, mediaType })
