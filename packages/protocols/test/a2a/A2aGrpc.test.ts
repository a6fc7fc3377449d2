import { create } from "@bufbuild/protobuf"
import { type FileDescriptorProto, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt"
import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Auth, Budget, Event, OpenLimits, RateLimit, Runtime } from "@fastagentic/core"
import { GrpcServer } from "@fastagentic/protocols/a2a"
import * as grpc from "@grpc/grpc-js"
import { Effect, Exit, Layer, Scope, Stream } from "effect"
import { createServer } from "node:net"
import { parseProto } from "../../src/a2a/grpc/parseProto.ts"
import { protoV03 } from "../../src/a2a/grpc/protoV03.ts"
import { protoV1 } from "../../src/a2a/grpc/protoV1.ts"
import { layerRuntime, mounted, mountedWith, serve } from "../fixture.ts"
import { layerStores } from "../stores.ts"
import { descriptors, grpcWire } from "./grpcWires.ts"
import { connect, json, send as sendRpc, startWithGrpc } from "./support.ts"
import { list, object } from "./wires.ts"

const [v1, v03] = [grpcWire("1.0"), grpcWire("0.3")]
let messages = 0
const message = (text: string, more: Record<string, unknown> = {}) => ({
  messageId: `grpc-${++messages}`,
  role: "ROLE_USER",
  parts: [{ text }],
  ...more
})
const echo = { metadata: { skillId: "echo" } }
const state = (of: unknown) => object(object(of)["status"])["state"]

const cardOf = (url: string, path = "") =>
  Effect.flatMap(Effect.promise(() => fetch(`${url}${path}/.well-known/agent-card.json`)), json)

const addressOf = (url: string) =>
  Effect.map(
    cardOf(url),
    (card) =>
      String(list(card["supportedInterfaces"]).map(object).find((one) => one["protocolBinding"] === "GRPC")?.["url"])
  )

/** Calls with bytes, whatever they are. */
const raw = (address: string, path: string, bytes: Buffer, options: {
  readonly metadata?: Record<string, ReadonlyArray<string>>
  readonly client?: grpc.ClientOptions
  readonly call?: grpc.CallOptions
} = {}) =>
  Effect.callback<{ readonly code: grpc.status; readonly details: string; readonly metadata: grpc.Metadata }>(
    (resume) => {
      const client = new grpc.Client(address, grpc.credentials.createInsecure(), options.client)
      const metadata = new grpc.Metadata()
      for (const [name, values] of Object.entries(options.metadata ?? {})) {
        for (const one of values) {
          metadata.add(name, one)
        }
      }
      const same = (part: Buffer) => part
      client.makeUnaryRequest(path, same, same, bytes, metadata, options.call ?? {}, (error) => {
        client.close()
        resume(Effect.succeed(error ?? { code: 0, details: "", metadata: new grpc.Metadata() }))
      })
    }
  )

const path = (method: string) => `/lf.a2a.v1.A2AService/${method}`

describe("The files of protocol buffers", () => {
  for (const [version, text] of [["1.0", protoV1], ["0.3", protoV03]] as const) {
    it(`of ${version} have the fields, enums and methods of the official ones, without the flows that are out of use`, () => {
      const shape = ({ enumType, messageType, service }: FileDescriptorProto) => ({
        messages: Object.fromEntries(
          messageType.flatMap((one) => [one, ...one.nestedType]).map(({ field, name }) => [
            name,
            field.map(({ jsonName, label, name, number, proto3Optional, type, typeName }) =>
              [number, name, jsonName, type, typeName, label, proto3Optional].join(" ")
            ).filter((line) => !/\.(Implicit|Password|DeviceCode)OAuthFlow /u.test(line)).sort()
          ]).filter(([name]) => !/^(Implicit|Password|DeviceCode)OAuthFlow$|^ScopesEntry$/u.test(String(name)))
        ),
        enums: Object.fromEntries(
          enumType.map(({ name, value }) => [name, value.map(({ name, number }) => [name, number])])
        ),
        methods: service.flatMap(({ method }) =>
          method.map(({ inputType, name, outputType, serverStreaming }) =>
            [name, inputType, outputType, serverStreaming].join(" ")
          )
        ).sort()
      })
      assert.deepStrictEqual(
        shape(create(FileDescriptorProtoSchema, parseProto("own.proto", text, []))),
        shape(descriptors[version])
      )
    })
  }
})

describe("The card of an app with gRPC", () => {
  it.live("names it in both versions, and for one agent as a tenant", () =>
    Effect.gen(function*() {
      const url = yield* startWithGrpc()
      const address = yield* addressOf(url)
      assert.match(address, /^127\.0\.0\.1:\d+$/u)
      const card = yield* cardOf(url)
      const grpcs = (of: Record<string, unknown>) =>
        list(of["supportedInterfaces"]).map(object).filter((one) => one["protocolBinding"] === "GRPC")
      assert.deepStrictEqual(grpcs(card), [
        { url: address, protocolBinding: "GRPC", protocolVersion: "1.0" },
        { url: address, protocolBinding: "GRPC", protocolVersion: "0.3" }
      ])
      assert.deepInclude(list(card["additionalInterfaces"]), { transport: "GRPC", url: address })
      assert.deepStrictEqual(grpcs(yield* cardOf(url, "/a2a/echo")), [
        { url: address, protocolBinding: "GRPC", protocolVersion: "1.0", tenant: "echo" }
      ])
    }).pipe(Effect.scoped))

  it.live("serves an agent alone by its tenant, which shows no task of others", () =>
    Effect.gen(function*() {
      const url = yield* startWithGrpc()
      const said = yield* v1.call(`${url}/a2a/echo`, "send", { message: message("hi there") })
      const id = object(said.result)["id"]
      assert.deepStrictEqual(object(said.result)["metadata"], { skillId: "echo" })
      assert.isUndefined((yield* v1.call(`${url}/a2a/echo`, "get", { id })).error)
      assert.strictEqual((yield* v1.call(`${url}/a2a/support`, "get", { id })).error?.reason, "TASK_NOT_FOUND")
      const address = yield* addressOf(url)
      // SendMessageRequest { tenant: "nobody" }
      const nobody = yield* raw(address, path("SendMessage"), Buffer.from([0x0a, 6, ...Buffer.from("nobody")]))
      assert.strictEqual(nobody.code, grpc.status.INVALID_ARGUMENT)
    }).pipe(Effect.scoped))
})

describe("A call of gRPC", () => {
  it.live("shows the tasks of the other bindings, and they show its own", () =>
    Effect.gen(function*() {
      const url = yield* startWithGrpc()
      const client = yield* connect(url)
      const mine = yield* sendRpc(client, "refund order 1042")
      const answered = yield* v1.call(`${url}/a2a`, "send", { message: message("yes", { taskId: mine.id }) })
      assert.strictEqual(state(answered.result), "TASK_STATE_COMPLETED")
      for (const wire of [v1, v03]) {
        const parts = [{ data: { question: "Where is order 1042?" } }]
        const asked = object((yield* wire.call(`${url}/a2a`, "send", { message: message("", { parts }) })).result)
        const output = object(list(asked["artifacts"]).at(-1))
        const orders = [{ id: 1042, state: "shipped", amount: 42.5 }]
        assert.deepStrictEqual(output["parts"], [{ data: { answer: "Order 1042 is shipped.", orders } }])
        assert.deepStrictEqual(object(list(asked["history"])[0])["parts"], parts)
      }
      const task = yield* Effect.promise(() => client.getTask({ tenant: "", id: mine.id, historyLength: undefined }))
      assert.strictEqual(task.history.length, 3)
    }).pipe(Effect.scoped))

  it.live("has the headers of the other bindings as metadata", () =>
    Effect.gen(function*() {
      const url = yield* startWithGrpc()
      const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
      const answered = yield* v1.call(`${url}/a2a`, "send", { message: message("hi"), ...echo }, { traceparent })
      assert.strictEqual(answered.headers.get("x-trace-id"), "0af7651916cd43dd8448eb211c80319c")
      const refused = yield* v1.call(`${url}/a2a`, "get", { id: "x" }, { traceparent })
      assert.strictEqual(refused.headers.get("x-trace-id"), "0af7651916cd43dd8448eb211c80319c")
      assert.include(JSON.stringify(refused.json), "a2a-protocol.org")
      assert.include(JSON.stringify(refused.json), "0af7651916cd43dd8448eb211c80319c")
    }).pipe(Effect.scoped))

  it.live("is refused when its header names another version than its service", () =>
    Effect.gen(function*() {
      const url = yield* startWithGrpc()
      for (const [wire, version] of [[v1, "0.3"], [v03, "1.0"], [v1, "2.0"]] as const) {
        const { error } = yield* wire.call(`${url}/a2a`, "get", { id: "x" }, { "a2a-version": version })
        assert.deepInclude(error, { code: grpc.status.FAILED_PRECONDITION, reason: "VERSION_NOT_SUPPORTED" })
      }
    }).pipe(Effect.scoped))

  it.live("with bytes that are no message, too deep, too large, or without a method is refused, and the next one is answered", () =>
    Effect.gen(function*() {
      const url = yield* serve(
        mountedWith({ bodyLimit: 10_000 }, "a2a").pipe(
          Layer.provide(GrpcServer.GrpcServer.layer({ port: 0 })),
          Layer.provide(layerRuntime())
        )
      )
      const address = yield* addressOf(url)
      let deep = Buffer.alloc(0)
      // ListValue { values: Value { list_value: ListValue … } }, each in two bytes of tag and length.
      const nested = (tag: number, inner: Buffer) => {
        const head = inner.length < 128 ? [inner.length] : [(inner.length & 0x7f) | 0x80, inner.length >> 7]
        return Buffer.concat([Buffer.from([tag, ...head]), inner])
      }
      for (let level = 0; level < 500; level++) deep = nested(0x0a, nested(0x32, deep))
      const metadata = nested(0x22, nested(0x0a, nested(0x12, nested(0x32, deep))))
      const cases = [
        ["SendMessage", Buffer.from([0xff, 0xff, 0xff]), grpc.status.INVALID_ARGUMENT],
        ["SendMessage", Buffer.alloc(0), grpc.status.INVALID_ARGUMENT],
        ["SendMessage", metadata, grpc.status.INVALID_ARGUMENT],
        ["SendMessage", Buffer.alloc(20_000), grpc.status.RESOURCE_EXHAUSTED],
        ["Sing", Buffer.alloc(0), grpc.status.UNIMPLEMENTED]
      ] as const
      for (const [method, bytes, code] of cases) {
        assert.strictEqual((yield* raw(address, path(method), bytes)).code, code, `${method} ${bytes.length}`)
      }
      const { error } = yield* v1.call(`${url}/a2a`, "send", { message: message("hi"), ...echo })
      assert.isUndefined(error)
    }).pipe(Effect.scoped))

  it.live("whose message does not arrive ends when its time is over", () =>
    Effect.gen(function*() {
      const url = yield* serve(
        mountedWith({ bodyTimeout: "100 millis" }, "a2a").pipe(
          Layer.provide(GrpcServer.GrpcServer.layer({ port: 0 })),
          Layer.provide(layerRuntime())
        )
      )
      const client = new grpc.Client(yield* addressOf(url), grpc.credentials.createInsecure())
      const same = (part: Buffer) => part
      const status = yield* Effect.callback<grpc.StatusObject>((resume) => {
        const call = client.makeClientStreamRequest(path("GetTask"), same, same, new grpc.Metadata(), {}, () => {})
        call.on("status", (status: grpc.StatusObject) => resume(Effect.succeed(status)))
      })
      client.close()
      assert.strictEqual(status.code, grpc.status.DEADLINE_EXCEEDED)
    }).pipe(Effect.scoped))

  it.live("that is given up leaves its task alone", () =>
    Effect.gen(function*() {
      const url = yield* startWithGrpc()
      const address = yield* addressOf(url)
      const { events } = yield* v1.stream(`${url}/a2a`, "send", { message: message("wait") })
      const { id } = object((yield* events.next)?.data["task"])
      yield* events.close
      const started = yield* v1.call(`${url}/a2a`, "get", { id })
      assert.strictEqual(state(started.result), "TASK_STATE_WORKING")
      // SendMessageRequest { message: { messageId: "m", role: user, parts: [{ text: "wait" }] } }
      const sent = Buffer.from([0x12, 13, 0x0a, 1, 0x6d, 0x20, 1, 0x2a, 6, 0x0a, 4, 0x77, 0x61, 0x69, 0x74])
      const late = yield* raw(address, path("SendMessage"), sent, { call: { deadline: Date.now() + 300 } })
      assert.strictEqual(late.code, grpc.status.DEADLINE_EXCEEDED)
      const page = object((yield* v1.call(`${url}/a2a`, "list", { status: "TASK_STATE_WORKING" })).result)
      assert.strictEqual(page["totalSize"], 2)
      for (const one of list(page["tasks"])) yield* v1.call(`${url}/a2a`, "cancel", { id: object(one)["id"] })
    }).pipe(Effect.scoped))

  it.live("is refused before authentication for a name that is not the server's", () =>
    Effect.gen(function*() {
      const address = yield* addressOf(yield* startWithGrpc())
      const foreign = yield* raw(address, path("ListTasks"), Buffer.alloc(0), {
        client: { "grpc.default_authority": "evil.example.com" }
      })
      assert.strictEqual(foreign.code, grpc.status.PERMISSION_DENIED)
      const proxied = yield* raw(address, path("ListTasks"), Buffer.alloc(0), {
        metadata: { "x-forwarded-for": ["127.0.0.1", "8.8.8.8"] }
      })
      assert.strictEqual(proxied.code, grpc.status.PERMISSION_DENIED)
    }).pipe(Effect.scoped))
})

describe("A server of gRPC", () => {
  it.live("ends subscriptions with UNAVAILABLE when the app stops, and closes its port", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const url = yield* Effect.provideService(startWithGrpc(), Scope.Scope, scope)
      const address = yield* addressOf(url)
      const asking = yield* v1.call(`${url}/a2a`, "send", { message: message("refund order 1042") })
      const client = new grpc.Client(address, grpc.credentials.createInsecure())
      const same = (part: Buffer) => part
      const id = String(object(asking.result)["id"])
      const stream = client.makeServerStreamRequest(
        path("SubscribeToTask"),
        same,
        same,
        Buffer.from([0x12, id.length, ...Buffer.from(id)]),
        new grpc.Metadata()
      )
      const ended = Effect.callback<grpc.StatusObject>((resume) => {
        stream.on("error", () => {})
        stream.on("status", (status: grpc.StatusObject) => resume(Effect.succeed(status)))
      })
      yield* Effect.callback<void>((resume) => {
        stream.once("data", () => resume(Effect.void))
      })
      yield* Effect.forkChild(Scope.close(scope, Exit.void))
      assert.strictEqual((yield* ended).code, grpc.status.UNAVAILABLE)
      client.close()
      const gone = yield* raw(address, path("ListTasks"), Buffer.alloc(0))
      assert.strictEqual(gone.code, grpc.status.UNAVAILABLE)
    }).pipe(Effect.scoped))

  it.live("says so when its port is taken, and stays on loopback for an app without an auth layer", () =>
    Effect.gen(function*() {
      const taken = createServer()
      yield* Effect.callback<void>((resume) => {
        taken.listen(0, "127.0.0.1", () => resume(Effect.void))
      })
      yield* Effect.addFinalizer(() => Effect.sync(() => taken.close()))
      const address = taken.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      const refused = yield* Effect.flip(Layer.build(GrpcServer.GrpcServer.layer({ port })))
      assert.include(refused.message, `cannot listen on 127.0.0.1:${port} (EADDRINUSE)`)
      const open = (auth?: Layer.Layer<Auth.Auth>) =>
        Effect.result(
          serve(
            mounted("a2a").pipe(
              Layer.provide(GrpcServer.GrpcServer.layer({ host: "0.0.0.0", port: 0 })),
              Layer.provide(layerRuntime(auth))
            )
          )
        )
      assert.include(JSON.stringify(yield* open()), "InsecureBind")
      assert.notInclude(JSON.stringify(yield* open(Auth.layerKeys([]))), "InsecureBind")
    }).pipe(Effect.scoped))

  it.live("slows a stream down whose client does not read, and loses nothing of it", () =>
    Effect.gen(function*() {
      let written = 0
      class Flood extends Agent.make("flood", { description: "Says much", payload: {}, durable: false }) {}
      class Floods extends App.make("floods", { version: "1.0.0", agents: [Flood] }) {}
      const words = "x".repeat(20_000)
      const layer = Flood.toLayer(() =>
        Stream.range(1, 300).pipe(
          Stream.mapEffect(() => Effect.as(Effect.sleep("1 millis"), Event.token(words))),
          Stream.tap(() => Effect.sync(() => written++))
        )
      )
      const url = yield* serve(
        mounted("a2a").pipe(
          Layer.provide(GrpcServer.GrpcServer.layer({ port: 0 })),
          Layer.provide(
            Runtime.layer(Floods).pipe(
              Layer.provide(layer),
              Layer.provideMerge(
                Layer.mergeAll(layerStores, Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited)
              )
            )
          )
        )
      )
      const { events } = yield* v1.stream(`${url}/a2a`, "send", { message: message("", { parts: [{ data: {} }] }) })
      while (written < 300) yield* Effect.sleep("20 millis")
      const all = (yield* events.rest).map(({ data }) => data)
      const text = all.flatMap(({ artifactUpdate }) =>
        list(object(object(artifactUpdate)["artifact"])["parts"]).map((part) => String(object(part)["text"] ?? ""))
      ).join("")
      assert.strictEqual(text.length, 300 * 20_000)
      assert.strictEqual(state(object(all.at(-1)?.["statusUpdate"])), "TASK_STATE_COMPLETED")
    }).pipe(Effect.scoped))

  it.live("holds its callers to their limits: of calls, and of open streams until one is given up", () =>
    Effect.gen(function*() {
      class Waits extends Agent.make("waits", { description: "Waits", payload: {} }) {}
      class Waiting extends App.make("waiting", { version: "1.0.0", agents: [Waits] }) {}
      const services = Layer.mergeAll(
        layerStores,
        Auth.layerNone,
        RateLimit.layer([{ name: "starts", by: ["user", "endpoint"], limit: 1, window: "1 minute" }]),
        Budget.layerUnlimited,
        Layer.succeed(OpenLimits.OpenLimits, { runs: 10, streams: 1, sockets: 1, notes: 10 })
      )
      const url = yield* serve(
        mounted("a2a").pipe(
          Layer.provide(GrpcServer.GrpcServer.layer({ port: 0 })),
          Layer.provide(
            Runtime.layer(Waiting, { grace: "100 millis" }).pipe(
              Layer.provide(Waits.toLayer(() => Effect.never)),
              Layer.provideMerge(services)
            )
          )
        )
      )
      const parts = [{ data: {} }]
      const { events } = yield* v1.stream(`${url}/a2a`, "send", { message: message("", { parts }) })
      const { id } = object((yield* events.next)?.data["task"])
      const subscribe = v1.stream(`${url}/a2a`, "subscribe", { id })
      const { refused } = yield* subscribe
      assert.strictEqual(refused?.error?.code, grpc.status.RESOURCE_EXHAUSTED)
      assert.include(JSON.stringify(refused?.json), "open-streams")
      const { error, headers } = yield* v1.call(`${url}/a2a`, "send", { message: message("", { parts }) })
      assert.deepInclude(error, { code: grpc.status.RESOURCE_EXHAUSTED, reason: "RATE_LIMITED" })
      assert.include(headers.get("ratelimit") ?? "", "\"starts\";r=0")
      yield* events.close
      yield* Effect.sleep("200 millis")
      const again = yield* subscribe
      assert.isDefined((yield* again.events.next)?.data["task"])
      yield* again.events.close
    }).pipe(Effect.scoped))
})
