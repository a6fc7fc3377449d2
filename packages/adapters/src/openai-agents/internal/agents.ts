// Rebuilds an agent of the OpenAI Agents SDK, and those that it hands over to, with models and tools whose calls are steps;
// OpenAiAgents.ts does it for each run. An agent stays one object, however many ways lead to it.
import type { Agent, FunctionTool, Handoff, RunContext, Tool } from "@openai/agents"
import type { FrameworkRun } from "../../adapter/FrameworkRun.ts"
import { fromText } from "../../adapter/Json.ts"
import * as ToolStep from "../../adapter/ToolStep.ts"
import type { Models } from "./models.ts"
import { isOfApp, readable } from "./runtimeTools.ts"

/** An agent of any context and output. */
export type AnyAgent = Agent<unknown, "text">

export class Agents {
  private readonly known = new Map<AnyAgent, AnyAgent>()
  private readonly framework: FrameworkRun
  private readonly models: Models

  constructor(framework: FrameworkRun, models: Models) {
    this.framework = framework
    this.models = models
  }

  wrap(agent: AnyAgent): AnyAgent {
    const known = this.known.get(agent)
    if (known !== undefined) return known
    const { model } = agent
    const wrapped = agent.clone({
      handoffs: [],
      ...(typeof model === "string" ? {} : { model: this.models.wrap(model, agent.name) })
    })
    this.known.set(agent, wrapped)
    this.known.set(wrapped, wrapped)
    // Tools of MCP servers come with this method as well.
    wrapped.getAllTools = async (context, span) =>
      (await agent.getAllTools(context, span)).map((tool) => this.wrapTool(tool, context))
    wrapped.handoffs = agent.handoffs.map((handoff) =>
      "onInvokeHandoff" in handoff ? this.wrapHandoff(handoff) : this.wrap(handoff)
    )
    return wrapped
  }

  private wrapHandoff(handoff: Handoff<unknown, "text">): Handoff<unknown, "text"> {
    const onInvokeHandoff: typeof handoff.onInvokeHandoff = async (context, args) =>
      this.wrap(await handoff.onInvokeHandoff(context, args))
    return Object.assign(Object.create(Object.getPrototypeOf(handoff)), handoff, {
      agent: this.wrap(handoff.agent),
      onInvokeHandoff
    })
  }

  private wrapTool(tool: Tool<unknown>, context: RunContext<unknown>): Tool<unknown> {
    if (tool.type !== "function" || isOfApp(tool)) return tool
    const { framework } = this
    const invoke: FunctionTool<unknown>["invoke"] = async (runContext, input, details) => {
      const json = JSON.stringify(fromText(input))
      return readable(
        await framework.promise(ToolStep.run(framework, {
          name: tool.name,
          description: tool.description,
          parameters: tool.parameters,
          needsApproval: (args, toolCallId) => tool.needsApproval(context, args, toolCallId),
          execute: (args, { signal }) => {
            const text = JSON.stringify(args)
            return tool.invoke(runContext, text === json ? input : text, { ...details, signal })
          }
        }, { toolCallId: details?.toolCall?.callId ?? globalThis.crypto.randomUUID(), arguments: fromText(input) }))
      )
    }
    return { ...tool, needsApproval: async () => false, invoke } as Tool<unknown> // cast: the same tool.
  }
}
