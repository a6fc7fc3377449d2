// Rebuilds the settings of an AI SDK agent with models and tools whose calls are steps; AiSdk.ts makes one agent for each run.
import type { PrepareStepFunction, ToolApprovalStatus, ToolLoopAgentSettings, ToolSet } from "ai"
import { Predicate } from "effect"
import type { TurnLoop } from "../../adapter/internal/turnLoop.ts"
import type { Models } from "./models.ts"
import { type Asks, wrapTools } from "./tools.ts"

/** The settings of any agent. */
export type Settings = ToolLoopAgentSettings<never, ToolSet>

type Chosen = Partial<Pick<Settings, "model" | "tools" | "prepareStep" | "toolApproval">>

const statusOf = (status: ToolApprovalStatus): string | undefined => typeof status === "object" ? status.type : status

/** The settings of an agent, which it keeps in a field of its own. */
export const settingsOf = (agent: unknown): Settings => {
  if (Predicate.hasProperty(agent, "settings") && Predicate.hasProperty(agent.settings, "model")) {
    // cast: the constructor of `ToolLoopAgent` has stored what it got.
    return agent.settings as unknown as Settings
  }
  throw new Error("the ai-sdk adapter hosts instances of ToolLoopAgent")
}

/** The same settings, with every model and tool that the agent can reach as steps of the run. */
export const wrapSettings = (
  settings: Settings,
  { beginTurn, framework }: TurnLoop,
  models: Models
): Settings => {
  const asks: Asks = new Set()

  const approvalOf = (original: Settings["toolApproval"]): Settings["toolApproval"] =>
    original === undefined ? undefined : async (options) => {
      const { messages, runtimeContext, toolCall } = options
      const { input, toolCallId, toolName } = toolCall
      const single = typeof original === "function" ? undefined : original[toolName]
      const status = typeof original === "function"
        ? await original(options)
        : typeof single === "function"
        // cast: the context of a tool is the tool's own, and belongs to it.
        ? await single(input, { toolCallId, messages, runtimeContext, toolContext: undefined as never })
        : single
      if (statusOf(status) !== "user-approval") return status
      asks.add(toolCallId)
      return "approved"
    }

  const stepOf = (original: Settings["prepareStep"]): PrepareStepFunction<ToolSet> => async (options) => {
    await beginTurn()
    const prepared = await original?.(options)
    return prepared?.model === undefined ? prepared : { ...prepared, model: models.wrap(prepared.model) }
  }

  const wrapChosen = <A extends Chosen>(chosen: A): A => ({
    ...chosen,
    ...(chosen.model === undefined ? {} : { model: models.wrap(chosen.model) }),
    ...(chosen.tools === undefined ? {} : { tools: wrapTools(models.library, framework, chosen.tools, asks) }),
    toolApproval: approvalOf(chosen.toolApproval),
    prepareStep: stepOf(chosen.prepareStep)
  })

  const { prepareCall } = settings
  // The agent's own `prepareCall` is wrapped: its choice of models and tools is the last.
  return prepareCall === undefined
    ? wrapChosen(settings)
    : { ...settings, prepareCall: async (options) => wrapChosen(await prepareCall(options)) }
}
