import { assert, describe, it } from "@effect/vitest"
import { Sqlite } from "@fastagentic/stores/sqlite"
import { Effect, Layer, Redacted, Schema } from "effect"
import {
  Agent,
  App,
  Auth,
  BlobStore,
  Budget,
  File,
  Message,
  Principal,
  RateLimit,
  Run,
  RunBlobs,
  Schedule,
  Server,
  Thread
} from "fastagentic"
import { join } from "node:path"
import * as Transports from "./matrix/transports.ts"
import { temporaryFolder } from "./process.ts"
import { urlOf } from "./serving.ts"

class Clerk extends Agent.make("clerk", {
  description: "Says a text, and asks a boss before it does if it should",
  payload: { text: Schema.String, asks: Schema.optionalKey(Schema.Boolean) },
  success: Schema.String,
  threads: "enqueue"
}) {}

class Viewer extends Agent.make("viewer", {
  description: "Reads a file",
  payload: { photo: File.make({}) },
  success: Schema.Int
}) {}

class Office extends App.make("office", {
  version: "1",
  agents: [Clerk, Viewer],
  schedules: [
    Schedule.make("report", {
      agent: Clerk,
      cron: "0 0 1 1 *",
      payload: { text: "figures" },
      as: { principal: "reports", tenant: "acme", scopes: [] }
    })
  ]
}) {}

const handlers = Layer.mergeAll(
  Clerk.toLayer(Effect.fn(function*({ asks, text }) {
    if (asks === true) yield* Run.interrupt("may I", { schema: Schema.Boolean, scopes: ["boss"] })
    yield* Thread.add(Message.user(text))
    return text
  }, Effect.orDie)),
  Viewer.toLayer(Effect.fn(function*({ photo }) {
    return (yield* File.read(photo)).length
  }, Effect.orDie))
)

const person = (id: string, ...scopes: ReadonlyArray<string>) => ({
  key: Redacted.make(`key-of-${id}`),
  principal: new Principal.Principal({ id, tenant: "acme", scopes, roles: [], claims: {} })
})

/** `ann` works, `rita` reads what all others do, `abe` acts on it, `bob` decides, `olga` reads the audit log. */
const people = Auth.layerKeys([
  person("ann", "schedules:manage", "usage:tenant"),
  person("rita", "runs:read:tenant", "schedules:manage", "usage:tenant"),
  person("abe", "runs:act:tenant"),
  person("bob", "boss"),
  person("olga", "audit:read")
])

const office = Effect.gen(function*() {
  const filename = join(temporaryFolder(), "office.sqlite")
  const stores = RunBlobs.layer().pipe(
    Layer.provide(BlobStore.layerMemory),
    Layer.provideMerge(Sqlite.layer({ filename }))
  )
  const context = yield* Layer.build(
    Layer.fresh(Server.layer(Office, { port: 0, grace: "200 millis" })).pipe(
      Layer.provide([handlers, people, Budget.layerUnlimited, RateLimit.layerUnlimited, stores])
    )
  )
  const url = urlOf(context)
  const headersOf = (id: string) => ({ ...Transports.json, "x-api-key": `key-of-${id}` })

  const call = (who: string, method: string, path: string, body?: unknown, more: Record<string, string> = {}) =>
    Effect.promise(() =>
      Transports.request(url + path, {
        method,
        headers: { ...headersOf(who), ...more },
        ...(body === undefined ? {} : { body: JSON.stringify(body) })
      })
    )

  const frame = (who: string, op: object) => Effect.promise(() => Transports.frames(url, headersOf(who), op, 50))

  const a2a = (who: string, method: string, id: string) =>
    Effect.promise(() => Transports.request(`${url}/a2a`, Transports.a2aRequest(method, { id }, headersOf(who))))

  /** A run of ann's that has ended, or that waits for bob. */
  const run = Effect.fnUntraced(function*(payload: object, threadId = "t") {
    const { body } = yield* call("ann", "POST", "/agents/clerk/runs", payload, { "x-thread-id": threadId })
    const runId = String(body.runId)
    yield* Effect.promise(() => Transports.settled(url, runId, headersOf("ann")))
    return runId
  })

  /** The entries about reads, but for those of the audit log itself. */
  const reads = Effect.map(
    call("olga", "GET", "/audit?limit=200"),
    ({ body: { items } }): ReadonlyArray<Record<string, string>> =>
      items.filter((entry: Record<string, string>) => entry["action"] === "read" && entry["target"] !== "audit")
        .map(({ onBehalfOf, principal, reason, runId, target }: Record<string, string>) => ({
          principal,
          target,
          ...(onBehalfOf === undefined ? {} : { onBehalfOf }),
          ...(runId === undefined ? {} : { runId }),
          ...(reason === undefined ? {} : { reason })
        })).reverse()
  )

  return { a2a, call, frame, reads, run, url, headersOf }
})

describe("reads of what belongs to somebody else", () => {
  it.live(
    "each way to read another person's run writes one entry, and its repeats and the owner's reads write none",
    () =>
      Effect.gen(function*() {
        const { a2a, call, frame, reads, run } = yield* office
        const ways: Record<string, (who: string, runId: string) => Effect.Effect<unknown>> = {
          "GET run": (who, runId) => call(who, "GET", `/runs/${runId}`),
          "GET events": (who, runId) => call(who, "GET", `/runs/${runId}/events`),
          "SSE": (who, runId) => call(who, "GET", `/runs/${runId}/events`, undefined, { accept: "text/event-stream" }),
          "GET checkpoints": (who, runId) => call(who, "GET", `/runs/${runId}/checkpoints`),
          "WebSocket follow": (who, runId) => frame(who, { op: "follow", runId }),
          "WebSocket checkpoints": (who, runId) => frame(who, { op: "checkpoints", runId }),
          "A2A GetTask": (who, runId) => a2a(who, "GetTask", runId),
          "A2A SubscribeToTask": (who, runId) => a2a(who, "SubscribeToTask", runId)
        }
        const expected: Array<Record<string, string>> = []
        for (const [name, read] of Object.entries(ways)) {
          const runId = yield* run({ text: name })
          yield* read("ann", runId)
          yield* read("bob", runId)
          yield* read("rita", runId)
          yield* read("rita", runId)
          expected.push({ principal: "rita", target: `run/${runId}`, onBehalfOf: "ann", runId })
        }
        assert.deepStrictEqual(yield* reads, expected)
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("a request that acts on nothing and shows another person's run writes an entry", () =>
    Effect.gen(function*() {
      const { call, reads, run } = yield* office
      const ended = yield* run({ text: "done" })
      const waits = yield* run({ text: "waits", asks: true })
      assert.strictEqual((yield* call("abe", "POST", `/runs/${ended}/resume`, {})).body.output, "done")
      assert.strictEqual((yield* call("abe", "POST", `/runs/${waits}/retry`, {})).status, 202)
      assert.deepStrictEqual(
        yield* reads,
        [ended, waits].map((runId) => ({
          principal: "abe",
          target: `run/${runId}`,
          onBehalfOf: "ann",
          runId
        }))
      )
    }).pipe(Effect.scoped))

  it.live("a person who may decide writes an entry by looking at the questions of a run, and at the list of questions", () =>
    Effect.gen(function*() {
      const { call, reads, run } = yield* office
      const runId = yield* run({ text: "secret", asks: true })
      assert.deepStrictEqual((yield* call("ann", "GET", "/interrupts")).body.items, [])
      assert.lengthOf((yield* call("bob", "GET", "/interrupts")).body.items, 1)
      assert.lengthOf((yield* call("bob", "GET", "/interrupts?limit=1")).body.items, 1)
      assert.lengthOf((yield* call("bob", "GET", `/runs/${runId}/interrupts`)).body.items, 1)
      assert.lengthOf((yield* call("ann", "GET", `/runs/${runId}/interrupts`)).body.items, 1)
      assert.deepStrictEqual(yield* reads, [
        { principal: "bob", target: "interrupts" },
        { principal: "bob", target: `run/${runId}`, onBehalfOf: "ann", runId, reason: "interrupts" }
      ])
    }).pipe(Effect.scoped))

  it.live("a list that shows what belongs to others writes one entry with its filter, for all of its pages", () =>
    Effect.gen(function*() {
      const { call, reads, run } = yield* office
      yield* run({ text: "one" })
      yield* run({ text: "two" })
      for (const who of ["ann", "rita"]) {
        const first = yield* call(who, "GET", "/runs?state=completed&limit=1")
        assert.lengthOf(first.body.items, 1)
        yield* call(who, "GET", `/runs?state=completed&limit=1&before=${first.body.next}`)
        yield* call(who, "GET", "/runs?agent=clerk&fields=output")
        yield* call(who, "GET", "/runs?state=failed")
        yield* call(who, "GET", "/threads")
      }
      yield* call("rita", "GET", "/threads?owner=ann")
      yield* call("rita", "GET", "/usage?of=tenant&by=agent&from=2026-01-01&to=2026-01-31")
      yield* call("rita", "GET", "/usage")
      yield* call("rita", "GET", "/schedules")
      yield* call("rita", "GET", "/schedules/report")
      assert.deepStrictEqual(yield* reads, [
        { principal: "rita", target: "runs", reason: "state=completed" },
        { principal: "rita", target: "runs", reason: "agent=clerk fields=output" },
        { principal: "rita", target: "threads" },
        { principal: "rita", target: "threads", reason: "owner=ann" },
        { principal: "rita", target: "usage", reason: "from=2026-01-01 to=2026-01-31 by=agent" },
        { principal: "rita", target: "schedules" },
        { principal: "rita", target: "schedule/report", onBehalfOf: "reports" }
      ])
    }).pipe(Effect.scoped))

  it.live("a thread of another person writes one entry for each owner, over HTTP and WebSocket", () =>
    Effect.gen(function*() {
      const { call, frame, reads, run } = yield* office
      for (const threadId of ["a", "b", "c"]) yield* run({ text: threadId }, threadId)
      yield* call("rita", "POST", "/agents/clerk", { text: "hers" }, { "x-thread-id": "a" })
      for (const who of ["ann", "rita", "bob"]) {
        yield* call(who, "GET", "/threads/a?owner=ann")
        yield* call(who, "GET", "/threads/b/messages?owner=ann")
        yield* frame(who, { op: "messages", threadId: "c", owner: "ann" })
      }
      yield* call("rita", "GET", "/threads/a")
      assert.strictEqual((yield* call("rita", "GET", "/threads/none?owner=ann")).status, 404)
      assert.deepStrictEqual(
        yield* reads,
        ["a", "b", "c"].map((id) => ({ principal: "rita", target: `thread/${id}`, onBehalfOf: "ann" }))
      )
    }).pipe(Effect.scoped))

  it.live("a file of another person writes an entry when it is downloaded, and when a run is given it", () =>
    Effect.gen(function*() {
      const { call, headersOf, reads, url } = yield* office
      const upload = (bytes: ReadonlyArray<number>) =>
        Effect.promise(async () => {
          const form = new FormData()
          form.append("file", new globalThis.File([new Uint8Array(bytes)], "a.png", { type: "image/png" }))
          const { "content-type": _type, ...headers } = headersOf("ann")
          const { body } = await Transports.request(`${url}/files`, { method: "POST", headers, body: form })
          return String(body.fileId)
        })
      const [one, other] = [yield* upload([1, 2, 3]), yield* upload([4, 5, 6])]
      const photo = (fileId: string) => ({ photo: { mediaType: "image/png", fileId } })
      assert.strictEqual((yield* call("ann", "GET", `/files/${one}`)).status, 200)
      assert.strictEqual((yield* call("ann", "POST", "/agents/viewer", photo(other))).body, 3)
      assert.strictEqual((yield* call("bob", "GET", `/files/${one}`)).status, 404)
      assert.strictEqual((yield* call("bob", "POST", "/agents/viewer", photo(other))).status, 400)
      assert.strictEqual((yield* call("rita", "GET", `/files/${one}`)).status, 200)
      assert.strictEqual((yield* call("rita", "POST", "/agents/viewer", photo(other))).body, 3)
      assert.deepStrictEqual(
        yield* reads,
        [one, other].map((fileId) => ({ principal: "rita", target: `file/${fileId}`, onBehalfOf: "ann" }))
      )
    }).pipe(Effect.scoped))
})
