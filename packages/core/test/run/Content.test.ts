import { assert, describe, it } from "@effect/vitest"
import { Content } from "@fastagentic/core"
import { Schema } from "effect"

const fileId = "a".repeat(64)
const is = Schema.is(Content.Content)

describe("Content", () => {
  it("is JSON: a value survives its own text unchanged", () => {
    const values: ReadonlyArray<Content.Content> = [
      Content.text("hello", { mediaType: "text/markdown", annotations: { audience: ["user"], priority: 1 } }),
      Content.image({ bytes: new Uint8Array([1, 2, 3]) }, "image/png", { name: "dot.png" }),
      Content.audio({ fileId, size: 7 }, "audio/ogg"),
      Content.file({ fileId }, "application/pdf"),
      Content.link("handbook://refunds", { title: "Refunds" }),
      Content.data({ total: 3 })
    ]
    assert.deepStrictEqual(Schema.decodeUnknownSync(Content.List)(JSON.parse(JSON.stringify(values))), values)
    assert.isTrue(Content.isList(values))
    assert.deepStrictEqual(Content.fileIdsOf(values), [fileId, fileId])
    assert.strictEqual(Content.textOf(values), "hello")
  })

  it("holds exactly one source of bytes", () => {
    const image = { type: "image", mediaType: "image/png" }
    assert.isFalse(is(image))
    assert.isFalse(is({ ...image, bytes: "AQID", fileId }))
    assert.isTrue(is({ ...image, bytes: "AQID" }))
    assert.isTrue(is({ ...image, fileId }))
  })

  it("refuses media types, names, ids, links and base64 that are none", () => {
    const file = { type: "file", mediaType: "text/plain", bytes: "AQID" }
    for (
      const mediaType of [
        "",
        "text",
        "text/",
        "text/html\r\nx: y",
        "a/b; c",
        "a/b\r\n;c=d",
        "a/b;\nc=d",
        "text/plain, text/html"
      ]
    ) {
      assert.isFalse(is({ ...file, mediaType }), mediaType)
    }
    assert.isTrue(is({ ...file, mediaType: "text/plain; charset=\"utf-8\"" }))
    for (const name of ["", "a\r\nb", "a\0", "x".repeat(256)]) assert.isFalse(is({ ...file, name }), name)
    assert.isFalse(is({ ...file, bytes: "AQI" }))
    assert.isFalse(is({ ...file, bytes: "AQI*" }))
    assert.isFalse(is({ type: "file", mediaType: "text/plain", fileId: "../../etc/passwd" }))
    for (const uri of ["handbook", "javascript:alert(1)", "JAVASCRIPT:alert(1)", "data:text/html,x", "http://a b"]) {
      assert.isFalse(is({ type: "link", uri }), uri)
    }
    assert.isFalse(is({ type: "video", uri: "https://a.example" }))
  })

  it("knows large base64 without recursion, and its size without decoding", () => {
    const bytes = Content.bytesOf(Content.file({ bytes: new Uint8Array(3_000_001) }, "application/octet-stream"))
    assert.strictEqual(bytes?.length, 3_000_001)
    assert.isTrue(is(Content.file({ bytes: new Uint8Array(3_000_001) }, "application/octet-stream")))
  })

  it.prop("gives back the bytes that it was made of, and their number", [Schema.Uint8Array], ([bytes]) => {
    const content = Content.binary({ bytes }, "image/gif")
    assert.strictEqual(content.type, "image")
    assert.deepStrictEqual(Content.bytesOf(content), new Uint8Array(bytes))
    assert.strictEqual(Content.sizeOf(content.bytes ?? ""), bytes.length)
  })

  it.prop("decodes and encodes to itself", [Content.Content], ([content]) => {
    // JSON has no -0.
    const plain: unknown = JSON.parse(JSON.stringify(content))
    const decoded: unknown = Schema.decodeUnknownSync(Content.Content)(plain)
    assert.deepStrictEqual(decoded, plain)
  })
})
