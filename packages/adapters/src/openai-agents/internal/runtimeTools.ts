// The tools of the app as those of the OpenAI Agents SDK; OpenAiAgents.ts gives them to the function that makes an agent, and
// agents.ts leaves them as they are.
import type { Tool } from "@openai/agents"
import type { TurnLoop } from "../../adapter/internal/turnLoop.ts"
import { toJson } from "../../adapter/Json.ts"
import type * as ToolStep from "../../adapter/ToolStep.ts"
import type { Library } from "./library.ts"

const own = new WeakSet<object>()

/** Whether the work of the tool is a step already. */
export const isOfApp = (tool: Tool<unknown>): boolean => tool.type === "function" && own.has(tool.invoke)

export const toolsOf = (library: Library, { callTool, tools }: TurnLoop): Array<Tool> =>
  tools.map((tool) => {
    const made = library.tool({
      name: tool.name,
      description: tool.description,
      // cast: a schema of JSON whose root is an object.
      parameters: tool.parameters as unknown as Parameters,
      strict: false,
      errorFunction: null,
      execute: async (args: unknown, _context, details) => {
        const toolCallId = details?.toolCall?.callId ?? globalThis.crypto.randomUUID()
        return readable(await callTool(tool, { toolCallId, arguments: toJson(args) }))
      }
    })
    own.add(made.invoke)
    // cast: its parameters are those of the app.
    return made as unknown as Tool
  })

/** The result of a call as the model reads it. */
export const readable = ({ denied, result }: ToolStep.Outcome) =>
  denied ? `The call was denied: ${JSON.stringify(result)}` : result

interface Parameters {
  readonly type: "object"
  readonly properties: Record<string, object>
  readonly required: Array<string>
  readonly additionalProperties: true
}
