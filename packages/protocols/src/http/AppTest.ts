/**
 * Tests of an app through its whole pipeline, in memory: no port, no disk, and time is the test's own.
 *
 * @since 0.1.0
 */
import type * as App from "@fastagentic/core/app/App"
import type { FusionError } from "@fastagentic/core/app/Fusion"
import * as Audit from "@fastagentic/core/audit/Audit"
import * as Budget from "@fastagentic/core/budget/Budget"
import * as Replay from "@fastagentic/core/check/Replay"
import * as Auth from "@fastagentic/core/door/Auth"
import * as RateLimit from "@fastagentic/core/door/RateLimit"
import * as Runtime from "@fastagentic/core/operations/Runtime"
import type { Credentials } from "@fastagentic/core/run/Credentials"
import type { StoreUnavailable } from "@fastagentic/core/run/RunError"
import * as Files from "@fastagentic/core/store/Files"
import { RunStore } from "@fastagentic/core/store/RunStore"
import { Clock, Context, Effect, Exit, Layer, Scope } from "effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpEffect from "effect/http/HttpEffect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { mountRoutes } from "../mount/internal/mountRoutes.ts"
import { protocolRoutes } from "../mount/internal/protocolRoutes.ts"
import * as Client from "./Client.ts"
import { startedApp } from "./internal/startedApp.ts"

/**
 * The services behind the app; each can be replaced.
 *
 * The defaults keep runs, files and audit in memory, need no credentials, and limit nothing.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly store?: Layer.Layer<RunStore>
  readonly auth?: Layer.Layer<Auth.Auth>
  readonly rateLimit?: Layer.Layer<RateLimit.RateLimit>
  readonly budget?: Layer.Layer<Budget.Budget>
  readonly audit?: Layer.Layer<Audit.Audit>
}

/** @category models @since 0.1.0 */
export type Services =
  | HttpClient.HttpClient
  | Runtime.Runtime
  | RunStore
  | Auth.Auth
  | RateLimit.RateLimit
  | Budget.Budget
  | Audit.Audit

/** @category models @since 0.1.0 */
export interface ClientOptions extends Options {
  readonly credentials?: Credentials
  /**
   * Runs each handler twice: at the end of the scope every run that has completed or waits is replayed, and one that asks
   * for, says or answers something else than the first time fails the test. Off by default.
   */
  readonly strict?: boolean
}

/** The address of the app in its requests. @category constants @since 0.1.0 */
export const url = "http://app.test"

/**
 * The app's services, and an HTTP client that sends its requests to the router without a socket.
 *
 * @category layers
 * @since 0.1.0
 */
export function layer<A extends App.Any, H, E>(
  app: App.Runnable<A, H, E>,
  options?: Options
): Layer.Layer<Services, E | FusionError | StoreUnavailable>
export function layer<A extends App.Any>(
  app: A,
  options?: Options
): Layer.Layer<Services, FusionError | StoreUnavailable, App.Handlers<A>>
export function layer<A extends App.Any, H, E>(
  app: A | App.Runnable<A, H, E>,
  options: Options = {}
): Layer.Layer<Services, unknown, unknown> {
  return layerOf(app, options)
}

const layerOf = <A extends App.Any, H, E>(app: A | App.Runnable<A, H, E>, options: Options) =>
  Layer.provideMerge(servedOf(app, options), keptOf(options))

/** The services that a restart keeps. */
const keptOf = ({ audit = Audit.layerMemory, store = RunStore.layerMemory }: Options) =>
  // A store may bring files of its own.
  Layer.mergeAll(Files.layerMemory, store, audit)

/** The app as one process has it. */
const servedOf = <A extends App.Any, H, E>(app: A | App.Runnable<A, H, E>, options: Options) => {
  const services = Layer.mergeAll(
    options.auth ?? Auth.layerNone,
    options.rateLimit ?? RateLimit.layerUnlimited,
    options.budget ?? Budget.layerUnlimited
  )
  return layerHttp.pipe(
    Layer.provideMerge(
      "handlers" in app ? Layer.provideMerge(Runtime.layer(app.app), app.handlers) : Runtime.layer(app)
    ),
    Layer.provideMerge(services)
  )
}

const { host } = new URL(url)

/** Requests in memory have no peer. */
const routes = Layer.orDie(
  mountRoutes(protocolRoutes(), { guards: { hosts: [host], unknownPeers: "accept" } })
)

const layerHttp = Layer.effect(
  HttpClient.HttpClient,
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const handler = yield* HttpRouter.toHttpEffect(routes)
    return HttpClient.make((request) => {
      const requestScope = Scope.forkUnsafe(scope)
      let streams = false
      return handler.pipe(
        Effect.map((response) => {
          streams = response.body._tag === "Stream"
          return HttpServerResponse.toClientResponse(HttpEffect.scopeTransferToStream(response), { request })
        }),
        Effect.provideService(
          HttpServerRequest.HttpServerRequest,
          HttpServerRequest.fromClientRequest(HttpClientRequest.setHeader(request, "host", host))
        ),
        Effect.provideService(Scope.Scope, requestScope),
        // The routes answer every failure themselves.
        Effect.orDie,
        Effect.onExit((exit) => streams && Exit.isSuccess(exit) ? Effect.void : Scope.close(requestScope, exit))
      )
    })
  })
)

/** A typed client, with the HTTP client and services it uses. @category models @since 0.1.0 */
export interface TestClient<A extends App.Any> extends Client.Client<A> {
  /** Sends requests to the same app, by path: those of MCP and A2A too. */
  readonly http: HttpClient.HttpClient
  readonly runtime: Runtime.Runtime["Service"]
  readonly audit: Audit.Audit["Service"]
  /**
   * Ends the app as a deploy does, and starts it again on the same store, files and audit log: a run that waited or was cut off
   * continues. The client before it has no server any more.
   */
  readonly restart: Effect.Effect<TestClient<A>>
}

/**
 * A typed client of the app in memory, for as long as the scope is open.
 *
 * **Details**
 *
 * Under `it.effect` the app runs on the test's clock: a run that sleeps two hours ends when the clock is adjusted.
 *
 * @category constructors
 * @since 0.1.0
 */
export function client<A extends App.Any, H, E>(
  app: App.Runnable<A, H, E>,
  options?: ClientOptions
): Effect.Effect<TestClient<A>, E | FusionError | StoreUnavailable, Scope.Scope>
export function client<A extends App.Any>(
  app: A,
  options?: ClientOptions
): Effect.Effect<TestClient<A>, FusionError | StoreUnavailable, App.Handlers<A> | Scope.Scope>
export function client<A extends App.Any, H, E>(
  app: A | App.Runnable<A, H, E>,
  options: ClientOptions = {}
): Effect.Effect<TestClient<A>, unknown, unknown> {
  return Effect.flatMap(Effect.scope, (scope) =>
    Effect.flatMap(
      Layer.buildWithScope(keptOf(options), scope),
      (kept) => Effect.provideContext(life(app, options, scope), kept)
    ))
}

/** One life of the app, until it is restarted or the scope of the test closes. */
const life = <A extends App.Any, H, E>(
  app: A | App.Runnable<A, H, E>,
  options: ClientOptions,
  outer: Scope.Scope
): Effect.Effect<TestClient<A>, E | FusionError | StoreUnavailable, RunStore | Audit.Audit | App.Handlers<A>> =>
  Effect.gen(function*() {
    const declared = "handlers" in app ? app.app : app
    const kept = yield* Effect.context<RunStore | Audit.Audit | App.Handlers<A>>()
    const scope = yield* Scope.fork(outer)
    const context = yield* Layer.buildWithScope(Layer.fresh(servedOf(app, options)), scope)
    const services = Context.merge(kept, context)
    if (options.strict === true) {
      yield* Scope.addFinalizer(scope, Effect.provideContext(replayed(declared), services))
    }
    const typed = yield* Effect.provideContext(Client.make(declared, { url, ...credentialsOf(options) }), services)
    return {
      ...typed,
      http: HttpClient.mapRequest(Context.get(context, HttpClient.HttpClient), HttpClientRequest.prependUrl(url)),
      runtime: Context.get(context, Runtime.Runtime),
      audit: Context.get(kept, Audit.Audit),
      restart: Effect.andThen(
        Scope.close(scope, Exit.void),
        Effect.orDie(Effect.provideContext(life(app, options, outer), kept))
      )
    }
  })

/**
 * An app in memory for tests with promises, as `node:test`, Jest and plain Vitest write them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Started<A extends App.Any> extends AsyncDisposable {
  /** Runs what a test does with the typed client; a failure rejects with the typed error. */
  readonly run: <B, E>(use: (client: TestClient<A>) => Effect.Effect<B, E>) => Promise<B>
  /** Sends a request to the app, by path: REST, SSE, MCP and A2A. */
  readonly fetch: (input: string | URL | Request, init?: RequestInit) => Promise<Response>
  /** Ends the app as a deploy does, and starts it again on the same store. */
  readonly restart: () => Promise<void>
  readonly stop: () => Promise<void>
}

/**
 * Starts an app in memory for tests with promises; `stop` or `await using` ends it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const start = <A extends App.Any, H, E>(
  app: App.Runnable<A, H, E>,
  options?: ClientOptions
): Promise<Started<A>> => startedApp(client(app, options), url)

/** Replays what a test has done, in real time, and dies with what parts from it. */
const replayed = <A extends App.Any>(app: A) =>
  Replay.check(app, { finished: true, strict: true }).pipe(
    Effect.provideService(Clock.Clock, Clock.Clock.defaultValue()),
    Effect.orDie,
    Effect.flatMap((findings) => {
      const parted = findings.filter(({ state, verdict }) => verdict !== "ok" && state !== "running")
      const lines = parted.map(({ agent, detail, runId, verdict }) => `${agent} ${runId} ${verdict}: ${detail}`)
      return lines.length === 0 ? Effect.void : Effect.die(new Error(`A second run of a handler ${lines.join("; ")}`))
    })
  )

const credentialsOf = ({ credentials }: ClientOptions) => credentials === undefined ? {} : { credentials }
