// The app behind the suites of the chat front ends: agents that talk, call tools, ask, show content, fail and wait.
import {
  Agent,
  App,
  Auth,
  Budget,
  ClientTools,
  Content,
  Event,
  Message,
  RateLimit,
  Run,
  Runtime,
  Thread,
  ToolCall
} from "@fastagentic/core"
import { Deferred, Effect, Layer, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import type { Protocol } from "../../src/mount/internal/protocolRoutes.ts"
import { mounted, serve } from "../fixture.ts"
import { layerStores } from "../stores.ts"

export class NoOrder extends Schema.TaggedError<NoOrder>()("NoOrder", { orderId: Schema.Int }, { httpApiStatus: 404 }) {
  override get message() {
    return `There is no order ${this.orderId}.`
  }
}

const Find = Tool.make("find_order", {
  description: "Finds an order",
  parameters: Schema.Struct({ orderId: Schema.Int }),
  success: Schema.Struct({ orderId: Schema.Int, state: Schema.String })
})

const Refund = Tool.make("refund_order", {
  description: "Pays an order back",
  parameters: Schema.Struct({ orderId: Schema.Int }),
  success: Schema.Struct({ refunded: Schema.Int }),
  needsApproval: true
})

const Tools = Toolkit.make(Find, Refund)

/** Thinks, looks the order up, refunds it if asked to, and keeps the turn in its thread. */
export class Talk extends Agent.make("talk", {
  description: "Talks about orders",
  payload: { text: Schema.NonEmptyString, mood: Schema.optionalKey(Schema.Literals(["kind", "short"])) },
  error: NoOrder,
  threads: "enqueue"
}) {}

/** Asks for a name and greets it. */
export class Greet extends Agent.make("greet", { description: "Asks who you are", payload: { text: Schema.String } }) {}

/** Answers with the content of the message and an image. */
export class Show extends Agent.make("show", {
  description: "Shows what it got",
  payload: { message: Content.List },
  success: Content.List
}) {}

/** Says a word, then waits at the gate, then says another. */
export class Slow extends Agent.make("slow", { description: "Takes its time", payload: { text: Schema.String } }) {}

/** Answers with a value, not with text. */
export class Count extends Agent.make("count", {
  description: "Counts letters",
  payload: { text: Schema.String },
  success: Schema.Struct({ letters: Schema.Int })
}) {}

/** Takes no message. */
export class Add extends Agent.make("add", {
  description: "Adds",
  payload: { a: Schema.Int, b: Schema.Int },
  success: Schema.Int
}) {}

/** Only for callers who may open the vault. */
export class Vault extends Agent.make("vault", {
  description: "Opens",
  payload: { text: Schema.String },
  scopes: ["vault:open"]
}) {}

/** Asks for a signature that only those who may open the vault give. */
export class Sign
  extends Agent.make("sign", { description: "Asks for a signature", payload: { text: Schema.String } })
{}

/** Asks for a name and a town, each in a message of its own, and for a date that is no text. */
export class Interview extends Agent.make("interview", {
  description: "Asks, and listens to the answers",
  payload: { text: Schema.String },
  signals: { reply: Schema.String.check(Schema.isMaxLength(100)), date: Schema.Struct({ year: Schema.Int }) },
  threads: "enqueue"
}) {}

/** Calls every tool that the page of its client offers, and answers with the results. */
export class Page extends Agent.make("page", {
  description: "Works with the page of its client",
  payload: { text: Schema.String },
  clientTools: true,
  threads: "enqueue"
}) {}

export const Front = App.make("front", {
  version: "1.0.0",
  agents: [Talk, Greet, Show, Slow, Count, Add, Vault, Sign, Interview, Page],
  tools: Tools
})

export interface World {
  /** The orders that were paid back, each as often as it was. */
  readonly refunds: Array<number>
  readonly gate: Deferred.Deferred<void>
}

const word = (delta: string, messageId: string) => Event.token(delta, messageId)

const talk = Effect.fnUntraced(function*({ text }: { readonly text: string }) {
  const kit = ToolCall.handlersOf(yield* Tools)
  const history = yield* Thread.messages()
  yield* Run.emit(Event.make("reasoning_delta", { delta: "Let me see. ", messageId: "m1" }))
  yield* Run.emit(Event.make("reasoning_delta", { delta: "An order.", messageId: "m1" }))
  const orderId = Number(/\d+/u.exec(text)?.[0] ?? 0)
  if (orderId >= 2_000) return yield* new NoOrder({ orderId })
  for (const delta of ["I ", "look ", `(${history.length} messages before). `]) yield* Run.emit(word(delta, "m1"))
  const call = (name: string) =>
    Effect.orDie(ToolCall.invoke(kit, { toolCallId: `${name}-1`, name, arguments: { orderId } }))
  yield* Run.emit(Event.make("tool_call_start", { toolCallId: "find_order-1", name: "find_order" }))
  yield* Run.emit(Event.make("tool_call_delta", { toolCallId: "find_order-1", delta: `{"orderId":` }))
  yield* Run.emit(Event.make("tool_call_delta", { toolCallId: "find_order-1", delta: `${orderId}}` }))
  yield* Run.emit(
    Event.make("tool_call", { toolCallId: "find_order-1", name: "find_order", arguments: { orderId } })
  )
  yield* call("find_order")
  let answer = `Order ${orderId} is shipped.`
  if (text.includes("refund")) {
    const { denied } = yield* call("refund_order")
    answer = denied ? `Order ${orderId} is not refunded.` : `Order ${orderId} is refunded.`
  }
  for (const delta of answer.match(/\S+\s*/gu) ?? []) yield* Run.emit(word(delta, "m2"))
  yield* Thread.add(Message.user(text), Message.assistant(answer))
  return answer
})

const page = Effect.fnUntraced(function*({ text }: { readonly text: string }) {
  const { context, state, tools } = yield* ClientTools.offered
  const seen = { ...(context === undefined ? {} : { context }), ...(state === undefined ? {} : { state }) }
  const calls = tools.map(({ name }) => ({ toolCallId: `${name}-1`, name, arguments: { text } }))
  for (const call of calls) {
    yield* Run.emit(Event.make("tool_call_start", { toolCallId: call.toolCallId, name: call.name }))
    yield* Run.emit(Event.make("tool_call", call))
  }
  const results = yield* Effect.forEach(
    calls,
    (call) => Effect.result(ClientTools.call(call.name, call)),
    { concurrency: "unbounded" }
  )
  const values = results.map((one) => one._tag === "Success" ? one.success : one.failure.message)
  for (const [index, { name, toolCallId }] of calls.entries()) {
    const isError = results[index]?._tag === "Failure"
    yield* Run.emit(Event.make("tool_result", { toolCallId, name, result: values[index] ?? null, isError }))
  }
  return `${text}: ${JSON.stringify(values)}${Object.keys(seen).length === 0 ? "" : ` ${JSON.stringify(seen)}`}`
})

const handlers = ({ gate }: World) =>
  Layer.mergeAll(
    Talk.toLayer(talk),
    Greet.toLayer(() =>
      Effect.map(
        Effect.orDie(Run.interrupt("name", { schema: Schema.String, message: "Who are you?" })),
        (name) => `Hello, ${name}!`
      )
    ),
    Show.toLayer(Effect.fnUntraced(function*({ message }) {
      const image = Content.image({ bytes: new Uint8Array([137, 80, 78, 71]) }, "image/png", { name: "one.png" })
      yield* Run.emit(Event.content(image))
      return [...message, image]
    })),
    Slow.toLayer(Effect.fnUntraced(function*() {
      yield* Run.emit(Event.token("First, "))
      yield* Deferred.await(gate)
      yield* Run.emit(Event.token("then."))
      return "First, then."
    })),
    Count.toLayer(({ text }) => Effect.succeed({ letters: text.length })),
    Add.toLayer(({ a, b }) => Effect.succeed(a + b)),
    Vault.toLayer(() => Effect.succeed("open")),
    Sign.toLayer(() =>
      Effect.map(
        Effect.orDie(Run.interrupt("signature", { schema: Schema.String, scopes: ["vault:open"] })),
        (name) => `Signed by ${name}.`
      )
    ),
    Page.toLayer(page),
    Interview.toLayer(Effect.fnUntraced(function*({ text }) {
      yield* Run.emit(word("Your name? ", "i1"))
      const name = yield* Run.receive(Interview, "reply")
      yield* Run.emit(word(`Hello, ${name}! Your town? `, "i2"))
      const town = yield* Run.receive(Interview, "reply")
      if (text.includes("date")) {
        const { year } = yield* Run.receive(Interview, "date")
        return `${name} of ${town}, ${year}.`
      }
      return `${name} of ${town}.`
    }))
  )

const tools = ({ refunds }: World) =>
  Tools.toLayer({
    find_order: ({ orderId }) => Effect.succeed({ orderId, state: "shipped" }),
    refund_order: ({ orderId }) =>
      Effect.sync(() => {
        refunds.push(orderId)
        return { refunded: orderId }
      })
  })

export const makeWorld = Effect.map(Deferred.make<void>(), (gate): World => ({ refunds: [], gate }))

interface Options {
  readonly auth?: Layer.Layer<Auth.Auth>
  readonly stores?: typeof layerStores
  readonly world?: World
  /** Protocols beside those of the front ends. */
  readonly more?: ReadonlyArray<Protocol>
}

/** Serves the app over all protocols. */
export const serveFront = Effect.fnUntraced(
  function*({ auth = Auth.layerNone, more = [], stores = layerStores, ...options }: Options = {}) {
    const world = options.world ?? (yield* makeWorld)
    const url = yield* serve(
      mounted("rest", "ai-sdk", "ag-ui", "openai", ...more).pipe(
        Layer.provide(
          Runtime.layer(Front, { grace: "100 millis" }).pipe(
            Layer.provide(handlers(world)),
            Layer.provide(tools(world)),
            Layer.provideMerge(Layer.mergeAll(stores, auth, RateLimit.layerUnlimited, Budget.layerUnlimited))
          )
        )
      )
    )
    if (options.world === undefined) yield* Effect.addFinalizer(() => Deferred.succeed(world.gate, undefined))
    return { url, world }
  }
)
