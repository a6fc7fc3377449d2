// Calls of the tools that read, answer and cancel runs of the caller; RunToolList describes them. An approval has to repeat
// the call that it approves, so that the host shows it to its user.
import type { Caller } from "@fastagentic/core/door/Caller"
import type { RunHandle, Runtime } from "@fastagentic/core/operations/Runtime"
import { isAnsweredByPage } from "@fastagentic/core/run/ClientRequest"
import { type Answer, Decision, type Interrupt } from "@fastagentic/core/run/Interrupt"
import { RunError } from "@fastagentic/core/run/RunError"
import { isFinal, type RunRecord } from "@fastagentic/core/run/RunRecord"
import type * as Sdk from "@modelcontextprotocol/server"
import { Effect, Option, Schema, Stream } from "effect"
import * as Delegated from "./Delegated.ts"
import { digestOf } from "./digest.ts"
import { invalidParams, type McpError } from "./McpError.ts"
import * as TaskMethods from "./TaskMethods.ts"
import * as TaskView from "./TaskView.ts"
import * as ToolCall from "./ToolCall.ts"
import * as ToolResult from "./ToolResult.ts"

const Arguments = Schema.Struct({
  runId: Schema.String,
  question: Schema.optionalKey(Schema.String),
  decision: Schema.optionalKey(Decision),
  value: Schema.optionalKey(Schema.Json),
  reason: Schema.optionalKey(Schema.String),
  tool: Schema.optionalKey(Schema.String),
  arguments: Schema.optionalKey(Schema.Json)
})
type Arguments = typeof Arguments.Type
const decodeArguments = Schema.decodeUnknownOption(Arguments)

const refused = (tag: string, message: string, caller: Caller, more: { readonly [key: string]: Schema.Json } = {}) =>
  ToolResult.refused({ _tag: tag, message, ...more }, { [ToolResult.Meta.traceId]: caller.traceId })

/** Calls one of these tools; they are no runs themselves. */
export const call = (
  runtime: Runtime["Service"],
  name: string,
  args: unknown,
  reader: ToolCall.Reader
): Effect.Effect<Sdk.CallToolResult, McpError | RunError> => {
  const { caller } = reader
  const given = Option.getOrUndefined(decodeArguments(args))
  if (given === undefined || (name === "answer_run" && given.decision === undefined)) {
    return Effect.succeed(
      refused("InvalidPayload", "The arguments do not fit the tool", caller, { code: invalidParams })
    )
  }
  const done = Effect.gen(function*() {
    const handle = yield* runtime.open(caller, given.runId)
    switch (name) {
      case "cancel_run": {
        const run = yield* runtime.cancel(caller, given.runId, given.reason ?? "cancelled by the client")
        return text({ runId: run.runId, state: run.state }, reader)
      }
      case "answer_run": {
        const problem = yield* answered(runtime, caller, given)
        if (problem !== undefined) return problem
      }
    }
    return yield* outcome(runtime, handle, reader)
  })
  return done.pipe(
    Effect.catchReason(
      "RunError",
      "RunNotFound",
      () => Effect.succeed(refused("RunNotFound", `There is no run "${given.runId}"`, caller))
    ),
    Effect.catchReason(
      "RunError",
      "InvalidPayload",
      ({ issues, message }) =>
        Effect.succeed(refused("InvalidPayload", message, caller, { issues: issues.map((issue) => ({ ...issue })) }))
    ),
    Effect.catchReason(
      "RunError",
      "InterruptResolved",
      ({ message }) => Effect.succeed(refused("InterruptResolved", message, caller))
    )
  )
}

/** Decides as the caller; the result says why it could not. */
const answered = Effect.fnUntraced(function*(runtime: Runtime["Service"], caller: Caller, given: Arguments) {
  const { decision = "deny", question, reason, runId, value } = given
  const all = yield* Delegated.decidable(runtime, caller, yield* runtime.get(caller, runId))
  const named = (list: ReadonlyArray<Interrupt>) =>
    question === undefined
      ? list
      : list.filter(({ id, name }) => id === question || name === question || name.endsWith(` ${question}`))
  const found = named(all)
  const [asked] = found
  const answer: Answer = {
    decision,
    ...(value === undefined ? {} : { value }),
    ...(reason === undefined ? {} : { reason })
  }
  if (asked === undefined) {
    // A question for others is refused by the runtime, with its entry.
    const [other, ...more] = named((yield* runtime.interrupts(caller, runId)).filter(({ state }) => state === "open"))
    if (other !== undefined && more.length === 0) {
      yield* runtime.answer(caller, runId, other.id, answer)
      return undefined
    }
  }
  if (asked === undefined || found.length > 1) {
    const names: Array<Schema.Json> = all.map(({ id, name }) => ({ id, name }))
    return refused("InterruptNotFound", "Name one of the open questions", caller, { questions: names })
  }
  if (asked.kind === "approval" && decision !== "deny" && !(yield* isRepeated(asked, given))) {
    const { arguments: exact = null, tool = "" } = asked
    return refused("ApprovalNotRepeated", "An approval repeats the tool and its exact arguments", caller, {
      tool,
      arguments: exact
    })
  }
  if (isAnsweredByPage(asked) && decision !== "deny") {
    const { url = "" } = asked
    return refused("AnsweredByPage", "The page answers this question itself: show the user its url", caller, { url })
  }
  yield* runtime.answer(caller, asked.runId, asked.id, answer)
  return undefined
})

const isRepeated = (asked: Interrupt, given: Arguments) =>
  Effect.map(
    Effect.all([digestOf(asked.arguments), digestOf(given.arguments)]),
    ([exact, repeated]) => asked.tool === given.tool && exact === repeated
  )

/** The result of a run that ends or pauses soon, or its state. */
const outcome = Effect.fnUntraced(function*(runtime: Runtime["Service"], handle: RunHandle, reader: ToolCall.Reader) {
  const { seq } = yield* handle.current
  const pages = yield* handle.follow({ after: seq, until: "somebody" })
  const moved = Effect.mapError(Stream.runDrain(pages), (reason) => new RunError({ reason }))
  const asked = Effect.flatMap(handle.settled, (run) => Delegated.asks(runtime, reader.caller, run))
  yield* Effect.timeoutOption(Effect.raceFirst(moved, asked), ToolCall.waitLimitMillis)
  const run = yield* handle.current
  const below = yield* Delegated.open(runtime, reader.caller, run)
  if (!isFinal(run.state) && below.length === 0 && !(run.state === "suspended" && run.waitsFor === "interrupt")) {
    return text({ runId: run.runId, state: run.state, ...messageOf(run) }, reader)
  }
  return yield* TaskMethods.resultOf(runtime, reader, handle, run)
})

const messageOf = (run: RunRecord) => {
  const message = TaskView.messageOf(run)
  return message === undefined ? {} : { message }
}

const text = (value: Schema.Json, { caller }: ToolCall.Reader): Sdk.CallToolResult => ({
  content: [{ type: "text", text: JSON.stringify(value) }],
  _meta: { [ToolResult.Meta.traceId]: caller.traceId }
})
