import { assert, describe, it } from "@effect/vitest"
import { Content } from "@fastagentic/core"
import { Effect, Schema } from "effect"
import * as McpContent from "../../src/mcp/McpContent.ts"
import { png, serveDesk } from "../desk.ts"
import { mounted } from "../fixture.ts"
import { by } from "../http/lab.ts"
import { type CallResult, connect, kinds } from "./clients.ts"

const start = serveDesk(mounted("mcp", "rest"))
const base64 = (bytes: Uint8Array) => Content.image({ bytes }, "image/png").bytes ?? ""
const photo = { bytes: base64(png), mediaType: "image/png", name: "a.png" }

const newest = "2026-07-28"
const loaded = (content: Content.Content): McpContent.Loaded =>
  Content.isBinary(content) ? { ...content, bytes: content.bytes ?? "" } : content

const Blocks = Schema.Array(Schema.Record(Schema.String, Schema.Json))
const blocksOf = ({ content }: CallResult) => Schema.decodeUnknownSync(Blocks)(content)

describe("Content as blocks", () => {
  it.prop("is a block for every kind and revision, and the same content again", [Content.Content], ([content]) => {
    const given = loaded(content)
    for (const revision of ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", newest]) {
      const block = McpContent.toBlock(given, revision)
      if (revision < "2025-03-26") assert.notStrictEqual(block.type, "audio")
      if (revision < "2025-06-18") {
        assert.notStrictEqual(block.type, "resource_link")
        assert.notProperty(block.annotations ?? {}, "lastModified")
      }
      assert.isTrue(Content.isContent(McpContent.fromBlock(block)))
    }
    const again = McpContent.fromBlock(McpContent.toBlock(given, newest))
    if (content.type === "data") return
    assert.strictEqual(again.type, content.type)
    const { audience, lastModified, priority } = content.annotations ?? {}
    const { annotations: kept = {} } = again
    assert.deepStrictEqual([kept.audience, kept.lastModified, kept.priority], [audience, lastModified, priority])
    if (Content.isBinary(given) && Content.isBinary(again)) {
      assert.deepStrictEqual(Content.bytesOf(again), Content.bytesOf(given))
      assert.strictEqual(again.mediaType, given.mediaType)
    }
    if (content.type === "link" && again.type === "link") assert.strictEqual(again.uri, content.uri)
  })

  it.prop("is content for the blocks of any server", [Schema.String, Schema.String, Schema.String, Schema.Json], (
    [text, mimeType, uri, data]
  ) => {
    // cast: a server may send annotations that the schema of the SDK does not know.
    const annotations = data as never
    for (
      const block of [
        { type: "text", text, annotations },
        { type: "image", data: text, mimeType, annotations },
        { type: "audio", data: text, mimeType, annotations },
        { type: "resource", resource: { uri, text, mimeType }, annotations },
        { type: "resource", resource: { uri, blob: text }, annotations },
        { type: "resource_link", uri, name: text, size: -1, mimeType, annotations }
      ] as const
    ) {
      const content = McpContent.fromBlock(block)
      assert.isTrue(Content.isContent(content), JSON.stringify([block, content]))
    }
  })
})

describe("Files over MCP", () => {
  it.live("the official clients see images, links, data and annotations, with the bytes of stored files", () =>
    Effect.gen(function*() {
      const url = yield* start
      for (const kind of kinds) {
        const peer = yield* connect(kind, { _tag: "Http", url: `${url}/mcp`, headers: by("ann") })
        const call = (name: string, args: Record<string, unknown>) => Effect.promise(() => peer.callTool(name, args))
        const answered = blocksOf(yield* call("look", { photo, note: "hi", times: 2 }))
        assert.deepStrictEqual(answered.map(({ _meta: _untrusted, ...block }) => block), [
          { type: "text", text: "hi 10 2", annotations: { audience: ["user"] } },
          { type: "image", data: base64(png.toReversed()), mimeType: "image/png" },
          { type: "resource_link", uri: "https://example.com/help", name: "Help", title: "Help" },
          { type: "text", text: "{\"times\":2}" }
        ])
        for (const { _meta } of answered) assert.deepStrictEqual(_meta, { "fastagentic/untrusted": true })
        const message = [
          { type: "file", mediaType: "text/plain", bytes: base64(new TextEncoder().encode("plain")), name: "a b.txt" },
          { type: "file", mediaType: "application/pdf", bytes: photo.bytes },
          { type: "audio", mediaType: "audio/ogg", bytes: photo.bytes }
        ]
        const repeated = blocksOf(yield* call("repeat", { message }))
        assert.deepStrictEqual(repeated.map(({ _meta: _untrusted, ...block }) => block), [
          { type: "resource", resource: { uri: "attachment:a%20b.txt", mimeType: "text/plain", text: "plain" } },
          { type: "resource", resource: { uri: "attachment:", mimeType: "application/pdf", blob: photo.bytes } },
          { type: "audio", data: photo.bytes, mimeType: "audio/ogg" }
        ])
        const refused = yield* call("look", { photo: { ...photo, mediaType: "text/html" } })
        assert.isTrue(refused.isError)
        assert.include(refused.text, "Expected a file of the type image/*")
        const foreign = yield* call("look", { photo: { fileId: "0".repeat(64), mediaType: "image/png" } })
        assert.include(foreign.text, "There is no file")
      }
    }).pipe(Effect.scoped))

  it.live("a stored file that an answer names often is sent up to the limit of one result, and linked to after that", () =>
    Effect.gen(function*() {
      const url = yield* start
      const form = new FormData()
      form.append("file", new File([new Uint8Array(1_000_000)], "a.png", { type: "image/png" }))
      const stored = yield* Effect.promise(async () =>
        (await fetch(`${url}/files`, { method: "POST", headers: by("ann"), body: form })).json()
      )
      const peer = yield* connect("client 2.x, 2026-07-28", { _tag: "Http", url: `${url}/mcp`, headers: by("ann") })
      const message = Array.from({ length: 100 }, () => ({ type: "image", ...stored }))
      const blocks = blocksOf(yield* Effect.promise(() => peer.callTool("repeat", { message })))
      const kindsOfBlocks = blocks.map(({ type }) => type)
      assert.deepStrictEqual(kindsOfBlocks, [...Array(4).fill("image"), ...Array(96).fill("resource_link")])
      assert.strictEqual(blocks.at(-1)?.["uri"], `${url}/files/${stored.fileId}`)
    }).pipe(Effect.scoped))
})
