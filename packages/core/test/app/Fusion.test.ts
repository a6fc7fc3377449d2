import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Fusion, JsonSchema, PromptTemplate, Resource } from "@fastagentic/core"
import { Ajv2020 } from "ajv/dist/2020.js"
import { Effect, Layer, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Arbitrary from "effect/Arbitrary"
import { layerRuntime } from "../support.ts"

const agent = (identifier: string, options: { readonly mcpTool?: boolean } = {}) =>
  Agent.make(identifier, { description: identifier, payload: { text: Schema.String }, ...options })

const tool = (name: string) => Tool.make(name, { description: name, success: Schema.String })

const resource = (identifier: string, uriTemplate: string, names: ReadonlyArray<string> = []) =>
  Resource.make(identifier, uriTemplate, {
    description: identifier,
    params: Object.fromEntries(names.map((name) => [name, Schema.String]))
  })

/** An app whose kit has tools of any kind. */
const broken = <Tools extends Record<string, Tool.Any> = {}>(options: {
  readonly agents?: ReadonlyArray<Agent.Any>
  readonly tools?: Toolkit.Toolkit<Tools>
  readonly resources?: ReadonlyArray<Resource.Any>
  readonly prompts?: ReadonlyArray<PromptTemplate.Any>
}) => App.make("app", { version: "1", ...options })

class NotThere extends Schema.TaggedError<NotThere>()("NotThere", {}) {}
const AlsoNotThere = Schema.Struct({ _tag: Schema.Literal("NotThere"), why: Schema.String })

const cases: ReadonlyArray<readonly [what: string, app: App.Any, declaration: string, problem: RegExp]> = [
  ["two agents of one name", broken({ agents: [agent("a"), agent("a")] }), "agent \"a\"", /declared twice/u],
  [
    "a tool and an agent of one name, which MCP would both list",
    broken({ agents: [agent("a")], tools: Toolkit.make(tool("a")) }),
    "agent \"a\"",
    /tool "a"/u
  ],
  [
    "two resources of one name",
    broken({ resources: [resource("r", "x://a"), resource("r", "x://b")] }),
    "resource \"r\"",
    /twice/u
  ],
  [
    "two prompts of one name",
    broken({ prompts: [PromptTemplate.make("p", { description: "" }), PromptTemplate.make("p", { description: "" })] }),
    "prompt \"p\"",
    /twice/u
  ],
  [
    "an icon at an address that runs code",
    broken({
      agents: [Agent.make("i", { description: "i", payload: {}, presentation: { icons: [{ src: "javascript:1" }] } })]
    }),
    "agent \"i\"",
    /https: or data:image/u
  ],
  ["a name with a slash", broken({ agents: [agent("a/b")] }), "agent \"a/b\"", /A-Z a-z 0-9/u],
  ["a name with a space", broken({ tools: Toolkit.make(tool("a b")) }), "tool \"a b\"", /A-Z a-z 0-9/u],
  ["no name", broken({ agents: [agent("")] }), "agent \"\"", /1 to 128/u],
  ["a name of 129 letters", broken({ agents: [agent("a".repeat(129))] }), `agent "${"a".repeat(129)}"`, /1 to 128/u],
  [
    "parameters that are a union",
    broken({
      tools: Toolkit.make(
        Tool.make("u", {
          description: "u",
          parameters: Schema.Union([Schema.Struct({ a: Schema.String }), Schema.Struct({ b: Schema.String })])
        })
      )
    }),
    "tool \"u\"",
    /parameters is a union/u
  ],
  [
    "parameters that are no object",
    broken({ tools: Toolkit.make(Tool.make("s", { description: "s", parameters: Schema.String })) }),
    "tool \"s\"",
    /not an object/u
  ],
  [
    "a payload without a JSON form",
    broken({ agents: [Agent.make("j", { description: "j", payload: { at: Schema.instanceOf(URL) } })] }),
    "agent \"j\"",
    /payload has no JSON form/u
  ],
  [
    "a success without a JSON form",
    broken({ agents: [Agent.make("j", { description: "j", payload: {}, success: Schema.instanceOf(URL) })] }),
    "agent \"j\"",
    /success has no JSON form/u
  ],
  [
    "a URI that names no param",
    broken({ resources: [resource("r", "x://a/b", ["id"])] }),
    "resource \"r\"",
    /params are id/u
  ],
  [
    "a URI whose param is not declared",
    broken({ resources: [resource("r", "x://{id}")] }),
    "resource \"r\"",
    /\{id\}/u
  ],
  [
    "a URI that names a param twice",
    broken({ resources: [resource("r", "x://{id}/{id}", ["id"])] }),
    "resource \"r\"",
    /\{id\}/u
  ],
  ["a URI without a scheme", broken({ resources: [resource("r", "a/{id}", ["id"])] }), "resource \"r\"", /scheme/u],
  [
    "a param that is half a segment",
    broken({ resources: [resource("r", "x://a-{id}", ["id"])] }),
    "resource \"r\"",
    /segments/u
  ],
  ["a URI with a query", broken({ resources: [resource("r", "x://a?b={id}", ["id"])] }), "resource \"r\"", /segments/u],
  [
    "two URIs that read the same",
    broken({ resources: [resource("r", "x://{a}", ["a"]), resource("s", "x://{b}", ["b"])] }),
    "resource \"s\"",
    /resource "r"/u
  ],
  [
    "a prompt param that is not text",
    broken({ prompts: [PromptTemplate.make("p", { description: "", params: { count: Schema.Int } })] }),
    "prompt \"p\"",
    /"count" is not text/u
  ],
  [
    "two errors of one name",
    broken({
      agents: [Agent.make("e", { description: "e", payload: {}, error: Schema.Union([NotThere, AlsoNotThere]) })]
    }),
    "agent \"e\"",
    /two of its errors are called "NotThere"/u
  ]
]

describe("Fusion", () => {
  for (const [what, app, declaration, problem] of cases) {
    it.effect(`refuses ${what}`, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(Fusion.compile(app))
        assert.strictEqual(error.declaration, declaration)
        assert.match(error.problem, problem)
        assert.isTrue(error.message.startsWith(`${declaration}: `))
      }))
  }

  it.effect("stops the start", () =>
    Effect.gen(function*() {
      const Slash = Agent.make("a/b", { description: "a", payload: {} })
      const app = App.make("app", { version: "1", agents: [Slash] })
      const error = yield* Effect.flip(Layer.build(layerRuntime(app, Slash.toLayer(() => Effect.succeed("")))))
      assert.instanceOf(error, Fusion.FusionError)
      assert.include(error.message, "agent \"a/b\"")
    }).pipe(Effect.scoped))

  it.effect("lets an agent share a tool's name when MCP does not list it, and other kinds share names", () =>
    Effect.gen(function*() {
      const fusion = yield* Fusion.compile(broken({
        agents: [agent("a", { mcpTool: false })],
        tools: Toolkit.make(tool("a")),
        resources: [resource("a", "x://a")],
        prompts: [PromptTemplate.make("a", { description: "" })]
      }))
      assert.deepStrictEqual([...fusion.agents.keys(), ...fusion.tools.keys(), ...fusion.prompts.keys()], [
        "a",
        "a",
        "a"
      ])
    }))

  it.effect("takes prompt params that travel as text", () =>
    Effect.gen(function*() {
      const fusion = yield* Fusion.compile(broken({
        prompts: [
          PromptTemplate.make("p", {
            description: "",
            params: { count: Schema.FiniteFromString, word: Schema.optionalKey(Schema.Literals(["a", "b"])) }
          })
        ]
      }))
      assert.isTrue(fusion.prompts.has("p"))
    }))

  it.effect("has a fingerprint that changes with any schema and with nothing else", () =>
    Effect.gen(function*() {
      const of = (options: Partial<Parameters<typeof Agent.make>[1]>) =>
        Effect.map(
          Fusion.compile(App.make("app", {
            version: "1",
            agents: [Agent.make("a", { description: "d", payload: { a: Schema.String }, ...options })]
          })),
          (fusion) => fusion.agents.get("a")?.fingerprint
        )
      const plain = yield* of({})
      assert.strictEqual(yield* of({ description: "other", scopes: ["s"], examples: ["x"], durable: false }), plain)
      const changed = [
        yield* of({ payload: { a: Schema.Int } }),
        yield* of({ payload: { b: Schema.String } }),
        yield* of({ success: Schema.Int }),
        yield* of({ error: NotThere })
      ]
      assert.strictEqual(new Set([plain, ...changed]).size, 5)
    }))
})

const Address = Schema.Struct({
  street: Schema.NonEmptyString,
  zip: Schema.optionalKey(Schema.String.check(Schema.isPattern(/^\d{4,5}$/u)))
})
class Person extends Schema.Class<Person>("Person")({ name: Schema.String, born: Schema.Int, home: Address }) {}

const payloads: ReadonlyArray<readonly [name: string, payload: Agent.PayloadSchema]> = [
  [
    "scalars",
    Schema.Struct({
      text: Schema.String,
      short: Schema.String.check(Schema.isMaxLength(3)),
      count: Schema.Int.check(Schema.isBetween({ minimum: -5, maximum: 5 })),
      share: Schema.Finite,
      flag: Schema.Boolean,
      nothing: Schema.Null,
      word: Schema.Literals(["a", "b", "c"]),
      maybe: Schema.NullOr(Schema.String),
      some: Schema.optionalKey(Schema.Int)
    })
  ],
  [
    "structures",
    Schema.Struct({
      list: Schema.Array(Schema.Int).check(Schema.isMaxLength(4)),
      pair: Schema.Tuple([Schema.String, Schema.Boolean]),
      map: Schema.Record(Schema.String, Schema.Int),
      one: Schema.Union([Address, Schema.String, Schema.Array(Schema.Boolean)]),
      people: Schema.Array(Person),
      tagged: Schema.Union([
        Schema.TaggedStruct("Circle", { radius: Schema.Finite }),
        Schema.TaggedStruct("Square", { side: Schema.Int })
      ])
    })
  ],
  [
    "things that travel as something else",
    Schema.Struct({
      at: Schema.Date,
      big: Schema.BigInt,
      bytes: Schema.Uint8Array,
      number: Schema.FiniteFromString
    })
  ],
  ["a class", Person],
  ["nothing", Schema.Struct({})]
]

const shapeOf = (payload: Agent.PayloadSchema) =>
  Effect.flatMap(
    Fusion.compile(App.make("app", { version: "1", agents: [Agent.make("a", { description: "a", payload })] })),
    (fusion) => Effect.fromNullishOr(fusion.agents.get("a")?.payload)
  )

const validatorOf = (json: Fusion.Document) => new Ajv2020({ strict: false, validateFormats: false }).compile(json)

const passes = <A, E>(result: Arbitrary.CheckResult<A, E>) =>
  assert.strictEqual(Arbitrary.formatCheckFailure(result), undefined)

/** One change somewhere in a JSON value. */
const mutate = (value: Schema.Json, at: number, by: Schema.Json): Schema.Json => {
  if (Array.isArray(value)) {
    if (value.length === 0 || at % 3 === 0) return at % 2 === 0 ? [...value, by] : by
    const index = at % value.length
    return value.map((item, position) => position === index ? mutate(item, Math.floor(at / 3), by) : item)
  }
  if (typeof value !== "object" || value === null) return by
  const keys = Object.keys(value)
  if (keys.length === 0 || at % 4 === 0) return { ...value, [`extra${at}`]: by }
  const key = keys[at % keys.length] ?? ""
  if (at % 4 === 1) return Object.fromEntries(Object.entries(value).filter(([name]) => name !== key))
  const record: Record<string, Schema.Json> = Object.fromEntries(Object.entries(value))
  return { ...record, [key]: mutate(record[key] ?? null, Math.floor(at / 4), by) }
}

const Noise = Schema.Union([
  Schema.Null,
  Schema.Boolean,
  Schema.Int,
  Schema.Finite,
  Schema.String,
  Schema.Array(Schema.Int),
  Schema.Record(Schema.String, Schema.String)
])

describe("Fusion, for any payload of", () => {
  for (const [name, payload] of payloads) {
    it.effect(`${name}: what is sent is what arrives, and the JSON Schema agrees`, () =>
      Effect.gen(function*() {
        const shape = yield* shapeOf(payload)
        const isValid = validatorOf(shape.json)
        const result = yield* Arbitrary.checkEffect(
          Arbitrary.schema(payload),
          Effect.fnUntraced(function*(value) {
            const sent: unknown = JSON.parse(JSON.stringify(yield* shape.encode(value)))
            assert.isTrue(isValid(sent), JSON.stringify([sent, isValid.errors]))
            const arrived = yield* shape.decode(sent)
            assert.deepStrictEqual(yield* shape.encode(arrived), sent)
            return true
          }),
          { runs: 200 }
        )
        passes(result)
      }))

    it.effect(`${name}: one change is refused by both or by none`, () =>
      Effect.gen(function*() {
        const shape = yield* shapeOf(payload)
        const isValid = validatorOf(shape.json)
        const result = yield* Arbitrary.checkEffect(
          Arbitrary.all([Arbitrary.schema(payload), Arbitrary.schema(Schema.Int), Arbitrary.schema(Noise)]),
          Effect.fnUntraced(function*([value, at, by]) {
            const sent = mutate(yield* shape.encode(value), Math.abs(at), by)
            const decodes = (yield* Effect.exit(shape.decode(sent)))._tag === "Success"
            // The document may say less than the decoder knows, never more.
            if (decodes) assert.isTrue(isValid(sent), JSON.stringify([sent, isValid.errors]))
            else if (name !== "things that travel as something else") {
              assert.isFalse(isValid(sent), JSON.stringify(sent))
            }
            return true
          }),
          { runs: 400 }
        )
        passes(result)
      }))
  }

  it("closes what comes in and leaves open what goes out", () => {
    const schema = Schema.Struct({ a: Schema.Struct({ b: Schema.String }) })
    assert.deepStrictEqual(JsonSchema.fromSchema(schema, "input"), {
      type: "object",
      properties: {
        a: { type: "object", properties: { b: { type: "string" } }, required: ["b"], additionalProperties: false }
      },
      required: ["a"],
      additionalProperties: false
    })
    assert.notInclude(JSON.stringify(JsonSchema.fromSchema(schema)), "\"additionalProperties\":false")
  })
})
