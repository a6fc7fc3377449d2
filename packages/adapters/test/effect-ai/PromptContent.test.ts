import { assert, describe, it } from "@effect/vitest"
import { Content } from "@fastagentic/core"
import { Schema } from "effect"
import * as Prompt from "effect/ai/Prompt"
import * as Response from "effect/ai/Response"
import { PromptContent } from "../../src/effect-ai/index.ts"

describe("Content in prompts", () => {
  it.prop("is a part for content of every kind, and content again for every part", [Content.Content], ([content]) => {
    if (Content.isBinary(content) && content.bytes === undefined) return
    const part = PromptContent.fromContent(
      Content.isBinary(content) ? { ...content, bytes: content.bytes ?? "" } : content
    )
    const again = PromptContent.fromPart(part)
    assert.isTrue(Content.isContent(again), JSON.stringify(again))
    if (content.type === "text") assert.deepStrictEqual(again, Content.text(content.text))
    if (!Content.isBinary(content) || !Content.isBinary(again)) return
    assert.deepStrictEqual(Content.bytesOf(again), Content.bytesOf(content))
    assert.deepStrictEqual([again.mediaType, again.name], [content.mediaType, content.name])
  })

  it.prop("reads file parts whatever a provider says about them", [Schema.String, Schema.String, Schema.String], (
    [mediaType, data, fileName]
  ) => {
    const part = Prompt.makePart("file", { mediaType, data, fileName })
    assert.isTrue(Content.isContent(PromptContent.fromPart(part)))
    const answered = Response.makePart("file", { mediaType, data: new TextEncoder().encode(data) })
    assert.isTrue(Content.isContent(PromptContent.fromResponsePart(answered)))
  })

  it("keeps links apart: a provider fetches images, and nothing runs", () => {
    const image = PromptContent.fromContent(Content.link("https://a.example/x.png", { mediaType: "image/png" }))
    assert.strictEqual(image.type === "file" && String(image.data), "https://a.example/x.png")
    const page = PromptContent.fromContent(Content.link("https://a.example/", { title: "A" }))
    assert.strictEqual(page.type === "text" && page.text, "A: https://a.example/")
    const source = Schema.decodeUnknownSync(Schema.toCodecJson(Response.UrlSourcePart))({
      type: "source",
      sourceType: "url",
      id: "1",
      url: "javascript:alert(1)",
      title: "x"
    })
    assert.strictEqual(PromptContent.fromResponsePart(source).type, "text")
    const inline = PromptContent.fromPart(
      Prompt.makePart("file", { mediaType: "image/png", data: "data:image/png;base64,AQID" })
    )
    assert.deepStrictEqual(inline, Content.image({ bytes: new Uint8Array([1, 2, 3]) }, "image/png"))
  })
})
