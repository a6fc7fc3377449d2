import { Auth } from "@fastagentic/core"
import { Effect, Layer, Schema } from "effect"
import { request as rawRequest } from "node:http"
import { layerRuntime, mounted, serve } from "../fixture.ts"

/** The fixture app over REST. */
export const start = (auth: Layer.Layer<Auth.Auth> = Auth.layerNone) =>
  serve(mounted("rest").pipe(Layer.provide(layerRuntime(auth))))

type Headers = Record<string, string>

export const post = (url: string, body?: unknown, headers: Headers = {}) =>
  Effect.promise((signal) =>
    fetch(url, {
      method: "POST",
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      headers: { "content-type": "application/json", ...headers },
      signal
    })
  )

export const get = (url: string, headers: Headers = {}) => Effect.promise((signal) => fetch(url, { headers, signal }))

export const json = (response: Response): Effect.Effect<Record<string, unknown>> =>
  Effect.promise(() => response.json())

export const text = (response: Response) => Effect.promise(() => response.text())

/** Decodes the body of an answer. */
export const as = <S extends Schema.ConstraintCodec<unknown, unknown>>(schema: S) => (response: Response) =>
  Effect.flatMap(json(response), (body) => Effect.orDie(Schema.decodeUnknownEffect(schema)(body)))

export const Run = Schema.Struct({
  runId: Schema.String,
  state: Schema.String,
  attempt: Schema.Int,
  seq: Schema.Int,
  output: Schema.optionalKey(Schema.Json)
})

export const Suspended = Schema.Struct({
  runId: Schema.String,
  state: Schema.Literal("suspended"),
  interrupts: Schema.Array(Schema.Struct({ id: Schema.String, name: Schema.String, state: Schema.String }))
})

export const RunPage = Schema.Struct({ items: Schema.Array(Run), next: Schema.NullOr(Schema.String) })

const EventLine = Schema.Struct({ runId: Schema.String, seq: Schema.Int, type: Schema.String, data: Schema.Json })
export type EventLine = typeof EventLine.Type

export const EventPage = Schema.Struct({ items: Schema.Array(EventLine), next: Schema.NullOr(Schema.String) })

export const Problem = Schema.Struct({
  type: Schema.String,
  title: Schema.String,
  status: Schema.Int,
  traceId: Schema.String,
  error: Schema.Record(Schema.String, Schema.Json)
})

const decodeEvent = Schema.decodeUnknownSync(Schema.fromJsonString(EventLine))

/** The events of an SSE body. */
export const frames = (body: string) =>
  body.split("\n\n").filter((frame) => frame.includes("data: ")).map((frame) => {
    const field = (name: string) => new RegExp(`(?:^|\n)${name}: ([^\n]*)`, "u").exec(frame)?.[1] ?? ""
    return { id: Number(field("id")), event: field("event"), data: decodeEvent(field("data")) }
  })

/** The journal of a run over SSE, after an event to its end. */
export const follow = (url: string, runId: string, after = 0) =>
  Effect.map(
    Effect.flatMap(get(`${url}/runs/${runId}/events`, { "last-event-id": String(after) }), text),
    (body) => frames(body).map((frame) => frame.data)
  )

/** Polls a run until it is in a state. */
export const until = Effect.fnUntraced(function*(url: string, runId: string, state: string) {
  for (let turn = 0; turn < 500; turn++) {
    const run = yield* Effect.flatMap(get(`${url}/runs/${runId}`), as(Run))
    if (run.state === state) return run
    yield* Effect.sleep("10 millis")
  }
  return yield* Effect.die(new Error(`the run did not become ${state}`))
})

export interface Raw {
  readonly status: number
  readonly headers: Readonly<Record<string, string | Array<string> | undefined>>
  readonly body: string
}

/** A request whose path is sent unchanged, unlike that of `fetch`. */
export const raw = (url: string, path: string, options: { method?: string; body?: string; headers?: Headers } = {}) =>
  Effect.callback<Raw>((resume) => {
    const { hostname, port } = new URL(url)
    const { body = "", headers = {}, method = "GET" } = options
    const request = rawRequest({ hostname, port, path, method, headers }, (response) => {
      let received = ""
      response.setEncoding("utf8")
      response.on("data", (chunk: string) => {
        received += chunk
      })
      response.on(
        "end",
        () => resume(Effect.succeed({ status: response.statusCode ?? 0, headers: response.headers, body: received }))
      )
    })
    request.on("error", (error) => resume(Effect.die(error)))
    request.end(body)
  })

/** Whether a journal is complete: numbered from 1, without gap or duplicate. */
export const isWhole = (events: ReadonlyArray<{ readonly seq: number }>) =>
  events.every((event, index) => event.seq === index + 1)
