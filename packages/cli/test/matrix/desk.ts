import { Sqlite } from "@fastagentic/stores/sqlite"
import { Effect, Layer, Redacted, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import {
  Agent,
  App,
  Auth,
  Budget,
  Hook,
  Policy,
  Principal,
  RateLimit,
  Run,
  Schedule,
  Server,
  ToolCall
} from "fastagentic"
import { join } from "node:path"
import { temporaryFolder } from "../process.ts"
import { urlOf } from "../serving.ts"
import * as Transports from "./transports.ts"

const Amount = Schema.Struct({ amount: Schema.Int })

const Small = Hook.make("small amounts")

/** Money moves once for each call that was approved, and never in amounts that a hook forbids. */
const Pay = Tool.make("pay", { parameters: Amount, success: Schema.String, needsApproval: true })
  .annotate(Policy.Approval, { scopes: ["pay:approve"], notRequester: true })
const Open = Tool.make("open", { parameters: Schema.Struct({}), success: Schema.String })
  .annotate(Policy.Scopes, ["vault:open"])
const Tools = Toolkit.make(Pay, Open)

class Payer extends Agent.make("payer", { description: "Pays, then fails once", payload: { amount: Schema.Int } }) {}
class Planner extends Agent.make("planner", { description: "Asks a lead, then a user", payload: {} }) {}
class Keeper extends Agent.make("keeper", { description: "Asks, then opens the vault", payload: {} }) {}
class Boss extends Agent.make("boss", { description: "Lets the payer work", payload: { amount: Schema.Int } }) {}

class Asker extends Agent.make("asker", { description: "Asks for the amount, then pays", payload: {} }) {}

class Desk extends App.make("desk", {
  version: "1",
  agents: [Payer, Planner, Keeper, Boss, Asker],
  tools: Tools,
  schedules: [
    Schedule.make("rent", {
      agent: Payer,
      cron: "0 0 1 1 *",
      payload: { amount: 70 },
      as: { principal: "rent", tenant: "acme", scopes: [] }
    })
  ]
}).hook(Small) {}

const payOf = Effect.fn(function*(amount: number) {
  const handlers = ToolCall.handlersOf(yield* Tools)
  return yield* ToolCall.invoke(handlers, { toolCallId: "call", name: "pay", arguments: { amount } })
})

const DeskLayer = (paid: Array<number>, state: { isBroken: boolean }) =>
  Layer.mergeAll(
    Asker.toLayer(Effect.fn(function*() {
      const { result } = yield* payOf(yield* Run.interrupt("amount", { schema: Schema.Int }))
      return String(result)
    }, Effect.orDie)),
    Payer.toLayer(Effect.fn(function*({ amount }) {
      const { denied, result } = yield* Effect.catch(
        payOf(amount),
        (error) => error instanceof Error ? Effect.die(error) : Effect.die("unexpected")
      )
      if (state.isBroken) return yield* Effect.die(new Error("broken"))
      return denied ? `denied ${JSON.stringify(result)}` : String(result)
    })),
    Planner.toLayer(Effect.fn(function*() {
      const permitted = yield* Effect.orDie(Run.interrupt("lead", { schema: Schema.String, scopes: ["pay:approve"] }))
      const color = yield* Effect.orDie(Run.interrupt("color", { schema: Schema.String }))
      if (state.isBroken) return yield* Effect.die(new Error("broken"))
      return `${permitted} ${color}`
    })),
    Keeper.toLayer(Effect.fn(function*() {
      yield* Effect.orDie(Run.interrupt("open?", { schema: Schema.Boolean }))
      const handlers = ToolCall.handlersOf(yield* Tools)
      const { result } = yield* ToolCall.invoke(handlers, { toolCallId: "call", name: "open", arguments: {} })
      return JSON.stringify(result)
    }, Effect.orDie)),
    Boss.toLayer(({ amount }) => Effect.orDie(Run.delegate(Payer, { amount }))),
    Small.toLayer({
      tool: (call, next) =>
        Schema.is(Amount)(call.arguments) && call.arguments.amount > 100
          ? Hook.block(Small, "tool", "more than 100")
          : next(call)
    })
  ).pipe(Layer.provideMerge(Tools.toLayer({
    open: () => Effect.succeed("open"),
    pay: ({ amount }) =>
      Effect.sync(() => {
        paid.push(amount)
        return `paid ${amount}`
      })
  })))

const person = (id: string, ...scopes: ReadonlyArray<string>) => ({
  key: Redacted.make(`key-of-${id}`),
  principal: new Principal.Principal({ id, tenant: "acme", scopes, roles: [], claims: {} })
})

/** `ann` asks, `bob` and `carl` approve, `olga` runs schedules and approves too. `rita` reads all runs, `abe` acts on them. */
const people = Auth.layerKeys([
  person("ann", "vault:*"),
  person("rita", "runs:read:tenant", "vault:open"),
  person("abe", "runs:act:tenant"),
  person("bob", "pay:approve"),
  person("carl", "pay:approve", "runs:act:tenant"),
  person("olga", "pay:approve", "schedules:manage", "runs:act:tenant", "audit:read")
])

/** A server on a SQLite file where money moves, and the ways to reach it. */
export const desk = Effect.gen(function*() {
  const paid: Array<number> = []
  const state = { isBroken: false }
  const filename = join(temporaryFolder(), "desk.sqlite")
  const context = yield* Layer.build(
    Layer.fresh(Server.layer(Desk, { port: 0, grace: "200 millis" })).pipe(
      Layer.provide(DeskLayer(paid, state)),
      Layer.provide([people, Budget.layerUnlimited, RateLimit.layerUnlimited, Sqlite.layer({ filename })])
    )
  )
  const url = urlOf(context)

  const call = (who: string, method: "GET" | "POST", path: string, body?: unknown) =>
    Effect.promise(() =>
      Transports.request(url + path, {
        method,
        headers: { ...Transports.json, "x-api-key": `key-of-${who}` },
        ...(body === undefined ? {} : { body: JSON.stringify(body) })
      })
    )

  const start = (who: string, path: string, body: unknown) =>
    Effect.map(call(who, "POST", path, body), ({ body, headers }) => String(body?.runId ?? headers.get("x-run-id")))

  /** The run once it has ended or waits for somebody. */
  const settled = (who: string, runId: string) =>
    Effect.gen(function*() {
      while (true) {
        const { body } = yield* call(who, "GET", `/runs/${runId}`)
        if (body.finishedAt !== undefined || body.waitsFor === "interrupt") return body
        yield* Effect.sleep("10 millis")
      }
    })

  /** The open interrupt of a run that somebody may decide. */
  const open = (who: string, runId: string) =>
    Effect.gen(function*() {
      while (true) {
        const { body } = yield* call(who, "GET", "/interrupts")
        const found = body.items.find((one: { readonly runId: string }) => one.runId === runId)
        if (found !== undefined) return { id: String(found.id), path: `/runs/${runId}/interrupts/${found.id}` }
        yield* Effect.sleep("10 millis")
      }
    })

  /** The run that a run has delegated to. */
  const childOf = (who: string, runId: string) =>
    Effect.gen(function*() {
      while (true) {
        const { body } = yield* call(who, "GET", `/runs?parentRunId=${runId}`)
        const found = body.items[0]
        if (found !== undefined) return String(found.runId)
        yield* Effect.sleep("10 millis")
      }
    })

  const decide = (who: string, runId: string, answer: object) =>
    Effect.flatMap(open(who, runId), ({ path }) => call(who, "POST", path, answer))

  const audit = Effect.promise(async () => {
    const { body } = await Transports.request(`${url}/audit`, { headers: { "x-api-key": "key-of-olga" } })
    return body.items
  })

  return { audit, call, childOf, decide, open, paid, settled, start, state }
})
