// A model of the app as a chat model of LangChain; appParts.ts makes it for each graph. Its answer is a step of the run, and comes
// whole to the graph, while readers of the run get each token.
import type { CurrentRun } from "@fastagentic/core/run/Run"
import type { CallbackManagerForLLMRun } from "@langchain/core/callbacks/manager"
import type {
  BaseChatModel,
  BaseChatModelCallOptions,
  BindToolsInput
} from "@langchain/core/language_models/chat_models"
import type { BaseMessage } from "@langchain/core/messages"
import type { ChatResult } from "@langchain/core/outputs"
import { type Effect, Predicate } from "effect"
import { Thrown } from "../../adapter/AdapterError.ts"
import { toJson } from "../../adapter/Json.ts"
import type * as ModelStep from "../../adapter/ModelStep.ts"
import type { Asked, Declared, RuntimeModel } from "../../adapter/RuntimeModel.ts"
import { promptOf } from "./messages.ts"
import type { Session } from "./session.ts"

/** The options of a call, as `bindTools` writes them. */
interface CallOptions extends BaseChatModelCallOptions {
  readonly tools?: ReadonlyArray<Declared>
}

export type AppModel = BaseChatModel<CallOptions>

type Perform = (
  call: Effect.Effect<ModelStep.Reply, Thrown, CurrentRun>,
  runId: string | undefined
) => Promise<ModelStep.Reply>

const toolChoiceOf = (choice: unknown): Asked["toolChoice"] => {
  if (choice === "auto" || choice === "none") return choice
  if (choice === "any" || choice === "required") return "required"
  if (typeof choice === "string") return { tool: choice }
  const named = Predicate.hasProperty(choice, "function") ? choice.function : choice
  return Predicate.hasProperty(named, "name") && typeof named.name === "string" ? { tool: named.name } : undefined
}

const textOf = (reply: ModelStep.Reply) => reply.parts.map((part) => part.type === "text" ? part.text : "").join("")

export const makeModel = (
  session: Session,
  own: RuntimeModel,
  metadata: Record<string, unknown>,
  perform: Perform
): AppModel => {
  const { functions, messages, models } = session.library

  const declaredOf = (tool: BindToolsInput): Declared => {
    const { description, name, parameters } = functions.convertToOpenAITool(tool).function
    return { name, description, parameters }
  }

  class OfApp extends models.BaseChatModel<CallOptions> {
    override lc_serializable = false

    _llmType() {
      return own.provider
    }

    override getLsParams() {
      return { ls_model_type: "chat" as const, ls_provider: own.provider, ls_model_name: own.model }
    }

    override bindTools(tools: Array<BindToolsInput>, options: Partial<CallOptions> = {}) {
      return this.withConfig({ ...options, tools: tools.map(declaredOf) })
    }

    async _generate(
      asked: Array<BaseMessage>,
      { stop, tool_choice, tools = [] }: CallOptions,
      manager?: CallbackManagerForLLMRun
    ): Promise<ChatResult> {
      const call = own.call({
        prompt: promptOf(asked),
        tools,
        toolChoice: tools.length === 0 ? undefined : toolChoiceOf(tool_choice),
        ...(stop === undefined ? {} : { settings: { stopSequences: stop } })
      })
      const reply = await perform(call, manager?.runId).catch((error: unknown) => {
        if (!(error instanceof Thrown)) throw error
        if (typeof error.cause === "object" && error.cause !== null) session.modelFailures.set(error.cause, own.model)
        throw error.cause
      })
      const calls = reply.parts.flatMap((part) => part.type === "tool-call" ? [part] : [])
      for (const { id, name } of calls) session.toolCallIds.request(id, name)
      const message = new messages.AIMessage({
        content: textOf(reply),
        tool_calls: calls.map(({ arguments: args, id, name }) => ({
          id,
          name,
          // cast: arguments of calls are objects.
          args: args as Record<string, unknown>,
          type: "tool_call" as const
        })),
        // The whole answer goes back to the model, with what its provider attached to it.
        additional_kwargs: { fastagentic: toJson(reply.parts) },
        response_metadata: { finish_reason: String(reply.finishReason) }
      })
      const { inputTokens, outputTokens } = reply.usage ?? {}
      if (inputTokens !== undefined && outputTokens !== undefined) {
        const total_tokens = inputTokens + outputTokens
        const usage_metadata = { input_tokens: inputTokens, output_tokens: outputTokens, total_tokens }
        Object.assign(message, { usage_metadata })
      }
      session.see([message])
      return { generations: [{ text: message.text, message }] }
    }
  }

  return new OfApp({ metadata })
}
