import { Sqlite } from "@fastagentic/stores/sqlite"
import { Context, Effect, Layer, Redacted, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as HttpServer from "effect/http/HttpServer"
import {
  Agent,
  ApiKeys,
  App,
  Audit,
  Auth,
  Budget,
  BudgetStore,
  Hook,
  Policy,
  Prices,
  Principal,
  PromptTemplate,
  RateLimit,
  Resource,
  Roles,
  Run,
  RunError,
  RunStore,
  Runtime,
  Server,
  ToolCall
} from "fastagentic"
import { join } from "node:path"
import process from "node:process"
import { temporaryFolder } from "../process.ts"

/** `mark` names the cell that a call belongs to; `pause` asks for a go-ahead before anything else is done. */
const payload = { mark: Schema.String, pause: Schema.optionalKey(Schema.Boolean) }

const Refuse = Hook.make("no-entry")
const NoTool = Hook.make("no-tool")

const Peek = Tool.make("peek", {
  description: "Peeks",
  parameters: Schema.Struct({ mark: Schema.String }),
  success: Schema.String
})
  .annotate(Policy.Scopes, ["tools:peek"])
const Poke = Tool.make("poke", {
  description: "Pokes",
  parameters: Schema.Struct({ mark: Schema.String }),
  success: Schema.String
})
const Pay = Tool.make("pay", {
  description: "Pays",
  parameters: Schema.Struct({ mark: Schema.String }),
  success: Schema.String,
  needsApproval: true
}).annotate(Policy.Approval, { scopes: ["pay:approve"], notRequester: true })
const Tools = Toolkit.make(Peek, Poke, Pay)

class Plain extends Agent.make("plain", { description: "Answers", payload }) {}
class Secret extends Agent.make("secret", { description: "Knows more", payload, scopes: ["secret:read"] }) {}
class Few extends Agent.make("few", { description: "Answers now and then", payload }) {}
class Daily extends Agent.make("daily", { description: "Answers once a day", payload }) {}
class Blocked extends Agent.make("blocked", { description: "Is behind a hook", payload }).hook(Refuse) {}
class Pokes extends Agent.make("pokes", { description: "Calls a tool behind a hook", payload }).hook(NoTool) {}
class Peeks extends Agent.make("peeks", { description: "Calls a tool that needs a scope", payload }) {}
class Pays extends Agent.make("pays", { description: "Calls a tool that needs an approval", payload }) {}
class Spends extends Agent.make("spends", { description: "Calls a model", payload }) {}
class Boss extends Agent.make("boss", {
  description: "Lets another agent work",
  payload: { agent: Schema.String, payload: Schema.Json },
  success: Schema.Struct({ tag: Schema.String, rule: Schema.String })
}) {}

const Handbook = Resource.make("handbook", "lab://handbook", { description: "A book", scopes: ["secret:read"] })
const Greeting = PromptTemplate.make("greeting", { description: "Greets", params: {}, scopes: ["secret:read"] })

export class Lab extends App.make("lab", {
  version: "1",
  agents: [Plain, Secret, Few, Daily, Blocked, Pokes, Peeks, Pays, Spends, Boss],
  tools: Tools,
  resources: [Handbook],
  prompts: [Greeting]
}) {}

/** How often the work of a cell was done. */
export const done = new Map<string, number>()

const work = ({ mark }: { readonly mark: string }) =>
  Effect.sync(() => {
    done.set(mark, (done.get(mark) ?? 0) + 1)
    // A test in another process reads it there.
    if (process.env["LAB_TELLS"] !== undefined) process.stderr.write(`done ${mark}\n`)
    return mark
  })

const pausing = Effect.fn(function*(pause: boolean | undefined) {
  if (pause === true) yield* Effect.orDie(Run.interrupt("go on", { schema: Schema.Boolean }))
})

interface Asked {
  readonly mark: string
  readonly pause?: boolean
}

const plainly = (asked: Asked) => Effect.andThen(pausing(asked.pause), work(asked))

/** An agent that calls one tool, and ends as the call does. */
const calling = (name: string) =>
  Effect.fn(function*({ mark, pause }: Asked) {
    yield* pausing(pause)
    const handlers = ToolCall.handlersOf(yield* Tools)
    const call = { toolCallId: "call", name, arguments: { mark } }
    const { denied, result } = yield* Effect.catch(
      ToolCall.invoke(handlers, call),
      (error) => error instanceof RunError.HookBlocked ? Effect.die(error) : Effect.die(new Error("no such failure"))
    )
    if (!denied) return yield* work({ mark })
    const reason = typeof result === "object" && result !== null && "reason" in result
      ? String(result.reason)
      : "denied"
    return yield* Effect.die(new RunError.ToolDenied({ tool: name, reason }))
  })

const BossLayer = Boss.toLayer(Effect.fn(function*({ agent, payload }) {
  const run = yield* Run.CurrentRun
  const seen = yield* Effect.result(run.delegate(agent, payload))
  if (seen._tag === "Failure") {
    const { reason } = seen.failure
    return { tag: reason._tag, rule: "rule" in reason ? reason.rule : "" }
  }
  const { error, state } = seen.success
  return { tag: error?.tag ?? state, rule: error?.rule ?? "" }
}))

const handlers = (armed: boolean) =>
  Layer.mergeAll(
    Plain.toLayer(plainly),
    Secret.toLayer(plainly),
    Few.toLayer(plainly),
    Daily.toLayer(plainly),
    Blocked.toLayer(plainly),
    Pokes.toLayer(calling("poke")),
    Peeks.toLayer(calling("peek")),
    Pays.toLayer(calling("pay")),
    Spends.toLayer(Effect.fn(function*(asked) {
      yield* pausing(asked.pause)
      const run = yield* Run.CurrentRun
      const request = { callId: "call", model: "m", inputTokens: 10, maxOutputTokens: 10, clamps: false }
      const grant = yield* Effect.orDie(run.spend({ ...request, changesTo: () => false }))
      yield* grant.cancelReservation
      return yield* work(asked)
    })),
    BossLayer,
    Handbook.toLayer(() => Effect.succeed("be kind")),
    Greeting.toLayer(() => "Hello"),
    Refuse.toLayer({
      request: (call, next) => armed ? Hook.block(Refuse, "request", "not today") : next(call)
    }),
    NoTool.toLayer({ tool: (call, next) => armed ? Hook.block(NoTool, "tool", "hands off") : next(call) })
  ).pipe(
    Layer.provideMerge(Tools.toLayer({ peek: work, poke: work, pay: work }))
  )

export const people = {
  ann: { tenant: "acme", scopes: ["schedules:manage"] },
  bob: { tenant: "acme", scopes: [] },
  lead: { tenant: "acme", scopes: ["pay:approve", "audit:read"] },
  boss: { tenant: "acme", scopes: ["pay:approve"] },
  desk: { tenant: "acme", scopes: ["schedules:manage"], roles: ["desk"] },
  spent: { tenant: "acme", scopes: ["schedules:manage"] },
  rita: { tenant: "acme", scopes: ["runs:read:tenant"] },
  abe: { tenant: "acme", scopes: ["runs:act:tenant"] },
  eve: { tenant: "other", scopes: ["*"] },
  oda: { tenant: "other", scopes: ["runs:act:tenant"] }
} as const

export type Person = keyof typeof people

const auth = (armed: boolean) =>
  Roles.layer({ desk: { scopes: ["secret:*"] } }).pipe(
    Layer.provide(Auth.layerFirst(
      Auth.layerKeys(
        Object.entries(people).map(([id, person]) => ({
          key: Redacted.make(`key-of-${id}`),
          principal: new Principal.Principal({
            id,
            tenant: person.tenant,
            // Rights that are revoked later are granted before the restart.
            scopes: armed || id !== "ann" ? person.scopes : ["secret:read", "schedules:manage"],
            roles: "roles" in person ? person.roles : [],
            claims: {}
          })
        }))
      ),
      ApiKeys.layer
    )),
    Layer.provideMerge(ApiKeys.ApiKeyStore.layerMemory)
  )

const rules: ReadonlyArray<RateLimit.Rule> = [
  { name: "rate", by: ["user"], limit: 1, window: "1 hour", endpoints: ["agent/few"] },
  { name: "quota", by: ["user"], limit: 1, window: "1 day", endpoints: ["agent/daily"] }
]

const budget = (armed: boolean) =>
  armed
    ? Budget.layer.pipe(Layer.provide(Layer.mergeAll(
      BudgetStore.BudgetStore.layerMemory,
      Prices.layer({ m: { input: 1, output: 10 } }),
      Budget.limits([{ name: "tiny", per: "user", period: "total", hard: 0.000001 }])
    )))
    : Budget.layerUnlimited

/** The app with all its policies in force, as `fastagentic run` takes it. */
export const runnable = Lab.provide(Layer.mergeAll(handlers(true), auth(true), budget(true), RateLimit.layer(rules)))

/** State that outlives a server. */
export const lasting = Layer.build(Layer.mergeAll(RunStore.RunStore.layerMemory, Audit.layerMemory))

/** The same in a SQLite file. */
export const lastingOnDisk = Effect.suspend(() =>
  Layer.build(Sqlite.layer({ filename: join(temporaryFolder(), "lab.sqlite") }))
).pipe(Effect.map((context) => Context.pick(RunStore.RunStore, Audit.Audit)(context)))

/** The app on a port. Before the restart nothing is in force (`armed`); after it everything is. */
export const serve = Effect.fnUntraced(function*(kept: Effect.Success<typeof lasting>, armed: boolean) {
  const context = yield* Layer.build(
    Server.layer(Lab, { port: 0, grace: "200 millis" }).pipe(
      Layer.provide(handlers(armed)),
      Layer.provideMerge(Layer.fresh(auth(armed))),
      Layer.provide([
        Layer.succeedContext(kept),
        Layer.fresh(budget(armed)),
        armed ? RateLimit.layer(rules) : RateLimit.layerUnlimited
      ])
    )
  )
  const { address } = Context.get(context, HttpServer.HttpServer)
  const expired = yield* Effect.provideContext(
    ApiKeys.create({ id: "late", tenant: "acme", scopes: ["*"], expiresIn: "1 millis" }),
    Context.merge(kept, context)
  )
  return {
    url: `http://127.0.0.1:${"port" in address ? address.port : 0}`,
    expired: Redacted.value(expired.secret),
    runtime: Context.get(context, Runtime.Runtime),
    audit: Context.get(kept, Audit.Audit)
  }
})

export type Served = Effect.Success<ReturnType<typeof serve>>
