// One request to an AG-UI endpoint: its events go into the journal as they arrive, and its end is the value of a step.
import { Run } from "@fastagentic/core"
import { Effect, Option, Redacted, Schema, Stream } from "effect"
import * as Sse from "effect/encoding/Sse"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { EndpointUnusable } from "../AgUiError.ts"
import { Conversation } from "./conversation.ts"
import { type Ended, isLast, WireEvent } from "./wire.ts"

export interface Endpoint {
  readonly url: string
  readonly headers: Readonly<Record<string, string | Redacted.Redacted>>
}

export interface Input {
  readonly threadId: string
  readonly runId: string
  readonly messages: ReadonlyArray<Schema.Json>
  readonly state: Schema.Json | undefined
  readonly resume: ReadonlyArray<Schema.Json>
}

const decodeEvent = Schema.decodeUnknownOption(Schema.fromJsonString(WireEvent))
const decodeAny = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Struct({ type: Schema.String })))

/** The URL without its query, which may hold a secret. */
export const shownUrl = (url: string): string => url.split(/[?#]/u, 1)[0] ?? ""

/** Sends one request, and waits for the end of its run. */
export const exchange = Effect.fnUntraced(function*(
  client: HttpClient.HttpClient,
  { headers, url }: Endpoint,
  { messages, resume, runId, state, threadId }: Input
): Effect.fn.Return<Ended, EndpointUnusable, Run.CurrentRun> {
  const unusable = (problem: string) => (cause?: unknown) =>
    new EndpointUnusable({ url: shownUrl(url), problem, ...(cause === undefined ? {} : { cause }) })
  const request = HttpClientRequest.post(url).pipe(
    HttpClientRequest.setHeaders(
      Object.fromEntries(
        Object.entries(headers).map((
          [name, value]
        ) => [name, typeof value === "string" ? value : Redacted.value(value)])
      )
    ),
    HttpClientRequest.accept("text/event-stream"),
    HttpClientRequest.bodyText(
      JSON.stringify({
        threadId,
        runId,
        protocolVersion: "1.0",
        messages,
        tools: [],
        context: [],
        ...(state === undefined ? {} : { state }),
        forwardedProps: {},
        ...(resume.length === 0 ? {} : { resume })
      }),
      "application/json"
    )
  )
  const response = yield* Effect.mapError(client.execute(request), unusable("it does not answer"))
  if (response.status !== 200) return yield* unusable(`it answers with the status ${response.status}`)()
  const conversation = new Conversation(messages, state)
  let ended: Ended | undefined
  yield* response.stream.pipe(
    Stream.decodeText(),
    Stream.pipeThroughChannel(Sse.decode({ maxEventSize: 16 * 1_048_576 })),
    Stream.mapError(unusable("its stream broke off")),
    Stream.flatMap(({ data }) => {
      const known = decodeEvent(data)
      if (Option.isSome(known)) return Stream.succeed(known.value)
      return Option.isSome(decodeAny(data)) ? Stream.empty : Stream.fail(unusable("it sends no events of AG-UI")())
    }),
    Stream.takeUntil(isLast),
    Stream.runForEach((event) => {
      const events = conversation.add(event)
      if (event.type === "RUN_FINISHED" || event.type === "RUN_ERROR") ended = conversation.ended(event)
      return Effect.forEach(events, Run.emit, { discard: true })
    })
  )
  return ended ?? (yield* unusable("its stream ended before its run")())
}, Effect.scoped)
