/**
 * An app: the agents, tools, resources and prompts that ship together, as one pure value.
 *
 * @since 0.1.0
 */
import type { Layer } from "effect"
import type * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import type * as Hook from "../hook/Hook.ts"
import type * as Agent from "./Agent.ts"
import type { Icon } from "./Presentation.ts"
import type * as PromptTemplate from "./PromptTemplate.ts"
import type * as Resource from "./Resource.ts"
import type * as Schedule from "./Schedule.ts"

const TypeId = "~@fastagentic/core/App"
const RunnableTypeId = "~@fastagentic/core/App/Runnable"

/** The organization that offers an app, for its agent card. @category models @since 0.1.0 */
export interface Provider {
  readonly organization: string
  readonly url: string
}

/**
 * A declared app.
 *
 * @category models
 * @since 0.1.0
 */
export interface App<
  Identifier extends string,
  Agents extends Agent.Any,
  Tools extends Record<string, Tool.Any>,
  Resources extends Resource.Any,
  Prompts extends PromptTemplate.Any,
  Hooks extends Hook.Any = never
> {
  new(_: never): {}
  readonly [TypeId]: typeof TypeId
  readonly identifier: Identifier
  readonly version: string
  readonly title: string
  readonly description: string
  readonly agents: ReadonlyArray<Agents>
  readonly tools: Toolkit.Toolkit<Tools>
  readonly resources: ReadonlyArray<Resources>
  readonly prompts: ReadonlyArray<Prompts>
  readonly hooks: ReadonlyArray<Hooks>
  readonly schedules: ReadonlyArray<Schedule.Any>
  /** Whether MCP lists tools that read, answer and cancel runs, where runs may pause. */
  readonly mcpRunTools: boolean
  readonly icons: ReadonlyArray<Icon>
  readonly provider: Provider | undefined
  readonly documentationUrl: string | undefined

  /** Adds hooks around every agent and tool, outside of the agents' own. */
  hook<H extends ReadonlyArray<Hook.Any>>(
    ...hooks: H
  ): App<Identifier, Agents, Tools, Resources, Prompts, Hooks | H[number]>

  /** Gives the app its handlers: what is left is a value that can be served. A handler too few does not compile. */
  provide<E>(
    handlers: Layer.Layer<HandlersOf<Agents, Tools, Resources, Prompts, Hooks>, E>
  ): Runnable<this, HandlersOf<Agents, Tools, Resources, Prompts, Hooks>, E>
}

/** @category utility types @since 0.1.0 */
export interface Any {
  readonly [TypeId]: typeof TypeId
  readonly identifier: string
  readonly version: string
  readonly title: string
  readonly description: string
  readonly agents: ReadonlyArray<Agent.Any>
  readonly tools: Toolkit.Any
  readonly resources: ReadonlyArray<Resource.Any>
  readonly prompts: ReadonlyArray<PromptTemplate.Any>
  readonly hooks: ReadonlyArray<Hook.Any>
  readonly schedules: ReadonlyArray<Schedule.Any>
  readonly mcpRunTools: boolean
  readonly icons: ReadonlyArray<Icon>
  readonly provider: Provider | undefined
  readonly documentationUrl: string | undefined
}

/** An app together with its handlers. @category models @since 0.1.0 */
export interface Runnable<out A extends Any, in out Handlers, out E = never> {
  readonly [RunnableTypeId]: typeof RunnableTypeId
  readonly app: A
  readonly handlers: Layer.Layer<Handlers, E>
}

/** @category utility types @since 0.1.0 */
export type HandlersOf<
  Agents,
  Tools extends Record<string, Tool.Any>,
  Resources extends Resource.Any,
  Prompts extends PromptTemplate.Any,
  Hooks extends Hook.Any
> =
  | Agent.Handlers<Agents>
  | Tool.HandlersFor<Tools>
  | Extract<Tool.Requirements<Tools[keyof Tools]>, Hook.Handler<string>>
  | (Resources extends Resource.Any ? Resource.Handler<Resources["identifier"]> : never)
  | (Prompts extends PromptTemplate.Any ? PromptTemplate.Handler<Prompts["identifier"]> : never)
  | Hook.HandlersOf<Hooks>

/** The services that an app needs to be served. @category utility types @since 0.1.0 */
export type Handlers<A> = A extends
  App<infer _I, infer Agents, infer Tools, infer Resources, infer Prompts, infer Hooks>
  ? HandlersOf<Agents, Tools, Resources, Prompts, Hooks>
  : never

type Options = Omit<Any, typeof TypeId>

const Proto = {
  [TypeId]: TypeId,
  hook(this: Options, ...hooks: ReadonlyArray<Hook.Any>) {
    return makeProto({
      identifier: this.identifier,
      version: this.version,
      title: this.title,
      description: this.description,
      agents: this.agents,
      tools: this.tools,
      resources: this.resources,
      prompts: this.prompts,
      hooks: [...this.hooks, ...hooks],
      schedules: this.schedules,
      mcpRunTools: this.mcpRunTools,
      icons: this.icons,
      provider: this.provider,
      documentationUrl: this.documentationUrl
    })
  },
  provide(this: Any, handlers: unknown) {
    return { [RunnableTypeId]: RunnableTypeId, app: this, handlers }
  }
}

const makeProto = <A>(options: Options): A => {
  function App() {}
  Object.setPrototypeOf(App, Proto)
  // cast: a declared value is a function object, so that a class can extend it.
  return Object.assign(App, options) as unknown as A
}

/**
 * Declares an app.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <
  const Identifier extends string,
  const Agents extends ReadonlyArray<Agent.Any> = readonly [],
  Tools extends Record<string, Tool.Any> = {},
  const Resources extends ReadonlyArray<Resource.Any> = readonly [],
  const Prompts extends ReadonlyArray<PromptTemplate.Any> = readonly []
>(identifier: Identifier, options: {
  readonly version: string
  readonly title?: string
  readonly description?: string
  readonly agents?: Agents
  readonly tools?: Toolkit.Toolkit<Tools>
  readonly resources?: Resources
  readonly prompts?: Prompts
  readonly schedules?: ReadonlyArray<Schedule.Any>
  readonly mcpRunTools?: boolean
  readonly icons?: ReadonlyArray<Icon>
  readonly provider?: Provider
  readonly documentationUrl?: string
}): App<Identifier, Agents[number], Tools, Resources[number], Prompts[number]> =>
  makeProto({
    identifier,
    version: options.version,
    title: options.title ?? identifier,
    description: options.description ?? "",
    agents: options.agents ?? [],
    tools: options.tools ?? noTools,
    resources: options.resources ?? [],
    prompts: options.prompts ?? [],
    hooks: [],
    schedules: options.schedules ?? [],
    mcpRunTools: options.mcpRunTools ?? true,
    icons: options.icons ?? [],
    provider: options.provider,
    documentationUrl: options.documentationUrl
  })

/** The tools of an app that has none; effect/ai's own empty toolkit is a third of a page's client. */
// cast: only `tools` of a toolkit is read where there are none.
const noTools = { tools: {} } as unknown as Toolkit.Toolkit<{}>

/** @category guards @since 0.1.0 */
export const isRunnable = (u: unknown): u is Runnable<Any, never, unknown> =>
  typeof u === "object" && u !== null && RunnableTypeId in u
