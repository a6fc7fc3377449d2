// Threads over REST: listing them, reading their messages, forking and erasing them.
import type { ThreadPage } from "@fastagentic/core/operations/Runtime"
import { InvalidCursor, RunError } from "@fastagentic/core/run/RunError"
import * as Message from "@fastagentic/core/thread/Message"
import type { ThreadCursor } from "@fastagentic/core/thread/ThreadStore"
import { Effect, Option, Schema } from "effect"
import * as Base64Url from "effect/encoding/Base64Url"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as RequestContext from "./RequestContext.ts"
import * as Responses from "./Responses.ts"
import * as Route from "./Route.ts"
import * as Schemas from "./Schemas.ts"

const optional = Schema.optionalKey
const params = { threadId: Schema.String }
const error = Responses.aboutOne

/** The owner of a thread, for callers who see the runs of the tenant; the caller unless given. */
const owner = { owner: optional(Schema.String) }

const ListQuery = Schema.Struct({ ...Schemas.PageQuery.fields, ...owner })

const MessagesQuery = Schema.Struct({
  ...Schemas.PageQuery.fields,
  ...owner,
  order: optional(Schema.Literals(["oldest", "newest"]))
})

/** The last message of a fork; the thread's last one unless given. */
const ForkQuery = Schema.Struct({ ...owner, at: optional(Schema.FiniteFromString.check(Schema.isInt())) })

const OwnerQuery = Schema.Struct(owner)

const threadIdOf = (context: RequestContext.RequestContext) => RequestContext.param(context, "threadId")

const list = Route.make(
  "threads",
  HttpApiEndpoint.get("list", "/threads", {
    query: ListQuery.fields,
    success: Schemas.pageOf(Schemas.Thread),
    error: Responses.problems(...Responses.refusals)
  }).annotateMerge(Responses.summary("The caller's threads, those that changed last first")),
  RequestContext.handle(Effect.fnUntraced(function*(context) {
    const { after, limit = 50, owner } = yield* RequestContext.queryAs(context, ListQuery)
    const before = after === undefined ? undefined : yield* cursorOf(after)
    const { items, next } = yield* context.runtime.threads(context.caller, { owner, before, limit })
    return HttpServerResponse.jsonUnsafe({
      items: items.map(Schemas.threadOf),
      next: next === undefined ? null : textOf(next)
    })
  }))
)

const Cursor = Schema.fromJsonString(Schema.Tuple([Schema.Int, Schema.String, Schema.String]))
const decodeCursor = Schema.decodeUnknownOption(Cursor)

const textOf = ({ owner, threadId, updatedAt }: NonNullable<ThreadPage["next"]>) =>
  Base64Url.encode(JSON.stringify([updatedAt, owner, threadId]))

const cursorOf = (cursor: string): Effect.Effect<ThreadCursor, RunError> =>
  Option.match(Option.flatMap(Option.getSuccess(Base64Url.decodeString(cursor)), decodeCursor), {
    onNone: () => invalid(cursor, "a cursor is the next of the page before"),
    onSome: ([updatedAt, owner, threadId]) => Effect.succeed({ updatedAt, owner, threadId })
  })

const invalid = (cursor: string, reason: string) =>
  Effect.fail(new RunError({ reason: new InvalidCursor({ cursor, reason }) }))

const get = Route.make(
  "threads",
  HttpApiEndpoint.get("get", "/threads/:threadId", {
    params,
    query: OwnerQuery.fields,
    success: Schemas.Thread,
    error
  }).annotateMerge(Responses.summary("A thread, with the number of its last message")),
  RequestContext.handle(Effect.fnUntraced(function*(context) {
    const { owner } = yield* RequestContext.queryAs(context, OwnerQuery)
    const thread = yield* context.runtime.thread(context.caller, threadIdOf(context), owner)
    return HttpServerResponse.jsonUnsafe(Schemas.threadOf(thread))
  }))
)

/** `after` is the number of the last message of the page before, in either order. */
const messages = Route.make(
  "threads",
  HttpApiEndpoint.get("messages", "/threads/:threadId/messages", {
    params,
    query: MessagesQuery.fields,
    success: Schemas.pageOf(Message.Stored),
    error
  }).annotateMerge(Responses.summary("What was said in a thread; a page ends early once it is large")),
  RequestContext.handle(Effect.fnUntraced(function*(context) {
    const { after, limit = 50, order, owner } = yield* RequestContext.queryAs(context, MessagesQuery)
    if (after !== undefined && !/^\d{1,15}$/u.test(after)) {
      return yield* invalid(after, "a cursor is the number of a message")
    }
    const from = after === undefined ? undefined : Number(after)
    const { items, next } = yield* context.runtime.messages(context.caller, threadIdOf(context), {
      owner,
      order,
      from,
      limit
    })
    return HttpServerResponse.jsonUnsafe({ items, next: next === undefined ? null : String(next) })
  }))
)

/** 201 with a thread that has the turns up to a message. */
const fork = Route.make(
  "threads",
  HttpApiEndpoint.post("fork", "/threads/:threadId/fork", {
    params,
    query: ForkQuery.fields,
    headers: Responses.idempotencyKey,
    success: Schemas.Thread.annotate({ httpApiStatus: 201 }),
    error
  }).annotateMerge(Responses.summary("Copy the turns of a thread up to a message into a new thread")),
  RequestContext.handle(Effect.fnUntraced(function*(context) {
    const { at, owner } = yield* RequestContext.queryAs(context, ForkQuery)
    const idempotencyKey = context.request.headers["idempotency-key"] || undefined
    const forked = yield* context.runtime.forkThread(context.caller, threadIdOf(context), { at, owner, idempotencyKey })
    return HttpServerResponse.jsonUnsafe(Schemas.threadOf(forked), {
      status: 201,
      headers: { location: `/threads/${encodeURIComponent(forked.threadId)}` }
    })
  }))
)

/** 204; forks of the thread stay. */
const erase = Route.make(
  "threads",
  HttpApiEndpoint.delete("erase", "/threads/:threadId", {
    params,
    query: OwnerQuery.fields,
    success: HttpApiSchema.NoContent,
    error
  }).annotateMerge(Responses.summary("Erase a thread: its messages, and its runs with all that they keep")),
  RequestContext.handle(Effect.fnUntraced(function*(context) {
    const { owner } = yield* RequestContext.queryAs(context, OwnerQuery)
    yield* context.runtime.eraseThread(context.caller, threadIdOf(context), owner)
    return HttpServerResponse.empty({ status: 204 })
  }))
)

export const routes: ReadonlyArray<Route.Route> = [list, get, messages, fork, erase]
