/**
 * Schema fusion: the one table that every protocol is made from, compiled once at start.
 *
 * @since 0.1.0
 */
import { Effect, type Schema } from "effect"
import type { Ability } from "../run/ClientRequest.ts"
import type { Places } from "../run/internal/filePlaces.ts"
import type { Limits } from "../store/RunStore.ts"
import type { Adapter } from "./AdapterCapabilities.ts"
import type * as Agent from "./Agent.ts"
import type * as App from "./App.ts"
import { checkInterfaces } from "./internal/checkInterfaces.ts"
import { compileAgent, compileTool } from "./internal/compileCallable.ts"
import { compilePrompt, compileResource } from "./internal/compileReadable.ts"
import { checkIcons, FusionError } from "./internal/fusionError.ts"
import type * as Presentation from "./Presentation.ts"
import type * as PromptTemplate from "./PromptTemplate.ts"
import type * as Resource from "./Resource.ts"

export {
  /** A declaration that cannot be served as it is; `declaration` names it. @category errors @since 0.1.0 */
  FusionError
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
  /** Whether it takes tools that the page of a client runs. */
  readonly clientTools: boolean
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
  yield* checkLinks(app)
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
  yield* checkInterfaces([...tools.values(), ...agents.values()], [...resources.values()])
  return { app, agents, tools, resources, prompts }
})

/** Clients follow the links of an app, which are those of a page. */
const checkLinks = ({ documentationUrl, identifier, provider }: App.Any) => {
  const wrong = [documentationUrl, provider?.url].find((url) => url !== undefined && !isPage(url))
  return wrong === undefined
    ? Effect.void
    : Effect.fail(
      new FusionError({
        declaration: `app "${identifier}"`,
        problem: `its link "${wrong}" is no http or https address`
      })
    )
}

const isPage = (url: string) => URL.canParse(url) && /^https?:$/u.test(new URL(url).protocol)

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
