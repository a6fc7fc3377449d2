// Makes a copy of a Mastra agent, and of those that it delegates to, whose models and tools are steps of the run; MastraAgents.ts
// does it for each run. The copy wraps what is chosen for a step last, after every processor of the agent.
import type { Agent, AgentExecutionOptions } from "@mastra/core/agent"
import type { MessageListInput } from "@mastra/core/agent/message-list"
import type { LanguageModel } from "ai"
import type { TurnLoop } from "../../adapter/internal/turnLoop.ts"
import type { Models } from "../../ai-sdk/internal/models.ts"
import { wrapTools } from "./tools.ts"

type Options = AgentExecutionOptions

type Wishes = { readonly [Name in "prepareStep" | "requireToolApproval"]: Options[Name] | undefined }

/** A sub-agent may also be an object of its own kind, which stays one opaque tool. */
const isAgent = (agent: object): agent is Agent => "__fork" in agent

export class Agents {
  private readonly loop: TurnLoop
  private readonly models: Models

  constructor(loop: TurnLoop, models: Models) {
    this.loop = loop
    this.models = models
  }

  wrap(agent: Agent, beginTurn?: () => Promise<void>): Agent {
    if (typeof agent.__fork !== "function" || (agent.durable ?? false) !== false) {
      throw new Error("the mastra adapter hosts instances of Agent of @mastra/core whose option `durable` is off")
    }
    const copy = agent.__fork()
    const stream: (messages: MessageListInput, options: Options) => ReturnType<Agent["stream"]> = copy.stream.bind(copy)
    const wrapped = async (messages: MessageListInput, given: Options = {}) => {
      const { requestContext } = given
      const own = await copy.getDefaultOptions(requestContext === undefined ? {} : { requestContext })
      return stream(messages, {
        ...given,
        prepareStep: this.stepOf(copy, {
          prepareStep: given.prepareStep ?? own.prepareStep,
          requireToolApproval: given.requireToolApproval ?? own.requireToolApproval
        }, beginTurn),
        // The steps of the run ask and wait, so that Mastra never does.
        requireToolApproval: false,
        eagerToolExecution: false,
        disableBackgroundTasks: true,
        untilIdle: false
      })
    }
    const listAgents: Agent["listAgents"] = async (options) =>
      Object.fromEntries(
        Object.entries(await agent.listAgents(options)).map((
          [name, one]
        ) => [name, isAgent(one) ? this.wrap(one) : one])
      )
    return Object.assign(copy, { stream: wrapped, listAgents })
  }

  /** Wraps the model and the tools of a step. */
  private stepOf(
    agent: Agent,
    { prepareStep, requireToolApproval }: Wishes,
    beginTurn: (() => Promise<void>) | undefined
  ): NonNullable<Options["prepareStep"]> {
    const { framework } = this.loop
    const { library } = this.models
    return async (args) => {
      await beginTurn?.()
      const prepared = await prepareStep?.(args)
      const chosen = prepared?.model
      const tools = prepared?.tools ?? args.tools
      const asking = { framework, library, requireToolApproval, requestContext: args.requestContext }
      const model = chosen === undefined ? args.model : await agent.getModel({ modelConfig: chosen })
      return {
        ...prepared,
        // cast: every model that Mastra has resolved streams as a model of the AI SDK, and so does the wrapped one.
        model: this.models.wrap(model as unknown as LanguageModel) as unknown as typeof args.model,
        ...(tools === undefined ? {} : { tools: wrapTools(asking, tools) })
      }
    }
  }
}
