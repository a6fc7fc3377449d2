import { Effect, Layer, Schema, Stream } from "effect"
import * as LanguageModel from "effect/ai/LanguageModel"
import type * as Response from "effect/ai/Response"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { Agent, App, type Budget, Policy, Run, type Server } from "fastagentic"
import { join } from "node:path"
import { ModelLoop } from "../src/effect-ai.ts"
import { temporaryFolder } from "./process.ts"
import { onSqlite } from "./serving.ts"

export class NoSuchOrder
  extends Schema.TaggedError<NoSuchOrder>()("NoSuchOrder", { order: Schema.Int }, { httpApiStatus: 404 })
{}

const order = Schema.Struct({ order: Schema.Int })
const Look = Tool.make("look", { parameters: order, success: Schema.String }).annotate(Tool.Readonly, true)
const Refund = Tool.make("refund", { parameters: order, success: Schema.String })
const Pay = Tool.make("pay", { parameters: order, success: Schema.String, needsApproval: true })
const Ping = Tool.make("ping", { parameters: order, success: Schema.String }).annotate(ModelLoop.Concurrent, true)
const Throw = Tool.make("throw", { parameters: order, success: Schema.String })
const Strict = Tool.make("strict", { parameters: order, success: Schema.String, failure: NoSuchOrder })
const Slow = Tool.make("slow", { parameters: order, success: Schema.String }).annotate(Policy.Timeout, "50 millis")

const Ask = Tool.make("ask", { parameters: order, success: Schema.String, dependencies: [Run.CurrentRun] })
const Fast = Tool.make("fast", { parameters: order, success: Schema.Int })

export const Tools = Toolkit.make(Look, Refund, Pay, Ping, Throw, Strict, Slow, Ask, Fast)

export class Desk extends Agent.make("desk", {
  description: "Works at a desk",
  payload: { question: Schema.String },
  success: Schema.Json,
  error: NoSuchOrder
}) {}

export class Shop extends App.make("shop", { version: "1", agents: [Desk], tools: Tools }) {}

/** The work of the tools, in order. */
export type World = Array<string>

const ToolsLayer = (world: World) => {
  const work = (name: string, millis = 20) =>
  ({ order }: { readonly order: number }, { toolCallId }: {
    readonly toolCallId?: string | undefined
  }) =>
    Effect.gen(function*() {
      world.push(`${name} ${order} begins`)
      yield* Effect.sleep(millis)
      world.push(`${name} ${order} ends`)
      return `${name} ${order} ${toolCallId === undefined ? "without" : "with"} identity`
    })
  return Tools.toLayer({
    // The first of two takes longer.
    look: (params, context) => work("look", params.order === 1 ? 60 : 5)(params, context),
    refund: (params, context) => work("refund", params.order === 1 ? 60 : 5)(params, context),
    pay: work("pay"),
    ping: work("ping"),
    throw: ({ order }) =>
      order === 1
        ? Effect.die(new Error("password=hunter2"))
        : Effect.sync((): string => {
          throw new Error("password=hunter2")
        }),
    strict: ({ order }) => Effect.fail(new NoSuchOrder({ order })),
    slow: () => Effect.never,
    ask: Effect.fnUntraced(function*({ order }) {
      const said = yield* Effect.orDie(Run.interrupt("sure", { schema: Schema.String }))
      world.push(`ask ${order} ${said}`)
      return said
    }),
    fast: ({ order }) => Effect.succeed(order)
  })
}

/** A model that answers with these parts, a list for each request. */
export const partsModel = (...answers: ReadonlyArray<ReadonlyArray<Response.StreamPartEncoded>>) => {
  let next = 0
  return Layer.effect(
    LanguageModel.LanguageModel,
    LanguageModel.make({
      generateText: () => Effect.die(new Error("this model streams only")),
      streamText: () => Stream.fromIterable(answers[next++] ?? [])
    })
  )
}

export const finish = (reason: Response.FinishReason): Response.StreamPartEncoded => ({
  type: "finish",
  reason,
  usage: {
    inputTokens: { uncached: 10, total: 10, cacheRead: 0, cacheWrite: 0 },
    outputTokens: { total: 2, text: 2, reasoning: 0 }
  }
})

const Entry = Schema.Struct({
  seq: Schema.Int,
  type: Schema.String,
  place: Schema.optionalKey(Schema.String),
  data: Schema.Record(Schema.String, Schema.Json)
})
const Journal = Schema.Struct({ items: Schema.Array(Entry) })
const Started = Schema.Struct({ runId: Schema.String })

/** A desk on a database of its own, whose handler is this loop. */
export const deskOf = Effect.fnUntraced(function*(
  loop: (question: string) => Effect.Effect<Schema.Json, Plain["error"], Plain["services"]>,
  model: Layer.Layer<LanguageModel.LanguageModel>,
  options: Server.Options & {
    readonly filename?: string
    readonly world?: World
    readonly budget?: Layer.Layer<Budget.Budget>
  } = {}
) {
  const { filename = join(temporaryFolder(), "desk.db"), world = [], ...more } = options
  const handlers = Desk.toLayer(({ question }) => loop(question)).pipe(
    Layer.provide(model),
    Layer.provideMerge(ToolsLayer(world))
  )
  const { url } = yield* onSqlite(Shop, handlers, filename, more)
  const call = (method: "GET" | "POST", path: string, body?: unknown) =>
    Effect.promise(async () => {
      const response = await fetch(url + path, {
        method,
        headers: { accept: "application/json", "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) })
      })
      const json: unknown = await response.json()
      return { status: response.status, body: json, runId: response.headers.get("x-run-id") ?? "" }
    })
  const journal = (runId: string) =>
    Effect.flatMap(
      call("GET", `/runs/${runId}/events`),
      ({ body }) => Effect.map(Schema.decodeUnknownEffect(Journal)(body), ({ items }) => items)
    ).pipe(Effect.orDie)
  const ask = (question = "?") =>
    Effect.gen(function*() {
      const answered = yield* call("POST", "/agents/desk", { question })
      const listed = yield* call("GET", "/runs")
      const { items: [first] } = yield* Effect.orDie(
        Schema.decodeUnknownEffect(Schema.Struct({ items: Schema.Array(Started) }))(listed.body)
      )
      const runId = first?.runId ?? ""
      return { ...answered, runId, events: yield* journal(runId) }
    })
  return { url, call, ask, journal, world }
})

export const plainLoop = (question: string) =>
  Effect.map(ModelLoop.run({ prompt: question, toolkit: Tools, maxTurns: 4 }), ({ text }) => text)

interface Plain {
  readonly error: Effect.Error<ReturnType<typeof plainLoop>>
  readonly services: Effect.Services<ReturnType<typeof plainLoop>>
}
