// The SDK's low-level server with the methods of an app: one for each HTTP request or stdio connection.
import type * as Sdk from "@modelcontextprotocol/server"
import { Effect } from "effect"
import * as CallMethod from "./CallMethod.ts"
import {
  type Answer,
  answering,
  callerOf,
  type Connection,
  elicitationOf,
  type Options,
  readerOf,
  readFlowOf,
  spanOf
} from "./Connection.ts"
import * as ListMethods from "./ListMethods.ts"
import * as ReadMethods from "./ReadMethods.ts"
import * as TaskHandlers from "./TaskHandlers.ts"
import * as TaskMethods from "./TaskMethods.ts"
import * as TaskView from "./TaskView.ts"

/** Makes the servers, once the SDK is loaded. */
export const make = (sdk: typeof Sdk, options: Options): (connection: Connection) => Sdk.Server => {
  const { capabilities, server: info } = options.catalog
  const { runtime } = options
  const methods = { ...ListMethods.make(options), ...ReadMethods.make(options), call: CallMethod.make(options) }
  const tasks = TaskMethods.make(runtime, options.catalog)
  const within = answering(runtime)
  const runPromise = Effect.runPromiseWith(options.services)
  return (connection) => {
    const server = new sdk.Server(info, {
      capabilities: {
        ...capabilities,
        ...(options.catalog.hasTasks ? taskCapabilities(connection.era, runtime.isOpen, capabilities.extensions) : {})
      },
      ...(options.catalog.instructions === "" ? {} : { instructions: options.catalog.instructions })
    })
    const answer: Answer = (context, method) => {
      const caller = callerOf(connection, context)
      const answered = within(caller, method, context.mcpReq.method, () => spanOf(connection, context, caller))
      return runPromise(answered, { signal: context.mcpReq.signal })
    }
    if (capabilities.tools !== undefined) {
      server.setRequestHandler(
        "tools/list",
        ({ params }, context) =>
          answer(context, methods.list(params, ({ tools }) => tools, nameOf, (tools) => ({ tools })))
      )
      server.setRequestHandler("tools/call", ({ params }, context) =>
        answer(
          context,
          methods.call(params, context, {
            path: connection.path,
            reader: readerOf(connection, server),
            era: connection.era,
            register: (call, seq) =>
              connection.register(context.mcpReq.id, { ...call, close: () => server.close() }, seq),
            logLevel: connection.logLevel,
            elicitation: (caller) => elicitationOf(connection, server, context, caller),
            isCancelled: () => connection.isCancelled(context.mcpReq.signal)
          })
        ))
    }
    if (options.catalog.hasTasks) TaskHandlers.register({ server, connection, tasks, answer, hasList: !runtime.isOpen })
    if (capabilities.logging !== undefined) {
      server.setRequestHandler(
        "logging/setLevel",
        ({ params }, context) => answer(context, () => Effect.as(connection.setLogLevel(params.level), {}))
      )
    }
    if (capabilities.resources !== undefined) {
      server.setRequestHandler(
        "resources/list",
        ({ params }, context) => answer(context, methods.resources(params))
      )
      server.setRequestHandler(
        "resources/templates/list",
        ({ params }, context) =>
          answer(
            context,
            methods.list(
              params,
              (some) => some.resourceTemplates,
              ({ name }) => name,
              (resourceTemplates) => ({ resourceTemplates })
            )
          )
      )
      server.setRequestHandler(
        "resources/read",
        ({ params }, context) =>
          answer(context, (caller) => methods.read(params.uri, readFlowOf(connection, server, context, caller))(caller))
      )
    }
    if (capabilities.resources?.subscribe === true) {
      server.setRequestHandler(
        "resources/subscribe",
        ({ params }, context) => answer(context, methods.subscribe(params.uri, connection, true))
      )
      server.setRequestHandler(
        "resources/unsubscribe",
        ({ params }, context) => answer(context, methods.subscribe(params.uri, connection, false))
      )
    }
    if (capabilities.prompts !== undefined) {
      server.setRequestHandler(
        "prompts/list",
        ({ params }, context) =>
          answer(context, methods.list(params, ({ prompts }) => prompts, nameOf, (prompts) => ({ prompts })))
      )
      server.setRequestHandler(
        "prompts/get",
        ({ params }, context) =>
          answer(
            context,
            (caller) =>
              methods.render(
                params.name,
                params.arguments ?? {},
                readerOf(connection, server),
                readFlowOf(connection, server, context, caller)
              )(caller)
          )
      )
    }
    if (capabilities.completions !== undefined) {
      server.setRequestHandler(
        "completion/complete",
        ({ params }, context) => answer(context, methods.complete(params))
      )
    }
    return server
  }
}

/** The two wires of tasks have nothing in common. Where all callers are one principal, no list tells their tasks apart. */
const taskCapabilities = (
  era: Connection["era"],
  isOpen: boolean,
  extensions: Sdk.ServerCapabilities["extensions"]
): Sdk.ServerCapabilities =>
  era === "modern"
    ? { extensions: { ...extensions, [TaskView.extension]: {} } }
    : { tasks: { ...(isOpen ? {} : { list: {} }), cancel: {}, requests: { tools: { call: {} } } } }

const nameOf = ({ name }: { readonly name: string }) => name
