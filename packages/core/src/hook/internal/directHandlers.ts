// The handlers of an app's own tools, called without the queue, the fiber and the stream that a toolkit makes for each call.
// resolveHandlers.ts makes them once. Arguments that do not fit are left to the toolkit, which knows how to refuse them;
// results and failures are those that the toolkit would give.
import { Cause, Context, Effect, Result, Schema } from "effect"
import * as AiError from "effect/ai/AiError"
import * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import { underneath } from "../../base/internal/underneath.ts"
import { type Handlers, handlersOf } from "../ToolCall.ts"

export const directHandlers = (
  toolkit: Toolkit.WithHandler<Record<string, Tool.Any>>,
  services: Context.Context<never>
): Handlers => {
  const { handle: throughToolkit, tools } = handlersOf(toolkit)
  const direct = new Map(Object.entries(tools).map(([name, tool]) => [name, directly(name, tool, services)]))
  return {
    tools,
    handle: (name, params, toolCallId, take) => {
      const refused = () => throughToolkit(name, params, toolCallId, take)
      const known = direct.get(name)
      if (known === undefined) return refused()
      return Effect.matchEffect(known.decode(params), {
        onFailure: refused,
        onSuccess: (decoded) =>
          Effect.andThen(
            Effect.annotateCurrentSpan({ tool: name, parameters: params }),
            known.call(decoded, toolCallId, take)
          )
      })
    }
  }
}

type Take = Parameters<Handlers["handle"]>[3]

const directly = (name: string, tool: Tool.Any, services: Context.Context<never>) => {
  const { context, handler } = Context.getUnsafe(services, Context.Service<never, Tool.Handler<string>>(tool.id))
  const within = underneath(context, services)
  const success = Schema.encodeUnknownEffect(pure(tool.successSchema))
  const failure = Schema.encodeUnknownEffect(pure(Tool.failureResultSchema(tool)))
  const aiError = (reason: AiError.AiErrorReason) =>
    AiError.make({ module: "Toolkit", method: `${name}.handle`, reason })
  const encoded = (result: unknown, isFailure: boolean) =>
    Effect.mapError(
      (isFailure ? failure : success)(result),
      ({ message }) =>
        aiError(
          new AiError.ToolResultEncodingError({ toolName: name, toolResult: result, description: message })
        )
    )
  const failed = (error: unknown) =>
    Schema.isSchemaError(error)
      ? aiError(
        new AiError.InvalidToolResultError({
          toolName: name,
          description: `Tool handler returned invalid result: ${error.message}`
        })
      )
      : AiError.isAiErrorReason(error)
      ? aiError(error)
      : error

  const call = (decoded: unknown, toolCallId: string, take: Take) => {
    let isOver = false
    let unencodable: AiError.AiError | undefined
    const final = (result: unknown, isFailure: boolean) =>
      Effect.flatMap(
        encoded(result, isFailure),
        (encodedResult) => take({ encodedResult, isFailure, preliminary: false })
      )
    const preliminary = (result: unknown) =>
      Effect.suspend(() =>
        isOver ? Effect.void : Effect.matchEffect(encoded(result, false), {
          // A handler knows no such failure, so it ends here, and the call fails with it.
          onFailure: (error) => Effect.die(unencodable = error),
          onSuccess: (encodedResult) => take({ encodedResult, isFailure: false, preliminary: true })
        })
      )
    return Effect.matchCauseEffect(within(Effect.suspend(() => handler(decoded, { toolCallId, preliminary }))), {
      onFailure: (cause): Effect.Effect<void, unknown> => {
        isOver = true
        if (unencodable !== undefined) return Effect.fail(unencodable)
        if (tool.failureMode === "error") return Effect.failCause(Cause.map(cause, failed))
        const error = Cause.findError(cause)
        return Result.isSuccess(error) ? final(failed(error.success), true) : Effect.failCause(cause)
      },
      onSuccess: (result) => {
        isOver = true
        return unencodable === undefined ? final(result, false) : Effect.fail(unencodable)
      }
    })
  }
  const decode = Schema.isSchema(tool.parametersSchema)
    ? Schema.decodeUnknownEffect(pure(tool.parametersSchema))
    : (params: unknown) => Effect.succeed(params)
  return { decode, call }
}

/** Tools are declared with schemas that need no services; `Tool.Any` has forgotten it. */
const pure = (schema: Schema.Constraint) => Schema.make<Schema.Codec<unknown>>(schema.ast)
