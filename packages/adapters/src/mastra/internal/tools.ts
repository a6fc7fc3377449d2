// Wraps the tools of a step of a Mastra agent: each call is a step of the run, and a call that needs an approval waits for a
// human. agents.ts gives the tools that the agent has chosen.
import type { RequestContext } from "@mastra/core/request-context"
import type { RequireToolApproval } from "@mastra/core/tools"
import { Predicate } from "effect"
import type { FrameworkRun } from "../../adapter/FrameworkRun.ts"
import { toJson } from "../../adapter/Json.ts"
import * as ToolStep from "../../adapter/ToolStep.ts"
import type { Library } from "../../ai-sdk/internal/library.ts"
import { reasonOf } from "../../ai-sdk/internal/reason.ts"
import { executing } from "./questions.ts"
import { callOf } from "./runtimeTools.ts"

/** A tool as Mastra calls it: one that it has converted, or one of `createTool` that a processor chose for the step. */
export interface AnyTool {
  readonly description?: string
  readonly parameters?: unknown
  readonly inputSchema?: Parameters<Library["asSchema"]>[0]
  readonly requireApproval?: unknown
  readonly needsApprovalFn?: unknown
  readonly onOutput?: unknown
  readonly execute?: (args: unknown, options: CallOptions) => unknown
}

export interface CallOptions {
  readonly toolCallId?: string
  readonly agent?: object
  readonly [name: string]: unknown
}

/** The place of the tools: the run, and the agent's own wish for approvals. */
export interface ToolsContext {
  readonly framework: FrameworkRun
  readonly library: Library
  readonly requireToolApproval: RequireToolApproval | undefined
  readonly requestContext: RequestContext | undefined
}

/** The tools whose calls are steps; a tool without `execute` is one of the caller or the provider, and stays as it is. */
export const wrapTools = (context: ToolsContext, tools: Record<string, unknown>): Record<string, unknown> =>
  // cast: Mastra declares the tools of a step as unknown.
  Object.fromEntries(Object.entries(tools).map(([name, tool]) => [name, wrapTool(context, name, tool as AnyTool)]))

const wrapTool = (context: ToolsContext, name: string, tool: AnyTool): AnyTool => {
  const { execute } = tool
  if (execute === undefined) return tool
  const ofApp = callOf(tool)
  if (ofApp !== undefined) return withExecute(tool, (input, options) => ofApp(input, idOf(options)))
  const { framework } = context
  const run = async (input: unknown, options: CallOptions) => {
    const json = JSON.stringify(toJson(input))
    const outcome = await framework.promise(ToolStep.run(framework, {
      name,
      description: tool.description,
      parameters: await parametersOf(context.library, tool),
      needsApproval: () => needsApproval(context, name, tool, input),
      // Input that nobody has changed keeps the form that its schema gave it.
      execute: (args, context) =>
        executing(framework, name, execute, JSON.stringify(args) === json ? input : args, options, context)
    }, { toolCallId: idOf(options), arguments: input }))
    if (outcome.isError) throw new Error(reasonOf(outcome))
    return outcome.result
  }
  return withExecute(tool, run)
}

/** The copy keeps the class of the tool, by which Mastra knows its own. */
const withExecute = (tool: AnyTool, execute: NonNullable<AnyTool["execute"]>): AnyTool =>
  Object.assign(Object.create(Object.getPrototypeOf(tool)), tool, {
    execute,
    requireApproval: false,
    needsApprovalFn: undefined
  })

const idOf = ({ agent, toolCallId }: CallOptions): string => {
  if (toolCallId !== undefined) return toolCallId
  return Predicate.hasProperty(agent, "toolCallId") && typeof agent.toolCallId === "string"
    ? agent.toolCallId
    : globalThis.crypto.randomUUID()
}

const parametersOf = async (library: Library, { inputSchema, parameters }: AnyTool): Promise<object | undefined> => {
  const known: unknown = Predicate.hasProperty(parameters, "jsonSchema")
    ? await parameters.jsonSchema
    : await library.asSchema(inputSchema).jsonSchema
  return Predicate.isObject(known) ? known : undefined
}

const needsApproval = async (
  { requestContext, requireToolApproval }: ToolsContext,
  toolName: string,
  tool: AnyTool,
  input: unknown
): Promise<boolean> => {
  const context = requestContext === undefined ? {} : Object.fromEntries(requestContext.entries())
  const own = tool.needsApprovalFn ?? tool.requireApproval
  if (typeof own === "function") return Boolean(await own(input, { requestContext: context }))
  if (typeof requireToolApproval !== "function") return requireToolApproval === true || own === true
  const args = Predicate.isObject(input) ? { ...input } : {}
  return own === true || await requireToolApproval({ toolName, args, requestContext: context })
}
