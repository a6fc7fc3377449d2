import { Event } from "@fastagentic/core"
import { Effect, Layer, Schema } from "effect"
import { App, type Auth } from "fastagentic"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Python } from "../../src/python.ts"
import { temporaryFolder } from "../process.ts"
import { onSqlite } from "../serving.ts"

const cwd = fileURLToPath(new URL("python", import.meta.url))

const RunState = Schema.Struct({
  state: Schema.String,
  output: Schema.optionalKey(Schema.Json),
  error: Schema.optionalKey(Schema.Record(Schema.String, Schema.Json))
})
const Started = Schema.Struct({ runId: Schema.String })
const Asked = Schema.Struct({
  items: Schema.Array(Schema.Struct({
    id: Schema.String,
    state: Schema.String,
    kind: Schema.String,
    tool: Schema.optionalKey(Schema.String),
    message: Schema.optionalKey(Schema.String),
    arguments: Schema.optionalKey(Schema.Json)
  }))
})
export const Journal = Schema.Struct({ items: Schema.Array(Event.RunEvent) })

/** A server of agents of a Python file, on SQLite. */
export const serve = Effect.fnUntraced(function*(
  interpreter: string,
  file: string,
  names: ReadonlyArray<string>,
  options: Partial<Python.Options> = {},
  auth?: Layer.Layer<Auth.Auth>
) {
  const found = yield* Effect.forEach(
    names,
    (name) => Python.discover({ entrypoint: `${file}:${name}`, interpreter, cwd, ...options }),
    { concurrency: "unbounded" }
  )
  const app = App.make("python", { version: "1", agents: found.map(({ agent }) => agent) })
  const handlers = found.map(({ layer }) => Layer.orDie(layer)).reduce((all, layer) => Layer.merge(all, layer))
  const filename = join(temporaryFolder(), "python.db")
  const { stop, url } = yield* onSqlite(app, handlers, filename, auth === undefined ? {} : { auth })
  const request = (method: "GET" | "POST", path: string, body?: unknown, token?: string, threadId?: string) =>
    Effect.tryPromise(async () => {
      const response = await fetch(url + path, {
        method,
        headers: {
          accept: "application/json",
          "content-type": "application/json",
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(threadId === undefined ? {} : { "x-thread-id": threadId })
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) })
      })
      const json: unknown = await response.json()
      return json
      // A server that is busy for seconds closes connections that a client has just used again.
    }).pipe(Effect.retry({ times: method === "GET" ? 3 : 0 }), Effect.orDie)
  const start = (name: string, payload: object = {}, token?: string) =>
    Effect.flatMap(
      request("POST", `/agents/${name}/runs`, payload, token),
      (body) => Effect.map(Effect.orDie(Schema.decodeUnknownEffect(Started)(body)), ({ runId }) => runId)
    )
  const ended = Effect.fnUntraced(function*(runId: string, seconds = 30, token?: string) {
    const end = Date.now() + seconds * 1_000
    for (;;) {
      const body = yield* request("GET", `/runs/${runId}`, undefined, token)
      const run = yield* Effect.orDie(Schema.decodeUnknownEffect(RunState)(body))
      if (["completed", "failed", "cancelled"].includes(run.state) || Date.now() > end) return run
      yield* Effect.sleep("50 millis")
    }
  })
  /** The events that count, and the text that they say. */
  const journal = Effect.fnUntraced(function*(runId: string) {
    const body = yield* request("GET", `/runs/${runId}/events?limit=1000`)
    const { items } = yield* Effect.orDie(Schema.decodeUnknownEffect(Journal)(body))
    const events = Event.visible(items)
    return { events, text: events.flatMap((event) => event.type === "token" ? [event.data.delta] : []).join("") }
  })
  /** The questions of a run, once there are any. */
  const open = Effect.fnUntraced(function*(runId: string) {
    for (let tries = 0; tries < 400; tries++) {
      const body = yield* request("GET", `/runs/${runId}/interrupts`)
      const { items } = yield* Effect.orDie(Schema.decodeUnknownEffect(Asked)(body))
      const waiting = items.filter(({ state }) => state === "open")
      if (waiting.length > 0) return waiting
      yield* Effect.sleep("25 millis")
    }
    return []
  })
  return { url, stop, request, start, ended, open, journal }
})
