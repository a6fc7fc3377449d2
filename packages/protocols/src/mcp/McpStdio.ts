/**
 * MCP on standard input and output, for a client that starts the server as a process of its own.
 *
 * @since 0.1.0
 */
import * as Caller from "@fastagentic/core/door/Caller"
import { OpenLimits } from "@fastagentic/core/door/OpenLimits"
import { Runtime } from "@fastagentic/core/operations/Runtime"
import * as Credentials from "@fastagentic/core/run/Credentials"
import { RunError, TooManyOpen } from "@fastagentic/core/run/RunError"
import type * as Sdk from "@modelcontextprotocol/server"
import { Effect, Stream } from "effect"
import fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import process from "node:process"
import { Writable } from "node:stream"
import * as Abilities from "./Abilities.ts"
import * as Changes from "./Changes.ts"
import { decide, failed, type Question } from "./ClientQuestion.ts"
import { type Connection, notRegistered } from "./Connection.ts"
import * as McpCatalog from "./McpCatalog.ts"
import * as McpServer from "./McpServer.ts"
import type { Level } from "./Report.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** The credentials of the client, from the environment, because a process has no headers. */
  readonly credentials?: Credentials.Credentials
}

/**
 * Serves until standard input ends. Fails at once when the credentials are invalid.
 *
 * @category running
 * @since 0.1.0
 */
export const run = (options: Options = {}): Effect.Effect<void, RunError, Runtime> =>
  Effect.gen(function*() {
    const runtime = yield* Runtime
    const credentials = options.credentials ?? Credentials.none
    yield* runtime.authenticate(Caller.make("mcp", { credentials }))
    const output = yield* claimStdout
    const services = yield* Effect.context<never>()
    const [sdk, { serveStdio, StdioServerTransport }] = yield* Effect.promise(() =>
      Promise.all([import("@modelcontextprotocol/server"), import("@modelcontextprotocol/server/stdio")])
    )
    const makeServer = McpServer.make(sdk, { runtime, catalog: McpCatalog.fromFusion(runtime.fusion), services })
    const subscribed = new Set<string>()
    const { notes: limit } = yield* OpenLimits
    const subscribe: Connection["subscribe"] = (uri, wanted) =>
      Effect.suspend(() => {
        if (wanted && !subscribed.has(uri) && subscribed.size >= limit) {
          return Effect.fail(new RunError({ reason: new TooManyOpen({ rule: "open-notes", limit }) }))
        }
        if (wanted) subscribed.add(uri)
        else subscribed.delete(uri)
        return Effect.void
      })
    const servers: Array<readonly ["legacy" | "modern", Sdk.Server]> = []
    yield* Effect.forkChild(Stream.runForEach(runtime.notes.changes, (uri) =>
      Effect.forEach(servers, ([era, server]) => {
        const list = Changes.isOfTemplate(runtime.fusion, uri)
        // The SDK filters for the subscriptions of 2026-07-28.
        const updated = era === "modern" || subscribed.has(uri)
        return Effect.ignore(Effect.tryPromise(async () => {
          if (updated) await server.sendResourceUpdated({ uri })
          if (list) await server.sendResourceListChanged()
        }))
      }, { discard: true })))
    yield* Effect.callback<void>((resume) => {
      const transport = new StdioServerTransport(process.stdin, output)
      const serve = ({ era }: Sdk.McpRequestContext) => {
        const server = makeServer(connectionOf(sdk, runtime, credentials, subscribe, era))
        servers.push([era, server])
        return server
      }
      const handle = serveStdio(serve, {
        transport,
        onerror: (error) => process.stderr.write(`${error.message}\n`)
      })
      const closed = transport.onclose
      transport.onclose = () => {
        closed?.()
        resume(Effect.void)
      }
      return Effect.promise(handle.close)
    })
  })

/** A message cancels a request; the end of the connection cancels none. */
const connectionOf = (
  sdk: typeof Sdk,
  runtime: Runtime["Service"],
  credentials: Credentials.Credentials,
  subscribe: Connection["subscribe"],
  era: "legacy" | "modern"
): Connection => {
  let level: Level | undefined
  return {
    era,
    credentials,
    logLevel: Effect.sync(() => level),
    setLogLevel: (wanted) =>
      Effect.sync(() => {
        level = wanted
      }),
    traceparent: undefined,
    path: "",
    register: () => notRegistered,
    abilities: (server) => Abilities.fromCapabilities(server.getClientCapabilities()),
    put: (_, { mcpReq }) => (question) =>
      Effect.match(
        Effect.tryPromise((signal) => mcpReq.send(question.request, { signal, timeout: 86_400_000 })),
        {
          onFailure: ({ cause }) => ({ error: cause instanceof Error ? cause.message : "failed" }),
          onSuccess: (result) => ({ result })
        }
      ),
    subscribe,
    complete: (_, { mcpReq }) => ({ interrupt }) =>
      Effect.promise(() =>
        mcpReq.notify({ method: "notifications/elicitation/complete", params: { elicitationId: interrupt.id } })
          .catch(() => {})
      ),
    ask: (_, { mcpReq }, caller) => (question) => asked(runtime, caller, mcpReq, question),
    isCancelled: ({ reason }) => !(reason instanceof sdk.SdkError && reason.code === sdk.SdkErrorCode.ConnectionClosed)
  }
}

/**
 * A client that fails to show a form leaves the question open; one that refuses another request has decided. The call has
 * a time limit, so the SDK's is a day.
 */
const asked = (
  runtime: Runtime["Service"],
  connected: Caller.Caller,
  { send }: Sdk.ServerContext["mcpReq"],
  question: Question
) => {
  // The answer may come long after the call, so it is authenticated by itself.
  const caller = { ...connected, authenticated: undefined }
  return Effect.matchEffect(
    Effect.tryPromise((signal) => send(question.request, { signal, timeout: 86_400_000 })),
    {
      onFailure: ({ cause }) => failed(runtime, caller, question, cause instanceof Error ? cause.message : "failed"),
      onSuccess: (result) => decide(runtime, caller, question, result)
    }
  )
}

let claimed: Writable | undefined

/**
 * Writes of `node:fs` to descriptor 1 go to descriptor 2. The stream of standard output, which the protocol uses, has its
 * own functions by now. Native code and child processes that inherit the descriptor are not reached.
 */
const redirectDescriptor = () => {
  const names = ["writeSync", "write", "writevSync", "writev", "writeFileSync", "appendFileSync"] as const
  for (const name of names) {
    const original: unknown = fs[name]
    if (typeof original !== "function") continue
    const redirected = (fd: unknown, ...rest: ReadonlyArray<unknown>): unknown =>
      Reflect.apply(original, fs, [fd === 1 ? 2 : fd, ...rest])
    Object.assign(fs, { [name]: redirected })
  }
  syncBuiltinESMExports()
}

/**
 * Reserves standard output for the protocol: all other output goes to standard error.
 *
 * `run` does it; a program that prints while it starts does it earlier.
 *
 * @category resources
 * @since 0.1.0
 */
export const claimStdout: Effect.Effect<Writable> = Effect.sync(() => {
  if (claimed !== undefined) return claimed
  const write = process.stdout.write.bind(process.stdout)
  process.stdout.write = process.stderr.write.bind(process.stderr)
  redirectDescriptor()
  return claimed = new Writable({
    decodeStrings: false,
    write: (chunk: string | Uint8Array, _, done) => void write(chunk, done)
  })
})
