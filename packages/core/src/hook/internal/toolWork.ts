// The handler of one tool call: arguments from JSON, its time, its progress, its result as JSON. `toolAttempt` calls it.
import { Context, Duration, Effect, identity, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Policy from "../../base/Policy.ts"
import { filePlaces } from "../../run/internal/filePlaces.ts"
import { CurrentRun } from "../../run/Run.ts"
import { FileNotFound, ToolTimedOut } from "../../run/RunError.ts"
import type { ToolCall } from "../Hook.ts"
import type { Handlers, Result } from "../ToolCall.ts"

export const execute = Effect.fnUntraced(function*(handlers: Handlers, call: ToolCall) {
  const run = yield* CurrentRun
  const tool = toolOf(handlers, call.name)
  const places = tool === undefined ? undefined : cachedWireOf(tool).files
  const args = places === undefined
    ? call.arguments
    : yield* Effect.match(run.files.resolve(places, call.arguments), { onSuccess: identity, onFailure: identity })
  if (args instanceof FileNotFound) {
    const { _tag, fileId, message } = args
    return { result: { _tag, fileId, message }, isError: true, denied: false }
  }
  let last: Result | undefined
  yield* handlers.handle(call.name, yield* fromJson(tool, args), call.toolCallId, (result) => {
    if (!result.preliminary) {
      last = result
      return Effect.void
    }
    return Effect.flatMap(
      toJson(tool, result),
      (data) => run.emit({ type: "tool_progress", data: { toolCallId: call.toolCallId, data } })
    )
  })
  const result = last === undefined ? null : yield* toJson(tool, last)
  return { result, isError: last?.isFailure ?? false, denied: false }
})

export const inTime = <A, E, R>(tool: Tool.Any | undefined, effect: Effect.Effect<A, E, R>) => {
  const timeout = tool === undefined ? undefined : Context.get(tool.annotations, Policy.Timeout)
  if (tool === undefined || timeout === undefined) return effect
  const millis = Duration.toMillis(Duration.fromInputUnsafe(timeout))
  return Effect.timeoutOrElse(effect, {
    duration: millis,
    orElse: () => Effect.fail(new ToolTimedOut({ tool: tool.name, millis }))
  })
}

export const toolOf = ({ tools }: Handlers, name: string) => Object.hasOwn(tools, name) ? tools[name] : undefined

/** Tools are declared with schemas that need no services; `Tool.Any` has forgotten it. */
export const pure = (schema: Schema.Constraint) => Schema.make<Schema.Codec<unknown>>(schema.ast)

/** Translates between JSON and what a toolkit encodes to and decodes from, which need not be JSON. */
const codecOf = (schema: Schema.Constraint) => Schema.toCodecJson(pure(Schema.toEncoded(schema)))

const wireOf = (tool: Tool.Any) => ({
  files: Schema.isSchema(tool.parametersSchema) ? filePlaces(tool.parametersSchema.ast) : undefined,
  parameters: Schema.decodeUnknownEffect(
    Schema.isSchema(tool.parametersSchema) ? codecOf(tool.parametersSchema) : Schema.Unknown
  ),
  success: Schema.encodeUnknownEffect(codecOf(tool.successSchema)),
  failure: Schema.encodeUnknownEffect(codecOf(Tool.failureResultSchema(tool)))
})

/** Made once for each tool: that is dearer than a call. */
const wires = new WeakMap<Tool.Any, ReturnType<typeof wireOf>>()

const cachedWireOf = (tool: Tool.Any) => {
  const wire = wires.get(tool) ?? wireOf(tool)
  wires.set(tool, wire)
  return wire
}

/** Arguments that do not fit are left to the toolkit to refuse, in the way that the tool's failure mode asks for. */
const fromJson = (tool: Tool.Any | undefined, args: unknown): Effect.Effect<unknown> =>
  tool === undefined
    ? Effect.succeed(args)
    : Effect.orElseSucceed(cachedWireOf(tool).parameters(args), () => args)

const encodeJson = Schema.encodeUnknownEffect(Schema.Json)

const toJson = (tool: Tool.Any | undefined, { encodedResult, isFailure }: Result) => {
  const wire = tool === undefined ? undefined : cachedWireOf(tool)
  const encode = wire === undefined ? encodeJson : isFailure ? wire.failure : wire.success
  return Effect.orDie(encode(encodedResult))
}
