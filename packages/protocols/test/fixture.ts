import { NodeHttpServer } from "@effect/platform-node"
import { Agent, App, Auth, Budget, Event, PromptTemplate, RateLimit, Resource, Run, Runtime } from "@fastagentic/core"
import { Effect, Layer, Schema, Stream } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import { createServer } from "node:http"
import { mountRoutes } from "../src/mount/internal/mountRoutes.ts"
import { type Protocol, protocolRoutes } from "../src/mount/internal/protocolRoutes.ts"
import type * as Mount from "../src/mount/Mount.ts"
import { layerStores } from "./stores.ts"

export const Order = Schema.Struct({ id: Schema.Int, state: Schema.String, amount: Schema.Finite })

export class OrderNotFound
  extends Schema.TaggedError<OrderNotFound>()("OrderNotFound", { orderId: Schema.Int }, { httpApiStatus: 404 })
{}

export class PageNotFound
  extends Schema.TaggedError<PageNotFound>()("PageNotFound", { topic: Schema.String }, { httpApiStatus: 404 })
{}

/** Streams one token per word. */
export class Echo extends Agent.make("echo", {
  description: "Says what you say",
  payload: { text: Schema.String },
  durable: false
}) {}

/** Finds an order; "refund …" asks for a boolean; ids from 2000 are unknown; "crash" is a defect; "wait" never ends. */
export class Support extends Agent.make("support", {
  description: "Answers questions about an order",
  payload: { question: Schema.NonEmptyString },
  success: Schema.Struct({ answer: Schema.String, orders: Schema.Array(Order) }),
  error: OrderNotFound,
  examples: ["Where is order 1042?"]
}) {}

export const FindOrder = Tool.make("find_order", {
  description: "Find one order by its id",
  parameters: Schema.Struct({ orderId: Schema.Int }),
  success: Order,
  failure: OrderNotFound
}).annotate(Tool.Readonly, true).annotate(Tool.Destructive, false)

export const RefundOrder = Tool.make("refund_order", {
  description: "Pay an amount of an order back",
  parameters: Schema.Struct({ orderId: Schema.Int, amount: Schema.Finite }),
  success: Schema.Struct({ orderId: Schema.Int, refunded: Schema.Finite }),
  failure: OrderNotFound,
  needsApproval: true
})

export const Tools = Toolkit.make(FindOrder, RefundOrder)

export const Handbook = Resource.make("handbook", "handbook://{topic}", {
  description: "One page of the support handbook",
  params: { topic: Schema.String },
  error: PageNotFound,
  mimeType: "text/markdown"
})

export const Triage = PromptTemplate.make("triage", {
  description: "Sort a complaint by severity",
  params: { severity: Schema.Literals(["low", "high"]) }
})

export class Acme extends App.make("acme", {
  version: "1.0.0",
  title: "Acme",
  description: "A support desk",
  agents: [Echo, Support],
  tools: Tools,
  resources: [Handbook],
  prompts: [Triage]
}) {}

const order = (orderId: number) =>
  orderId >= 1001 && orderId < 2000
    ? Effect.succeed({ id: orderId, state: "shipped", amount: 42.5 })
    : Effect.fail(new OrderNotFound({ orderId }))

const EchoLayer = Echo.toLayer(({ text }) =>
  Stream.fromIterable(text.split(" ")).pipe(Stream.map((word) => Event.token(`${word} `)))
)

const SupportLayer = Support.toLayer(Effect.fn(function*({ question }) {
  if (question === "crash") return yield* Effect.die(new Error("secret: postgres://user:password@host"))
  yield* Run.emit(Event.token("Looking at your order… "))
  if (question === "wait") return yield* Effect.never
  const found = yield* order(Number(/\d+/u.exec(question)?.[0] ?? 1042))
  if (!question.startsWith("refund")) return { answer: `Order ${found.id} is ${found.state}.`, orders: [found] }
  const approved = yield* Effect.orDie(
    Run.interrupt("refund", { schema: Schema.Boolean, message: "Pay it back?", arguments: { orderId: found.id } })
  )
  yield* Run.emit(Event.token("Done."))
  return { answer: approved ? "refunded" : "not refunded", orders: [found] }
}))

const ToolsLayer = Tools.toLayer({
  find_order: ({ orderId }) => order(orderId),
  refund_order: ({ amount, orderId }) => Effect.as(order(orderId), { orderId, refunded: amount })
})

const HandbookLayer = Handbook.toLayer(({ topic }) =>
  topic === "returns" ? Effect.succeed("# Returns\n30 days.") : Effect.fail(new PageNotFound({ topic }))
)

const TriageLayer = Triage.toLayer(({ severity }) => `Sort this complaint; treat it as ${severity}.`)

export const Handlers = Layer.mergeAll(EchoLayer, SupportLayer, ToolsLayer, HandbookLayer, TriageLayer)

/** The runtime of the fixture in memory, with the given auth layer. */
export const layerRuntime = (auth: Layer.Layer<Auth.Auth> = Auth.layerNone) =>
  Runtime.layer(Acme, { grace: "100 millis" }).pipe(
    Layer.provide(Handlers),
    Layer.provideMerge(Layer.mergeAll(
      layerStores,
      auth,
      RateLimit.layerUnlimited,
      Budget.layerUnlimited
    ))
  )

/** The routes of protocols, mounted as an app mounts them. */
export const mountedWith = (options: Mount.Options, ...protocols: ReadonlyArray<Protocol>) =>
  mountRoutes(protocolRoutes(protocols), options)

export const mounted = (...protocols: ReadonlyArray<Protocol>) => mountedWith({}, ...protocols)

/** Serves routes on a free loopback port and gives their base URL, without a slash at its end. */
export const serve = <E, R>(routes: Layer.Layer<never, E, R>) =>
  Effect.gen(function*() {
    const context = yield* Layer.build(
      HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
        Layer.provideMerge(NodeHttpServer.layer(createServer, {
          port: 0,
          host: "127.0.0.1",
          gracefulShutdownTimeout: "100 millis"
        }))
      )
    )
    const server = yield* Effect.provideContext(HttpServer.HttpServer, context)
    return "port" in server.address ? `http://127.0.0.1:${server.address.port}` : "unix:"
  })
