// The types that `export types` writes, of schemas and of documents that try to leave their strings.
import { assert, describe, it } from "@effect/vitest"
import { typeOf, typesOf } from "../../src/internal/openApiTypes.ts"

describe("the type of a JSON Schema", () => {
  const one = (schema: unknown) => typeOf(schema).replaceAll(/\s+/gu, " ")

  it("is that of its values", () => {
    assert.strictEqual(one({ type: ["string", "null"] }), "string | null")
    assert.strictEqual(one({ enum: ["a", 1, null] }), "\"a\" | 1 | null")
    assert.strictEqual(one({ const: { a: [1] } }), "{ \"a\": [1]; }")
    assert.strictEqual(
      one({ type: "array", items: { anyOf: [{ type: "string" }, { type: "integer" }] } }),
      "(string | number)[]"
    )
    assert.strictEqual(
      one({ type: "array", prefixItems: [{ type: "string" }, { type: "number" }], minItems: 1, items: false }),
      "[string, number?]"
    )
    assert.strictEqual(one({ type: "object", additionalProperties: { type: "string" } }), "{ [name: string]: string }")
    assert.strictEqual(one({ type: "object", additionalProperties: false }), "Record<string, never>")
    assert.strictEqual(
      one({ allOf: [{ $ref: "#/components/schemas/A" }, { anyOf: [{ type: "null" }, {}] }] }),
      "components[\"schemas\"][\"A\"]"
    )
    assert.strictEqual(one({ type: "string", format: "binary" }), "Blob")
    assert.deepStrictEqual([one({}), one(true), one(false), one({ $ref: "#/elsewhere" })], [
      "unknown",
      "unknown",
      "never",
      "unknown"
    ])
  })

  it("has names and texts that no document can leave", () => {
    const hostile = "*/ \"]: string }; import \"x\"\n//"
    const text = typesOf({
      info: { title: hostile, version: "1" },
      paths: { [hostile]: { get: { summary: hostile, responses: { [hostile]: {} } } } },
      components: {
        schemas: { [hostile]: { type: "object", description: hostile, properties: { [hostile]: { const: hostile } } } }
      }
    })
    // Without what stands in strings and comments there is no trace of it.
    const code = text.replaceAll(/"(?:[^"\\\n]|\\.)*"|\/\*[^]*?\*\/|\/\/.*$/gmu, "")
    assert.notInclude(code, "import")
  })
})
