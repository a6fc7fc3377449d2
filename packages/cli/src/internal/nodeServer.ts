// The HTTP server of Node under Server.layer, with limits that hold before and after the routes: a head or a request that does
// not arrive, which no route sees, and an answer that its client does not read, which stays in memory as a whole.
import type { IncomingMessage, Server, ServerResponse } from "node:http"
import type { Socket } from "node:net"
import { splitHttp2 } from "./splitHttp2.ts"
import { ReadableServer } from "./unreadable.ts"

/** A socket and its client's machine take so much without being read. */
const smallBytes = 65_536

/** Gives an answer that is large as a whole a timer; one that is small or streamed gets none. */
const dropUnread =
  ({ bytesPerMilli = 32, unreadMillis }: Times) => (_request: IncomingMessage, response: ServerResponse) => {
    response.once("prefinish", () => {
      const { writableLength } = response
      if (writableLength < smallBytes) return
      const timer = setTimeout(() => response.destroy(), unreadMillis + writableLength / bytesPerMilli)
      response.once("close", () => clearTimeout(timer))
    })
  }

interface Times {
  readonly headMillis: number
  readonly unreadMillis: number
  /** A client that reads more slowly than this is disconnected once the time for its answer is over. */
  readonly bytesPerMilli?: number
  /** The time of the routes for a body; they answer 408 before the whole request is given up. */
  readonly bodyMillis: number
}

/** `accept` takes over connections that speak HTTP/2. */
export const make = (times: Times, accept?: (socket: Socket) => void): Server => {
  const drop = dropUnread(times)
  const server = new ReadableServer({
    headersTimeout: times.headMillis,
    requestTimeout: times.headMillis + times.bodyMillis,
    connectionsCheckingInterval: Math.min(5_000, times.headMillis, times.bodyMillis)
  }).on("request", drop).on("checkContinue", drop).untilServed()
  return accept === undefined ? server : splitHttp2(server, accept, times.headMillis)
}
