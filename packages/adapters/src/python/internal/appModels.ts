// The models of the app that a factory of Python gets; host.ts adds the request. A call is a step with hooks, budget and events,
// and the framework makes the calls of tools that the answer asks for.
import * as NamedModels from "@fastagentic/core/run/NamedModels"
import { CurrentRun } from "@fastagentic/core/run/Run"
import { Context, Effect, Option, Schema, Stream } from "effect"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import type * as Response from "effect/ai/Response"
import * as Tool from "effect/ai/Tool"
import { Thrown } from "../../adapter/AdapterError.ts"
import * as ModelStep from "../../adapter/ModelStep.ts"
import { OutputLimit } from "../../adapter/OutputLimit.ts"
import type { AnyTools } from "../../effect-ai/internal/answer.ts"
import { callModel, decodePrompt } from "./modelRequests.ts"
import type { Handler } from "./session.ts"

const optional = Schema.optionalKey
const Json = Schema.Record(Schema.String, Schema.Json)

/** A tool as frameworks name it to a model, also in the form of OpenAI. */
const Named = Schema.Struct({ name: Schema.String, description: optional(Schema.String), parameters: optional(Json) })

const decode = Schema.decodeUnknownSync(Schema.Struct({
  /** By default the model that the agent declares, and then the one of its layer. */
  app: Schema.NullOr(Schema.String),
  prompt: Schema.Array(Schema.Json),
  tools: Schema.Array(Schema.Union([Named, Schema.Struct({ function: Named })])),
  /** The ids that calls of tools have in this run: models may choose one again. */
  ids: optional(Schema.Array(Schema.String)),
  maxOutputTokens: optional(Schema.Int)
}))

const modelOf = Effect.fnUntraced(function*(given: string | null) {
  const { model } = yield* CurrentRun
  const name = given ?? model
  const context = name === undefined ? yield* Effect.context<never>() : yield* NamedModels.get(name)
  const language = Context.getOption(context, LanguageModel.LanguageModel)
  if (Option.isNone(language)) {
    return yield* Effect.die(new Error("the app gives this agent no model: provide one, such as Models.layer"))
  }
  return {
    language: language.value,
    model: Option.getOrElse(Context.getOption(context, Model.ModelName), () => name ?? "unknown"),
    provider: Option.getOrUndefined(Context.getOption(context, Model.ProviderName))
  }
})

/** The tools that the model may ask for. */
const toolkitOf = (tools: ReturnType<typeof decode>["tools"]): AnyTools => {
  const named = tools.map((one) => "function" in one ? one.function : one).map(({ description, name, parameters }) => [
    name,
    Tool.dynamic(name, {
      ...(description === undefined ? {} : { description }),
      parameters: { type: "object", ...parameters },
      success: Schema.Json
    })
  ])
  // cast: the model only reads what the tools are; nothing calls them here.
  return { tools: Object.fromEntries(named), handle: () => Effect.never } as unknown as AnyTools
}

/** Gives the calls of one answer ids that no other call of the run has. */
const withFreshIds = (used: ReadonlyArray<string>) => {
  const taken = new Set(used)
  const names = new Map<string, string>()
  const nameOf = (id: string) => {
    let name = names.get(id)
    for (let number = 1; name === undefined; number++) {
      const next = number === 1 ? id : `${id}#${number}`
      if (!taken.has(next)) name = next
    }
    names.set(id, name)
    taken.add(name)
    return name
  }
  return (part: Response.AnyPart): Response.AnyPart => {
    switch (part.type) {
      case "tool-params-start":
      case "tool-params-delta":
      case "tool-params-end":
      case "tool-call":
        return { ...part, id: nameOf(part.id) }
      default:
        return part
    }
  }
}

/** Calls a model of the app; `begin` opens the turn that the answer belongs to. */
export const appModelHandler = (begin: () => Promise<void>): Handler => async ({ data, session }) => {
  const { app, ids = [], maxOutputTokens, prompt: messages, tools } = decode(data)
  const { language, model, provider } = await session.framework.promise(modelOf(app))
  const prompt = decodePrompt({ content: messages })
  const toolkit = toolkitOf(tools)
  const send: ModelStep.Request["send"] = (asked) => ({
    native: () => undefined,
    parts: language.streamText({
      prompt: asked.prompt ?? prompt,
      toolkit,
      disableToolCallResolution: true,
      toolCallValidation: "deferred"
    }).pipe(
      Stream.provideService(OutputLimit, asked.maxOutputTokens),
      Stream.mapError((cause) => new Thrown({ cause })),
      Stream.mapEffect((part) =>
        part.type === "error" ? Effect.fail(new Thrown({ cause: part.error })) : Effect.succeed(part)
      ),
      Stream.map(withFreshIds(ids))
    )
  })
  await begin()
  return callModel(session, {
    model,
    provider,
    prompt,
    tools,
    ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
    send
  })
}
