// The server side of an app's calls. Payloads, answers and errors pass through it as JSON: Runtime decodes payloads as for every
// other protocol, and stored answers are encoded already, so nothing is decoded twice. AppRpc makes layers of it.
import { decoder } from "@fastagentic/core/base/Validation"
import type { Caller } from "@fastagentic/core/door/Caller"
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import { InvalidPayload, NotDeclared, type ReadFailed, RunError } from "@fastagentic/core/run/RunError"
import { Effect, Schema, type Scope, Stream } from "effect"
import type { Headers } from "effect/http/Headers"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schemas from "../http/Schemas.ts"
import * as RpcCaller from "./RpcCaller.ts"
import * as RpcFailure from "./RpcFailure.ts"
import { undeclared } from "./RpcMessages.ts"
import * as Operations from "./RpcOperations.ts"
import * as RpcReads from "./RpcReads.ts"
import * as RpcRuns from "./RpcRuns.ts"

type Refusal = RunError | ReadFailed | RpcFailure.Refused

/** A call with its caller: its payload is JSON as it came. */
interface Call {
  readonly caller: Caller
  readonly payload: unknown
  readonly headers: Headers
}

interface Calling {
  readonly streams: false
  readonly work: (call: Call) => Effect.Effect<unknown, Refusal>
}

interface Streaming {
  readonly streams: true
  readonly work: (call: Call) => Stream.Stream<unknown, Refusal>
}

type Table = ReadonlyMap<string, Calling | Streaming>

/** JSON as it is. */
const opaque: Schema.Codec<unknown> = Schema.Any

const call = (work: Calling["work"]): Calling => ({ streams: false, work })
const stream = (work: Streaming["work"]): Streaming => ({ streams: true, work })

/** The calls of an app, by their tags. */
const tableOf = (runtime: Runtime["Service"]): Table => {
  const { agents, prompts, resources, tools } = runtime.fusion
  const table = new Map<string, Calling | Streaming>(fixed(runtime))
  for (const identifier of agents.keys()) {
    const start = ({ caller, headers, payload }: Call) =>
      RpcRuns.start(runtime, caller, { kind: "agent", identifier }, payload, headers)
    table.set(
      `agents/${identifier}`,
      call((one) => Effect.flatMap(start(one), (handle) => RpcRuns.answer(handle, one.caller.traceId)))
    )
    table.set(
      `agents/${identifier}/stream`,
      stream((one) =>
        Stream.unwrap(
          Effect.map(start(one), (handle) =>
            RpcRuns.journal(runtime, handle, { after: 0, ends: true, traceId: one.caller.traceId }))
        )
      )
    )
    table.set(`agents/${identifier}/runs`, call((one) => Effect.map(start(one), ({ run }) => Schemas.runOf(run))))
  }
  for (const identifier of tools.keys()) {
    table.set(
      `tools/${identifier}`,
      call(({ caller, headers, payload }) =>
        Effect.flatMap(
          RpcRuns.start(runtime, caller, { kind: "tool", identifier }, payload, headers),
          (handle) => RpcRuns.answer(handle, caller.traceId)
        )
      )
    )
  }
  for (const [identifier, entry] of resources) {
    table.set(
      `resources/${identifier}`,
      call(({ caller, payload }) => RpcReads.resource(runtime, caller, entry, payload))
    )
  }
  for (const identifier of prompts.keys()) {
    table.set(`prompts/${identifier}`, call(({ caller, payload }) => runtime.render(caller, identifier, payload ?? {})))
  }
  return table
}

const operation = <P extends Schema.ConstraintCodec<unknown, unknown>>(
  { _tag: tag, payloadSchema }: { readonly _tag: string; readonly payloadSchema: P },
  work: (payload: P["Type"], call: Call) => Effect.Effect<unknown, Refusal>
): readonly [string, Calling] => [tag, call(decoded(tag, payloadSchema, work))]

/** A call whose payload is ours, and is decoded here. */
const decoded = <P extends Schema.ConstraintCodec<unknown, unknown>, A>(
  tag: string,
  schema: P,
  work: (payload: P["Type"], call: Call) => Effect.Effect<A, Refusal>
) => {
  const decode = decoder(Schema.toCodecJson(schema))
  return (one: Call): Effect.Effect<A, Refusal> =>
    decode(one.payload).pipe(
      Effect.mapError((error) => RpcFailure.ofSchema(tag, error, one.caller)),
      Effect.flatMap((payload) => work(payload, one))
    )
}

const runOf = Effect.map(Schemas.runOf)

/** A call that the app does not have: its kind decides how other protocols would refuse it. */
const notDeclared = (runtime: Runtime["Service"]): Calling =>
  call(({ caller, headers, payload }) => {
    const tag = String(payload)
    const [kind = "", ...rest] = tag.split("/")
    const identifier = rest.join("/")
    switch (kind) {
      case "agents":
        return Effect.as(RpcRuns.start(runtime, caller, { kind: "agent", identifier }, {}, headers), null)
      case "tools":
        return Effect.as(RpcRuns.start(runtime, caller, { kind: "tool", identifier }, {}, headers), null)
      case "prompts":
        return runtime.render(caller, identifier, {})
      case "resources":
        return Effect.fail(new RunError({ reason: new NotDeclared({ kind: "resource", identifier }) }))
      default: {
        const issues = [{ path: ["tag"], message: "The server has no such call." }]
        return Effect.fail(new RunError({ reason: new InvalidPayload({ target: tag, issues }) }))
      }
    }
  })

const fixed = (runtime: Runtime["Service"]): ReadonlyArray<readonly [string, Calling | Streaming]> => [
  [undeclared, notDeclared(runtime)],
  operation(Operations.get, ({ runId }, { caller }) => runOf(runtime.get(caller, runId))),
  operation(Operations.list, ({ after, fields, limit = 50, ...filter }, { caller }) =>
    Effect.map(
      RpcReads.beforeRun(after, (before) => runtime.list(caller, { ...filter, ...before, limit, fields })),
      ({ items, next = null }) => ({ items: items.map(Schemas.summaryOf), next })
    )),
  [
    Operations.events._tag,
    stream((one) =>
      Stream.unwrap(
        decoded(Operations.events._tag, Operations.events.payloadSchema, ({ after = 0, runId }, { caller }) =>
          Effect.map(
            runtime.open(caller, runId),
            (handle) => RpcRuns.journal(runtime, handle, { after, ends: false, traceId: caller.traceId })
          ))(one)
      )
    )
  ],
  operation(Operations.cancel, ({ reason, runId }, { caller }) => runOf(runtime.cancel(caller, runId, reason))),
  operation(Operations.resume, ({ runId }, { caller }) => runOf(runtime.resume(caller, runId))),
  operation(Operations.checkpoints, ({ runId }, { caller }) => runtime.checkpoints(caller, runId)),
  operation(Operations.fork, ({ after, runId }, { caller, headers }) =>
    Effect.map(
      runtime.fork(caller, runId, { after, idempotencyKey: RpcRuns.keyOf(headers) }),
      ({ run }) => Schemas.runOf(run)
    )),
  operation(
    Operations.retry,
    ({ runId }, { caller }) => Effect.map(runtime.retry(caller, runId), ({ run }) => Schemas.runOf(run))
  ),
  operation(Operations.interrupts, ({ runId }, { caller }) => runtime.interrupts(caller, runId)),
  operation(
    Operations.pending,
    ({ after, fields, limit = 50 }, { caller }) =>
      Effect.map(
        runtime.pending(caller, { before: after, limit, fields }),
        ({ items, next = null }) => ({ items, next })
      )
  ),
  operation(
    Operations.answer,
    ({ interruptId, runId, ...answer }, { caller, headers }) =>
      runOf(runtime.answer(caller, runId, interruptId, answer, RpcRuns.keyOf(headers)))
  ),
  operation(
    Operations.answerAll,
    ({ answers, runId }, { caller, headers }) =>
      runOf(runtime.answerAll(caller, runId, answers, RpcRuns.keyOf(headers)))
  ),
  operation(
    Operations.signal,
    ({ name, payload, runId }, { caller, headers }) =>
      runOf(runtime.signal(caller, runId, { signal: name, payload, idempotencyKey: RpcRuns.keyOf(headers) }))
  ),
  operation(
    Operations.thread,
    ({ owner, threadId }, { caller }) => Effect.map(runtime.thread(caller, threadId, owner), Schemas.threadOf)
  ),
  operation(Operations.messages, ({ after: from, limit = 50, order, owner, threadId }, { caller }) =>
    Effect.map(
      runtime.messages(caller, threadId, { from, limit, order, owner }),
      ({ items, next = null }) => ({ items, next })
    )),
  operation(
    Operations.eraseThread,
    ({ owner, threadId }, { caller }) => Effect.as(runtime.eraseThread(caller, threadId, owner), null)
  )
]

/** The group of an app as its server knows it, with the handlers. */
export const serve = (runtime: Runtime["Service"]) => {
  const table = tableOf(runtime)
  const group = RpcGroup.make(
    ...Array.from(
      table,
      ([tag, { streams }]) => Rpc.make(tag, { payload: opaque, success: opaque, error: opaque, stream: streams })
    )
  )
  const handlers = Object.fromEntries(Array.from(table, ([tag, entry]) => [tag, handlerOf(runtime, tag, entry)]))
  // cast: the tags of the table are the keys of both, which types of strings do not show.
  return { group, handlers: group.toLayer(handlers as never) }
}

interface About {
  readonly headers: Headers
}

const handlerOf = (runtime: Runtime["Service"], tag: string, entry: Calling | Streaming) =>
  entry.streams
    ? (payload: unknown, { headers }: About) =>
      Stream.unwrap(begin(runtime, tag, headers, (caller) =>
        Effect.succeed(
          Stream.suspend(() => entry.work({ caller, payload, headers })).pipe(
            Stream.catchCause((cause) => Stream.fromEffect(RpcFailure.ofCause(cause, tag, caller)))
          )
        )))
    : (payload: unknown, { headers }: About) =>
      begin(runtime, tag, headers, (caller) =>
        Effect.catchCause(
          Effect.suspend(() => entry.work({ caller, payload, headers })),
          (cause) => RpcFailure.ofCause(cause, tag, caller)
        ))

/** Counts the call as long as it is open, and finds its caller. */
const begin = <A>(
  runtime: Runtime["Service"],
  tag: string,
  headers: Headers,
  work: (caller: Caller) => Effect.Effect<A, unknown>
): Effect.Effect<A, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const connection = yield* RpcCaller.Connection
    const subject = { traceId: connection?.traceId ?? "" }
    const refusal = yield* RpcCaller.count(connection)
    if (refusal !== undefined) return yield* Effect.fail(RpcFailure.because(refusal, subject).error)
    const caller = yield* Effect.catchCause(
      RpcCaller.callerOf(connection, runtime, headers),
      (cause) => RpcFailure.ofCause(cause, tag, subject)
    )
    return yield* work(caller)
  })
