// Threads in Redis: reading, forking and removing them. Turns are written by the commits of their runs (writeScript.ts).
import { JournalDamaged, type StoreUnavailable } from "@fastagentic/core/run/RunError"
import type { Fact } from "@fastagentic/core/store/RunStore"
import { Message, type Stored } from "@fastagentic/core/thread/Message"
import type { ThreadKey, ThreadRecord, ThreadStore } from "@fastagentic/core/thread/ThreadStore"
import { Effect, Result, Schema } from "effect"
import type { RedisClient } from "../RedisClient.ts"
import * as Keys from "./keys.ts"
import * as Reads from "./reads.ts"
import * as Scripts from "./threadScripts.ts"
import { factsOf } from "./writes.ts"

export const makeThreads = ({ prefix, redis }: RedisClient["Service"]): ThreadStore => {
  const evalPage = redis.eval(Scripts.page)
  const evalGet = redis.eval(Scripts.get)
  const evalMessages = redis.eval(Scripts.messages)
  const evalFork = redis.eval(Scripts.fork)
  const evalRemove = redis.eval(Scripts.remove)
  const evalIdle = redis.eval(Scripts.idle)

  const get = (key: ThreadKey): Effect.Effect<ThreadRecord | undefined, StoreUnavailable> =>
    Effect.map(Reads.answer("read thread", toRecords)(evalGet(prefix, [nameOf(key)])), ([record]) => record)

  const remove = (key: ThreadKey, before: string, facts?: ReadonlyArray<Fact>) => {
    const [name = "", ...indexes] = Keys.threadKeys(prefix, key)
    return Effect.map(
      Reads.answer("remove thread", Number)(
        evalRemove(prefix, [name, before, ...Keys.list(indexes), ...Keys.list(factsOf(facts))])
      ),
      (found) => found === 1
    )
  }

  return {
    get,

    list: ({ before, limit, owner, tenant }) =>
      Reads.answer("list threads", toRecords)(evalPage(prefix, [
        Keys.threadIndex(prefix, ...(owner === undefined ? [tenant] : [tenant, owner])),
        before === undefined ? "" : `${before.updatedAt}`,
        before === undefined ? "" : nameOf({ tenant, owner: before.owner, threadId: before.threadId }),
        `${limit}`
      ])),

    messages: ({ bytes, from, limit, order, ...key }) =>
      Reads.answer("messages of a thread", decodeTexts)(evalMessages(prefix, [
        nameOf(key),
        `${order === "oldest" ? from ?? 0 : (from ?? Number.MAX_SAFE_INTEGER) - 2}`,
        order === "oldest" ? "1" : "-1",
        `${limit}`,
        `${Math.max(bytes, 1)}`
      ])).pipe(Effect.flatMap((reply) => Effect.fromResult(toMessages(reply)))),

    fork: ({ at, facts, now, to, ...key }) => {
      const copy = { ...key, threadId: to }
      const [name = "", ...indexes] = Keys.threadKeys(prefix, copy)
      return Effect.flatMap(
        Reads.answer("fork thread", Number)(
          evalFork(prefix, [
            nameOf(key),
            name,
            `${at}`,
            `${now}`,
            ...Keys.list(indexes),
            Keys.json(key.threadId),
            ...Keys.list(factsOf(facts))
          ])
        ),
        (found) => found === 0 ? Effect.undefined : get(copy)
      )
    },

    remove: (key, facts) => remove(key, "", facts),

    removeIdle: Effect.fnUntraced(function*({ exceptTenants = [], limit, tenant, updatedBefore }) {
      const index = tenant === undefined ? `${prefix}conversations` : Keys.threadIndex(prefix, tenant)
      let [removed, offset] = [0, 0]
      while (true) {
        const { found, read } = yield* Reads.answer("idle threads", toIdle)(
          evalIdle(prefix, [index, `${updatedBefore}`, `${offset}`])
        )
        let gone = 0
        for (const key of found) {
          if (removed === limit) return removed
          if (exceptTenants.includes(key.tenant) || !(yield* remove(key, `${updatedBefore}`))) continue
          gone++
          removed++
        }
        offset += read - gone
        if (read < 100) return removed
      }
    })
  }
}

const nameOf = ({ owner, tenant, threadId }: ThreadKey) => Keys.json([tenant, owner, threadId])

const decodeTexts = Schema.decodeUnknownSync(Schema.Array(Schema.String))
const decodeRows = Schema.decodeUnknownSync(Schema.Array(Schema.Array(Schema.String)))
const decodeKey = Schema.decodeUnknownSync(
  Schema.fromJsonString(Schema.Tuple([Schema.String, Schema.String, Schema.String]))
)
const decodeText = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.String))
const decodeMessage = Schema.decodeUnknownSync(Schema.fromJsonString(Message))

const toRecords = (reply: unknown): ReadonlyArray<ThreadRecord> => decodeRows(reply).map(toRecord)

const decodeIdle = Schema.decodeUnknownSync(Schema.Tuple([Schema.String, Schema.Array(Schema.String)]))

const keyOf = (name: string): ThreadKey => {
  const [tenant, owner, threadId] = decodeKey(name)
  return { tenant, owner, threadId }
}

const toIdle = (reply: unknown) => {
  const [read, names] = decodeIdle(reply)
  return { read: Number(read), found: names.map(keyOf) }
}

const toRecord = ([name = "", messages, ...fields]: ReadonlyArray<string>): ThreadRecord => {
  const values = new Map(fields.flatMap((field, index) => index % 2 === 0 ? [[field, fields[index + 1]] as const] : []))
  const origin = values.get("forkedThreadId")
  return {
    ...keyOf(name),
    createdAt: Number(values.get("createdAt")),
    updatedAt: Number(values.get("updatedAt")),
    messages: Number(messages),
    ...(origin === undefined
      ? {}
      : { forkedFrom: { threadId: decodeText(origin), at: Number(values.get("forkedAt")) } })
  }
}

/** Numbers and messages in turn; a message is its run, its time and itself in three lines. */
const toMessages = (reply: ReadonlyArray<string>): Result.Result<ReadonlyArray<Stored>, JournalDamaged> => {
  const found: Array<Stored> = []
  for (let index = 0; index < reply.length; index += 2) {
    const [run = "", at = "", body = ""] = (reply[index + 1] ?? "").split("\n")
    const message = Result.try({
      try: () => ({ ...decodeMessage(body), position: Number(reply[index]), runId: decodeText(run), at: Number(at) }),
      catch: () => new JournalDamaged({ runId: run, what: `message ${reply[index]} of its thread` })
    })
    if (Result.isFailure(message)) return Result.fail(message.failure)
    found.push(message.success)
  }
  return Result.succeed(found)
}
