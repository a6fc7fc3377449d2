// The tools of the app that a factory of Python gets. Python.ts makes the access, worker.ts names the tools when it loads the
// agent, and host.ts answers the calls: through the door of the app, as steps of the run.
import { CurrentRun } from "@fastagentic/core/run/Run"
import { type Context, Effect, Option, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import { toJson } from "../../adapter/Json.ts"
import * as ToolStep from "../../adapter/ToolStep.ts"
import type { AnyTools } from "../../effect-ai/internal/answer.ts"
import { sturdy } from "../../effect-ai/internal/sturdyTools.ts"
import type { Handler } from "./session.ts"

/** A tool of the app as the worker reads it. */
export interface ToolSpec {
  readonly name: string
  readonly description: string
  readonly parameters: Schema.Json
}

/** The tools of the app, and their calls with the services that they need. */
export interface AppTools {
  readonly specs: ReadonlyArray<ToolSpec>
  readonly call: (asked: ToolStep.Asked) => Effect.Effect<ToolStep.Outcome, never, CurrentRun>
}

const isError = (asked: ToolStep.Asked, result: Schema.Json) =>
  Effect.gen(function*() {
    const { emit } = yield* CurrentRun
    const { arguments: args, name, toolCallId } = asked
    yield* emit({ type: "tool_result", data: { toolCallId, name, result, isError: true } })
    return { arguments: args, result, isError: true, denied: false } satisfies ToolStep.Outcome
  })

const unknown = (asked: ToolStep.Asked) =>
  isError(asked, { _tag: "ToolUnknown", message: `The app gives this agent no tool "${asked.name}".` })

/** The tools of an agent that gets none. */
export const none: AppTools = { specs: [], call: unknown }

/** The tools of a toolkit. */
export const make = Effect.fnUntraced(function*<Tools extends Record<string, Tool.Any>, E, R>(
  toolkit: Effect.Effect<Toolkit.WithHandler<Tools>, E, R>
) {
  // cast: calls come from another process, so names and arguments are checked by the toolkit itself.
  const { handle, tools } = (yield* toolkit) as unknown as AnyTools
  const services = yield* Effect.context<Exclude<Tool.HandlerServices<Tools[keyof Tools]>, CurrentRun>>()
  const specs = Object.values(tools).map((tool): ToolSpec => ({
    name: tool.name,
    description: Tool.getDescription(tool) ?? "",
    parameters: toJson(Tool.getJsonSchema(tool))
  }))
  /** A declared failure is a result, for the code that has called. */
  const failed = (asked: ToolStep.Asked, error: unknown) => {
    const schema = tools[asked.name]?.failureSchema ?? Schema.Never
    return isError(
      asked,
      toJson(Option.getOrElse(Schema.encodeUnknownOption(Schema.toCodecJson(schema))(error), () => error))
    )
  }
  const call = (asked: ToolStep.Asked) =>
    !Object.hasOwn(tools, asked.name)
      ? unknown(asked)
      : Effect.flatMap(CurrentRun, ({ record }) => ToolStep.called(sturdy({ handle, tools }, record.runId), asked))
        .pipe(
          Effect.catch((error) => failed(asked, error)),
          // cast: these are services of the tools, which only their handlers see.
          Effect.provideContext(services as Context.Context<never>)
        )
  return { specs, call } satisfies AppTools
})

const decode = Schema.decodeUnknownSync(Schema.Struct({
  name: Schema.NonEmptyString,
  toolCallId: Schema.optionalKey(Schema.NonEmptyString),
  arguments: Schema.Json
}))

/** Calls a tool of the app, once per run. */
export const appToolHandler = (tools: AppTools): Handler => async ({ data, session }) => {
  const call = decode(data)
  let isNew = false
  const outcome = await session.framework.promise(ToolStep.once(call, (asked) => {
    isNew = true
    return tools.call(asked)
  }))
  session.hasMoved ||= isNew
  return outcome
}
