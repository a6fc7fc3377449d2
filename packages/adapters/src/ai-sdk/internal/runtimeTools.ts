// The tools of the app as those of the AI SDK; AiSdk.ts and MastraAgents.ts give them to the function that makes an agent. The
// tools say nothing about calls by themselves: settings.ts and Mastra's tools.ts leave them as they are.
import type { JSONSchema7, Tool, ToolSet } from "ai"
import type { TurnLoop } from "../../adapter/internal/turnLoop.ts"
import type { RuntimeTool } from "../../adapter/RuntimeTool.ts"
import type { Library } from "./library.ts"
import { reasonOf } from "./reason.ts"

/** The calls of tools of the app, whose work is a step already. */
const own = new WeakSet<object>()

export const isOfApp = (tool: { readonly execute?: unknown }): boolean =>
  typeof tool.execute === "function" && own.has(tool.execute)

/** Makes a call of the app for the framework: it rejects with the text that the model reads. */
export const calling = ({ callTool }: TurnLoop, tool: RuntimeTool) => async (args: unknown, toolCallId: string) => {
  const outcome = await callTool(tool, { toolCallId, arguments: args })
  if (outcome.isError) throw new Error(reasonOf(outcome))
  return outcome.result
}

/** The tools of the app by their names. */
export const toolSetOf = ({ jsonSchema }: Library, loop: TurnLoop): ToolSet =>
  Object.fromEntries(loop.tools.map((tool) => {
    const call = calling(loop, tool)
    const execute: NonNullable<Tool["execute"]> = async (args: unknown, { toolCallId }) => call(args, toolCallId)
    own.add(execute)
    // cast: a schema of JSON is one of the SDK.
    const inputSchema = jsonSchema(tool.parameters as JSONSchema7)
    return [tool.name, { description: tool.description, inputSchema, execute }]
  }))
