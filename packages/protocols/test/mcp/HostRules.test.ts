import { assert, describe, it } from "@effect/vitest"
import { App } from "@fastagentic/core"
import { compile } from "@fastagentic/core/app/Fusion"
import { Effect, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as HostRules from "../../src/mcp/HostRules.ts"
import { fromFusion } from "../../src/mcp/McpCatalog.ts"

type Document = { readonly type: "object"; readonly [keyword: string]: unknown }

const findingsOf = <Tools extends Record<string, Tool.Any>>(tools: Toolkit.Toolkit<Tools>) =>
  HostRules.check(App.make("linted", { version: "1", tools }))

/** The problems of a tool with these parameters. */
const problemsOf = (parameters: Document, description = "Does something") =>
  Effect.map(
    findingsOf(Toolkit.make(Tool.dynamic("one", { description, parameters }))),
    (findings) => findings.map(({ problem, tool }) => `${tool}: ${problem}`)
  )

describe("The rules of known hosts", () => {
  it.effect("are kept by the schemas of declared tools, recursive and nullable ones as well", () =>
    Effect.gen(function*() {
      interface Tree {
        readonly children: ReadonlyArray<Tree>
      }
      const Tree: Schema.Codec<Tree> = Schema.Struct({ children: Schema.Array(Schema.suspend(() => Tree)) })
        .annotate({ identifier: "a/b~c tree" })
      const Plain = Tool.make("plain", {
        parameters: Schema.Struct({
          tree: Tree,
          pair: Schema.Tuple([Schema.String, Schema.Int]),
          map: Schema.Record(Schema.String, Schema.Finite),
          either: Schema.NullOr(Schema.Literals(["a", "b"]))
        }),
        success: Schema.String
      })
      assert.deepStrictEqual(yield* findingsOf(Toolkit.make(Plain, Tool.make("empty", { success: Schema.Void }))), [])
    }))

  it.effect("are found to be broken in documents, wherever in them that is", () =>
    Effect.gen(function*() {
      const broken: ReadonlyArray<readonly [Document, string]> = [
        [{ type: "object", oneOf: [{}] }, "oneOf at the top"],
        [{ type: "object", not: {} }, "not at the top"],
        [{ type: "object", $schema: "http://json-schema.org/draft-07/schema#", properties: { a: {} } }, "draft-07"],
        [{ type: "object", properties: { a: { $ref: "#/$defs/A" } } }, "refers to no definition"],
        [{ type: "object", properties: { a: { $ref: "https://example.com/a.json" } } }, "refers to no definition"],
        [{ type: "object", properties: { a: { $ref: "#/properties/100%" } } }, "refers to no definition"],
        [{ type: "object", properties: { a: { anyOf: [{ type: "array" }] } } }, "(items)"],
        [{ type: "object", properties: { a: { properties: { "a b": {} } } } }, "\"a b\""],
        [{ type: "object", properties: { ["x".repeat(65)]: {} } }, "Anthropic"]
      ]
      for (const [document, problem] of broken) {
        const problems = yield* problemsOf(document)
        assert.lengthOf(problems, 1, problem)
        assert.include(problems[0], problem)
      }
      assert.include((yield* problemsOf({ type: "object" }, "d".repeat(1_025)))[0], "1025 characters")
    }))

  it.effect("are not broken by data that looks like a schema, by pointers that need escaping, and by the dialect of today", () =>
    Effect.gen(function*() {
      const fine: ReadonlyArray<Document> = [
        { type: "object", $schema: "https://json-schema.org/draft/2020-12/schema" },
        { type: "object", properties: { a: { const: { type: "array", $ref: "nowhere" } } } },
        { type: "object", properties: { a: { $ref: "#/$defs/a~1b%20c" } }, $defs: { "a/b c": { type: "string" } } },
        { type: "object", properties: { a: { $ref: "#" } } },
        { type: "object", properties: { type: { enum: ["array"] }, items: { type: "string" } } }
      ]
      for (const document of fine) assert.deepStrictEqual(yield* problemsOf(document), [])
    }))

  it.effect("do not hide that a tool takes any names: a map and a document without fields stay as they are", () =>
    Effect.gen(function*() {
      const Counts = Tool.make("map", { parameters: Schema.Record(Schema.String, Schema.Int), success: Schema.Void })
      const Free = Tool.dynamic("free", { parameters: { type: "object", additionalProperties: true } })
      const None = Tool.make("none", { success: Schema.Void })
      const fusion = yield* compile(App.make("listed", { version: "1", tools: Toolkit.make(Counts, Free, None) }))
      const schemas = new Map(fromFusion(fusion).tools.map(({ inputSchema, name }) => [name, inputSchema]))
      assert.deepNestedPropertyVal(schemas.get("map"), "additionalProperties.type", "integer")
      assert.propertyVal(schemas.get("free"), "additionalProperties", true)
      assert.propertyVal(schemas.get("none"), "additionalProperties", false)
    }))

  it.effect("count the tools", () =>
    Effect.gen(function*() {
      const many = Array.from({ length: 129 }, (_, index) => Tool.make(`tool_${index}`, { success: Schema.Void }))
      assert.include((yield* findingsOf(Toolkit.make(...many)))[0]?.problem, "129 tools")
    }))
})
