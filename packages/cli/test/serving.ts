import { Sqlite } from "@fastagentic/stores/sqlite"
import { Context, Effect, Exit, Layer, Scope } from "effect"
import * as HttpServer from "effect/http/HttpServer"
import { type App, Audit, Auth, Budget, RateLimit, RunStore, Server } from "fastagentic"

/** The services of a server besides auth: in memory and without limits. */
export const memory = Layer.mergeAll(
  RunStore.RunStore.layerMemory,
  Audit.layerMemory,
  RateLimit.layerUnlimited,
  Budget.layerUnlimited
)

export const urlOf = (context: Context.Context<HttpServer.HttpServer>): string => {
  const { address } = Context.get(context, HttpServer.HttpServer)
  return `http://127.0.0.1:${"port" in address ? address.port : 0}`
}

type Serving = Server.Options & {
  readonly auth?: Layer.Layer<Auth.Auth>
  readonly budget?: Layer.Layer<Budget.Budget>
}

/** A server of an app on a SQLite file until the scope closes, and the effect that stops it before. */
export const onSqlite = <A extends App.Any>(
  app: A,
  handlers: Layer.Layer<App.Handlers<A>>,
  filename: string,
  options: Serving = {}
) => onStores(app, handlers, Sqlite.layer({ filename }), options)

/** The same on any stores. */
export const onStores = Effect.fnUntraced(function*<A extends App.Any, E>(
  app: A,
  handlers: Layer.Layer<App.Handlers<A>>,
  stores: Layer.Layer<RunStore.RunStore | Audit.Audit, E>,
  options: Serving = {}
) {
  const { auth = Auth.layerNone, budget = Budget.layerUnlimited, ...more } = options
  const scope = yield* Scope.make()
  const context = yield* Layer.buildWithScope(
    Layer.fresh(Server.layer(app, { port: 0, grace: "200 millis", ...more })).pipe(
      Layer.provide([handlers, auth, budget, RateLimit.layerUnlimited, Layer.fresh(stores)])
    ),
    scope
  )
  const stop = Scope.close(scope, Exit.void)
  yield* Effect.addFinalizer(() => stop)
  return { url: urlOf(context), stop }
})
