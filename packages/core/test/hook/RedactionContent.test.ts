import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Content, Event, Redaction, Run, RunError } from "@fastagentic/core"
import { Effect, Layer, Schema } from "effect"
import * as Base64 from "effect/encoding/Base64"
import { journal, layerRuntime, settle } from "../support.ts"

const key = "sk_live_abcdefghijklmnop1234"
const card = "4111111111111111"

/** Emits content and answers with it. */
class Show extends Agent.make("show", {
  description: "Shows content",
  payload: { content: Schema.Json },
  success: Schema.Json
}) {}

class Shows extends App.make("shows", { version: "1.0.0", agents: [Show] }).hook(Redaction.Redaction) {}

const layer = layerRuntime(
  Shows,
  Layer.merge(
    Show.toLayer(Effect.fn(function*({ content }) {
      // cast: the test emits what no function of Content makes.
      yield* Run.emit(Event.content(content as unknown as Content.List))
      // cast: as before.
      yield* Run.emit(Event.message(content as unknown as Content.List, { last: true }))
      yield* Run.emit(Event.content(Content.text("x"), { name: `a ${key}`, last: true }))
      return content
    })),
    Redaction.layer({ pii: true })
  )
)

const shown = Effect.fnUntraced(function*(content: Schema.Json) {
  const run = yield* settle("show", { content })
  const event = (yield* journal(run.runId)).find((event) => event.type === "content")
  return { run, content: event?.type === "content" ? event.data.content ?? [] : [] }
})

describe("Redaction of content", () => {
  it.effect("looks through texts, names, links and data, and leaves bytes and ids of files as they are", () =>
    Effect.gen(function*() {
      // Letters in bytes may look like a key or a card; long ones are let through, as no text is in them.
      const bytes = Base64.encode(new Uint8Array(900)).replace("AAAAAAAAAAAAAAAAAAAAAAAA", "skzliveAKIAABCDEFGHIJKLM")
      const fileId = `${card}${"a".repeat(48)}`
      const { content, run } = yield* shown([
        Content.text(`my key is ${key}`),
        { type: "image", mediaType: "image/png", bytes, name: `${card}.png` },
        Content.image({ fileId }, "image/png"),
        Content.link(`https://a.example/?key=${key}`, { title: key }),
        Content.data({ secret: [key] })
      ])
      const text = JSON.stringify(content)
      assert.notInclude(text, key)
      assert.notInclude(text, `${card}.png`)
      assert.deepInclude(content[1], { bytes })
      assert.deepInclude(content[2], { fileId })
      assert.deepInclude(content[3], { type: "data" })
      assert.notInclude(JSON.stringify(run.output), key)
    }).pipe(Effect.provide(layer)))

  it.effect("looks through the text that is in bytes, and bytes that are a secret as they stand", () =>
    Effect.gen(function*() {
      const { content } = yield* shown([
        Content.file({ bytes: new TextEncoder().encode(`a ${key} b`) }, "text/plain"),
        { type: "file", mediaType: "application/json", bytes: Base64.encode(JSON.stringify({ key })) },
        { type: "file", mediaType: "image/png", bytes: "AKIAABCDEFGHIJKLMNOP" }
      ])
      const texts = content.map((one) =>
        new TextDecoder().decode(Content.isBinary(one) ? Content.bytesOf(one) : undefined)
      )
      assert.strictEqual(texts[0], "a [redacted: api-key] b")
      assert.strictEqual(texts[1], "{\"key\":\"[redacted: api-key]\"}")
      assert.notInclude(JSON.stringify(content[2]), "AKIAABCDEFGHIJKLMNOP")
    }).pipe(Effect.provide(layer)))

  it.effect("an event of content that is not valid fails its run alone, and the journal stays readable", () =>
    Effect.gen(function*() {
      for (
        const wrong of [
          [{ type: "image", mediaType: "png", bytes: "AQID" }],
          [{ type: "image", mediaType: "image/png", bytes: "?" }],
          [{ type: "image", mediaType: "image/png" }],
          [{ type: "link", uri: "javascript:alert(1)" }],
          [{ type: "video" }]
        ]
      ) {
        const { content, run } = yield* shown(wrong)
        assert.deepStrictEqual([run.state, run.error?.tag], ["failed", "InvalidContent"])
        assert.deepStrictEqual(content, [])
        const events = yield* journal(run.runId)
        assert.deepStrictEqual(Schema.decodeUnknownSync(Schema.Array(Event.RunEvent))(events), events)
      }
      assert.include(new RunError.InvalidContent({ issues: [] }).message, "content event")
    }).pipe(Effect.provide(layer)))

  it.effect("looks through messages and the names of content, which keep the rest of their fields", () =>
    Effect.gen(function*() {
      const { run } = yield* shown([Content.text(`my key is ${key}`)])
      const events = yield* journal(run.runId)
      assert.notInclude(JSON.stringify(events.filter(({ type }) => type === "content" || type === "message")), key)
      const said = events.find((event) => event.type === "message")
      assert.deepStrictEqual(said?.data, {
        role: "assistant",
        content: [Content.text("my key is [redacted: api-key]")],
        last: true
      })
      const named = events.findLast((event) => event.type === "content")
      assert.deepStrictEqual(named?.data, {
        content: [Content.text("x")],
        name: "a [redacted: api-key]",
        last: true
      })
    }).pipe(Effect.provide(layer)))

  it("reads the content events of earlier versions", () => {
    const event = { runId: "r", seq: 1, ts: 1, attempt: 1, type: "content", data: { kind: "source", part: { id: 1 } } }
    assert.strictEqual(JSON.stringify(Schema.decodeUnknownSync(Event.RunEvent)(event)), JSON.stringify(event))
  })
})
