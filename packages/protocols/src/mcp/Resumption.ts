// Streams of calls of 2025 that a client can take up again with `Last-Event-ID`, on any node: the id of an event names the
// call, its run and the number of the event in the journal, which has the rest.
import { Deferred, Effect, Option, Result, Schema, Stream } from "effect"
import * as Base64Url from "effect/encoding/Base64Url"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { Meta } from "./ToolResult.ts"

/** A point of a stream. */
const Point = Schema.Struct({
  id: Schema.Union([Schema.String, Schema.Finite]),
  name: Schema.String,
  token: Schema.optionalKey(Schema.Union([Schema.String, Schema.Finite])),
  runId: Schema.String,
  seq: Schema.Int
})
type Point = typeof Point.Type

const decodePoint = Schema.decodeUnknownOption(Schema.fromJsonString(Point))

/** The call that a stream belongs to; its run is known once it was admitted. */
export interface Streamed extends Pick<Point, "id" | "name" | "token"> {
  readonly run: Deferred.Deferred<{ readonly runId: string; readonly seq: number }>
}

const isCall = Schema.is(Schema.Struct({
  method: Schema.Literal("tools/call"),
  id: Point.fields.id,
  params: Schema.Struct({
    name: Schema.String,
    _meta: Schema.optionalKey(Schema.Struct({ progressToken: Schema.optionalKey(Schema.Unknown) }))
  })
}))
const isToken = Schema.is(Point.fields.id)

/** The call of a message, if it is one. */
export const streamed = (body: unknown): Streamed | undefined => {
  if (!isCall(body)) return undefined
  const token = body.params._meta?.progressToken
  return {
    id: body.id,
    name: body.params.name,
    ...(isToken(token) ? { token } : {}),
    run: Deferred.makeUnsafe()
  }
}

/** The message that takes up a stream after an event; nothing for an id that no stream of a call has. */
export const messageAfter = (lastEventId: string): object | undefined => {
  const text = Result.getOrElse(Base64Url.decodeString(lastEventId), () => "")
  const point = Option.getOrUndefined(decodePoint(text))
  return point && {
    jsonrpc: "2.0",
    id: point.id,
    method: "tools/call",
    params: {
      name: point.name,
      arguments: {},
      _meta: {
        [Meta.resume]: `${point.runId}.${point.seq}`,
        ...(point.token === undefined ? {} : { progressToken: point.token })
      }
    }
  }
}

/** How soon a client comes back after its connection broke. */
const retryMillis = 1_000

/** Priming events, whose data is empty, are known since this revision. */
const primingSince = "2025-11-25"

const encoder = new TextEncoder()

/** The response with ids on its events, and with a first event once the run is there. */
export const withIds = (
  response: HttpServerResponse.HttpServerResponse,
  { id, name, run, token }: Streamed,
  revision: string
): HttpServerResponse.HttpServerResponse => {
  const { body } = response
  if (body._tag !== "Stream" || !body.contentType.startsWith("text/event-stream")) return response
  const decoder = new TextDecoder()
  let rest = ""
  let position: { readonly runId: string; readonly seq: number } | undefined
  const idAt = (point: { readonly runId: string; readonly seq: number }) =>
    Base64Url.encode(JSON.stringify({ id, name, ...(token === undefined ? {} : { token }), ...point }))
  const numbered = (frame: string) => {
    if (position === undefined || !frame.startsWith("event:")) return frame
    const seq = seqIn(frame)
    if (seq !== undefined && seq > position.seq) position = { ...position, seq }
    return `id: ${idAt(position)}\n${frame}`
  }
  const events = Stream.map(body.stream, (chunk) => {
    const whole = rest + decoder.decode(chunk, { stream: true })
    const end = whole.lastIndexOf("\n\n")
    if (end < 0) {
      rest = whole
      return new Uint8Array()
    }
    rest = whole.slice(end + 2)
    return encoder.encode(whole.slice(0, end).split("\n\n").map((frame) => `${numbered(frame)}\n\n`).join(""))
  })
  const priming = Stream.fromEffect(Effect.map(Deferred.await(run), (point) => {
    position = point
    return encoder.encode(revision < primingSince ? "" : `id: ${idAt(point)}\nretry: ${retryMillis}\ndata: \n\n`)
  }))
  const { contentType, ...headers } = { contentType: body.contentType, ...response.headers }
  return HttpServerResponse.stream(
    Stream.filter(Stream.merge(priming, events, { haltStrategy: "right" }), ({ length }) => length > 0),
    { status: response.status, headers, contentType }
  )
}

/** The number that a notification carries. */
const seqIn = (frame: string): number | undefined => {
  const seq = frame.includes("\"method\":\"notifications/") ? seqPattern.exec(frame)?.[1] : undefined
  return seq === undefined ? undefined : Number(seq)
}

const seqPattern = new RegExp(`"${Meta.seq}":(\\d+)`, "u")
