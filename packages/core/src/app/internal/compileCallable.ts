// Agents and tools as callables: names, shapes, limits, and the fingerprint that a changed definition is found by. Fusion calls
// it once for each declaration at start.
import { Context, Duration, Effect, Option } from "effect"
import * as Tool from "effect/ai/Tool"
import { Durable, Scopes, Task } from "../../base/Policy.ts"
import * as Hook from "../../hook/Hook.ts"
import { Requires } from "../../run/ClientRequest.ts"
import type { Limits } from "../../store/RunStore.ts"
import type * as Agent from "../Agent.ts"
import type { Callable, Migration, Shape } from "../Fusion.ts"
import * as Presentation from "../Presentation.ts"
import { declaredErrors, documentShape, objectShape, shape } from "./compileShape.ts"
import { checkIcons, FusionError } from "./fusionError.ts"

export const compileAgent = Effect.fnUntraced(function*(agent: Agent.Any, name: string) {
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
    clientTools: agent.clientTools,
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

export const compileTool = Effect.fnUntraced(function*(
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
    clientTools: false,
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
