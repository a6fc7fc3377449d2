// The tools and the choice among them as the provider interface has them.
import type { LanguageModelV4CallOptions } from "@ai-sdk/provider"
import { Effect } from "effect"
import * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Tool from "effect/ai/Tool"
import { type Fields, fieldsOf } from "./fields.ts"
import type { Names } from "./names.ts"
import { schemaOf } from "./toolSchema.ts"

type Tools = NonNullable<LanguageModelV4CallOptions["tools"]>

const providerTool = (tool: Tool.Any, name: string): Tools[number] | undefined => {
  if (!Tool.isProviderDefined(tool)) return undefined
  const [vendor = "provider", ...rest] = tool.id.split(".")
  return { type: "provider", id: `${vendor}.${rest.join(".")}`, name, args: { ...fieldsOf(tool.args) } }
}

const toTool = (tool: Tool.Any, names: Names): Effect.Effect<Tools[number], AiError.ToolConfigurationError> => {
  const name = names.toProvider(tool.name)
  const provided = providerTool(tool, name)
  if (provided !== undefined) return Effect.succeed(provided)
  return Effect.try({
    try: () => {
      const { json, strict } = schemaOf(tool)
      const description = Tool.getDescription(tool)
      return {
        type: "function" as const,
        name,
        inputSchema: json satisfies Fields,
        ...(description === undefined ? {} : { description }),
        ...(strict === undefined ? {} : { strict })
      }
    },
    catch: (cause) =>
      new AiError.ToolConfigurationError({
        toolName: tool.name,
        description: cause instanceof Error ? cause.message : String(cause)
      })
  })
}

/** The provider interface has no choice among several tools, so only these are sent. */
const chosen = ({ toolChoice, tools }: LanguageModel.ProviderOptions): ReadonlyArray<Tool.Any> => {
  if (typeof toolChoice === "string" || "tool" in toolChoice) return tools
  const names = new Set<string>(toolChoice.oneOf)
  return tools.filter(({ name }) => names.has(name))
}

const choiceOf = (choice: LanguageModel.ProviderOptions["toolChoice"], names: Names) => {
  if (typeof choice === "string") return { type: choice } as const
  return "tool" in choice
    ? { type: "tool", toolName: names.toProvider(choice.tool) } as const
    : { type: choice.mode ?? "auto" } as const
}

/** The options of a call that concern tools; none without tools. */
export const toTools = Effect.fnUntraced(function*(
  options: LanguageModel.ProviderOptions,
  names: Names
): Effect.fn.Return<Pick<LanguageModelV4CallOptions, "tools" | "toolChoice">, AiError.ToolConfigurationError> {
  if (options.tools.length === 0) return {}
  const tools = yield* Effect.forEach(chosen(options), (tool) => toTool(tool, names))
  return { tools, toolChoice: choiceOf(options.toolChoice, names) }
})
