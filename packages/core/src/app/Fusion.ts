/**
 * Schema fusion: the one table that every protocol is made from, compiled once at start.
 *
 * @since 0.1.0
 */
import { Context, Duration, Effect, Option, Schema, SchemaAST } from "effect"
import * as Tool from "effect/ai/Tool"
import { placeWithoutJson } from "../base/internal/jsonSupport.ts"
import * as JsonSchema from "../base/JsonSchema.ts"
import { Durable, Scopes, Task } from "../base/Policy.ts"
import * as Validation from "../base/Validation.ts"
import * as Hook from "../hook/Hook.ts"
import { type Ability, Requires } from "../run/ClientRequest.ts"
import { answersContent, filePlaces, type Places } from "../run/internal/filePlaces.ts"
import type { Limits } from "../store/RunStore.ts"
import type { Adapter } from "./AdapterCapabilities.ts"
import type * as Agent from "./Agent.ts"
import type * as App from "./App.ts"
import * as Presentation from "./Presentation.ts"
import type * as PromptTemplate from "./PromptTemplate.ts"
import * as Resource from "./Resource.ts"

/** A declaration that cannot be served as it is; `declaration` names it. @category errors @since 0.1.0 */
export class FusionError extends Schema.TaggedError<FusionError>()("FusionError", {
  declaration: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.declaration}: ${this.problem}`
  }
}

/** The places of files in the values of a schema. @category models @since 0.1.0 */
export type { Places }

/** A JSON Schema object. @category models @since 0.1.0 */
export type Document = { readonly [key: string]: Schema.Json }

/** A schema in its two forms: how values travel, and how that is described. @category models @since 0.1.0 */
export interface Shape {
  readonly schema: Schema.Codec<unknown>
  readonly json: Document
  /** The places of files in its values; absent when there are none. */
  readonly files: Places | undefined
  /** Whether its values are content, or may be. */
  readonly hasContent: boolean
  readonly decode: (value: unknown) => Effect.Effect<unknown, Schema.SchemaError>
  readonly encode: (value: unknown) => Effect.Effect<Schema.Json, Schema.SchemaError>
}

/** One declared error of a declaration. @category models @since 0.1.0 */
export interface DeclaredError {
  readonly tag: string
  readonly status: number
}

/** The common form of agents and tools: a declaration that can be called and becomes a run. @category models @since 0.1.0 */
export interface Callable {
  readonly kind: "agent" | "tool"
  readonly identifier: string
  readonly description: string
  readonly scopes: ReadonlyArray<string>
  readonly durable: boolean
  readonly threads: Agent.Threads
  /** How long a run may take from its start to its end, in milliseconds; absent when there is no limit. */
  readonly timeoutMillis: number | undefined
  /** The model that its loops ask, by its name in the app; absent when the app's default answers. */
  readonly model: string | undefined
  /** The messages that a run takes while it works. */
  readonly signals: ReadonlyMap<string, Shape>
  /** The conditions under which a queued run starts; absent when there are none. */
  readonly limits: Limits | undefined
  readonly payload: Shape
  readonly success: Shape
  readonly error: Shape
  readonly errors: ReadonlyArray<DeclaredError>
  /** The name under which MCP lists it, if it does. */
  readonly mcpTool: string | undefined
  readonly examples: ReadonlyArray<string>
  /** The abilities without which a client cannot call it. */
  readonly requires: ReadonlyArray<Ability>
  /** Its icons and metadata in lists. */
  readonly presentation: Presentation.Presentation
  /** When a call is a task, see `Policy.Task`. */
  readonly task: "auto" | "always" | "required"
  readonly annotations: {
    readonly title: string | undefined
    readonly readonly: boolean
    readonly destructive: boolean
    readonly idempotent: boolean
    readonly openWorld: boolean
  }
  /** Ends in `@` and the version, when there is one. */
  readonly fingerprint: string
  readonly migrations: ReadonlyArray<Migration>
  /** The adapter of the framework behind an agent; known once handlers are. */
  readonly adapter?: Adapter
}

/** A migration, with how it reads what was stored. @category models @since 0.1.0 */
export interface Migration {
  readonly from: string | Shape
  readonly payload: (old: unknown) => unknown
  readonly steps: Agent.MigratedSteps
}

/** @category models @since 0.1.0 */
export interface ResourceEntry {
  readonly resource: Resource.Any
  readonly params: Shape
  readonly success: Shape
  readonly error: Shape
  readonly errors: ReadonlyArray<DeclaredError>
}

/** @category models @since 0.1.0 */
export interface PromptEntry {
  readonly prompt: PromptTemplate.Any
  readonly params: Shape
}

/** The table. @category models @since 0.1.0 */
export interface Fusion {
  readonly app: App.Any
  readonly agents: ReadonlyMap<string, Callable>
  readonly tools: ReadonlyMap<string, Callable>
  readonly resources: ReadonlyMap<string, ResourceEntry>
  readonly prompts: ReadonlyMap<string, PromptEntry>
}

/**
 * Compiles the table of an app. With `asksAnything` any tool may wait for an approval.
 *
 * Fails when two declarations would share a name on some wire, or when one protocol cannot express a schema.
 *
 * @category constructors
 * @since 0.1.0
 */
export const compile = Effect.fnUntraced(function*(
  app: App.Any,
  { asksAnything = false }: { readonly asksAnything?: boolean } = {}
): Effect.fn.Return<Fusion, FusionError> {
  yield* checkIcons(`app "${app.identifier}"`, { icons: app.icons })
  const agents = yield* unique("agent", app.agents, (agent) => agent.identifier, compileAgent)
  const tools = yield* unique(
    "tool",
    Object.values(app.tools.tools),
    (tool) => tool.name,
    (tool, name) => compileTool(tool, name, app.hooks, asksAnything)
  )
  const resources = yield* unique("resource", app.resources, (resource) => resource.identifier, compileResource)
  const prompts = yield* unique("prompt", app.prompts, (prompt) => prompt.identifier, compilePrompt)
  yield* distinctMcpTools([...tools.values(), ...agents.values()])
  yield* distinctTemplates(app.resources)
  return { app, agents, tools, resources, prompts }
})

/** Clients load icons, so that an address may only be one that leaves them alone. */
const checkIcons = (declaration: string, presentation: Presentation.Presentation) => {
  const wrong = presentation.icons?.find(({ src }) => !/^(https:|data:image\/)/iu.test(src))
  return wrong === undefined
    ? Effect.succeed(presentation)
    : Effect.fail(
      new FusionError({ declaration, problem: `its icon "${wrong.src}" is no https: or data:image/ address` })
    )
}

const unique = Effect.fnUntraced(function*<A, B>(
  kind: string,
  declarations: ReadonlyArray<A>,
  nameOf: (declaration: A) => string,
  compileOne: (declaration: A, name: string) => Effect.Effect<B, FusionError>
) {
  const table = new Map<string, B>()
  for (const declaration of declarations) {
    const identifier = nameOf(declaration)
    const name = `${kind} "${identifier}"`
    if (!/^[A-Za-z0-9_.-]{1,128}$/u.test(identifier)) {
      return yield* new FusionError({
        declaration: name,
        problem: "a name is 1 to 128 of A-Z a-z 0-9 _ . - , so that every protocol can carry it"
      })
    }
    if (table.has(identifier)) return yield* new FusionError({ declaration: name, problem: "declared twice" })
    table.set(identifier, yield* compileOne(declaration, name))
  }
  return table
})

const compileAgent = Effect.fnUntraced(function*(agent: Agent.Any, name: string) {
  const payload = yield* objectShape(name, "payload", agent.payloadSchema)
  const success = yield* shape(name, "success", agent.successSchema)
  const error = yield* shape(name, "error", agent.errorSchema)
  const { version } = agent
  return {
    kind: "agent",
    identifier: agent.identifier,
    description: agent.description,
    scopes: agent.scopes,
    durable: agent.durable,
    threads: agent.threads,
    timeoutMillis: yield* timeoutOf(agent, name),
    model: agent.model,
    signals: yield* compileSignals(agent, name),
    limits: limitsOf(agent),
    payload,
    success,
    error,
    errors: yield* declaredErrors(name, agent.errorSchema),
    mcpTool: agent.mcpTool ? mcpNameOf(agent.identifier) : undefined,
    examples: agent.examples,
    requires: [],
    task: "auto",
    presentation: yield* checkIcons(name, agent.presentation),
    annotations: {
      title: agent.presentation.title,
      readonly: agent.presentation.hints?.readonly ?? false,
      destructive: agent.presentation.hints?.destructive ?? false,
      idempotent: agent.presentation.hints?.idempotent ?? false,
      openWorld: agent.presentation.hints?.openWorld ?? true
    },
    fingerprint: fingerprintOf(agent.identifier, payload, success, error) +
      (version === undefined ? "" : `@${version}`),
    migrations: yield* Effect.forEach(agent.migrations, (migration) => compileMigration(name, migration))
  } satisfies Callable
})

const compileMigration = Effect.fnUntraced(function*(name: string, { from, payload, steps }: Agent.Migration) {
  return {
    from: typeof from === "string" ? from : yield* objectShape(name, "payload of a migration", from),
    // cast: the declaration has checked that it takes what `from` reads; a version says nothing of what that is.
    payload: payload as Migration["payload"],
    steps
  } satisfies Migration
})

const compileSignals = Effect.fnUntraced(function*({ signals }: Agent.Any, declaration: string) {
  const compiled = new Map<string, Shape>()
  for (const [name, schema] of Object.entries(signals)) {
    if (!/^[A-Za-z0-9_.-]{1,128}$/u.test(name)) {
      return yield* new FusionError({
        declaration,
        problem: `its signal "${name}" is not named with 1 to 128 letters, digits, dots, dashes and underscores`
      })
    }
    compiled.set(name, yield* shape(declaration, `signal ${name}`, schema))
  }
  return compiled
})

const timeoutOf = ({ timeout }: Agent.Any, declaration: string) => {
  if (timeout === undefined) return Effect.undefined
  const millis = Math.ceil(Duration.toMillis(Duration.fromInputUnsafe(timeout)))
  return Number.isSafeInteger(millis) && millis > 0
    ? Effect.succeed(millis)
    : Effect.fail(new FusionError({ declaration, problem: "its timeout is not a finite time above 0" }))
}

const limitsOf = ({ concurrency: { perTenant, total }, threads }: Agent.Any): Limits | undefined =>
  total === undefined && perTenant === undefined && threads !== "enqueue" ? undefined : {
    ...(total === undefined ? {} : { agent: total }),
    ...(perTenant === undefined ? {} : { tenant: perTenant }),
    ...(threads === "enqueue" ? { thread: true } : {})
  }

const compileTool = Effect.fnUntraced(function*(
  tool: Tool.Any,
  name: string,
  appHooks: ReadonlyArray<Hook.Any>,
  asksAnything: boolean
) {
  const hooks = [...appHooks, ...Context.get(tool.annotations, Hook.ToolHooks)]
  const payload = Tool.isDynamic(tool) && tool.jsonSchema !== undefined
    ? yield* documentShape(name, tool.jsonSchema)
    : yield* objectShape(name, "parameters", tool.parametersSchema)
  const success = yield* shape(name, "success", tool.successSchema)
  const error = yield* shape(name, "failure", tool.failureSchema)
  const requires = Context.get(tool.annotations, Requires)
  const task = Context.get(tool.annotations, Task)
  const presentation = yield* checkIcons(name, Context.get(tool.annotations, Presentation.OfTool))
  return {
    kind: "tool",
    identifier: tool.name,
    description: Tool.getDescription(tool) ?? tool.name,
    scopes: Context.get(tool.annotations, Scopes),
    threads: "parallel",
    timeoutMillis: undefined,
    model: undefined,
    signals: new Map(),
    limits: undefined,
    // A call that may wait for a human has to be there when the human comes.
    durable: asksAnything || requires.length > 0 || task !== "auto" ||
      Context.get(tool.annotations, Durable) ||
      (tool.needsApproval !== undefined && tool.needsApproval !== false) ||
      hooks.some((hook) => hook.suspends),
    payload,
    success,
    error,
    errors: yield* declaredErrors(name, tool.failureSchema),
    mcpTool: mcpNameOf(tool.name),
    examples: [],
    requires,
    task,
    presentation,
    annotations: {
      title: Option.getOrUndefined(Context.getOption(tool.annotations, Tool.Title)) ?? presentation.title,
      readonly: Context.get(tool.annotations, Tool.Readonly),
      destructive: Context.get(tool.annotations, Tool.Destructive),
      idempotent: Context.get(tool.annotations, Tool.Idempotent),
      openWorld: Context.get(tool.annotations, Tool.OpenWorld)
    },
    fingerprint: fingerprintOf(tool.name, payload, success, error),
    migrations: []
  } satisfies Callable
})

const compileResource = Effect.fnUntraced(function*(resource: Resource.Any, name: string) {
  yield* checkIcons(name, resource.presentation)
  const params = yield* objectShape(name, "params", resource.paramsSchema)
  const wanted = Object.keys(resource.paramsSchema.fields)
  const named = Resource.paramNames(resource.uriTemplate)
  const literal = resource.uriTemplate.replaceAll(/\{[^{}]+\}/gu, "x")
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^{}\s?#]+$/u.test(literal) || !segmentsAreWhole(resource.uriTemplate)) {
    return yield* new FusionError({
      declaration: name,
      problem: `"${resource.uriTemplate}" is not scheme:// and segments that are each literal or one {param}`
    })
  }
  if (new Set(named).size !== named.length || [...named].sort().join() !== [...wanted].sort().join()) {
    return yield* new FusionError({
      declaration: name,
      problem: `its URI names {${named.join("}, {")}} but its params are ${wanted.join(", ") || "none"}`
    })
  }
  return {
    resource,
    params,
    success: yield* shape(name, "success", resource.successSchema),
    error: yield* shape(name, "error", resource.errorSchema),
    errors: yield* declaredErrors(name, resource.errorSchema)
  } satisfies ResourceEntry
})

const segmentsAreWhole = (uriTemplate: string) =>
  uriTemplate.split("/").every((segment) => !/[{}]/u.test(segment) || /^\{[A-Za-z_][A-Za-z0-9_]*\}$/u.test(segment))

const compilePrompt = Effect.fnUntraced(function*(prompt: PromptTemplate.Any, name: string) {
  yield* checkIcons(name, prompt.presentation)
  const params = yield* objectShape(name, "params", prompt.paramsSchema)
  for (const [field, schema] of Object.entries(prompt.paramsSchema.fields)) {
    if (!encodesToText(schema)) {
      return yield* new FusionError({
        declaration: name,
        problem: `param "${field}" is not text, and an MCP prompt argument is always text`
      })
    }
  }
  return { prompt, params } satisfies PromptEntry
})

const encodesToText = (schema: Schema.Constraint) => {
  const ast = SchemaAST.toEncoded(schema.ast)
  const members = SchemaAST.isUnion(ast) ? ast.types : [ast]
  return members.every((member) =>
    SchemaAST.isString(member) || SchemaAST.isTemplateLiteral(member) ||
    (SchemaAST.isLiteral(member) && typeof member.literal === "string")
  )
}

/** An input with a field that was not declared is refused; of an output, such a field is left out. */
const shape = (
  declaration: string,
  part: string,
  schema: Schema.Constraint,
  direction: "input" | "output" = "output"
): Effect.Effect<Shape, FusionError> =>
  Effect.try({
    try: () => {
      // Declarations only take schemas without services; effect/ai's tools say so at their handlers.
      const pure = Schema.make<Schema.Codec<unknown>>(schema.ast)
      const place = placeWithoutJson(schema.ast)
      if (place !== undefined) throw new Error(`nothing says how ${place} travels`)
      const codec = Schema.toCodecJson(pure)
      return {
        schema: pure,
        json: JsonSchema.fromSchema(pure, direction),
        files: filePlaces(pure.ast),
        hasContent: answersContent(pure.ast),
        decode: Validation.decoder(codec, direction === "input" ? "error" : "ignore"),
        encode: Schema.encodeUnknownEffect(codec)
      }
    },
    catch: (cause) =>
      new FusionError({
        declaration,
        problem: `its ${part} has no JSON form: ${cause instanceof Error ? cause.message : String(cause)}`
      })
  })

const objectShape = Effect.fnUntraced(function*(declaration: string, part: string, schema: Schema.Constraint) {
  const compiled = yield* shape(declaration, part, hasNoFields(schema) ? NoFields : schema, "input")
  const { json } = compiled
  if (json["anyOf"] !== undefined || json["oneOf"] !== undefined || json["allOf"] !== undefined) {
    return yield* new FusionError({
      declaration,
      problem: `its ${part} is a union; MCP and most models need one object with named fields`
    })
  }
  if (json["type"] !== undefined && json["type"] !== "object") {
    return yield* new FusionError({ declaration, problem: `its ${part} is not an object` })
  }
  return { ...compiled, json: { ...json, type: "object", properties: json["properties"] ?? {} } }
})

/** The parameters of a dynamic tool: its own document describes them, word for word, and checks what it can. */
const documentShape = Effect.fnUntraced(function*(declaration: string, json: unknown) {
  const document = yield* Effect.mapError(
    decodeDocument(json),
    () => new FusionError({ declaration, problem: "its parameters are no JSON Schema of an object" })
  )
  const schema = yield* Effect.orElseSucceed(Effect.try(() => JsonSchema.toSchema(document)), () => AnyObject)
  return { ...(yield* shape(declaration, "parameters", schema, "input")), json: document }
})

const AnyObject = Schema.Record(Schema.String, Schema.Json)
const decodeDocument = Schema.decodeUnknownEffect(
  Schema.StructWithRest(Schema.Struct({ type: Schema.Literal("object") }), [AnyObject])
)

/** A struct without fields takes anything but null; what is meant is an object without fields. */
const NoFields = Schema.Record(Schema.String, Schema.Never)

const hasNoFields = ({ ast }: Schema.Constraint) =>
  SchemaAST.isObjects(ast) && ast.propertySignatures.length === 0 && ast.indexSignatures.length === 0

const declaredErrors = Effect.fnUntraced(function*(declaration: string, schema: Schema.Constraint) {
  if (SchemaAST.isNever(schema.ast)) return []
  const errors: Array<DeclaredError> = []
  for (const member of SchemaAST.isUnion(schema.ast) ? schema.ast.types : [schema.ast]) {
    const status = Schema.resolveAnnotations(Schema.make(member))?.["httpApiStatus"]
    const tag = tagOf(member)
    if (errors.some((error) => error.tag === tag)) {
      return yield* new FusionError({ declaration, problem: `two of its errors are called "${tag}"` })
    }
    errors.push({ tag, status: typeof status === "number" ? status : 422 })
  }
  return errors
})

const tagOf = (ast: SchemaAST.AST): string => {
  const encoded = SchemaAST.toEncoded(ast)
  if (!SchemaAST.isObjects(encoded)) return "Error"
  const tag = encoded.propertySignatures.find((property) => property.name === "_tag")?.type
  return tag !== undefined && SchemaAST.isLiteral(tag) ? String(tag.literal) : "Error"
}

const fingerprintOf = (identifier: string, ...shapes: ReadonlyArray<Shape>) =>
  hash(JSON.stringify([identifier, ...shapes.map((one) => one.json)]))

/** FNV-1a over UTF-16 units, 53 bits as hex: it tells definitions apart, it protects nothing. */
const hash = (text: string) => {
  let high = 0xcbf29ce4
  let low = 0x84222325
  for (let i = 0; i < text.length; i++) {
    low = Math.imul(low ^ text.charCodeAt(i), 0x01000193)
    high = Math.imul(high ^ low, 0x01000193)
  }
  return (high >>> 0).toString(16).padStart(8, "0") + (low >>> 0).toString(16).padStart(8, "0")
}

/** Models of MCP hosts take names of 1 to 64 of A-Z a-z 0-9 _ - only; a longer one ends with a digest of the whole. */
const mcpNameOf = (identifier: string): string => {
  const name = identifier.replaceAll(".", "_")
  return name.length <= 64 ? name : `${name.slice(0, 55)}_${hash(identifier).slice(-8)}`
}

const distinctMcpTools = Effect.fnUntraced(function*(callables: ReadonlyArray<Callable>) {
  const seen = new Map<string, Callable>()
  for (const callable of callables) {
    if (callable.mcpTool === undefined) continue
    const other = seen.get(callable.mcpTool)
    if (other !== undefined) {
      return yield* new FusionError({
        declaration: `${callable.kind} "${callable.identifier}"`,
        problem:
          `MCP would list it under the same name as ${other.kind} "${other.identifier}"; rename one, or set mcpTool: false`
      })
    }
    seen.set(callable.mcpTool, callable)
  }
})

const distinctTemplates = Effect.fnUntraced(function*(resources: ReadonlyArray<Resource.Any>) {
  const seen = new Map<string, string>()
  for (const resource of resources) {
    const pattern = resource.uriTemplate.replaceAll(/\{[^{}]*\}/gu, "{}")
    const other = seen.get(pattern)
    if (other !== undefined) {
      return yield* new FusionError({
        declaration: `resource "${resource.identifier}"`,
        problem: `its URI "${resource.uriTemplate}" reads the same as that of resource "${other}"`
      })
    }
    seen.set(pattern, resource.identifier)
  }
})
