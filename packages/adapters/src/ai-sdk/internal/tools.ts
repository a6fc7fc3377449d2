// Wraps the tools of an AI SDK agent: each call is a step of the run, and a call that needs an approval waits for a human.
import type { Tool, ToolSet } from "ai"
import type { FrameworkRun } from "../../adapter/FrameworkRun.ts"
import { toJson } from "../../adapter/Json.ts"
import * as ToolStep from "../../adapter/ToolStep.ts"
import type { Library } from "./library.ts"
import { reasonOf } from "./reason.ts"
import { isOfApp } from "./runtimeTools.ts"

/** The calls of one run for which a human has to be asked. */
export type Asks = Set<string>

/** The tools whose calls are steps; a tool without `execute` is one of the caller or the provider, and stays as it is. */
export const wrapTools = (library: Library, framework: FrameworkRun, tools: ToolSet, asks: Asks): ToolSet =>
  Object.fromEntries(
    Object.entries(tools).map(([name, tool]) => [name, wrapTool(library, framework, name, tool, asks)])
  )

const wrapTool = (
  library: Library,
  framework: FrameworkRun,
  name: string,
  tool: ToolSet[string],
  asks: Asks
): ToolSet[string] => {
  const { execute, needsApproval: asking, ...rest } = tool
  if (execute === undefined || isOfApp(tool)) return tool
  const run: NonNullable<Tool["execute"]> = async (input: unknown, options) => {
    const { messages, toolCallId } = options
    const json = JSON.stringify(toJson(input))
    const parameters = await library.asSchema(tool.inputSchema).jsonSchema
    const outcome = await framework.promise(ToolStep.run(framework, {
      name,
      parameters,
      needsApproval: async () =>
        asks.has(toolCallId) ||
        (typeof asking === "function"
          ? await asking(input, { toolCallId, messages, context: options.context })
          : asking === true),
      // Input that nobody has changed keeps the form that its schema gave it.
      execute: (args, { signal }) =>
        execute(JSON.stringify(args) === json ? input : args, { ...options, abortSignal: signal })
    }, { toolCallId, arguments: input }))
    if (outcome.isError) throw new Error(reasonOf(outcome))
    return outcome.result
  }
  // cast: the same tool, with its calls as steps.
  return { ...rest, execute: run } as ToolSet[string]
}
