// Spans around model and tool calls, innermost of all hooks; LiveRun places them when tracing is on.
import { Effect } from "effect"
import { chatAttributes, noteAnswer, toolAttributes } from "../../telemetry/internal/genAiAttributes.ts"
import * as Tracing from "../../telemetry/Tracing.ts"
import { direct, type Dispatch, transparent } from "./dispatch.ts"

/** The run whose calls are traced. */
interface Traced {
  /** A tool that is called directly is the run itself, which has its span. */
  readonly kind: "agent" | "tool"
  /** Whether an earlier attempt has made this call: its span is there. */
  readonly isPast: (toolCallId: string) => boolean
}

/** The points around every call of a run, for each adapter alike, inside of all hooks: what is really called is traced. */
export const tracingHooks = ({ isPast, kind }: Traced): Dispatch => {
  const tool: Dispatch["tool"] = (call, next) =>
    kind === "tool" || isPast(call.toolCallId) ? next(call) : Tracing.within(
      Effect.tap(
        next(call),
        ({ isError }) => isError ? Tracing.note(() => ({ "error.type": "tool_error" })) : Effect.void
      ),
      `execute_tool ${call.name}`,
      () => ({ attributes: { ...toolAttributes(call.name), "gen_ai.tool.call.id": call.toolCallId } })
    )
  transparent.add(tool)
  return {
    ...direct,
    llm: (call, next) => {
      let since: number | undefined
      return Tracing.streamWithin(
        next(call),
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
