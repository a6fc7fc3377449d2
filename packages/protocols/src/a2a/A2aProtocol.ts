// A2A over JSON-RPC and HTTP+JSON: its routes and agent cards, and over gRPC where there is a server for it. Mount serves
// them.
import type { Fusion } from "@fastagentic/core/app/Fusion"
import { Auth } from "@fastagentic/core/door/Auth"
import * as Caller from "@fastagentic/core/door/Caller"
import { Runtime } from "@fastagentic/core/operations/Runtime"
import * as Credentials from "@fastagentic/core/run/Credentials"
import * as Tracing from "@fastagentic/core/telemetry/Tracing"
import { Clock, Effect, type Layer, Option } from "effect"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { withChallenges } from "../internal/challenge.ts"
import { Entrance } from "../internal/entrance.ts"
import { Limits } from "../internal/limits.ts"
import { PublicAddress, urlOf } from "../internal/publicAddress.ts"
import { addressHeaders, publicDocument } from "../internal/publicDocument.ts"
import { publicPart } from "../internal/publicPart.ts"
import { RequestLimits } from "../internal/requestLimits.ts"
import { withTrace } from "../internal/trace.ts"
import * as A2aCard from "./A2aCard.ts"
import * as A2aExtensions from "./A2aExtensions.ts"
import * as A2aGrpc from "./A2aGrpc.ts"
import * as A2aHybridCard from "./A2aHybridCard.ts"
import * as A2aOperations from "./A2aOperations.ts"
import * as A2aPushArrival from "./A2aPushArrival.ts"
import * as A2aPushDelivery from "./A2aPushDelivery.ts"
import * as A2aRest from "./A2aRest.ts"
import * as A2aRpc from "./A2aRpc.ts"
import type { AgentCard } from "./A2aSchema.ts"
import * as A2aSkill from "./A2aSkill.ts"
import * as A2aStream from "./A2aStream.ts"
import * as A2aTasks from "./A2aTasks.ts"
import { versionOf } from "./A2aVersion.ts"
import { CardSigner, jwks } from "./CardSigner.ts"
import { DuplicateMessages } from "./DuplicateMessages.ts"
import { GrpcServer } from "./GrpcServer.ts"
import * as PushReceiver from "./PushReceiver.ts"
import { PushSender } from "./PushSender.ts"

/**
 * Serves the agents of an app as skills, and runs as tasks.
 *
 * **Details**
 *
 * The card of the app is at `/.well-known/agent-card.json` and `/.well-known/agent.json`. JSON-RPC is at `/a2a`, the paths
 * of HTTP+JSON are below it, those of version 0.3 below `/a2a/v1`. Each agent is also served alone, at `/a2a/{agent}` with
 * its card at `/a2a/{agent}/.well-known/agent-card.json`. Only the cards are public; with an auth layer they hold what needs
 * no scopes, and the extended card what its caller may call.
 *
 * A message to `/a2a` is for the skill that the request's or the message's metadata names as `skillId` or `skill`;
 * when they name none, for the only agent, else for the first durable one, else for the first.
 */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter | Runtime | Auth> = HttpRouter.use((router) =>
  Effect.gen(function*() {
    const runtime = yield* Runtime
    const auth = yield* Auth
    const { issuers, open, schemes } = auth
    const listed = open ? runtime.fusion : publicPart(runtime.fusion)
    const sender = Option.getOrUndefined(yield* Effect.serviceOption(PushSender))
    const skills = A2aSkill.fromFusion(runtime.fusion)
    const operations = A2aOperations.make(runtime, skills, sender, yield* DuplicateMessages)
    const signer = Option.getOrUndefined(yield* Effect.serviceOption(CardSigner))
    if (sender !== undefined) {
      yield* Effect.forkScoped(A2aPushDelivery.make(runtime, A2aTasks.make(runtime, skills), sender, signer))
    }
    const limits = yield* RequestLimits
    const startedAt = new Date(yield* Clock.currentTimeMillis).toUTCString()
    const grpc = Option.getOrUndefined(yield* Effect.serviceOption(GrpcServer))
    const rpc = A2aRpc.handle(runtime, operations, limits)
    const rest = A2aRest.handle(runtime, operations, limits)

    const cardOf = (address: PublicAddress, agent: string | undefined, visible?: Fusion) =>
      A2aCard.make({
        fusion: runtime.fusion,
        visible,
        skills,
        schemes,
        issuers,
        push: sender !== undefined,
        url: `${urlOf(address)}${path}${agent === undefined ? "" : `/${agent}`}`,
        grpc: grpc?.urlOf(address),
        only: skills.get(agent ?? "")
      })
    const signed = (address: PublicAddress, card: AgentCard) =>
      signer === undefined ? Effect.succeed(card) : signer.sign(card, `${urlOf(address)}${jwks}`)
    const extensions = A2aExtensions.of(A2aCard.adaptersOf([...skills.values()]))

    const serve = traced(Effect.fnUntraced(function*(request, caller) {
      const address = yield* PublicAddress
      const parts = partsOf(request.url)
      const [first] = parts
      const isOwn = first === undefined || (A2aRest.isRestPath(first) && !(parts.length === 1 && skills.has(first)))
      const agent = isOwn ? undefined : first
      const below = isOwn ? parts : parts.slice(1)
      const call = {
        caller,
        onPath: agent,
        card: schemes.length === 0 ? undefined : (visible: Fusion) => signed(address, cardOf(address, agent, visible)),
        lastEventId: A2aStream.lastEventIdOf(request.headers)
      }
      if (below.length > 0) return activated(request, address, caller, yield* rest(request, below, call))
      if (request.method === "POST") return activated(request, address, caller, yield* rpc(request, call))
      return HttpServerResponse.empty({ status: 405, headers: { allow: "POST" } })
    }))

    if (grpc !== undefined) {
      const enter = yield* Entrance
      const handler = A2aGrpc.handle({
        runtime,
        auth,
        operations,
        skills,
        extensions,
        enter: ({ headers, peer }) => enter({ headers, peer, onOwnPort: grpc.port !== undefined }),
        extended: schemes.length === 0
          ? undefined
          : (address, agent) => (visible) => signed(address, cardOf(address, agent, visible))
      })
      yield* grpc.serve({ handler, limits, drain: runtime.drain })
    }

    const activated = (
      { headers }: HttpServerRequest.HttpServerRequest,
      address: PublicAddress,
      { credentials }: Caller.Caller,
      response: HttpServerResponse.HttpServerResponse
    ) => withChallenges(auth, credentials, address, HttpServerResponse.setHeaders(response, extensions(headers)))

    const card = traced(Effect.fnUntraced(function*(request) {
      const { agent } = yield* HttpRouter.params
      const only = agent === undefined ? undefined : skills.get(agent)
      if (agent !== undefined && (only === undefined || !listed.agents.has(agent))) {
        return HttpServerResponse.empty({ status: 404 })
      }
      const address = yield* PublicAddress
      const plain = yield* signed(address, cardOf(address, agent, listed))
      // Clients that name no version may be of either.
      const version = yield* Effect.orElseSucceed(versionOf(request), () => "0.3")
      return yield* cached(request, startedAt, JSON.stringify(version === "1.0" ? plain : A2aHybridCard.make(plain)))
    }))

    for (const name of ["agent-card.json", "agent.json"]) {
      yield* router.add("GET", `/.well-known/${name}`, card)
      yield* router.add("GET", `${path}/:agent/.well-known/${name}`, card)
    }
    if (signer !== undefined) {
      const keys = JSON.stringify({ keys: signer.keys })
      yield* router.add("GET", jwks, traced((request) => cached(request, startedAt, keys)))
    }
    const receiver = yield* PushReceiver.PushReceiver
    if (receiver !== undefined) {
      const arrive = A2aPushArrival.handle(runtime, receiver, limits)
      yield* router.add("POST", `${PushReceiver.path}/:runId`, traced((request) => arrive(request)))
    }
    yield* router.add("*", `${path}/*`, serve)
  })
)

const path = "/a2a"

/** The parts of a path below that of the protocol, decoded. */
const partsOf = (url: string): ReadonlyArray<string> => {
  const [whole = ""] = url.split(/[?#]/u, 1)
  return whole.slice(path.length + 1).split("/").filter((part) => part !== "").map(decoded)
}

/** A part that is no percent-encoding names nothing. */
const decoded = (part: string) => {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

/** Adds the trace, and the rest of the limits that counted the request, to every answer. */
const traced = <R>(
  handler: (
    request: HttpServerRequest.HttpServerRequest,
    caller: Caller.Caller
  ) => Effect.Effect<HttpServerResponse.HttpServerResponse, never, R>
) =>
(request: HttpServerRequest.HttpServerRequest) =>
  Effect.flatMap(Tracing.current, (span) => {
    const credentials = Credentials.fromHeaders(request.headers, Option.getOrUndefined(request.peerAddress))
    const limits = new Limits()
    const caller = Caller.make("a2a", {
      credentials,
      traceparent: request.headers["traceparent"],
      span,
      onLimits: limits.record
    })
    return Effect.map(handler(request, caller), (response) => withTrace(limits.addHeaders(response), caller))
  })

/** Declarations and keys change with a start of the server only. */
const cached = (request: HttpServerRequest.HttpServerRequest, startedAt: string, body: string) =>
  publicDocument(request, body, { "last-modified": startedAt, vary: `A2A-Version, ${addressHeaders}` })
