// `notifications/tasks` of the extension of 2026-07-28: tasks that a request to listen names, each as soon as its status or its
// questions change, on any node. The SDK's stream knows resources only, so that a stream with tasks is made here as a whole.
import * as Timings from "@fastagentic/core/base/Timings"
import type { Caller } from "@fastagentic/core/door/Caller"
import type { RunHandle, Runtime } from "@fastagentic/core/operations/Runtime"
import type { RunError } from "@fastagentic/core/run/RunError"
import type { RunRecord } from "@fastagentic/core/run/RunRecord"
import { Effect, Schema, Stream } from "effect"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import { type PublicAddress, urlOf } from "../internal/publicAddress.ts"
import type { Changes } from "./Changes.ts"
import { hasExtension, modernClientOf } from "./Connection.ts"
import type { Catalog } from "./McpCatalog.ts"
import * as SessionStream from "./SessionStream.ts"
import * as TaskMethods from "./TaskMethods.ts"

const revision = "2026-07-28"
const subscriptionId = "io.modelcontextprotocol/subscriptionId"
const serverInfo = "io.modelcontextprotocol/serverInfo"

/** More tasks need more streams. */
const taskLimit = 100

const Listen = Schema.Struct({
  id: Schema.Union([Schema.String, Schema.Finite]),
  method: Schema.Literal("subscriptions/listen"),
  params: Schema.Struct({
    notifications: Schema.Struct({
      taskIds: Schema.NonEmptyArray(Schema.String.check(Schema.isMaxLength(256))).check(Schema.isMaxLength(taskLimit)),
      resourceSubscriptions: Schema.optionalKey(Schema.Array(Schema.String)),
      resourcesListChanged: Schema.optionalKey(Schema.Boolean)
    }),
    _meta: Schema.StructWithRest(
      Schema.Struct({ "io.modelcontextprotocol/protocolVersion": Schema.Literal(revision) }),
      [
        Schema.Record(Schema.String, Schema.Unknown)
      ]
    )
  })
})
type Listen = typeof Listen.Type
const isShaped = Schema.is(Listen)

const messageOf = ({ id, method, params: { _meta } }: Listen) => ({
  mcpReq: { id, method, envelope: _meta, notify: () => Promise.resolve() }
})

/** A request for the tasks of a client that knows them; the SDK answers all others, and refuses what is wrong with them. */
export const listenOf = (
  headers: { readonly [name: string]: string | undefined },
  body: unknown
): Listen | undefined =>
  headers["mcp-protocol-version"] === revision && headers["mcp-method"] === "subscriptions/listen" && isShaped(body) &&
    hasExtension(messageOf(body))
    ? body
    : undefined

export const make = (runtime: Runtime["Service"], catalog: Catalog, changes: Changes) => {
  const tasks = TaskMethods.make(runtime, catalog)

  /** The task now, and whenever its status or its questions are others than those of the last notice. */
  const noticesOf = Effect.fnUntraced(function*(
    handle: RunHandle,
    detailed: Effect.Effect<object>
  ): Effect.fn.Return<Stream.Stream<object>, RunError> {
    const seen: { run: RunRecord; notice: string } = { run: handle.run, notice: "" }
    const pages = yield* handle.follow({ after: handle.run.seq, until: "final" })
    const moved = Stream.filter(pages, ({ run }) => {
      const before = seen.run
      seen.run = run
      return run.state !== "running" || before.state !== "running"
    })
    // A question of a run that this one waits for is no event of its own.
    const asked = Stream.filter(Stream.tick(Timings.heartbeatMillis), () => seen.run.waitsFor === "child")
    const looks = Stream.merge(Stream.concat(Stream.make(0), moved), asked, { haltStrategy: "left" })
    return Stream.mapEffect(looks, () => detailed).pipe(
      Stream.filter((task) => {
        const notice = JSON.stringify({ ...task, lastUpdatedAt: "" })
        const isNew = notice !== seen.notice
        seen.notice = notice
        return isNew
      }),
      // A client whose credentials have ended comes back, and gets 401.
      Stream.catchCause(() => Stream.empty)
    )
  })

  return Effect.fnUntraced(function*(
    listen: Listen,
    caller: Caller,
    address: PublicAddress
  ): Effect.fn.Return<HttpServerResponse.HttpServerResponse, RunError> {
    const { id, params: { notifications } } = listen
    const client = modernClientOf(messageOf(listen), revision)
    const reader = { caller, path: address.path, reader: { revision, url: urlOf(address) } }
    const stamped = (method: string, params: object) =>
      SessionStream.frame(method, { ...params, _meta: { [subscriptionId]: id } })
    const counted = yield* runtime.openStream(caller)
    const found: Array<Stream.Stream<Uint8Array>> = []
    const taskIds: Array<string> = []
    for (const taskId of new Set(notifications.taskIds)) {
      const handle = yield* Effect.catchReason(
        runtime.open(caller, taskId),
        "RunError",
        "RunNotFound",
        () => Effect.undefined
      )
      if (handle === undefined || !handle.run.durable) continue
      taskIds.push(taskId)
      const notices = yield* noticesOf(handle, Effect.orDie(tasks.get(taskId, client, reader)))
      found.push(Stream.map(notices, (task) => stamped("notifications/tasks", task)))
    }
    const wanted = catalog.capabilities.resources === undefined ? {} : {
      ...(notifications.resourceSubscriptions === undefined
        ? {}
        : { resourceSubscriptions: notifications.resourceSubscriptions }),
      ...(notifications.resourcesListChanged === true ? { resourcesListChanged: true } : {})
    }
    const listensToMore = Object.keys(wanted).length > 0
    const acknowledged = stamped("notifications/subscriptions/acknowledged", { notifications: { taskIds, ...wanted } })
    const events = Stream.mergeAll(
      listensToMore ? [...found, SessionStream.changesOf(changes, wanted, stamped)] : found,
      { concurrency: "unbounded" }
    )
    const end = SessionStream.data({
      jsonrpc: "2.0",
      id,
      result: { resultType: "complete", _meta: { [subscriptionId]: id, [serverInfo]: catalog.server } }
    })
    return SessionStream.answer(
      counted(
        Stream.make(acknowledged).pipe(
          Stream.concat(Stream.merge(events, SessionStream.heartbeats, { haltStrategy: "left" })),
          Stream.concat(Stream.make(end))
        )
      )
    )
  })
}
