import {
  Agent,
  App,
  Audit,
  Auth,
  Budget,
  Policy,
  Principal,
  RateCounters,
  RateLimit,
  Run,
  Runtime
} from "@fastagentic/core"
import { Context, Effect, Layer, Redacted, Schema } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { mounted, serve } from "../fixture.ts"
import { layerStores } from "../stores.ts"

const Paid = Schema.Struct({ orderId: Schema.Int, refunded: Schema.Finite })

const Refund = Tool.make("refund", {
  description: "Pays back",
  parameters: Schema.Struct({ orderId: Schema.Int, amount: Schema.Finite }),
  success: Paid,
  needsApproval: true
}).annotate(Policy.Approval, { risk: "high", rule: "refunds are looked at", expiresIn: "1 day" })

/** Has a payload that no form can hold. */
const Ship = Tool.make("ship", {
  description: "Ships",
  parameters: Schema.Struct({ to: Schema.Struct({ city: Schema.String }) }),
  success: Schema.String,
  needsApproval: true
})

const Pay = Tool.make("pay", {
  description: "Pays",
  parameters: Schema.Struct({ amount: Schema.Finite }),
  success: Schema.String,
  needsApproval: true
}).annotate(Policy.Approval, { scopes: ["pay:approve"], notRequester: true })

const Tools = Toolkit.make(Refund, Ship, Pay)

const Parcel = Schema.Struct({
  size: Schema.Literals(["small", "large"]),
  count: Schema.Int.check(Schema.isMultipleOf(2)),
  gift: Schema.Boolean,
  note: Schema.optionalKey(Schema.String)
})

/** Asks for a parcel, then for a boolean. */
class Pack extends Agent.make("pack", { description: "Packs", payload: {}, success: Schema.String }) {}

/** Asks for a value that no form can hold. */
class Deep extends Agent.make("deep", { description: "Asks much", payload: {}, success: Schema.String }) {}

class Asking extends App.make("asking", { version: "1", agents: [Pack, Deep], tools: Tools }) {}

const handlers = Layer.mergeAll(
  Pack.toLayer(() =>
    Effect.orDie(Effect.gen(function*() {
      const parcel = yield* Run.interrupt("parcel", { schema: Parcel, message: "What goes into it?" })
      const sure = yield* Run.interrupt("sure", { schema: Schema.Boolean })
      return `${parcel.count} ${parcel.size} ${parcel.gift} ${sure}`
    }))
  ),
  Deep.toLayer(() =>
    Effect.orDie(Effect.as(Run.interrupt("much", { schema: Schema.Array(Schema.Struct({ a: Schema.Int })) }), "done"))
  ),
  Tools.toLayer({
    refund: ({ amount, orderId }) => Effect.succeed({ orderId, refunded: amount }),
    ship: ({ to }) => Effect.succeed(to.city),
    pay: ({ amount }) => Effect.succeed(`paid ${amount}`)
  })
)

/** People of one tenant by their API keys. */
const keysOf = (scopesOf: Record<string, ReadonlyArray<string>>) =>
  Auth.layerKeys(
    Object.entries(scopesOf).map(([id, scopes]) => ({
      key: Redacted.make(`key-of-${id}`),
      principal: new Principal.Principal({ id, tenant: "acme", scopes, roles: [], claims: {} })
    }))
  )

export const by = (id: string) => ({ "x-api-key": `key-of-${id}` })

/** The services that outlive a server. The memory store counts in one process only: its nodes share the counters here. */
export const lasting = Layer.build(Layer.merge(RateCounters.RateCounters.layerMemory, layerStores))

/** The runtime of an app over MCP and REST on a port; its callers are people with these scopes. */
export const serveApp = Effect.fnUntraced(function*<E>(
  kept: Effect.Success<typeof lasting>,
  runtime: Layer.Layer<
    Runtime.Runtime,
    E,
    Layer.Success<typeof layerStores> | RateCounters.RateCounters | Auth.Auth | RateLimit.RateLimit | Budget.Budget
  >,
  people: Record<string, ReadonlyArray<string>>
) {
  const context = yield* Layer.build(
    runtime.pipe(Layer.provideMerge(Layer.mergeAll(
      Layer.succeedContext(kept),
      keysOf(people),
      RateLimit.layerUnlimited,
      Budget.layerUnlimited
    )))
  )
  const url = yield* serve(mounted("mcp", "rest").pipe(Layer.provide(Layer.succeedContext(context))))
  return { url, context, runtime: Context.get(context, Runtime.Runtime) }
})

/** The app that asks, with its runtime. */
export const serveAsking = (kept: Effect.Success<typeof lasting>) =>
  Effect.map(
    serveApp(
      kept,
      Runtime.layer(Asking, { grace: "100 millis" }).pipe(Layer.provide(handlers)),
      { ann: [], bob: [], boss: ["pay:approve"], lead: ["pay:approve"] }
    ),
    (served) => ({ ...served, audit: Context.get(kept, Audit.Audit) })
  )
