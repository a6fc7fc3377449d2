/**
 * `fastagentic run <file>`: serves the app that a file exports.
 *
 * @since 0.1.0
 */
import { Otlp } from "@fastagentic/adapters/otlp"
import { GenaiPrices } from "@fastagentic/adapters/prices"
import { ApiKeys, Auth, Budget, Credentials, Retention, type RunError, Runtime } from "@fastagentic/core"
import { McpStdio } from "@fastagentic/protocols/mcp"
import type { Mount } from "@fastagentic/protocols/mount"
import { Config, Console, Effect, Layer, Option, Schema } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as HttpServer from "effect/http/HttpServer"
import * as AppFile from "./AppFile.ts"
import * as BackupSocket from "./BackupSocket.ts"
import * as Banner from "./Banner.ts"
import * as Cards from "./Cards.ts"
import * as Defaults from "./Defaults.ts"
import * as DurationFlag from "./DurationFlag.ts"
import * as GrpcFlags from "./GrpcFlags.ts"
import * as UnhandledRejections from "./internal/unhandledRejections.ts"
import * as Variables from "./internal/variables.ts"
import * as FreePort from "./internal/watch/freePort.ts"
import * as Loaded from "./internal/watch/loaded.ts"
import * as Watcher from "./internal/watch/watcher.ts"
import * as MountFlags from "./MountFlags.ts"
import * as Port from "./Port.ts"
import * as Push from "./Push.ts"
import * as RetentionFlag from "./RetentionFlag.ts"
import * as Server from "./Server.ts"
import * as SizeFlag from "./SizeFlag.ts"
import * as Store from "./Store.ts"

/** A memory store has no keys, so no caller could authenticate. @category errors @since 0.1.0 */
export class KeysNeedAStore extends Schema.TaggedError<KeysNeedAStore>()("KeysNeedAStore", {}) {
  override get message() {
    return "--auth keys needs a store that lasts: see `fastagentic keys`"
  }
}

/** An MCP client on stdin cannot be handed to another process. @category errors @since 0.1.0 */
export class WatchServesHttp extends Schema.TaggedError<WatchServesHttp>()("WatchServesHttp", {}) {
  override get message() {
    return "--watch serves HTTP: leave --mode out, or say --mode http"
  }
}

/** The flags of a server over HTTP; `dev` has them too. @category flags @since 0.1.0 */
export const served = {
  file: Argument.String("file").pipe(
    Argument.withDescription(
      "A module whose default export is App.provide(…), or a Python agent such as agent.py:agent"
    )
  ),
  host: Flag.String("host").pipe(
    Flag.withDescription("Address to listen on"),
    Flag.withFallbackConfig(Config.String("HOST")),
    Flag.withDefault("127.0.0.1")
  ),
  port: Flag.String("port").pipe(
    Flag.withDescription("Port to listen on, 0 for a free one"),
    Flag.withFallbackConfig(Config.String("PORT")),
    Flag.withDefault("8000"),
    Flag.withSchema(Port.Port)
  ),
  ...GrpcFlags.flags,
  ...MountFlags.flags,
  store: Flag.String("store").pipe(
    Flag.withDescription(
      "\"memory\", the path of a SQLite file, or a postgres:// or redis:// URL; default .fastagentic/<app>.db"
    ),
    Flag.withFallbackConfig(Config.String("FASTAGENTIC_STORE")),
    Flag.withDefault("")
  ),
  retention: Flag.String("retention").pipe(
    Flag.withDescription(
      "How long runs are kept once they have ended, such as completed=7d,failed=30d,acme:all=90d; for ever by default"
    ),
    Flag.withFallbackConfig(Config.String("FASTAGENTIC_RETENTION")),
    Flag.withDefault("")
  ),
  engine: Flag.Literals("engine", ["local", "cluster"]).pipe(
    Flag.withDescription("cluster spreads runs over all nodes of a postgres:// store, see docs/engine.md"),
    Flag.withDefault("local")
  ),
  grace: Flag.String("grace").pipe(
    Flag.withDescription("How long runs and connections have to end when the server stops"),
    Flag.withDefault("5s")
  ),
  lease: Flag.String("lease").pipe(
    Flag.withDescription("How long a node of a shared store keeps its runs when nothing is heard of it"),
    Flag.withDefault("3s")
  ),
  bodyLimit: Flag.String("body-limit").pipe(
    Flag.withDescription("The largest body of a request"),
    Flag.withDefault("1 MiB")
  ),
  wait: Flag.String("wait").pipe(
    Flag.withDescription("How long a POST waits for its run before it answers 202 with it; without a limit by default"),
    Flag.optional
  ),
  credentialCheck: Flag.String("credential-check").pipe(
    Flag.withDescription(
      "How often the credentials of open streams and WebSockets are looked at again, such as 5s; off lets them go on"
    ),
    Flag.withDefault("5s")
  ),
  longestDelay: Flag.String("longest-delay").pipe(
    Flag.withDescription("How far ahead the start of a run may be"),
    Flag.withDefault("365d")
  ),
  auth: Flag.Literals("auth", ["none", "keys"]).pipe(
    Flag.withDescription("keys asks callers for API keys of the store, see `fastagentic keys`"),
    Flag.withDefault("none")
  )
}

const flags = {
  ...served,
  mode: Flag.Literals("mode", ["hybrid", "http", "stdio"]).pipe(
    Flag.withDescription("hybrid serves HTTP, and MCP on stdin and stdout unless stdin is a terminal"),
    Flag.withDefault("hybrid")
  ),
  watch: Flag.Boolean("watch").pipe(
    Flag.withDescription("Start again when a file of the app changes; serves HTTP, and durable runs continue"),
    Flag.withDefault(false)
  )
}

interface Options extends MountFlags.Values, GrpcFlags.Values {
  readonly file: string
  readonly mode: "hybrid" | "http" | "stdio"
  readonly host: string
  readonly port: number
  readonly watch: boolean
  readonly store: string
  readonly retention: string
  readonly engine: Store.Engine
  readonly grace: string
  readonly lease: string
  readonly bodyLimit: string
  readonly wait: Option.Option<string>
  readonly credentialCheck: string
  readonly longestDelay: string
  readonly auth: "none" | "keys"
}

/** @category commands @since 0.1.0 */
export const command = Command.make(
  "run",
  flags,
  Effect.fnUntraced(function*(options: Options) {
    yield* Variables.check(Object.keys(process.env))
    if (options.watch && options.mode === "stdio") return yield* new WatchServesHttp()
    if (options.watch) return yield* Watcher.serve(watchedArgs(yield* FreePort.or(options.port)))
    Loaded.begin(options.file)
    const onStdio = options.mode === "stdio" || (options.mode === "hybrid" && !process.stdin.isTTY)
    // Stdout is claimed before the user's file can print: from here on a stray line goes to stderr.
    if (onStdio) yield* McpStdio.claimStdout
    return yield* serve(yield* AppFile.load(options.file), options, onStdio)
  })
).pipe(Command.withDescription("Serve the app that a file exports"))

/**
 * The arguments of this process for one that is watched, which has this port each time. Its stdin is closed, so that it serves
 * HTTP only.
 *
 * @category conversions
 * @since 0.1.0
 */
export const watchedArgs = (port: number) => {
  const args = process.argv.slice(2).filter((arg, index, all) =>
    !/^--(?:watch|open|no-open|mode|port)(?:=|$)/u.test(arg) && !/^--(?:mode|port)$/u.test(all[index - 1] ?? "")
  )
  // The value of a flag may be called as a command is, and comes after it.
  const command = args.findIndex((arg) => arg === "dev" || arg === "run")
  return [...args.with(command, "run"), "--mode", "http", "--port", String(port)]
}

const serve = (runnable: AppFile.AnyRunnable, options: Options, onStdio: boolean) =>
  Effect.gen(function*() {
    const { app } = runnable
    const place = options.store === "" ? `.fastagentic/${app.identifier}.db` : options.store
    const lease = yield* DurationFlag.parse("lease", options.lease)
    const grace = yield* DurationFlag.parse("grace", options.grace)
    const store = yield* Store.parse(place, { engine: options.engine, lease })
    const runtime: Runtime.Options = {
      grace,
      credentialCheck: options.credentialCheck === "off"
        ? "off"
        : yield* DurationFlag.parse("credential-check", options.credentialCheck),
      longestDelay: yield* DurationFlag.parse("longest-delay", options.longestDelay)
    }
    const server: Server.Options = {
      ...MountFlags.optionsOf(options),
      ...runtime,
      host: options.host,
      port: options.port,
      bodyLimit: yield* SizeFlag.parse("body-limit", options.bodyLimit),
      ...(Option.isNone(options.wait) ? {} : { wait: yield* DurationFlag.parse("wait", options.wait.value) })
    }
    if (options.auth === "keys" && !store.lasts) return yield* new KeysNeedAStore()
    const retention = Layer.provide(Retention.layer(yield* RetentionFlag.parse(options.retention)), store.layer)
    const backups = store.file === undefined || store.file === ":memory:"
      ? Layer.empty
      : Layer.provide(BackupSocket.layer(store.file), store.layer)
    const auth = options.auth === "keys" ? Layer.provide(ApiKeys.layer, store.layer) : Auth.layerNone
    const receiver = Push.receiverConfig(server.publicUrl)
    const handlers = Layer.provideMerge(runnable.handlers, receiver)
    const counted = Layer.mergeAll(GenaiPrices.layerConfig, store.layer, handlers)
    const budget = Layer.provide(Budget.layer, counted)
    // The app's own layer comes last, so that it overrides the defaults.
    const services = Layer.mergeAll(
      Defaults.layerOpen,
      auth,
      budget,
      store.layer,
      retention,
      backups,
      Push.layerConfig,
      Cards.layerConfig,
      GrpcFlags.layerOf(options),
      handlers
    )
    const telemetry = Otlp.layerConfig({ serviceName: app.identifier, serviceVersion: app.version })
    const overStdio = McpStdio.run({ credentials: yield* environment })
    if (options.mode === "stdio") {
      const untilStdinEnds = Layer.effectDiscard(overStdio).pipe(
        Layer.merge(UnhandledRejections.layer),
        Layer.provide(Runtime.layer(app, runtime))
      )
      return yield* Effect.asVoid(
        Effect.scoped(Layer.build(untilStdinEnds.pipe(Layer.provide(services), Layer.provide(telemetry))))
      )
    }
    const http = announce(store.shown, onStdio, server).pipe(Layer.provideMerge(Server.layer(app, server)))
    const served = onStdio
      ? Layer.provideMerge(Layer.effectDiscard(Effect.forkScoped(Effect.catch(overStdio, refuseStdio))), http)
      : http
    return yield* Layer.launch(served.pipe(Layer.provide(services), Layer.provide(telemetry)))
  })

const refuseStdio = ({ reason }: RunError.RunError) =>
  Console.error(`fastagentic: MCP is not served on stdin. ${reason.message}`)

/** A caller on standard input has no headers, so its credentials are in a variable. */
const environment = Effect.map(
  Config.option(Config.Redacted("FASTAGENTIC_TOKEN")),
  Option.match({ onNone: () => Credentials.none, onSome: (bearer): Credentials.Credentials => ({ bearer }) })
)

/** Prints to stdout, unless stdout belongs to the protocol. */
const announce = (store: string, onStdio: boolean, { prefix = "" }: Mount.Options) =>
  Layer.effectDiscard(Effect.gen(function*() {
    const { fusion } = yield* Runtime.Runtime
    const { address } = yield* HttpServer.HttpServer
    const path = prefix === "/" ? "" : prefix
    const url = "port" in address ? `http://${hostOf(address)}:${address.port}${path}` : "a socket"
    const { open } = yield* Auth.Auth
    const banner = Banner.render(fusion, { url, store, open })
    yield* onStdio ? Console.error(banner) : Console.log(banner)
  }))

const hostOf = (address: { readonly _tag: string; readonly address: unknown }) => {
  const text = String(address.address)
  return address._tag === "InetAddressV6" ? `[${text}]` : text === "0.0.0.0" ? "127.0.0.1" : text
}
