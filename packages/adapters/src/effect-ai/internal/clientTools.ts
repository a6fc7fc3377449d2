// The tools of a client beside those of a loop's toolkit: loop.ts adds them for an agent that takes them. A call of one is
// a question of the run, so it may wait while other calls of its message work.
import { ClientTools, Run, RunError, type ToolCall } from "@fastagentic/core"
import { Effect, Schema, Stream } from "effect"
import * as Tool from "effect/ai/Tool"
import { toJson } from "../../adapter/Json.ts"
import type { AnyTool, AnyTools } from "./answer.ts"
import { OfClient } from "./toolLine.ts"

/** The toolkit with the tools that the client of the run offers. */
export const withClientTools = Effect.fnUntraced(function*(toolkit: AnyTools) {
  const { tools } = yield* ClientTools.offered
  if (tools.length === 0) return toolkit
  const taken = tools.find(({ name }) => Object.hasOwn(toolkit.tools, name))
  if (taken !== undefined) {
    const message = `the agent has a tool of its own that is named "${taken.name}"`
    return yield* Effect.die(new RunError.InvalidPayload({ target: "tools", issues: [{ path: [], message }] }))
  }
  const own = Object.fromEntries(tools.map((tool) => [tool.name, declared(tool)]))
  const handle = ((name: string, params: unknown, toolCallId: string) =>
    Object.hasOwn(own, name)
      ? Run.CurrentRun.useSync((place) =>
        Stream.fromEffect(Effect.provideService(called(name, params, toolCallId), Run.CurrentRun, place))
      )
      : toolkit.handle(name, params, toolCallId)) as AnyTools["handle"] // cast: the step that calls a tool provides its run.
  return { ...toolkit, tools: { ...toolkit.tools, ...own }, handle } satisfies AnyTools
})

const declared = ({ description, name, parameters }: ClientTools.ClientTool): AnyTool =>
  Tool.dynamic(name, {
    ...(description === undefined ? {} : { description }),
    parameters: { type: "object", ...parameters },
    success: Schema.Json,
    failure: Schema.Json,
    failureMode: "return"
    // cast: a tool of any kind; its arguments are the client's to check.
  }).annotate(OfClient, true) as unknown as AnyTool

const called = (tool: string, params: unknown, toolCallId: string) =>
  Effect.matchEager(ClientTools.call(tool, { toolCallId, arguments: toJson(params) }), {
    onSuccess: (result): ToolCall.Result => ({ encodedResult: result, isFailure: false, preliminary: false }),
    onFailure: ({ _tag, message }): ToolCall.Result => ({
      encodedResult: { _tag, message },
      isFailure: true,
      preliminary: false
    })
  })
