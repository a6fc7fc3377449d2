// Spans around model and tool calls, innermost of all hooks; LiveRun places them when tracing is on.
import { Effect, type Schema, Stream } from "effect"
import type * as Response from "effect/ai/Response"
import { chatAttributes, noteAnswer, toolAttributes } from "../../telemetry/internal/genAiAttributes.ts"
import { AnswerMessage, promptMessages, valueMessage } from "../../telemetry/internal/genAiMessages.ts"
import * as Tracing from "../../telemetry/Tracing.ts"
import type * as Hook from "../Hook.ts"
import { direct, type Dispatch, transparent } from "./dispatch.ts"
import type { NoteContent } from "./spanContent.ts"

/** The run whose calls are traced. */
interface Traced {
  /** A tool that is called directly is the run itself, which has its span. */
  readonly kind: "agent" | "tool"
  /** Whether an earlier attempt has made this call: its span is there. */
  readonly isPast: (toolCallId: string) => boolean
  /** Notes content on the current span, in an app that asks for it. */
  readonly content: NoteContent | undefined
}

/** The points around every call of a run, for each adapter alike, inside of all hooks: what is really called is traced. */
export const tracingHooks = ({ content, isPast, kind }: Traced): Dispatch => {
  const tool: Dispatch["tool"] = (call, next) =>
    kind === "tool" || isPast(call.toolCallId) ? next(call) : Tracing.within(
      Effect.tap(
        content === undefined ? next(call) : withToolContent(content, call, next),
        ({ isError }) => isError ? Tracing.note(() => ({ "error.type": "tool_error" })) : Effect.void
      ),
      `execute_tool ${call.name}`,
      () => ({ attributes: { ...toolAttributes(call.name), "gen_ai.tool.call.id": call.toolCallId } })
    )
  transparent.add(tool)
  return {
    ...direct,
    ...(content === undefined ? {} : { request: withRequestContent(content, kind) }),
    llm: (call, next) => {
      let since: number | undefined
      return Tracing.streamWithin(
        content === undefined ? next(call) : withAnswerContent(content, call, next),
        `chat ${call.model}`,
        () => {
          since = performance.now()
          return { kind: "client", attributes: chatAttributes(call.model) }
        },
        (part, span) => {
          if (since !== undefined) {
            span.attribute("gen_ai.response.time_to_first_chunk", (performance.now() - since) / 1_000)
            since = undefined
          }
          noteAnswer(part, span)
        }
      )
    },
    tool,
    node: (call, next) =>
      Tracing.within(next(call), call.kind === "turn" ? "turn" : call.name, () => ({
        attributes: { "fastagentic.node.id": call.nodeId, "fastagentic.node.kind": call.kind }
      }))
  }
}

const withToolContent = <E, R>(
  content: NoteContent,
  call: Hook.ToolCall,
  next: (call: Hook.ToolCall) => Effect.Effect<Hook.ToolOutcome, E, R>
) =>
  content("gen_ai.tool.call.arguments", "tool_call", call.arguments).pipe(
    Effect.andThen(Effect.suspend(() => next(call))),
    Effect.tap(({ result }) => content("gen_ai.tool.call.result", "tool_result", result))
  )

const withRequestContent = (content: NoteContent, kind: Traced["kind"]): Dispatch["request"] => {
  const note = (side: "input" | "output", value: Schema.Json) =>
    kind === "tool"
      ? side === "input"
        ? content("gen_ai.tool.call.arguments", "tool_call", value)
        : content("gen_ai.tool.call.result", "tool_result", value)
      : content(`gen_ai.${side}.messages`, "message", valueMessage(side === "input" ? "user" : "assistant", value))
  return (call, next) =>
    note("input", call.payload).pipe(
      Effect.andThen(Effect.suspend(() => next(call))),
      Effect.tap((output) => note("output", output))
    )
}

/** The answer is noted when its stream ends, whole or not. */
const withAnswerContent = <E, R>(
  content: NoteContent,
  call: Hook.LlmCall,
  next: (call: Hook.LlmCall) => Stream.Stream<Response.AnyPart, E, R>
): Stream.Stream<Response.AnyPart, E, R> =>
  Stream.suspend(() => {
    const answer = new AnswerMessage()
    const { messages, system } = promptMessages(call.prompt)
    const before = Effect.andThen(
      system.length === 0 ? Effect.void : content("gen_ai.system_instructions", "message", system),
      content("gen_ai.input.messages", "message", messages)
    )
    return Stream.unwrap(Effect.as(before, Stream.suspend(() => next(call)))).pipe(
      Stream.map((part) => {
        answer.add(part)
        return part
      }),
      Stream.ensuring(Effect.suspend(() => content("gen_ai.output.messages", "message", answer.messages)))
    )
  })
