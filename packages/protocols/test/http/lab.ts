import { Agent, App, Auth, Budget, Event, Principal, RateLimit, Resource, Run, Runtime } from "@fastagentic/core"
import { Effect, Layer, Redacted, Schema, Stream } from "effect"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { mounted, serve } from "../fixture.ts"
import { layerStores } from "../stores.ts"

/** Emits 0, 1, 2, … and yields to other fibers after every `pause` of them. */
export class Count extends Agent.make("count", {
  description: "Counts",
  payload: { tokens: Schema.Int, pause: Schema.optionalKey(Schema.Int), filler: Schema.optionalKey(Schema.Int) }
}) {}

/** Emits one token and then waits for two decisions, one after the other. */
export class Two extends Agent.make("two", { description: "Asks twice", payload: {}, success: Schema.String }) {}

export class Vault
  extends Agent.make("vault", { description: "Opens", payload: {}, scopes: ["vault:open", "vault:see"] })
{}

export class Keep extends Agent.make("keep", {
  description: "Keeps any value",
  payload: { value: Schema.Json },
  success: Schema.Json
}) {}

/** Never ends by itself. */
export class Stay extends Agent.make("stay", { description: "Stays", payload: {}, durable: false }) {}

export const Ping = Tool.make("ping", { description: "Answers", success: Schema.String })

export const Rules = Resource.make("rules", "lab://rules", {
  description: "The rules",
  success: Schema.Array(Schema.String)
})

export const Lab = App.make("lab", {
  version: "0.0.1",
  agents: [Count, Two, Vault, Keep, Stay],
  tools: Toolkit.make(Ping),
  resources: [Rules]
})

const CountLayer = Count.toLayer(({ filler = 0, pause = 64, tokens }) =>
  Stream.range(0, tokens - 1).pipe(
    Stream.rechunk(1),
    Stream.tap((at) => at % pause === 0 ? Effect.sleep("1 millis") : Effect.void),
    Stream.map((at) => Event.token(`${at}${"x".repeat(filler)} `))
  )
)

const TwoLayer = Two.toLayer(Effect.fn(function*() {
  yield* Run.emit(Event.token("first "))
  const first = yield* Effect.orDie(Run.interrupt("first", { schema: Schema.String }))
  yield* Run.emit(Event.token("second "))
  const second = yield* Effect.orDie(Run.interrupt("second", { schema: Schema.String }))
  return `${first} ${second}`
}))

const Handlers = Layer.mergeAll(
  CountLayer,
  TwoLayer,
  Vault.toLayer(() => Effect.succeed("open")),
  Keep.toLayer(({ value }) => Effect.succeed(value)),
  Stay.toLayer(() => Effect.andThen(Run.emit(Event.token("here")), Effect.never)),
  Toolkit.make(Ping).toLayer({ ping: () => Effect.succeed("pong") }),
  Rules.toLayer(() => Effect.succeed(["be kind"]))
)

/** The lab over REST, with its runtime. */
export const startLab = Effect.fnUntraced(function*(options: {
  readonly auth?: Layer.Layer<Auth.Auth>
  readonly limit?: Layer.Layer<RateLimit.RateLimit>
} = {}) {
  const context = yield* Layer.build(
    Runtime.layer(Lab, { grace: "100 millis" }).pipe(
      Layer.provide(Handlers),
      Layer.provideMerge(Layer.mergeAll(
        layerStores,
        options.auth ?? Auth.layerNone,
        options.limit ?? RateLimit.layerUnlimited,
        Budget.layerUnlimited
      ))
    )
  )
  const url = yield* serve(mounted("rest").pipe(Layer.provide(Layer.succeedContext(context))))
  return { url, runtime: yield* Effect.provideContext(Runtime.Runtime, context) }
})

const person = (id: string, tenant: string, scopes: ReadonlyArray<string> = []) => ({
  key: Redacted.make(`key-of-${id}`),
  principal: new Principal.Principal({ id, tenant, scopes, roles: [], claims: {} })
})

/** Ann and Ben share a tenant, Cleo sees all runs of it, Dan is in another tenant. */
export const people = Auth.layerKeys([
  person("ann", "acme"),
  person("ben", "acme", ["vault:open"]),
  person("cleo", "acme", ["runs:act:tenant", "vault:open", "vault:see"]),
  person("dan", "other", ["*"])
])

export const by = (id: string) => ({ "x-api-key": `key-of-${id}` })
