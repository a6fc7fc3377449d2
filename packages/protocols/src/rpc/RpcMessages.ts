// The wire of the routes: messages of effect/rpc as lines of JSON. The library's server trusts the shape of a message, so each
// line that a client sends is checked here, and a wrong one is answered by a defect of the connection.
import { Predicate } from "effect"
import * as RpcSerialization from "effect/rpc/RpcSerialization"

/** A text of at most this many lines at once. */
const mostMessages = 1_000

const isId = (value: unknown) => typeof value === "string" ? value.length <= 128 : typeof value === "number"

const isPair = (value: unknown) =>
  Array.isArray(value) && value.length === 2 && value.every((part) => typeof part === "string")

const isMessage = (value: unknown): boolean => {
  if (!Predicate.isObject(value) || !("_tag" in value)) return false
  switch (value._tag) {
    case "Request": {
      const { headers, id, tag } = Object(value)
      return typeof tag === "string" && isId(id) && Array.isArray(headers) && headers.every(isPair)
    }
    case "Ack":
    case "Interrupt":
      return "requestId" in value && isId(value.requestId)
    case "Ping":
    case "Eof":
      return true
    default:
      return false
  }
}

/** The tag of calls that the app does not have; no declaration's tag is without a slash. */
export const undeclared = "undeclared"

/**
 * The ids of the open calls of a connection. The library ends a connection that uses the id of an open call again, so such a
 * text is refused as a whole instead; notifications have no id and no answer.
 */
const openIds = () => {
  const open = new Set<unknown>()
  return {
    begin: (messages: ReadonlyArray<unknown>) => {
      const ids = messages.flatMap((message) => {
        const { _tag, id, isNotification } = Object(message)
        return _tag === "Request" && isNotification !== true ? [id] : []
      })
      if (new Set(ids).size < ids.length || ids.some((id) => open.has(id))) {
        throw new Error("The id of a call that is open cannot be used again.")
      }
      for (const id of ids) open.add(id)
    },
    end: (message: unknown) => {
      const { _tag, requestId } = Object(message)
      if (_tag === "Exit") open.delete(requestId)
    }
  }
}

/** Lines of JSON whose messages are whole. A call that the app does not have becomes one of `undeclared`, which is refused. */
export const serialization = (
  maxBufferSize: number,
  tags: ReadonlyMap<string, unknown>
): RpcSerialization.RpcSerialization["Service"] => {
  const known = (message: unknown) => {
    const { _tag, tag } = Object(message)
    if (_tag !== "Request" || (tag !== undeclared && tags.has(tag))) return message
    return { ...Object(message), tag: undeclared, payload: tag }
  }
  const lines = RpcSerialization.makeNdjson({ maxBufferSize })
  return RpcSerialization.RpcSerialization.of({
    ...lines,
    makeUnsafe: () => {
      const parser = lines.makeUnsafe()
      const ids = openIds()
      return {
        encode: (message) => {
          ids.end(message)
          return parser.encode(message)
        },
        decode: (bytes) => {
          const messages = parser.decode(bytes)
          if (messages.length > mostMessages || !messages.every(isMessage)) {
            throw new Error("This is no message of effect/rpc as lines of JSON.")
          }
          ids.begin(messages)
          return messages.map(known)
        }
      }
    }
  })
}
