// The tools of the app as those of Mastra, which builds others out of them: a callback that it keeps says whose they are.
// MastraAgents.ts gives them to the function that makes an agent; tools.ts makes their calls without a step of its own.
import type { ToolsInput } from "@mastra/core/agent"
import type { TurnLoop } from "../../adapter/internal/turnLoop.ts"
import type { Library } from "../../ai-sdk/internal/library.ts"
import { calling } from "../../ai-sdk/internal/runtimeTools.ts"

type Call = ReturnType<typeof calling>

const own = new WeakMap<object, Call>()

/** The call of a tool of the app; nothing for another tool. */
export const callOf = ({ onOutput }: { readonly onOutput?: unknown }): Call | undefined =>
  typeof onOutput === "function" ? own.get(onOutput) : undefined

export const toolsOf = ({ jsonSchema }: Library, loop: TurnLoop): ToolsInput =>
  Object.fromEntries(loop.tools.map((tool) => {
    const call = calling(loop, tool)
    const onOutput = () => {}
    own.set(onOutput, call)
    const made = {
      description: tool.description,
      inputSchema: jsonSchema(tool.parameters),
      execute: (args: unknown, { toolCallId }: { readonly toolCallId: string }) => call(args, toolCallId),
      onOutput
    }
    // cast: a tool of the AI SDK, which Mastra takes as it is.
    return [tool.name, made as unknown as ToolsInput[string]]
  }))
