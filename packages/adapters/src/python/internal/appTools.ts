// The tools of the app that a factory of Python gets. Python.ts makes the access, worker.ts names the tools when it loads the
// agent, and host.ts answers the calls: through the door of the app, as steps of the run.
import { CurrentRun } from "@fastagentic/core/run/Run"
import { type Context, Effect, Schema } from "effect"
import type * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import * as RuntimeTool from "../../adapter/RuntimeTool.ts"
import * as ToolStep from "../../adapter/ToolStep.ts"
import type { AnyTools } from "../../effect-ai/internal/answer.ts"
import { encodeFailure } from "../../effect-ai/internal/toolAnswer.ts"
import type { Handler } from "./session.ts"

/** A tool of the app as the worker reads it. */
export interface ToolSpec extends Pick<RuntimeTool.RuntimeTool, "name" | "description" | "parameters"> {}

/** The tools of the app, and their calls with the services that they need. */
export interface AppTools {
  readonly specs: ReadonlyArray<ToolSpec>
  readonly call: (asked: ToolStep.Asked) => Effect.Effect<ToolStep.Outcome, never, CurrentRun>
}

const failed = ({ arguments: args }: ToolStep.Asked, result: Schema.Json): ToolStep.Outcome => ({
  arguments: args,
  result,
  isError: true,
  denied: false
})

const unknown = Effect.fnUntraced(function*(asked: ToolStep.Asked) {
  const { emit } = yield* CurrentRun
  const { name, toolCallId } = asked
  const result = { _tag: "ToolUnknown", message: `The app gives this agent no tool "${name}".` }
  yield* emit({ type: "tool_result", data: { toolCallId, name, result, isError: true } })
  return failed(asked, result)
})

/** The tools of an agent that gets none. */
export const none: AppTools = { specs: [], call: unknown }

/** The tools of a toolkit. */
export const make = Effect.fnUntraced(function*<Tools extends Record<string, Tool.Any>, E, R>(
  toolkit: Effect.Effect<Toolkit.WithHandler<Tools>, E, R>
) {
  const given = yield* toolkit
  const services = yield* Effect.context<Exclude<Tool.HandlerServices<Tools[keyof Tools]>, CurrentRun>>()
  const tools = RuntimeTool.make(given)
  const byName = new Map(tools.map((tool) => [tool.name, tool]))
  // cast: a failure is encoded with the schema of a tool of any kind.
  const declared = (given as unknown as AnyTools).tools
  const specs = tools.map(({ description, name, parameters }): ToolSpec => ({ name, description, parameters }))
  const call = (asked: ToolStep.Asked) => {
    const tool = byName.get(asked.name)
    if (tool === undefined) return unknown(asked)
    return tool.once(asked).pipe(
      // A declared failure is a result, for the code that has called.
      Effect.catch((error) =>
        Effect.map(encodeFailure(declared[asked.name], error), (result) => failed(asked, result))
      ),
      // cast: these are services of the tools, which only their handlers see.
      Effect.provideContext(services as Context.Context<never>)
    )
  }
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
