// Rewrites the event stream of a chat completion, event by event, before the package reads it. An answer that breaks off
// ends with an error event behind its text, so that no text is lost.
import * as Sse from "effect/encoding/Sse"
import { fieldsOf, isFields, parse } from "../fields.ts"
import { AnswerTooLong } from "../transport.ts"
import * as Chunk from "./chunk.ts"
import * as Frames from "./frames.ts"
import { Unnamed, withName } from "./unnamed.ts"
import { longestBody } from "./wholeBody.ts"

/** The time that a server has to end a stream after its end marker. */
const endMillis = 500

interface State {
  readonly parser: Sse.Parser
  readonly unnamed: Unnamed
  /** Frames that are ready. */
  out: string
  reason: boolean
  calls: boolean
  /** The connection is closed: an event that is still open may lack its end. */
  closed: boolean
  ended: boolean
}

const stop = (state: State, frame: string) => {
  state.out += frame
  state.ended = true
}

const take = (state: State, event: string, data: string) => {
  // An event without data is none: a closed connection may leave the beginning of a line.
  if (state.ended || data.trim() === "") return
  if (data.trim() === "[DONE]") {
    if (state.reason) return stop(state, "")
    const calls = state.unnamed.end()
    return stop(state, Frames.endFrame(state.calls || calls.length > 0 ? "tool_calls" : "stop", calls))
  }
  const value = parse(data)
  const isJson = value !== undefined || /^\s*[[{]/u.test(data)
  if (value === undefined && isJson && state.closed) return
  if (value === undefined ? isJson : !Chunk.isChunk(value)) {
    return stop(state, Frames.errorFrame("an event of the stream is no chunk of an answer", Frames.malformed))
  }
  const error = Chunk.errorIn(value ?? data, event)
  if (error !== undefined) return stop(state, Frames.errorOf(error))
  const mended = state.unnamed.mend(Chunk.mend(fieldsOf(value)))
  state.reason ||= mended.reason !== undefined
  state.calls ||= mended.message?.tool_calls !== undefined
  state.out += Frames.chunkFrame(mended)
}

const open = (): State => {
  const state: State = {
    parser: Sse.makeParser((event) => {
      if (event._tag === "Event") take(state, event.event, event.data)
    }),
    unnamed: new Unnamed(),
    out: "",
    reason: false,
    calls: false,
    closed: false,
    ended: false
  }
  return state
}

const feed = (state: State, text: string) => {
  const error = state.parser.feed(text)
  if (error !== undefined && !state.ended) stop(state, Frames.errorFrame(error.message, Frames.malformed))
}

const finish = (state: State) => {
  state.closed = true
  feed(state, "\n\n")
  if (state.ended || state.reason) return
  state.out += Frames.errorFrame("the connection was closed before the answer was complete", Frames.connectionLost)
}

/** A whole body in answer to a request for a stream: a completion, or an error. */
const fromBody = (body: string): string => {
  const value = parse(body)
  const error = Chunk.errorIn(value ?? body)
  if (error !== undefined) return Frames.errorOf(error)
  const mended = isFields(value) ? Chunk.mend(value) : undefined
  if (mended?.message === undefined) {
    return Frames.errorFrame("the body is neither an event stream nor a completion", Frames.malformed)
  }
  const calls = mended.message.tool_calls?.map((call, index) => ({ ...withName(call), index }))
  const reason = mended.reason ?? (calls === undefined ? "stop" : "tool_calls")
  return Frames.chunkFrame({ ...mended, message: { ...mended.message, tool_calls: calls }, reason })
}

const encoder = new TextEncoder()

/** The mended stream of a response's body. */
export const mendStream = (body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> => {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  const state = open()
  let head = ""
  let kind: "unknown" | "events" | "body" = "unknown"

  const receive = (text: string) => {
    if (kind === "events") return feed(state, text)
    head += text
    if (head.length > longestBody) return stop(state, Frames.errorFrame("the answer is too long", Frames.malformed))
    if (kind === "unknown" && head.trimStart() !== "") {
      kind = /^\s*[[{<]/u.test(head.replace(/^\uFEFF/u, "")) ? "body" : "events"
      if (kind === "events") feed(state, head)
    }
  }

  const end = () => {
    receive(decoder.decode())
    if (kind === "body") state.out += fromBody(head.replace(/^\uFEFF/u, ""))
    else finish(state)
    state.ended = true
  }

  const read = async (): Promise<void> => {
    try {
      const { done, value } = await reader.read()
      if (done) end()
      else receive(decoder.decode(value, { stream: true }))
    } catch (cause) {
      const kind = cause instanceof AnswerTooLong ? Frames.malformed : Frames.connectionLost
      stop(state, Frames.errorFrame(cause instanceof Error ? cause.message : String(cause), kind))
    }
  }

  /** Lets the server end its response, so that the connection can be used again. */
  const drain = async (): Promise<void> => {
    const late = setTimeout(() => void reader.cancel().catch(() => {}), endMillis)
    while (!(await reader.read().catch(() => ({ done: true }))).done);
    clearTimeout(late)
  }

  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      while (!state.ended && state.out === "") await read()
      if (state.out !== "") controller.enqueue(encoder.encode(state.out))
      state.out = ""
      if (!state.ended) return
      await drain()
      controller.close()
    },
    cancel: (reason) => reader.cancel(reason)
  }, { highWaterMark: 0 })
}
