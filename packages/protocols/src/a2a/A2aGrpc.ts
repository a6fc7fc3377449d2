// The gRPC binding without its transport: a call in JSON, answered by the operations that all bindings share, behind the same
// checks as requests of HTTP. GrpcServer carries it.
import type { Auth } from "@fastagentic/core/door/Auth"
import * as Caller from "@fastagentic/core/door/Caller"
import type { Runtime } from "@fastagentic/core/operations/Runtime"
import * as Credentials from "@fastagentic/core/run/Credentials"
import { Forbidden, RunError } from "@fastagentic/core/run/RunError"
import * as Tracing from "@fastagentic/core/telemetry/Tracing"
import { type Cause, Effect, Predicate, Stream } from "effect"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { withChallenges } from "../internal/challenge.ts"
import type { Entered } from "../internal/entrance.ts"
import { Limits } from "../internal/limits.ts"
import { PublicAddress } from "../internal/publicAddress.ts"
import { withTrace } from "../internal/trace.ts"
import * as A2aError from "./A2aError.ts"
import type { Name, Operations } from "./A2aOperations.ts"
import * as A2aReply from "./A2aReply.ts"
import type { StreamResponse } from "./A2aSchema.ts"
import type { Skills } from "./A2aSkill.ts"
import * as A2aStream from "./A2aStream.ts"
import { isLast } from "./A2aV03.ts"
import * as A2aV03Names from "./A2aV03Names.ts"
import * as A2aV03Proto from "./A2aV03Proto.ts"
import { type Version, versionIn } from "./A2aVersion.ts"

type Headers = Readonly<Record<string, string>>

/** A call of a method. */
export interface GrpcCall {
  readonly version: Version
  readonly name: Name
  readonly path: string
  /** The metadata of the call in text, with the authority as `host`. */
  readonly headers: Headers
  readonly peer: string | undefined
  /** Reads the message of the call as JSON; asked once the caller is known. */
  readonly read: Effect.Effect<unknown, A2aError.A2aError>
}

/** The JSON of one answer, or of each message of a stream. */
export type GrpcReply =
  | { readonly _tag: "Answer"; readonly headers: Headers; readonly json: unknown }
  | {
    readonly _tag: "Updates"
    readonly headers: Headers
    readonly updates: Stream.Stream<ReadonlyArray<unknown>, GrpcRefusal>
  }

/** A status that is no success. */
export interface GrpcRefusal {
  readonly status: A2aError.A2aError["grpc"]
  readonly message: string
  readonly details: ReadonlyArray<unknown>
  readonly headers: Headers
}

export type GrpcHandler = (call: GrpcCall) => Effect.Effect<GrpcReply, GrpcRefusal>

/** How a version reads requests, and writes answers and updates. */
const wires = {
  "1.0": {
    params: (_name: Name, json: unknown) => json,
    answer: A2aReply.toJson,
    update: (update: StreamResponse): unknown => update
  },
  "0.3": { params: A2aV03Names.paramsOf, answer: A2aV03Proto.answer, update: A2aV03Proto.update }
} as const

export const handle = ({ auth, enter, extended, extensions, operations, runtime, skills }: {
  readonly runtime: Runtime["Service"]
  readonly auth: Auth["Service"]
  readonly operations: Operations
  readonly skills: Skills
  readonly enter: (call: GrpcCall) => Entered
  readonly extensions: (headers: Headers) => Headers
  /** The extended card for an address and an agent; absent on an open server. */
  readonly extended: ((address: PublicAddress, agent: string | undefined) => A2aReply.Call["card"]) | undefined
}): GrpcHandler =>
(call) => {
  const { headers, name, path, peer, version } = call
  const wire = wires[version]
  const credentials = Credentials.fromHeaders(headers, peer)
  const limits = new Limits()
  const answer = Effect.gen(function*() {
    const span = yield* Tracing.current
    const caller = Caller.make("a2a", {
      credentials,
      traceparent: headers["traceparent"],
      span,
      onLimits: limits.record
    })
    const entered = enter(call)
    const address = typeof entered === "string" ? nowhere : entered
    /** The headers that an answer of HTTP with this status has. */
    const headersOf = (status: number, more: Headers = {}): Headers => {
      const response = HttpServerResponse.empty({ status, headers: { ...more, ...extensions(headers) } })
      return withTrace(limits.addHeaders(withChallenges(auth, credentials, address, response)), caller).headers
    }
    const refusalOf = (cause: Cause.Cause<A2aReply.Failure>) =>
      Effect.map(A2aStream.errorOf(cause, caller), (error): GrpcRefusal => ({
        status: error.grpc,
        message: error.message,
        details: A2aError.detailsOf(error, caller.traceId),
        headers: headersOf(error.http, error.headers)
      }))
    const replied = Effect.gen(function*() {
      if (typeof entered === "string") {
        return yield* A2aError.fromRunError(new RunError({ reason: new Forbidden({ rule: entered, missing: [] }) }))
      }
      const admitted = yield* runtime.authenticate(caller)
      yield* versionIn(headers["a2a-version"] || version, [version])
      const params = wire.params(name, yield* call.read)
      const onPath = yield* tenantOf(params, skills)
      return yield* operations[name]({
        caller: admitted,
        version,
        onPath,
        card: extended?.(address, onPath),
        lastEventId: A2aStream.lastEventIdOf(headers)
      }, params)
    })
    const reply = yield* replied.pipe(
      Effect.provideService(PublicAddress, address),
      Effect.catchCause((cause) => Effect.flatMap(refusalOf(cause), Effect.fail))
    )
    if (reply._tag !== "Updates") {
      return { _tag: "Answer", headers: headersOf(200), json: wire.answer(reply) } as const
    }
    let hasEnded = false
    const closing = reply.closesWhenAsked
    const updates = reply.updates.pipe(
      Stream.map(({ updates }) =>
        updates.map((update) => {
          const status = "task" in update
            ? update.task.status
            : "statusUpdate" in update
            ? update.statusUpdate.status
            : undefined
          if (status !== undefined) hasEnded = isLast(status, closing)
          if ("message" in update) hasEnded = true
          return wire.update(update, closing)
        })
      ),
      // A stream that only ends would say that the task has ended; a server that shuts down ends it earlier.
      Stream.concat(Stream.suspend(() => hasEnded ? Stream.empty : Stream.fail(interrupted))),
      Stream.catchCause((cause) => Stream.unwrap(Effect.map(refusalOf(cause), Stream.fail)))
    )
    return { _tag: "Updates", headers: headersOf(200), updates } as const
  })
  return Tracing.within(answer, path.slice(1), () => {
    const [, service, method] = path.split("/")
    const parent = Tracing.fromTraceparent(headers["traceparent"])
    return {
      kind: "server",
      root: parent === undefined,
      ...(parent === undefined ? {} : { parent }),
      attributes: { "rpc.system": "grpc", "rpc.service": service, "rpc.method": method }
    }
  })
}

/** Refusals at the entrance name no address. */
const nowhere: PublicAddress = { origin: "http://localhost", path: "" }

const interrupted = A2aError.unavailable("the stream ends before the task does; subscribe to the task again")

/** The agent that a call is for alone: the path of other bindings is the field `tenant` here. */
const tenantOf = (params: unknown, skills: Skills): Effect.Effect<string | undefined, A2aError.A2aError> => {
  const tenant = Predicate.hasProperty(params, "tenant") ? params.tenant : undefined
  if (typeof tenant !== "string" || tenant === "") return Effect.undefined
  return skills.has(tenant)
    ? Effect.succeed(tenant)
    : Effect.fail(A2aError.invalidParams("there is no such agent", {
      violations: [{ field: "tenant", description: "Expected the name of an agent, or nothing" }]
    }))
}
