/**
 * A remote A2A agent as an agent of the app: it is declared, called, delegated to, limited and cancelled like any other.
 *
 * @since 0.1.0
 */
import * as Agent from "@fastagentic/core/app/Agent"
import type { TokenSource } from "@fastagentic/core/door/TokenSource"
import * as Content from "@fastagentic/core/run/Content"
import * as File from "@fastagentic/core/run/File"
import * as Run from "@fastagentic/core/run/Run"
import { Effect, Layer, Schedule, Schema, Stream } from "effect"
import * as Base64 from "effect/encoding/Base64"
import * as HttpClient from "effect/http/HttpClient"
import * as A2aAuthorization from "./A2aAuthorization.ts"
import * as A2aChain from "./A2aChain.ts"
import * as A2aClient from "./A2aClient.ts"
import type { RemoteError } from "./A2aClientError.ts"
import * as A2aClientGrpc from "./A2aClientGrpc.ts"
import { type Headers, Place } from "./A2aClientWire.ts"
import * as A2aContent from "./A2aContent.ts"
import { Mark, RemoteEvents } from "./A2aRemoteEvents.ts"
import { type Message, Part, type TaskPushNotificationConfig } from "./A2aSchema.ts"
import { AgentRegistry } from "./AgentRegistry.ts"
import { PushReceiver } from "./PushReceiver.ts"

/** The remote task did not complete. @category errors @since 0.1.0 */
export class RemoteTaskFailed extends Schema.TaggedError<RemoteTaskFailed>()("RemoteTaskFailed", {
  state: Schema.Literals(["failed", "canceled", "rejected", "lost", "refused"]),
  reason: Schema.String,
  taskId: Schema.optionalKey(Schema.String),
  /** The rule of this server that refused the call, such as that of `Egress`; the audit log names it. */
  rule: Schema.optionalKey(Schema.String)
}, { httpApiStatus: 502 }) {
  override get message() {
    return `The remote task is ${this.state}: ${this.reason}`
  }
}

const Payload = Schema.Struct({ message: Content.List })

/** @category options @since 0.1.0 */
export interface AgentOptions {
  readonly description: string
  readonly scopes?: ReadonlyArray<string>
}

/** @category options @since 0.1.0 */
export interface Options {
  /** The address of the agent's card. */
  readonly url: string
  /**
   * The binding that it is called over; by default that of the first interface of its card. gRPC needs the packages
   * `@grpc/grpc-js` and `@bufbuild/protobuf`.
   */
  readonly binding?: "JSONRPC" | "HTTP+JSON" | "GRPC" | undefined
  /** The skill of the remote agent, when its card has several. */
  readonly skill?: string | undefined
  /** Origins besides that of the card to which its interfaces may lead; requests to them have the headers too. */
  readonly origins?: ReadonlyArray<string> | undefined
  /**
   * The keys of which one has to have signed the card, or the address of their JSON Web Key Set; without them the card is taken
   * as its server gives it.
   */
  readonly keys?: A2aClient.Keys | undefined
  /** Whether what the remote agent says becomes events of the run as it is said; by default its answer alone is read. */
  readonly stream?: boolean | undefined
  /** How many remote agents a piece of work may pass through, one behind the other; 8 by default. */
  readonly depth?: number | undefined
  /**
   * The tokens that are sent to the remote agent, where its card takes bearer tokens: `OAuthTokens` gives those of the app itself,
   * or those of the run's caller.
   */
  readonly auth?: TokenSource | undefined
  /** Headers of every request, such as an authorization that is made anew when it is asked for. */
  readonly headers?: Effect.Effect<Headers> | undefined
}

/**
 * Declares an agent whose work a remote A2A agent does: it takes a message of any content, and gives the content of the remote
 * artifacts.
 *
 * **Example** (Delegating to a remote agent)
 *
 * ```ts
 * import { A2aRemote } from "@fastagentic/protocols/a2a"
 *
 * class Weather extends A2aRemote.agent("weather", { description: "Knows the weather" }) {}
 *
 * const WeatherLayer = A2aRemote.toLayer(Weather, { url: "https://weather.example.com/.well-known/agent-card.json" })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const agent = <const Identifier extends string>(identifier: Identifier, options: AgentOptions) =>
  Agent.make(identifier, {
    description: options.description,
    payload: Payload,
    success: Content.List,
    error: RemoteTaskFailed,
    ...(options.scopes === undefined ? {} : { scopes: options.scopes })
  })

/** An agent that `agent` declares. @category models @since 0.1.0 */
export type Remote<Identifier extends string> = ReturnType<typeof agent<Identifier>>

/**
 * Does the work of a remote agent: one task of it for each run.
 *
 * **Details**
 *
 * The id of the message is derived from the run, so that a server that knows its messages starts one task however often
 * this process is killed. The task is followed by reading it; its questions are interrupts of this run, and a run that is
 * cancelled or fails cancels the task. Work that came through this remote agent before, or through too many, is refused. The
 * client has to refuse addresses of internal networks: `Egress` does.
 *
 * @category layers
 * @since 0.1.0
 */
export const toLayer = <Identifier extends string>(
  remote: Remote<Identifier>,
  { auth, binding, depth = 8, headers = Effect.succeed({}), keys, origins = [], skill, stream = false, url }: Options
): Layer.Layer<Agent.Handler<Identifier>, never, HttpClient.HttpClient> =>
  Layer.unwrap(
    Effect.map(A2aClientGrpc.make, (connections) =>
      remote.toLayer(Effect.fnUntraced(function*({ message }: typeof Payload.Type) {
        const { cardOf } = yield* AgentRegistry
        // A card that the registry has is one that its own keys have signed, and these keys may be others.
        const known = keys === undefined ? cardOf : undefined
        let wanted: A2aAuthorization.Wanted | undefined
        const client = A2aClient.make(yield* HttpClient.HttpClient, {
          ...(auth === undefined ? { headers } : A2aAuthorization.headersOf(auth, headers, () =>
            wanted)),
          connections,
          keys,
          known,
          origins
        })
        const key = yield* Run.idempotencyKey
        const parts = yield* Effect.forEach(message, withBytes)
        let taskId: string | undefined
        const receiver = yield* PushReceiver
        const { chain = [], notifies = false, token, ...place } = yield* Run.stepWith(
          "card",
          Reached,
          reached(client, {
            url,
            binding,
            skill,
            depth,
            wantsToken: auth !== undefined,
            receives: receiver !== undefined && !stream
          })
        )
        wanted = token
        const metadata = A2aChain.metadataOf(chain)
        const { runId } = (yield* Run.CurrentRun).record
        const address = notifies ? yield* receiver?.addressOf(runId) ?? Effect.undefined : undefined
        const push = address === undefined
          ? undefined
          : { ...address, id: runId, authentication: { scheme: "Bearer", credentials: address.token } }
        const begin = beginning(client, place, { messageId: key, role: "ROLE_USER", parts, metadata }, skill, push)
        // A send that was cut off has begun a task, which the same message finds.
        yield* Run.compensate(
          "cancel the remote task",
          Effect.gen(function*() {
            const known = taskId ?? (yield* Effect.map(begin, (sent) => sent.taskId))
            if (known !== undefined) {
              yield* client.cancel(place, known)
            }
            // A task that has ended, or was never begun, is not there to be cancelled.
          }).pipe(Effect.catchTag("RemoteRefused", () => Effect.void))
        )
        const sent = yield* Run.stepWith("send", Sent, untilAnswered(begin))
        taskId = sent.taskId
        let seen = sent
        for (let turn = 1; seen.taskId !== undefined; turn++) {
          const { taskId } = seen
          if (!isSettled(seen.state)) {
            const saying = stream ? new RemoteEvents(seen.said) : undefined
            const follow = Run.stepWith(
              `follow ${turn}`,
              Sent,
              followed(client, place, taskId, saying, sent.notified === true)
            )
            seen = sent.notified === true
              ? yield* Effect.raceFirst(follow, Effect.as(Run.news, seen))
              : yield* follow
            continue
          }
          if (seen.state === "TASK_STATE_COMPLETED") break
          if (!asks(seen.state)) return yield* failed(seen)
          const answer = yield* Run.interrupt(`question ${turn}`, { schema: Schema.String, message: seen.text })
          const reply = { messageId: `${key}/${turn}`, taskId, role: "ROLE_USER", parts: [{ text: answer }] } as const
          const { said } = seen
          seen = yield* Run.stepWith(
            `answer ${turn}`,
            Sent,
            Effect.map(untilAnswered(client.send(place, reply, undefined)), (sent) => withMark(shownOf(sent), said))
          )
        }
        return seen.parts.map((part) => A2aContent.fromPart(part, noLinks))
      })))
  )

/** The interface that is called, and the remote agents that the work has passed through with it. */
const Reached = Schema.Struct({
  ...Place.fields,
  chain: Schema.optionalKey(Schema.Array(Schema.String)),
  token: Schema.optionalKey(A2aAuthorization.Wanted),
  /** Whether it is asked to notify this app of the task. */
  notifies: Schema.optionalKey(Schema.Boolean)
})

const reached = Effect.fnUntraced(function*(
  client: A2aClient.A2aClient,
  { binding, depth, receives, skill, url, wantsToken }: Pick<Options, "binding" | "skill" | "url"> & {
    readonly depth: number
    readonly wantsToken: boolean
    readonly receives: boolean
  }
) {
  const { notifies, place } = yield* untilAnswered(client.resolve(url, binding))
  const chain = yield* Effect.mapError(
    A2aChain.extended(yield* A2aChain.current, place, skill, depth),
    (code) =>
      new RemoteTaskFailed({
        state: "refused",
        reason: code === "CIRCULAR_DELEGATION"
          ? `${code}: the work came through this remote agent already`
          : `${code}: the work came through ${depth} remote agents already`
      })
  )
  const token = wantsToken
    ? yield* untilAnswered(
      Effect.flatMap(client.cardAt(url), (json) => A2aAuthorization.wantedOf(client, { url, json }, place, skill))
    )
    : undefined
  return {
    ...place,
    chain,
    ...(token === undefined ? {} : { token }),
    ...(receives && notifies ? { notifies } : {})
  }
})

/** Sends the message with the address for notifications, and without it where the remote agent does not take the address. */
const beginning = (
  client: A2aClient.A2aClient,
  place: Place,
  message: Message,
  skill: string | undefined,
  push: TaskPushNotificationConfig | undefined
): Effect.Effect<Sent, RemoteError> => {
  const plain = Effect.map(client.send(place, message, skill), shownOf)
  if (push === undefined) return plain
  return Effect.map(client.send(place, message, skill, push), (sent): Sent => ({ ...shownOf(sent), notified: true }))
    .pipe(
      Effect.catchIf(
        (error) => error._tag === "RemoteRefused" && refusesPush.has(error.code),
        () => plain
      )
    )
}

const refusesPush: ReadonlySet<string> = new Set([
  "PUSH_NOTIFICATION_NOT_SUPPORTED",
  "-32003",
  "INVALID_PARAMS",
  "-32602",
  "INVALID_ARGUMENT"
])

/** Files of the other server are links here. */
const noLinks: A2aContent.Links = { urlOf: (fileId) => fileId, fileIdOf: () => undefined }

/** Files of this server are sent with their bytes: its addresses are closed to others. */
const withBytes = Effect.fnUntraced(function*(content: Content.Content) {
  const part = A2aContent.toPart(content, noLinks)
  if (!Content.isBinary(content) || content.fileId === undefined) return part
  const { url: _url, ...rest } = part
  return { ...rest, raw: Base64.encode(yield* File.read(content)) }
})

/** A remote task as far as this run has to know it. */
const Sent = Schema.Struct({
  taskId: Schema.optionalKey(Schema.String),
  state: Schema.String,
  text: Schema.String,
  parts: Schema.Array(Part),
  /** How much of it was said as events. */
  said: Schema.optionalKey(Mark),
  /** Whether the remote agent notifies of the task. */
  notified: Schema.optionalKey(Schema.Boolean)
})
type Sent = typeof Sent.Type

const shownOf = (answer: A2aClient.RemoteSent): Sent => {
  if ("message" in answer) return { state: "TASK_STATE_COMPLETED", text: "", parts: answer.message.parts }
  const { artifacts = [], id, status } = answer.task
  const isDone = status.state === "TASK_STATE_COMPLETED"
  return {
    taskId: id,
    state: status.state,
    text: textOf(status.message?.parts ?? []),
    parts: isDone ? artifacts.flatMap(({ parts }) => parts).filter((part) => part.text !== "") : []
  }
}

const withMark = (sent: Sent, said: Mark | undefined): Sent => said === undefined ? sent : { ...sent, said }

const textOf = (parts: ReadonlyArray<Part>) => parts.flatMap(({ text = "" }) => text === "" ? [] : [text]).join("\n")

const asks = (state: string) => state === "TASK_STATE_INPUT_REQUIRED" || state === "TASK_STATE_AUTH_REQUIRED"

const isSettled = (state: string) => asks(state) || states.has(state) || state === "TASK_STATE_COMPLETED"

const states: ReadonlyMap<string, RemoteTaskFailed["state"]> = new Map([
  ["TASK_STATE_FAILED", "failed"],
  ["TASK_STATE_CANCELED", "canceled"],
  ["TASK_STATE_REJECTED", "rejected"]
])

const failed = ({ state, taskId, text }: Sent) =>
  new RemoteTaskFailed({
    state: states.get(state) ?? "failed",
    reason: text === "" ? "no reason is given" : text,
    ...(taskId === undefined ? {} : { taskId })
  })

/**
 * Reads the task again and again until it has ended or asks; a notification of it begins anew. What it says meanwhile becomes
 * events: those of its stream, and those that the task as it is has gained where there is no stream.
 */
const followed = Effect.fnUntraced(function*(
  client: A2aClient.A2aClient,
  place: Place,
  taskId: string,
  saying: RemoteEvents | undefined,
  isNotified = false
) {
  const longest = isNotified ? longestNotified : longestPause
  const emit = (update: A2aClient.RemoteUpdate) => Effect.forEach(saying?.of(update) ?? [], Run.emit, { discard: true })
  let hasStream = saying !== undefined
  for (let pause = hasStream ? 0 : firstPause;; pause = Math.min(Math.max(pause * 1.5, firstPause), longest)) {
    yield* Effect.sleep(pause)
    const task = yield* untilAnswered(client.get(place, taskId))
    yield* emit({ task })
    const sent = shownOf({ task })
    if (isSettled(sent.state)) return withMark(sent, saying?.mark)
    if (!hasStream) continue
    yield* client.updates(place, taskId).pipe(
      Stream.takeUntil(settles),
      Stream.runForEach(emit),
      Effect.tap(() => Effect.sync(() => pause = 0)),
      Effect.catchTag("RemoteRefused", () => Effect.sync(() => hasStream = false)),
      Effect.catchTag("RemoteUnavailable", () => Effect.void)
    )
  }
})

/** A subscription stays open while its task asks, which it may do from the beginning. */
const settles = (update: A2aClient.RemoteUpdate) =>
  ("statusUpdate" in update && isSettled(update.statusUpdate.status.state)) ||
  ("task" in update && isSettled(update.task.status.state))

const firstPause = 200
const longestPause = 5_000
/** The task is read now and then also where notifications are expected: they may not come. */
const longestNotified = 60_000

/** Tries again while the remote agent is away, for about ten minutes. */
const untilAnswered = <A, R>(call: Effect.Effect<A, RemoteError, R>): Effect.Effect<A, RemoteTaskFailed, R> =>
  call.pipe(
    Effect.retry({
      while: ({ _tag }) => _tag === "RemoteUnavailable",
      schedule: Schedule.min([Schedule.exponential("250 millis"), Schedule.spaced("20 seconds")]),
      times: 36
    }),
    Effect.mapError((error) =>
      error._tag === "RemoteRefused"
        ? new RemoteTaskFailed({
          state: "refused",
          reason: `${error.code}: ${error.message}`,
          ...(error.rule === undefined ? {} : { rule: error.rule })
        })
        : new RemoteTaskFailed({ state: "lost", reason: error.message })
    )
  )
