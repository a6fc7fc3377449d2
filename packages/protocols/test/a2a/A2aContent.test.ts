import { assert, describe, it } from "@effect/vitest"
import { Content } from "@fastagentic/core"
import { A2aSchema } from "@fastagentic/protocols/a2a"
import { Effect, Schema } from "effect"
import * as A2aContent from "../../src/a2a/A2aContent.ts"
import { png, serveDesk } from "../desk.ts"
import { mounted } from "../fixture.ts"
import { by } from "../http/lab.ts"
import { get } from "../http/rest.ts"
import { connect, sendParts, sendPartsFails, streamParts } from "./support.ts"

const links = A2aContent.linksOf("https://agents.example.com/app")
const start = serveDesk(mounted("a2a", "rest"))
const raw = Content.image({ bytes: png }, "image/png").bytes ?? ""

const bytesOf = (response: Response) =>
  Effect.map(Effect.promise(() => response.arrayBuffer()), (buffer) => new Uint8Array(buffer))

describe("Content as parts", () => {
  it.prop("is the same content after a part of it, for every kind", [Content.Content], ([content]) => {
    const part = A2aContent.toPart(content, links)
    assert.doesNotThrow(() => Schema.decodeUnknownSync(A2aSchema.Part)(part))
    assert.strictEqual(
      JSON.stringify(sorted(A2aContent.fromPart(part, links))),
      JSON.stringify(sorted(content))
    )
  })

  it.prop(
    "is content for every part, whatever a client writes into it",
    [Schema.Literals(["text", "url", "data", "raw"]), Schema.String, Schema.String, Schema.String, Schema.Json],
    ([kind, value, filename, mediaType, annotations]) => {
      const content = A2aContent.fromPart({ [kind]: value, filename, mediaType, metadata: { annotations } }, links)
      // Bytes that are no base64 are refused with the payload that they are in.
      if (kind !== "raw") assert.isTrue(Content.isContent(content), JSON.stringify(content))
    }
  )

  it("reads both alphabets of base64", () => {
    assert.strictEqual(A2aContent.base64Of("-_8"), "+/8=")
    assert.strictEqual(A2aContent.base64Of("AQID"), "AQID")
  })
})

describe("Files over A2A", () => {
  it.live("a file part fills the payload, and content comes back as artifacts", () =>
    Effect.gen(function*() {
      const url = yield* start
      const client = yield* connect(url, undefined, by("ann"))
      const parts = [
        { data: { note: "hi" } },
        { raw, filename: "a.png", mediaType: "image/png" }
      ]
      const task = yield* sendParts(client, parts, { skill: "look" })
      assert.strictEqual(task.status.state, "TASK_STATE_COMPLETED")
      const byId = new Map(task.artifacts?.map(({ artifactId, parts }) => [artifactId, parts]))
      const output = byId.get("output") ?? []
      assert.deepStrictEqual(output.map((part) => Object.keys(part)[0]), ["text", "url", "url", "data"])
      assert.deepInclude(output[0], { text: "hi 10 1" })
      assert.deepInclude(output[2], { url: "https://example.com/help" })
      const [image] = byId.get("content") ?? []
      assert.deepInclude(image, { mediaType: "image/png", filename: "mirrored.png" })
      assert.deepStrictEqual(image, output[1])
      assert.deepStrictEqual(yield* bytesOf(yield* get(image?.url ?? "", by("ann"))), png.toReversed())
      assert.strictEqual((yield* get(image?.url ?? "", by("dan"))).status, 404)
      // The message of the task has the file, by its address.
      const [message] = task.history ?? []
      assert.deepInclude(message?.parts[0], { data: { note: "hi" } })
      assert.deepInclude(message?.parts[1], { filename: "a.png", mediaType: "image/png" })
      assert.notInclude(JSON.stringify(task), raw)
      // The address of a stored file is a file again.
      const again = yield* sendParts(client, [{ url: image?.url ?? "" }], { skill: "look" })
      assert.strictEqual(again.status.state, "TASK_STATE_COMPLETED")
    }).pipe(Effect.scoped))

  it.live("an agent that takes content gets every part, and a stream shows what it says", () =>
    Effect.gen(function*() {
      const url = yield* start
      const client = yield* connect(url, undefined, by("ann"))
      const task = yield* sendParts(
        client,
        [{ text: "look" }, { raw, mediaType: "image/png" }, { data: { a: 1 } }],
        { skill: "repeat" }
      )
      const [artifact] = task.artifacts ?? []
      assert.deepStrictEqual(artifact?.parts.map((part) => Object.keys(part)[0]), ["text", "url", "data"])
      const updates = yield* streamParts(client, [{ raw, mediaType: "image/png" }], { skill: "look" })
      const artifacts = updates.flatMap((update) => "artifactUpdate" in update ? [update.artifactUpdate] : [])
      assert.deepStrictEqual(artifacts.map(({ artifact }) => artifact.artifactId), ["content", "output"])
    }).pipe(Effect.scoped))

  it.live("a file that an agent does not take, of another owner, or of another server is refused", () =>
    Effect.gen(function*() {
      const url = yield* start
      const client = yield* connect(url, undefined, by("ann"))
      const refusal = (parts: ReadonlyArray<Record<string, unknown>>, skill = "look") =>
        Effect.map(sendPartsFails(client, parts, { skill }), ({ message }) => message)
      assert.include(yield* refusal([{ raw, mediaType: "text/html" }]), "photo: Expected a file of the type image/*")
      const file = { raw, mediaType: "image/png" }
      assert.include(yield* refusal([file, file]), "it takes one file")
      assert.include(yield* refusal([{ url: `${url}/files/${"0".repeat(64)}` }]), "photo.fileId: There is no file")
      assert.include(yield* refusal([{ url: "https://other.example/x.png" }]), "takes no url part")
    }).pipe(Effect.scoped))
})

/** The fields of a record in one order. */
const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(
    Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map(([key, part]) => [key, sorted(part)])
  )
}
