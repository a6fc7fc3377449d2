// The handlers of tasks on a connection: the methods of TaskMethods under the names of the client's wire. McpServer registers
// them.
import type * as Caller from "@fastagentic/core/door/Caller"
import type { RunError } from "@fastagentic/core/run/RunError"
import type * as Sdk from "@modelcontextprotocol/server"
import { Effect } from "effect"
import {
  type Answer,
  clientIn,
  type Connection,
  elicitationOf,
  hasExtension,
  notRegistered,
  readerOf
} from "./Connection.ts"
import * as McpError from "./McpError.ts"
import * as TaskMethods from "./TaskMethods.ts"

interface Parts {
  readonly server: Sdk.Server
  readonly connection: Connection
  readonly tasks: ReturnType<typeof TaskMethods.make>
  readonly answer: Answer
  readonly hasList: boolean
}

export const register = (parts: Parts): void => parts.connection.era === "modern" ? modern(parts) : legacy(parts)

const aboutClient = ({ connection, server }: Parts) => ({
  clientOf: (context: Sdk.ServerContext) => clientIn(connection, server, context),
  resultFor: (caller: Caller.Caller) => ({
    caller,
    path: connection.path,
    reader: readerOf(connection, server)
  })
})

const modern = (parts: Parts) => {
  const { answer, server, tasks } = parts
  const { clientOf, resultFor } = aboutClient(parts)
  const task = <A>(
    context: Sdk.ServerContext,
    method: (caller: Caller.Caller) => Effect.Effect<A, McpError.McpError | RunError>
  ) =>
    answer(
      context,
      (caller) => hasExtension(context) ? method(caller) : Effect.fail(McpError.missingTasks(caller.traceId))
    )
  server.setRequestHandler(
    "tasks/get",
    TaskMethods.wire.one,
    ({ taskId }, context) => task(context, (caller) => tasks.get(taskId, clientOf(context), resultFor(caller)))
  )
  server.setRequestHandler(
    "tasks/update",
    TaskMethods.wire.one,
    ({ taskId }, context) =>
      task(
        context,
        (caller) => tasks.update(taskId, clientOf(context), caller, context.mcpReq.inputResponses ?? {})
      )
  )
  server.setRequestHandler(
    "tasks/cancel",
    TaskMethods.wire.one,
    ({ taskId }, context) => task(context, (caller) => Effect.as(tasks.cancel(taskId, caller), {}))
  )
}

const legacy = (parts: Parts) => {
  const { answer, connection, hasList, server, tasks } = parts
  const { clientOf, resultFor } = aboutClient(parts)
  server.setRequestHandler(
    "tasks/get",
    TaskMethods.wire.one,
    ({ taskId }, context) => answer(context, (caller) => tasks.legacyGet(taskId, clientOf(context), caller))
  )
  if (hasList) {
    server.setRequestHandler(
      "tasks/list",
      TaskMethods.wire.list,
      ({ cursor }, context) => answer(context, (caller) => tasks.legacyList(cursor, caller))
    )
  }
  server.setRequestHandler(
    "tasks/cancel",
    TaskMethods.wire.one,
    ({ taskId }, context) => answer(context, (caller) => tasks.legacyCancel(taskId, caller))
  )
  server.setRequestHandler(
    "tasks/result",
    TaskMethods.wire.one,
    ({ taskId }, context) =>
      answer(context, (caller) =>
        tasks.legacyResult(taskId, {
          ...resultFor(caller),
          name: "",
          arguments: {},
          idempotencyKey: undefined,
          threadId: undefined,
          timeout: undefined,
          report: undefined,
          task: "none",
          resume: undefined,
          register: () => notRegistered,
          isCancelled: () => false,
          elicitation: elicitationOf(connection, server, context, caller)
        }, (task) =>
          Effect.promise(() =>
            context.mcpReq.notify({ method: "notifications/tasks/status", params: { ...task } }).catch(() => {})
          )))
  )
}
