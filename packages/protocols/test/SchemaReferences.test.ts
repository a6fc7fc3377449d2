import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Fusion } from "@fastagentic/core"
import { Ajv2020 } from "ajv/dist/2020.js"
import { Effect, Schema } from "effect"
import * as OpenApi from "effect/http-api/OpenApi"
import * as A2aSkill from "../src/a2a/A2aSkill.ts"
import { apiOf } from "../src/http/Document.ts"
import * as Routes from "../src/http/Routes.ts"
import * as ElicitationForm from "../src/mcp/ElicitationForm.ts"
import * as McpCatalog from "../src/mcp/McpCatalog.ts"

const odd = [
  "geo/Point",
  "Page<Item>",
  "a~b",
  "a~1b",
  "a%2Fb",
  "100%",
  "a\"b",
  "it's",
  "a\\b",
  "a#b?c",
  "日本/語",
  "🚀",
  " ",
  "toString",
  "__proto__",
  "$defs/x",
  "a.b"
] as const

interface Tree {
  readonly item: { readonly x: number }
  readonly children: ReadonlyArray<Tree>
}

/** An app whose payload and answer refer to schemas of this name in every place. */
const appOf = (name: string) => {
  const Item = Schema.Struct({ x: Schema.Finite, note: Schema.Literal("$ref") }).annotate({ identifier: name })
  const Word = Schema.String.annotate({ identifier: `${name}/word` })
  const Nested = Schema.Struct({ item: Item, word: Word }).annotate({ identifier: `${name}.nested` })
  const Tree: Schema.Codec<Tree> = Schema.Struct({
    item: Schema.Struct({ x: Schema.Finite }).annotate({ identifier: `${name} leaf` }),
    children: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
  }).annotate({ identifier: `${name}/tree` })
  const fields = {
    item: Item,
    again: Item,
    list: Schema.Array(Item),
    maybe: Schema.optionalKey(Item),
    pair: Schema.Tuple([Item, Word]),
    map: Schema.Record(Schema.String, Item),
    either: Schema.Union([Item, Nested]),
    nested: Nested,
    tree: Tree
  }
  const Root = Schema.Struct(fields).annotate({ identifier: `${name}/root` })
  const shapes = Agent.make("shapes", { description: "Shapes", payload: fields, success: Root })
  const words = Agent.make("words", { description: "Words", payload: { word: Word }, success: Tree })
  return App.make("app", { version: "1.0.0", agents: [shapes, words] })
}

const item = { x: 1, note: "$ref" }
const nested = { item, word: "w" }
const tree = { item: { x: 1 }, children: [{ item: { x: 2 }, children: [] }] }
const value = { item, again: item, list: [item], pair: [item, "w"], map: { a: item }, either: nested, nested, tree }
const wrong = { ...value, tree: { ...tree, children: [{ item: { x: "2" }, children: [] }] } }

/** An independent validator; it refuses a schema with a reference that names nothing. */
const validatorOf = (json: object) => new Ajv2020({ strict: false, validateFormats: false }).compile(json)

const accepts = (json: object) => {
  const validate = validatorOf(json)
  assert.isTrue(validate(value), JSON.stringify(validate.errors))
  assert.isFalse(validate(wrong))
}

const referencesIn = (value: unknown): ReadonlyArray<string> =>
  Array.isArray(value)
    ? value.flatMap(referencesIn)
    : typeof value === "object" && value !== null
    ? Object.entries(value).flatMap(([key, one]) =>
      key === "$ref" && typeof one === "string" ? [one] : referencesIn(one)
    )
    : []

/** The references that the document of every app has. */
const common = Effect.runSync(Effect.cached(
  Effect.map(
    Fusion.compile(App.make("app", { version: "1.0.0" })),
    (fusion) => new Set(referencesIn(OpenApi.fromApi(apiOf(fusion, [], Routes.all))))
  )
))

const check = Effect.fnUntraced(function*(name: string) {
  const fusion = yield* Fusion.compile(appOf(name))
  const { payload, success } = fusion.agents.get("shapes") ?? assert.fail("the agent is not there")
  accepts(payload.json)
  accepts(success.json)

  const { runTools, tools } = McpCatalog.fromFusion(fusion)
  for (
    const { inputSchema, name, outputSchema = assert.fail("no output") } of tools.filter(({ name }) =>
      !runTools.has(name)
    )
  ) {
    for (const json of [inputSchema, outputSchema]) {
      if (name === "shapes") accepts(json)
      else validatorOf(json)
      // Only recursive definitions are left, under names that need no escaping.
      for (const reference of referencesIn(json)) assert.match(reference, /^#\/\$defs\/[A-Za-z0-9_-]+$/u)
      assert.isAtMost(Object.keys(json["$defs"] ?? {}).length, 1)
    }
  }

  const document = OpenApi.fromApi(apiOf(fusion, [], Routes.all))
  const validator = new Ajv2020({ strict: false, validateFormats: false })
  validator.addSchema(JSON.parse(JSON.stringify(document)), "app:document")
  for (const reference of new Set(referencesIn(document))) {
    if ((yield* common).has(reference)) continue
    assert.doesNotThrow(() => validator.compile({ $ref: `app:document${reference}` }), undefined, reference)
  }

  assert.strictEqual(A2aSkill.fromFusion(fusion).get("words")?.fields.text, "word")
  const words = fusion.agents.get("words")?.payload.json
  assert.deepStrictEqual(ElicitationForm.fromJsonSchema(words, "2025-11-25")?.fields["word"], { type: "string" })
})

describe("References in schemas", () => {
  it.effect("resolve on every protocol, whatever characters a name has", () =>
    Effect.forEach(odd, check, { discard: true }))

  it.effect.prop("resolve on every protocol for any name", [Schema.NonEmptyString], ([name]) =>
    // Half of a surrogate pair has no form in a URI.
    /\p{Surrogate}/u.test(name) ? Effect.asVoid(Effect.orDie(Effect.flip(Fusion.compile(appOf(name))))) : check(name), {
    arbitrary: { runs: 5 }
  })

  it.effect("a schema that would grow without end keeps its references", () =>
    Effect.gen(function*() {
      let json: Schema.Codec<unknown, unknown> = Schema.Struct({ x: Schema.Finite }).annotate({ identifier: "0" })
      for (let depth = 1; depth < 16; depth++) {
        json = Schema.Struct({ a: json, b: json }).annotate({ identifier: `${depth}/x` })
      }
      const agent = Agent.make("deep", { description: "Deep", payload: { json }, success: Schema.String })
      const { tools } = McpCatalog.fromFusion(yield* Fusion.compile(App.make("app", { version: "1", agents: [agent] })))
      assert.isBelow(JSON.stringify(tools).length, 20_000)
      for (const { inputSchema } of tools) validatorOf(inputSchema)
    }))
})
