import { assert, describe, it } from "@effect/vitest"
import { Agent, App, Auth, Budget, Caller, RateLimit, RunStore, Runtime } from "@fastagentic/core"
import { Postgres } from "@fastagentic/stores/postgres"
import { Sqlite } from "@fastagentic/stores/sqlite"
import * as PostgresServer from "@fastagentic/stores/test/postgres/server"
import { Effect, Layer, Schema, type Scope, Stream } from "effect"
import * as LanguageModel from "effect/ai/LanguageModel"
import type * as Response from "effect/ai/Response"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { rmSync } from "node:fs"
import { join } from "node:path"
import { ModelLoop } from "../src/effect-ai.ts"
import { type Mortal, mortal, untilDeath } from "./chaos/mortal.ts"
import type { Death } from "./fixture/dying.ts"
import { finish } from "./looping.ts"
import { temporaryFolder } from "./process.ts"

const order = Schema.Struct({ order: Schema.Int })
const Look = Tool.make("look", { parameters: order, success: Schema.String }).annotate(Tool.Readonly, true)
const Refund = Tool.make("refund", { parameters: order, success: Schema.String })
const Tools = Toolkit.make(Look, Refund)

class Desk extends Agent.make("desk", { description: "Two turns, three calls", payload: {}, success: Schema.Json }) {}
class Shop extends App.make("shop", { version: "1", agents: [Desk], tools: Tools }) {}

/** The steps of the calls, in their order. */
const calls = [
  { name: "look", order: 1, step: "call look" },
  { name: "look", order: 2, step: "call look (2)" },
  { name: "refund", order: 3, step: "call refund" }
] as const

/** Loops of one run side by side: the place of their steps, and the first number of their orders. */
const places = ["", "model loop#2/"] as const
const placeOf = (text: string) => places[Number(/Go (\d)/u.exec(text)?.[1] ?? 0)] ?? ""

/** The work that was begun in one life, outside the store: steps of calls, and requests by their turn. */
interface World {
  readonly begun: Array<string>
  runId: string
  points: number
}

/** Ends the process when the world comes to this point; a dead process does nothing more. */
const pointIn = (world: World, process: Mortal, at: number | undefined) =>
  Effect.suspend(() => {
    if (!process.isDead() && ++world.points === at) process.die()
    return process.isDead() ? Effect.never : Effect.void
  })

const handlers = (world: World, loops: number, point: Effect.Effect<void>) => {
  const parts = (turn: number, place: string): ReadonlyArray<Response.StreamPartEncoded> => [
    { type: "text-start", id: "t" },
    { type: "text-delta", id: "t", delta: turn === 1 ? "Looking. " : "Done." },
    { type: "text-end", id: "t" },
    // Every call has the same id.
    ...(turn === 1 ? calls : []).map(({ name, order }) =>
      ({
        type: "tool-call",
        id: "x",
        name,
        params: { order: order + 10 * places.findIndex((one) => one === place) }
      }) as const
    ),
    finish(turn === 1 ? "tool-calls" : "stop")
  ]
  const model = Layer.effect(
    LanguageModel.LanguageModel,
    LanguageModel.make({
      generateText: () => Effect.die(new Error("this model streams only")),
      streamText: ({ prompt }) => {
        const turn = 1 + prompt.content.filter(({ role }) => role === "tool").length
        const place = placeOf(JSON.stringify(prompt.content.find(({ role }) => role === "user")?.content))
        const step = `${place}${turn === 1 ? "model" : `model#${turn}`}`
        const asked = Effect.sync(() => void world.begun.push(step))
        return Stream.fromIterableEffect(Effect.andThen(point, Effect.as(asked, parts(turn, place)))).pipe(
          Stream.rechunk(1),
          Stream.tap(() => point)
        )
      }
    })
  )
  const work = (name: string) => ({ order }: { readonly order: number }) =>
    Effect.gen(function*() {
      yield* point
      const { step } = calls.find((call) => call.order === order % 10) ?? { step: "unknown" }
      world.begun.push(`${places[Math.floor(order / 10)] ?? ""}${step}`)
      yield* Effect.sleep("2 millis")
      yield* point
      return `${name} ${order}`
    })
  return Desk.toLayer(Effect.fn(function*() {
    const loop = (number: number) =>
      Effect.map(ModelLoop.run({ prompt: `Go ${number}`, toolkit: Tools }), ({ text, toolResults }) => ({
        text,
        results: toolResults.map(({ result }) => result)
      }))
    return yield* Effect.forEach(Array.from({ length: loops }, (_, number) => number), loop, {
      concurrency: "unbounded"
    })
  })).pipe(
    Layer.provide(model),
    Layer.provideMerge(Tools.toLayer({ look: work("look"), refund: work("refund") }))
  )
}

const caller = Caller.make("local")

const drive = (world: World) =>
  Effect.gen(function*() {
    const runtime = yield* Runtime.Runtime
    const request = { kind: "agent", identifier: "desk", payload: {}, idempotencyKey: "d" } as const
    const { run: { runId } } = yield* runtime.start(caller, request)
    world.runId = runId
    const run = yield* runtime.await(caller, runId)
    return { run, journal: yield* runtime.events(caller, runId, { after: 0, limit: 1_000 }) }
  })

type Stores = Layer.Layer<Sqlite.Stores, unknown>

interface Where {
  readonly stores: Stores
  readonly inStatements: boolean
}

/** One life of a process, to its death at a write or at a point of the world. */
const life = Effect.fnUntraced(function*(
  { inStatements, stores }: Where,
  world: World,
  loops: number,
  death: Pick<Death, "at" | "when"> | { readonly at: number; readonly when: "in the world" } | undefined
) {
  const inWorld = death?.when === "in the world" ? death.at : undefined
  const atWrite = death === undefined || death.when === "in the world" ? undefined : { ...death, inStatements }
  const process = (yield* mortal)(atWrite)
  const layer = Runtime.layer(Shop, { grace: 0 }).pipe(
    Layer.provide([
      handlers(world, loops, pointIn(world, process, inWorld)),
      Auth.layerNone,
      RateLimit.layerUnlimited,
      Budget.layerUnlimited
    ]),
    Layer.provide(process.store.pipe(Layer.provideMerge(stores)))
  )
  return yield* untilDeath(process, drive(world)).pipe(Effect.provide(layer), Effect.scoped)
})

/** The steps that are committed, as another process reads them. */
const committed = (stores: Stores, runId: string) =>
  runId === ""
    ? Effect.succeed([])
    : RunStore.RunStore.use((store) => store.steps(runId)).pipe(
      Effect.map((steps) => steps.map(({ name }) => name)),
      Effect.provide(stores),
      Effect.scoped
    )

const newWorld = (): World => ({ begun: [], runId: "", points: 0 })

/** Dies at each point in turn, until a life ends before its point. Returns the number of points. */
const dieEverywhere = Effect.fnUntraced(function*(
  where: Effect.Effect<Where, never, Scope.Scope>,
  when: "before" | "during" | "after" | "in the world",
  loops = 1
) {
  for (let at = 1;; at++) {
    const here = yield* where
    const [before, after] = [newWorld(), newWorld()]
    const first = yield* life(here, before, loops, { at, when })
    const done = yield* committed(here.stores, before.runId)
    const last = first === "died" ? yield* life(here, after, loops, undefined) : first
    assert(last !== "died")
    const point = `${when} ${at}`
    assert.deepInclude(last.run, {
      state: "completed",
      output: [
        { text: "Looking. Done.", results: ["look 1", "look 2", "refund 3"] },
        { text: "Looking. Done.", results: ["look 11", "look 12", "refund 13"] }
      ].slice(0, loops)
    }, point)
    const isDone = (step: string) =>
      done.some((name) => name === step || name.startsWith(`${step} › tool `)) ||
      // The calls of an answer are made once it is stored.
      (step.endsWith("model") && done.some((name) => name.startsWith(`${step.slice(0, -"model".length)}call `)))
    if (first === "died") {
      assert.deepStrictEqual(after.begun.filter(isDone), [], `${point}: finished work is not done again`)
    }
    const requests = [...before.begun, ...after.begun].filter((step) => /model(#\d)?$/u.test(step))
    assert.isAtMost(requests.length, 3 * loops, `${point}: at most the answer that was cut off is paid twice`)
    for (const step of new Set(before.begun)) {
      assert.strictEqual(before.begun.filter((one) => one === step).length, 1, `${point}: ${step}`)
      assert.isAtMost(after.begun.filter((one) => one === step).length, 1, `${point}: ${step}`)
    }
    const usage = last.journal.flatMap((event) => event.type === "usage" ? [event.data.inputTokens] : [])
    assert.isAtMost(usage.length, requests.length, point)
    assert.strictEqual(last.run.usage?.inputTokens, usage.reduce((sum, tokens) => sum + tokens, 0), point)
    const seqs = last.journal.map(({ seq }) => seq)
    assert.deepStrictEqual(seqs, seqs.map((_, index) => index + 1), point)
    if (first !== "died") return at - 1
  }
})

const onSqlite = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => temporaryFolder()),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
  ),
  (folder) => ({ stores: Layer.fresh(Sqlite.layer({ filename: join(folder, "runs.db") })), inStatements: true })
)

const sides = ["before", "during", "after", "in the world"] as const

describe("A model loop whose process ends at any point, on SQLite", () => {
  for (const when of sides) {
    it.live(
      `no finished call is made again and no stored answer is paid twice, ended: ${when}`,
      () =>
        Effect.gen(function*() {
          const points = yield* dieEverywhere(onSqlite, when)
          // Two answers, three calls, an admission and an end; in the world each part and each begin and end of a call.
          assert.isAtLeast(points, 7)
        }).pipe(Effect.scoped),
      120_000
    )
  }
})

describe("Two model loops side by side whose process ends at any point, on SQLite", () => {
  for (const when of ["after", "in the world"] as const) {
    it.live(
      `each keeps its own calls and answers, and usage is counted once, ended: ${when}`,
      () =>
        Effect.gen(function*() {
          assert.isAtLeast(yield* dieEverywhere(onSqlite, when, 2), 7)
        }).pipe(Effect.scoped),
      240_000
    )
  }
})

PostgresServer.describeWithServer("A model loop whose process ends at any point, on PostgreSQL", () => {
  for (const when of sides) {
    it.live(
      `no finished call is made again and no stored answer is paid twice, ended: ${when}`,
      () =>
        Effect.gen(function*() {
          const points = yield* dieEverywhere(
            Effect.map(PostgresServer.database, (url) => ({
              stores: Layer.fresh(Postgres.layer({ url, lease: "1 second" })),
              inStatements: false
            })),
            when
          )
          assert.isAtLeast(points, 7)
        }).pipe(Effect.scoped),
      300_000
    )
  }
})
