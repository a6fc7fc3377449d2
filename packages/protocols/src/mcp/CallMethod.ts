// The method tools/call: refuses what a client cannot do, and reads what the message says of the call. McpServer answers
// with it; ToolCall runs it.
import type * as Caller from "@fastagentic/core/door/Caller"
import type * as Sdk from "@modelcontextprotocol/server"
import { Effect, Predicate } from "effect"
import { type Connection, hasExtension, type Message, type Method, type Options } from "./Connection.ts"
import type { ElicitationFlow } from "./ElicitationFlow.ts"
import * as McpError from "./McpError.ts"
import * as Report from "./Report.ts"
import * as RunTools from "./RunTools.ts"
import * as ToolCall from "./ToolCall.ts"
import { Meta } from "./ToolResult.ts"

export const make = ({ catalog, runtime }: Pick<Options, "catalog" | "runtime">) =>
(
  params: Sdk.CallToolRequest["params"],
  context: Message,
  { elicitation, era, logLevel, ...client }:
    & Pick<ToolCall.ToolCall, "path" | "reader" | "register" | "isCancelled">
    & {
      readonly elicitation: (caller: Caller.Caller) => ElicitationFlow
      readonly logLevel: Connection["logLevel"]
      readonly era: Connection["era"]
    }
): Method<Sdk.CallToolResult | Sdk.InputRequiredResult> =>
  Effect.fnUntraced(function*(caller: Caller.Caller) {
    const { mcpReq } = context
    if (catalog.runTools.has(params.name)) {
      return yield* RunTools.call(runtime, params.name, params.arguments ?? {}, { caller, ...client })
    }
    const callable = catalog.callables.get(params.name)
    const flow = elicitation(caller)
    const level = mcpReq.envelope === undefined ? yield* logLevel : Report.levelOf(levelIn(mcpReq.envelope))
    const missing = (callable?.requires ?? []).filter((name) => !flow.client.abilities[name])
    if (missing.length > 0) return yield* McpError.missingAbilities(missing, caller.traceId)
    const task = era === "legacy" ? legacyTask(params) : hasExtension(context) ? "maybe" : "none"
    if (task === "none" && callable?.task === "required") {
      return yield* era === "modern"
        ? McpError.missingTasks(caller.traceId)
        : McpError.wrongTask(params.name, caller.traceId)
    }
    if (task === "legacy" && callable !== undefined && !callable.durable) {
      return yield* McpError.wrongTask(params.name, caller.traceId)
    }
    return yield* ToolCall.run(runtime, catalog, {
      caller,
      task,
      resume: textOf(mcpReq._meta, Meta.resume),
      name: params.name,
      arguments: params.arguments ?? {},
      idempotencyKey: textOf(mcpReq._meta, Meta.idempotencyKey),
      threadId: textOf(mcpReq._meta, Meta.threadId),
      timeout: mcpReq._meta?.[Meta.timeout],
      report: Report.make(mcpReq, { name: params.name, level }),
      elicitation: flow,
      ...client
    })
  })

/** A client of 2025-11-25 asks for a task. */
const legacyTask = (params: object): "legacy" | "none" =>
  Predicate.hasProperty(params, "task") && Predicate.isObject(params.task) ? "legacy" : "none"

const levelIn = (envelope: object): unknown => Object.entries(envelope).find(([key]) => key === levelKey)?.[1]

const levelKey = "io.modelcontextprotocol/logLevel"

const textOf = (meta: Sdk.RequestMeta | undefined, key: string): string | undefined => {
  const value = meta?.[key]
  return typeof value === "string" ? value : undefined
}
