import { Effect, Schema } from "effect"
import { Tool, Toolkit } from "effect/ai"
import { Content, Event, Policy, Run } from "fastagentic"
import { image, note, sound } from "./content.ts"

class Intended extends Schema.TaggedError<Intended>()("Intended", { message: Schema.String }) {}

const showing = <const Name extends string>(name: Name, description: string) =>
  Tool.make(name, { description, success: Content.List, dependencies: [Run.CurrentRun] })

/** Tools that answer with every kind of content, and say how far they have come. */
export const Showing = Toolkit.make(
  showing("test_simple_text", "Answers with text"),
  showing("test_image_content", "Answers with an image"),
  showing("test_audio_content", "Answers with audio"),
  showing("test_embedded_resource", "Answers with a file"),
  showing("test_multiple_content_types", "Answers with text, an image and a file"),
  showing("test_tool_with_logging", "Writes three lines to its log"),
  showing("test_logging_tool", "Writes a line to its log"),
  showing("test_tool_with_progress", "Says three times how far it has come"),
  Tool.make("test_error_handling", { description: "Fails", failure: Intended }),
  Tool.make("test_x_mcp_header", {
    description: "Answers with the region, which a header carries as well",
    parameters: Schema.Struct({ region: Schema.String.annotate({ "x-mcp-header": "Region" }), query: Schema.String }),
    success: Schema.String
  }).annotate(Tool.Readonly, true),
  Tool.dynamic("json_schema_2020_12_tool", {
    description: "Takes what a JSON Schema of its own says",
    parameters: {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      type: "object",
      $defs: {
        address: {
          $anchor: "addressDef",
          type: "object",
          properties: { street: { type: "string" }, city: { type: "string" } }
        }
      },
      properties: {
        name: { type: "string" },
        address: { $ref: "#/$defs/address" },
        contactMethod: { type: "string", enum: ["phone", "email"] },
        phone: { type: "string" },
        email: { type: "string" }
      },
      allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
      if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
      // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
      then: { required: ["phone"] },
      else: { required: ["email"] },
      additionalProperties: false
    },
    success: Schema.String
  }),
  Tool.make("test_reconnection", {
    description: "Works for longer than its connection may last",
    success: Schema.String,
    dependencies: [Run.CurrentRun]
  }).annotate(Policy.Durable, true)
)

const log = (message: string) => Run.emit(Event.log("info", message))
const progress = (done: number) => Run.emit(Event.progress(done, { total: 100 }))
const pause = Effect.sleep("50 millis")

export const ShowingLayer = Showing.toLayer({
  test_simple_text: () => Effect.succeed([Content.text("This is a simple text response for testing.")]),
  test_image_content: () => Effect.succeed([image]),
  test_audio_content: () => Effect.succeed([sound]),
  test_embedded_resource: () => Effect.succeed([note("This is an embedded resource content.")]),
  test_multiple_content_types: () =>
    Effect.succeed([Content.text("Multiple content types test:"), image, note("Some text")]),
  test_tool_with_logging: Effect.fn(function*() {
    yield* log("Tool execution started")
    yield* pause
    yield* log("Tool processing data")
    yield* pause
    yield* log("Tool execution completed")
    return [Content.text("Three lines were written")]
  }),
  test_logging_tool: () => Effect.as(log("This tool was called"), [Content.text("One line was written")]),
  test_tool_with_progress: Effect.fn(function*() {
    yield* progress(0)
    yield* pause
    yield* progress(50)
    yield* pause
    yield* progress(100)
    return [Content.text("Progress complete")]
  }),
  test_error_handling: () =>
    Effect.fail(new Intended({ message: "This tool intentionally returns an error for testing" })),
  test_x_mcp_header: ({ query, region }) => Effect.succeed(`${query} in ${region}`),
  json_schema_2020_12_tool: (params) => Effect.succeed(JSON.stringify(params)),
  test_reconnection: () => Effect.as(Effect.sleep("2 seconds"), "Reconnection test completed successfully")
})
