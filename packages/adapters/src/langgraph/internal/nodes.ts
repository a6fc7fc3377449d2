// Reports the nodes of a graph: `node_enter`, `node_exit`, and messages that a node returns without a model.
import type { Hook } from "@fastagentic/core"
import * as Present from "@fastagentic/core/base/Present"
import { CurrentRun } from "@fastagentic/core/run/Run"
import { Deferred, Effect, Exit, Fiber, Predicate } from "effect"
import { Thrown } from "../../adapter/AdapterError.ts"
import * as HookBracket from "../../adapter/HookBracket.ts"
import { type CallbackMetadata, inside } from "./callbackMetadata.ts"
import { isAnswer, isFailure, messagesIn, resultOf } from "./messages.ts"
import type { Session } from "./session.ts"

interface Node {
  /** Leaves the place of the task. */
  readonly leave: Effect.Effect<void>
  readonly nodeId: string
  readonly place: CallbackMetadata
  readonly startedAt: number
  readonly bracket: HookBracket.HookBracket<void, Thrown>
}

/** Selects the nodes of a graph from all chains that LangChain reports. */
export const isNode = (name: string | undefined, tags: ReadonlyArray<string>, metadata: unknown) =>
  name !== undefined && Predicate.hasProperty(metadata, "langgraph_node") && name === metadata.langgraph_node &&
  !tags.includes("langsmith:hidden") &&
  tags.some((tag) => tag.startsWith("graph:step:"))

const isGraphPause = (error: unknown) => error instanceof Error && /^(Graph|Node)Interrupt$/.test(error.name)

export const make = (session: Session) => {
  const open = new Map<string, Node>()

  /** A task has a place of its own, by the graph's id: what it says is told apart from what runs beside it. */
  const enter = Effect.fnUntraced(function*(name: string, taskId: string) {
    const entered = yield* Deferred.make<void>()
    const left = yield* Deferred.make<void>()
    const inside = Effect.gen(function*() {
      session.tasks.set(taskId, yield* CurrentRun)
      yield* Deferred.succeed(entered, undefined)
      yield* Deferred.await(left)
      session.tasks.delete(taskId)
    })
    const fiber = yield* Effect.forkScoped(session.top.scope(`~${name}:${taskId}`, inside))
    yield* Effect.raceFirst(Deferred.await(entered), Fiber.await(fiber))
    return Effect.andThen(Deferred.succeed(left, undefined), Effect.asVoid(Fiber.await(fiber)))
  })

  const start = Effect.fnUntraced(function*(runId: string, place: CallbackMetadata, input: unknown) {
    const run = yield* CurrentRun
    const name = place.node ?? runId
    const nodeId = place.taskId ?? runId
    const bracket = yield* HookBracket.open<Hook.NodeCall, void, Thrown>(
      "node",
      { nodeId, name, kind: "node" },
      run.hooks.node
    )
    session.see(messagesIn(session.library, input))
    const leave = place.taskId === undefined ? Effect.void : yield* enter(name, place.taskId)
    open.set(runId, { nodeId, place, bracket, leave, startedAt: yield* Present.millis })
    const step = place.step === undefined ? {} : { step: place.step }
    yield* session.emit(
      { type: "node_enter", data: { nodeId, name, kind: "node", ...step } },
      place.graph,
      place.taskId
    )
  })

  const exit = Effect.fnUntraced(function*(node: Node, status: "ok" | "error" | "interrupted") {
    const durationMs = (yield* Present.millis) - node.startedAt
    const name = node.place.node ?? node.nodeId
    yield* session.emit(
      { type: "node_exit", data: { nodeId: node.nodeId, name, status, durationMs } },
      node.place.graph,
      node.place.taskId
    )
    yield* node.leave
  })

  /** The output of a node without a model: its own messages, and results of tools that never started. */
  const speak = Effect.fnUntraced(function*(node: Node, output: unknown) {
    const path = inside(node.place)
    const messages = messagesIn(session.library, output).filter(session.isNew)
    session.see(messages)
    for (const message of messages) {
      if (isAnswer(message) && message.text !== "") {
        const messageId = message.id ?? globalThis.crypto.randomUUID()
        yield* session.emit({ type: "message_start", data: { messageId, role: "assistant" } }, path, node.place.taskId)
        yield* session.emit({ type: "token", data: { delta: message.text, messageId } }, path, node.place.taskId)
        yield* session.emit({ type: "message_end", data: { messageId } }, path, node.place.taskId)
      }
      const requested = "tool_call_id" in message ? session.toolCallIds.take(String(message.tool_call_id)) : undefined
      if (requested !== undefined) {
        const { name, toolCallId } = requested
        const { result } = resultOf(session.library, message)
        const data = { toolCallId, name, result, isError: isFailure(message) }
        yield* session.emit({ type: "tool_result", data }, path, node.place.taskId)
      }
    }
  })

  const end = Effect.fnUntraced(function*(runId: string, output: unknown) {
    const node = open.get(runId)
    if (node === undefined) return
    open.delete(runId)
    yield* speak(node, output)
    yield* Effect.onExit(
      node.bracket.end(Exit.void),
      (verdict) => exit(node, Exit.isSuccess(verdict) ? "ok" : "error")
    )
  })

  const fail = Effect.fnUntraced(function*(runId: string, cause: unknown) {
    const node = open.get(runId)
    if (node === undefined) return
    open.delete(runId)
    yield* Effect.onExit(
      node.bracket.end(Exit.fail(new Thrown({ cause }))),
      () => exit(node, isGraphPause(cause) ? "interrupted" : "error")
    )
  })

  return { start, end, fail, isOpen: (runId: string) => open.has(runId) }
}
