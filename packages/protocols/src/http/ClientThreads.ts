// A client's calls about threads, by their ids.
import { Stored } from "@fastagentic/core/thread/Message"
import { Effect } from "effect"
import type { Threads } from "./Client.ts"
import * as Transport from "./ClientTransport.ts"
import * as Schemas from "./Schemas.ts"

const ThreadPage = Schemas.pageOf(Schemas.Thread)
const MessagePage = Schemas.pageOf(Stored)

export const make = (transport: Transport.Transport): Threads => {
  const get = <S extends Parameters<typeof Transport.readOk>[1]>(path: string, schema: S, query: Query) =>
    Effect.flatMap(transport.send({ method: "GET", path, query }), (answered) => Transport.readOk(answered, schema))

  return {
    list: (page = {}) => get("/threads", ThreadPage, queryOf(page)),
    get: (threadId, options = {}) => get(pathOf(threadId), Schemas.Thread, queryOf(options)),
    messages: (threadId, page = {}) => get(`${pathOf(threadId)}/messages`, MessagePage, queryOf(page)),
    fork: (threadId, { idempotencyKey = globalThis.crypto.randomUUID(), ...options } = {}) =>
      transport.send({
        method: "POST",
        path: `${pathOf(threadId)}/fork`,
        query: queryOf(options),
        headers: { "idempotency-key": idempotencyKey }
      }).pipe(
        Effect.flatMap((answered) => Transport.readOk(answered, Schemas.Thread)),
        Effect.retry(transport.again)
      ),
    erase: (threadId, options = {}) =>
      Effect.flatMap(
        transport.send({ method: "DELETE", path: pathOf(threadId), query: queryOf(options) }),
        Transport.readNothing
      )
  }
}

type Query = Record<string, string | undefined>

const pathOf = (threadId: string) => `/threads/${encodeURIComponent(threadId)}`

const queryOf = (
  { after, at, limit, order, owner }: {
    readonly after?: string
    readonly at?: number
    readonly limit?: number
    readonly order?: string
    readonly owner?: string
  }
): Query => ({
  after,
  order,
  owner,
  at: at === undefined ? undefined : String(at),
  limit: limit === undefined ? undefined : String(limit)
})
