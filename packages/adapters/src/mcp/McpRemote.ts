/**
 * The tools, resources and prompts of a remote MCP server, for the agents of an app.
 *
 * @since 0.1.0
 */
import type * as Content from "@fastagentic/core/run/Content"
import type { CurrentRun } from "@fastagentic/core/run/Run"
import type { ToolDenied } from "@fastagentic/core/run/RunError"
import { Context, type Duration, Effect, Layer, type Redacted, type Schema, type Stream } from "effect"
import type * as LanguageModel from "effect/ai/LanguageModel"
import type * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import type { AdapterLoadError } from "../adapter/AdapterError.ts"
import * as Egress from "../egress/Egress.ts"
import type * as Catalog from "./internal/catalog.ts"
import * as Declared from "./internal/declared.ts"
import { collisions } from "./internal/names.ts"
import type * as Reads from "./internal/reads.ts"
import * as Made from "./internal/remote.ts"
import * as Tools from "./internal/tools.ts"
import type { Auth } from "./McpAuth.ts"
import type { Definition } from "./RemoteDefinition.ts"
import { type CallError, type PinsUnusable, type RequestError, ToolNamesCollide } from "./RemoteError.ts"

/** The door's rules for a remote tool. @category options @since 0.1.0 */
export interface Rules {
  /** The scopes that a caller of the app needs. */
  readonly scopes?: ReadonlyArray<string> | undefined
  /**
   * Whether a person approves each call, and on which terms. By default the hints of the pinned definition decide: a tool that is
   * neither read-only nor free of destruction needs one, and so does a tool without hints.
   */
  readonly approval?: Tools.Rules["approval"]
  /** The time for one call, without the time that somebody is asked in. Default: that of the server. */
  readonly timeout?: Duration.Input | undefined
}

/** The server at an address. @category options @since 0.1.0 */
export interface Http {
  readonly url: string
  readonly headers?: Readonly<Record<string, string | Redacted.Redacted>> | undefined
  readonly auth?: Auth | undefined
  /** The rules of `Egress`: by default the server has to be in the public network. */
  readonly egress?: Egress.Options | undefined
}

/** The server as a process of this machine. @category options @since 0.1.0 */
export interface Process {
  readonly command: string
  readonly args?: ReadonlyArray<string> | undefined
  /** Beside PATH, HOME and their like the process gets these variables and no others. */
  readonly env?: Readonly<Record<string, string | Redacted.Redacted>> | undefined
  readonly cwd?: string | undefined
}

/** @category options @since 0.1.0 */
export interface Settings {
  /** The file that keeps the pinned tools; by default they are pinned as long as the process runs. It belongs into the repository. */
  readonly pins?: string | undefined
  /** The beginning of the names by which models know the tools. Default: the identifier and `_`. */
  readonly prefix?: string | undefined
  /** The rules for each tool; `"hidden"` offers it to no model. */
  readonly rules?: ((tool: Definition) => Rules | "hidden") | undefined
  /** The time for a request, and for a call without the time that somebody is asked in. Default 1 minute. */
  readonly timeout?: Duration.Input | undefined
  /** The time to connect, with the start of a process. Default 30 seconds. */
  readonly connectTimeout?: Duration.Input | undefined
  /** The most characters of a result as JSON. Default 1 Mi. */
  readonly maxResultSize?: number | undefined
  /** The time for a person to answer a question of the server. Default 10 minutes. */
  readonly answerWithin?: Duration.Input | undefined
  /** The folders that the server may know of. Default: none. */
  readonly roots?: ReadonlyArray<{ readonly uri: string; readonly name?: string | undefined }> | undefined
}

/** @category options @since 0.1.0 */
export type Options<R = never> =
  & (Http | Process)
  & Settings
  & {
    /** The model that answers the server's requests for one, under the budget of the run. Without it there is none. */
    readonly sampling?: Layer.Layer<LanguageModel.LanguageModel, never, R> | undefined
  }

/** A list of a server that has changed. @category models @since 0.1.0 */
export type ListName = "tools" | "resources" | "prompts"

/** A remote server. @category models @since 0.1.0 */
export interface Remote {
  /** The pinned definitions. */
  readonly tools: Effect.Effect<ReadonlyArray<Definition>, RequestError | PinsUnusable>
  /** The address at which a person lets the app in (`McpAuth.oauth`); nothing when the server has let it in. */
  readonly authorize: Effect.Effect<URL | undefined, RequestError>
  /** Takes the query with which that person came back to `redirectUrl`. */
  readonly authorized: (callback: URLSearchParams) => Effect.Effect<void, RequestError>
  /** The pinned tools, for a model loop. */
  readonly toolkit: Effect.Effect<
    Toolkit.WithHandler<Tools.Tools>,
    RequestError | PinsUnusable | ToolNamesCollide
  >
  /** Calls a tool by its name at the server, as a model loop does: a step of the run with the door, hooks and approval. */
  readonly call: (
    tool: string,
    args?: Schema.Json
  ) => Effect.Effect<Content.List, CallError | PinsUnusable | ToolNamesCollide | ToolDenied, CurrentRun>
  /** The differences between the pinned tools and those that the server lists now. */
  readonly changes: Effect.Effect<ReadonlyArray<Catalog.Change>, RequestError>
  /** Pins these tools as they are now, or all of them. */
  readonly accept: (...tools: ReadonlyArray<string>) => Effect.Effect<void, RequestError | PinsUnusable>
  /** The lists of the server that change, as it tells. */
  readonly listChanged: Stream.Stream<ListName>
  readonly resources: Effect.Effect<ReadonlyArray<typeof Reads.Resource.Type>, RequestError>
  readonly resourceTemplates: Effect.Effect<ReadonlyArray<typeof Reads.Template.Type>, RequestError>
  /** The content of a resource. It is untrusted: put it into a prompt with `ModelLoop.untrusted`. */
  readonly read: (uri: string) => Effect.Effect<Content.List, RequestError>
  readonly prompts: Effect.Effect<ReadonlyArray<typeof Reads.Prompt.Type>, RequestError>
  readonly prompt: (
    name: string,
    args?: Readonly<Record<string, string>>
  ) => Effect.Effect<ReadonlyArray<Reads.Message>, RequestError>
}

/**
 * The key of a remote server.
 *
 * **Example** (An agent with the tools of a remote server)
 *
 * ```ts
 * import { Agent } from "@fastagentic/core"
 * import { ModelLoop } from "@fastagentic/adapters/effect-ai"
 * import { McpRemote, type RemoteError } from "@fastagentic/adapters/mcp"
 * import { Effect, Schema } from "effect"
 *
 * class Tracker extends McpRemote.Service<Tracker>()("tracker") {}
 *
 * const TrackerLayer = McpRemote.layer(Tracker, { url: "https://tracker.example.com/mcp", pins: "tracker.mcp.json" })
 *
 * class Triage extends Agent.make("triage", { description: "Sorts issues", payload: { issue: Schema.String } }) {}
 *
 * const TriageLayer = Triage.toLayer(({ issue }) =>
 *   Effect.orDie(Effect.map(
 *     ModelLoop.run({ prompt: issue, toolkit: McpRemote.toolkit(Tracker) }),
 *     ({ text }) => text
 *   ))
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const Service =
  <Self>() => <const Identifier extends string>(identifier: Identifier): ServiceClass<Self, Identifier> =>
    Object.assign(Context.Service<Self, Remote>()(`@fastagentic/adapters/mcp/McpRemote/${identifier}`), { identifier })

/** @category models @since 0.1.0 */
export type ServiceClass<Self, Identifier extends string> =
  & Context.ServiceClass<Self, `@fastagentic/adapters/mcp/McpRemote/${Identifier}`, Remote>
  & { readonly identifier: Identifier }

/** The key of a remote server, as `Service` makes it. @category models @since 0.1.0 */
export type Key<Self> = Context.Key<Self, Remote> & { readonly identifier: string }

/**
 * Connects an app to a remote server.
 *
 * **Details**
 *
 * A server that cannot be reached at the start is asked again when it is needed. The first tools that it lists are pinned; later
 * only these are offered to models, in the words that were pinned, and a tool that has changed is refused until `accept`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <Self, R = never>(
  key: Key<Self>,
  options: Options<R>
): Layer.Layer<Self, Egress.UnknownNetwork | AdapterLoadError | PinsUnusable | ToolNamesCollide, R> => {
  const egress = "url" in options ? options.egress : undefined
  const made = Effect.gen(function*() {
    const model = options.sampling === undefined ? undefined : yield* Layer.build(options.sampling)
    const remote = yield* Made.make(key.identifier, options, model)
    yield* remote.toolkit.pipe(
      Effect.catchIf(
        (error) => error._tag !== "ToolNamesCollide" && error._tag !== "PinsUnusable",
        (error) => Effect.logWarning(error.message)
      )
    )
    return remote
  })
  return Layer.provide(
    Layer.effect(key, made),
    Egress.layer({ timeout: "1 day", maxResponseSize: 16 * 1_048_576, ...egress })
  )
}

/**
 * The pinned tools of a remote server, for a model loop.
 *
 * @category accessors
 * @since 0.1.0
 */
export const toolkit = <Self>(
  key: Key<Self>
): Effect.Effect<Toolkit.WithHandler<Tools.Tools>, RequestError | PinsUnusable | ToolNamesCollide, Self> =>
  Effect.flatMap(key, (remote) => remote.toolkit)

/** The type of the tools of a server, whose names begin with its prefix. @category models @since 0.1.0 */
export type ToolsOf<Prefix extends string> = {
  readonly [_ in `${Prefix}${string}`]: Tools.RemoteTool<`${Prefix}${string}`>
}

/** Tools of a server that an app declares as its own. @category models @since 0.1.0 */
export interface Declaration<Self, Prefix extends string> extends Declared.Part {
  readonly server: string
  readonly prefix: Prefix
  /** The handlers, which call the server of the layer. */
  readonly layer: Layer.Layer<Tool.Handler<`${Prefix}${string}`>, never, Self>
}

/**
 * The pinned tools of a server as tools of the app: served at `POST /tools/{name}`, over MCP and to its agents, under the rules of
 * the app.
 *
 * **Details**
 *
 * They come from the file of pins, so the server need not be there when the app starts. The first start with that file in
 * `McpRemote.layer` writes it; the tools are there from the next start on. A collision of names is thrown.
 *
 * **Example** (An app with its own tools and those of a server)
 *
 * ```ts
 * import { App } from "@fastagentic/core"
 * import { McpRemote } from "@fastagentic/adapters/mcp"
 * import { Effect, Layer, Schema } from "effect"
 * import { Tool, Toolkit } from "effect/ai"
 *
 * class Tracker extends McpRemote.Service<Tracker>()("tracker") {}
 *
 * const pins = "tracker.mcp.json"
 * const TrackerLayer = McpRemote.layer(Tracker, { url: "https://tracker.example.com/mcp", pins })
 * const TrackerTools = McpRemote.declare(Tracker, { pins })
 *
 * const Own = Toolkit.make(Tool.make("greet", { success: Schema.String }))
 * const handlers = Layer.merge(Own.toLayer({ greet: () => Effect.succeed("Hello") }), TrackerTools.layer)
 *
 * class Support extends App.make("support", { version: "1", tools: McpRemote.tools(Own, TrackerTools) }) {}
 *
 * export default Support.provide(Layer.provide(handlers, TrackerLayer))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const declare = <Self, const Identifier extends string, const Prefix extends string = `${Identifier}_`>(
  key: Key<Self> & { readonly identifier: Identifier },
  options: {
    /** The file of pins. */
    readonly pins: string
    /** The beginning of the names. Default: the identifier and `_`. */
    readonly prefix?: Prefix
    /** The door's rules for each tool; `"hidden"` leaves it out. The time for a call is that of the layer. */
    readonly rules?: ((tool: Definition) => Omit<Rules, "timeout"> | "hidden") | undefined
  }
): Declaration<Self, Prefix> => {
  // cast: the default of the type is the default of the value.
  const prefix = options.prefix ?? `${key.identifier}_` as Prefix
  const pinned = Declared.pinnedIn(key.identifier, options.pins)
  const part = Declared.make(key.identifier, prefix, pinned ?? [], options.rules ?? (() => ({})))
  const handlers = Effect.gen(function*() {
    const remote = yield* key
    if (pinned === undefined) {
      yield* Effect.logWarning(
        `The app has no tools of "${key.identifier}" yet: start it again once its pins are written`
      )
    }
    return yield* part.toolkit.toHandlers(Tools.handlersOf(part.declared, Made.handleOf(remote)))
  })
  // cast: the names of the tools begin with the prefix.
  const layer = Layer.effectContext(handlers) as Declaration<Self, Prefix>["layer"]
  return { ...part, prefix, layer }
}

/** @category utility types @since 0.1.0 */
export type ToolkitOf<Part> = Part extends { readonly prefix: infer Prefix extends string }
  ? Toolkit.Toolkit<ToolsOf<Prefix>>
  : Part extends Toolkit.Any ? Part
  : never

/**
 * The toolkit of an app with its own tools and those of remote servers. Two tools of one name are thrown as `ToolNamesCollide`,
 * which says whose they are.
 *
 * @category constructors
 * @since 0.1.0
 */
export const tools = <const Parts extends ReadonlyArray<Toolkit.Any | (Declared.Part & { readonly prefix: string })>>(
  ...parts: Parts
): Toolkit.Toolkit<Toolkit.MergedTools<{ readonly [K in keyof Parts]: ToolkitOf<Parts[K]> }>> =>
  // cast: the names are known at run time only.
  Toolkit.make(...Declared.together(parts)) as unknown as Toolkit.Toolkit<
    Toolkit.MergedTools<{ readonly [K in keyof Parts]: ToolkitOf<Parts[K]> }>
  >

/**
 * The tools of two toolkits, such as those of a server and the app's own. Two tools of one name are an error.
 *
 * @category combinators
 * @since 0.1.0
 */
export const merge = <A extends Record<string, Tool.Any>, E1, R1, B extends Record<string, Tool.Any>, E2, R2>(
  one: Effect.Effect<Toolkit.WithHandler<A>, E1, R1>,
  other: Effect.Effect<Toolkit.WithHandler<B>, E2, R2>
): Effect.Effect<
  Toolkit.WithHandler<Record<string, A[keyof A] | B[keyof B]>>,
  E1 | E2 | ToolNamesCollide,
  R1 | R2
> =>
  Effect.gen(function*() {
    const [first, second] = [yield* one, yield* other]
    const names = collisions([
      ...Object.keys(first.tools).map((name) => ({ name, of: "the first toolkit" })),
      ...Object.keys(second.tools).map((name) => ({ name, of: "the second" }))
    ])
    if (names.length > 0) return yield* new ToolNamesCollide({ names })
    const handle = (name: string, ...rest: ReadonlyArray<unknown>) => {
      const owner = Object.hasOwn(first.tools, name) ? first : second
      // cast: the name says which of the two toolkits the arguments are for.
      return (owner.handle as (...args: ReadonlyArray<unknown>) => unknown)(name, ...rest)
    }
    // cast: a merged toolkit has the tools of both, under their names.
    return { tools: { ...first.tools, ...second.tools }, handle } as unknown as Toolkit.WithHandler<
      Record<string, A[keyof A] | B[keyof B]>
    >
  })
