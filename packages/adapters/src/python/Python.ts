/**
 * Implements an agent with code of Python, which works in processes of its own.
 *
 * @since 0.1.0
 */
import type { Agent } from "@fastagentic/core"
import type { CurrentRun } from "@fastagentic/core/run/Run"
import { type Duration, Effect, Layer, Schema } from "effect"
import type * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import { dirname, resolve } from "node:path"
import type { Adapter, AdapterCapabilities } from "../adapter/AdapterCapabilities.ts"
import type { Declared } from "../adapter/internal/declared.ts"
import * as TurnLoop from "../adapter/internal/turnLoop.ts"
import * as Functions from "../functions/Functions.ts"
import * as AppTools from "./internal/appTools.ts"
import { discovered } from "./internal/discovered.ts"
import type { Description } from "./internal/frames.ts"
import * as Host from "./internal/host.ts"
import { interpreterFor } from "./internal/interpreter.ts"
import * as Workers from "./internal/workers.ts"
import type { PythonUnusable } from "./PythonError.ts"

/**
 * The abilities of plain callables: their calls of models and tools are seen by nobody.
 *
 * @category capabilities
 * @since 0.1.0
 */
export const callable: AdapterCapabilities = { ...Functions.capabilities, cancel: "kill", backpressure: "bounded" }

/**
 * The abilities of agents of frameworks, whose models and tools are steps of the run.
 *
 * @category capabilities
 * @since 0.1.0
 */
export const framework: AdapterCapabilities = { ...TurnLoop.capabilities, cancel: "kill", backpressure: "bounded" }

/**
 * The abilities of graphs of LangGraph for Python, agents of LangChain among them.
 *
 * @category capabilities
 * @since 0.1.0
 */
export const graph: AdapterCapabilities = {
  ...framework,
  boundary: "node"
}

/**
 * The abilities of crews and flows of CrewAI.
 *
 * @category capabilities
 * @since 0.1.0
 */
export const crew: AdapterCapabilities = { ...graph, boundary: "task" }

/**
 * The abilities of an agent that a factory makes: it gets the tools and models of the app.
 *
 * @category capabilities
 * @since 0.1.0
 */
export const factory = (capabilities: AdapterCapabilities): AdapterCapabilities => ({
  ...capabilities,
  ...(capabilities === callable
    ? { usage: true, budget: true, hooks: { llm: "modify", tool: "modify", node: "none" } }
    : {}),
  toolInjection: "factory"
})

/**
 * The place of an agent, and the limits of its processes.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** `file.py:agent`, or `package.module:agent`. */
  readonly entrypoint: string
  /** By default `FASTAGENTIC_PYTHON`, a virtual environment beside the agent, or `python3`. */
  readonly interpreter?: string
  /** The working directory; by default the one of this process. */
  readonly cwd?: string
  readonly env?: { readonly [name: string]: string }
  /** The processes at most, one for each tenant that is served at a time; 32 by default. */
  readonly processes?: number
  /** A process that answers nothing for so long is ended, and its runs resume in another; 1 minute by default. */
  readonly unresponsive?: Duration.Input
  /** A process that holds more bytes gets no new runs, and one that holds twice as many is ended; 1 GiB by default. */
  readonly maxMemory?: number
}

const adapterOf: { readonly [Kind in Description["kind"]]: Adapter } = {
  callable: {
    name: "python",
    capabilities: callable,
    remedy: "make it with a factory that gets models and tools of the app"
  },
  "pydantic-ai": { name: "pydantic-ai", capabilities: framework },
  langgraph: { name: "langgraph-python", capabilities: graph },
  crewai: { name: "crewai", capabilities: crew }
}

const adapterFor = (description: Description): Adapter => {
  const { capabilities, name, ...rest } = adapterOf[description.kind]
  return description.factory ? { name, capabilities: factory(capabilities) } : { name, capabilities, ...rest }
}

const workersOf = (
  { cwd = ".", entrypoint, env = {}, interpreter, maxMemory, processes, unresponsive }: Options,
  { specs: tools }: AppTools.AppTools
) => {
  const folder = resolve(cwd)
  const target = entrypoint.slice(0, entrypoint.lastIndexOf(":"))
  return Workers.make({
    entrypoint,
    cwd: folder,
    env,
    tools,
    interpreter: interpreterFor(target.endsWith(".py") ? dirname(resolve(folder, target)) : folder, interpreter),
    unresponsive: unresponsive ?? "1 minute",
    maxMemory: maxMemory ?? 2 ** 30
  }, processes ?? 32)
}

/**
 * Implements an agent with an agent of Python: a callable, or an agent of a framework.
 *
 * **Gotchas**
 *
 * A resumed callable runs again from its top: it has to do the same between its steps, and every effect on the world belongs
 * into one.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <
  Identifier extends string,
  Payload extends Agent.PayloadSchema,
  Success extends Agent.AnySchema,
  Tools extends Record<string, Tool.Any> = {},
  E = never,
  R = never
>(
  agent: Declared<Identifier, Payload, Success>,
  options: Options & {
    /** The tools that a factory gets as `rt.tools`: a `Toolkit`, or an effect that makes one. */
    readonly toolkit?: Effect.Effect<Toolkit.WithHandler<Tools>, E, R>
  }
): Layer.Layer<
  Agent.Handler<Identifier>,
  PythonUnusable | E,
  R | Exclude<Tool.HandlerServices<Tools[keyof Tools]>, CurrentRun>
> =>
  Layer.unwrap(Effect.gen(function*() {
    const tools = options.toolkit === undefined ? AppTools.none : yield* AppTools.make(options.toolkit)
    return implement(agent, yield* workersOf(options, tools), tools)
  }))

/**
 * An agent that is served as its own types describe it, without a declaration: its name is that of the entrypoint, its schemas
 * those of its hints.
 *
 * @category constructors
 * @since 0.1.0
 */
export const discover = (
  options: Options
): Effect.Effect<Discovered, PythonUnusable> =>
  Effect.scoped(workersOf(options, AppTools.none)).pipe(Effect.map(({ description }) => {
    const agent = discovered(options.entrypoint, description)
    return { agent, layer: layer(agent, options), isFactory: description.factory }
  }))

/** A declaration with its implementation. @category models @since 0.1.0 */
export interface Discovered {
  readonly agent: Agent.Agent<string, Agent.PayloadSchema, Agent.AnySchema, typeof Schema.Never>
  readonly layer: Layer.Layer<Agent.Handler<string>, PythonUnusable>
  /** Whether a factory makes it, which may ask for models of the app. */
  readonly isFactory: boolean
}

const implement = <
  Identifier extends string,
  Payload extends Agent.PayloadSchema,
  Success extends Agent.AnySchema
>(
  agent: Declared<Identifier, Payload, Success>,
  workers: Workers.Workers,
  tools: AppTools.AppTools
) => {
  const run = Host.make(workers, agent, tools)
  const encode = Schema.encodeEffect(Schema.toCodecJson(agent.payloadSchema))
  const decode = Schema.decodeUnknownEffect(Schema.toCodecJson(agent.successSchema))
  return agent.toLayer(
    (payload: Payload["Type"]) =>
      Effect.orDie(encode(payload)).pipe(
        Effect.flatMap(run),
        Effect.flatMap((output) => Effect.orDie(decode(output)))
      ),
    adapterFor(workers.description)
  )
}
