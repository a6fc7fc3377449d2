/**
 * `fastagentic principals`: takes a principal out of service or ends its work, in a store or by a running server.
 *
 * @since 0.1.0
 */
import { Principals } from "@fastagentic/core"
import { Config, Effect, Layer, Option, Redacted, Schema } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Output from "./internal/output.ts"
import * as Request from "./internal/remote/request.ts"
import * as Server from "./internal/remote/server.ts"
import * as StoreFlags from "./internal/storeFlags.ts"
import * as Store from "./Store.ts"

/** Neither a store nor a server was named. @category errors @since 0.1.0 */
export class NoPlace extends Schema.TaggedError<NoPlace>()("NoPlace", {}) {
  override get message() {
    return "name a place: --store of a stopped server or a shared database, or --url of a running server"
  }
}

const flags = {
  id: Argument.String("id").pipe(Argument.withDescription("The principal: the id that its runs belong to")),
  store: Flag.optional(StoreFlags.flag("store")),
  json: Output.json,
  tenant: Flag.String("tenant").pipe(
    Flag.withDescription(
      "The tenant of the principal in the store, default \"default\"; by a server, the caller's own"
    ),
    Flag.withDefault("default")
  ),
  url: Flag.String("url").pipe(
    Flag.withDescription("The running server to ask; the token needs the scope principals:manage"),
    Flag.optional
  ),
  token: Flag.Redacted("token").pipe(
    Flag.withDescription("A token or API key for --url; better given as FASTAGENTIC_TOKEN"),
    Flag.withFallbackConfig(Config.Redacted("FASTAGENTIC_TOKEN")),
    Flag.optional
  )
}

interface Options {
  readonly id: string
  readonly json: boolean
  readonly store: Option.Option<string>
  readonly tenant: string
  readonly url: Option.Option<string>
  readonly token: Option.Option<Redacted.Redacted>
}

/** A server of an older version pauses no schedules. */
const Changed = Schema.Struct({
  keys: Schema.Int,
  schedules: Schema.Int.pipe(Schema.withDecodingDefaultKey(Effect.succeed(0))),
  runs: Schema.Int
})

const inStore = (value: string, { id, tenant }: Options, change: Principals.Change) =>
  Effect.flatMap(Store.existing(value), ({ layer }) =>
    Effect.scoped(Effect.flatMap(
      Layer.build(layer),
      (context) => Effect.provideContext(Principals.change({ tenant, id }, change, "cli"), context)
    )))

const byServer = Effect.fnUntraced(function*(url: string, { id, token }: Options, change: Principals.Change) {
  const path = `/principals/${encodeURIComponent(id)}/${change}`
  const json = yield* Request.json({ url, token }, { path, body: {} })
  return yield* Effect.mapError(
    Schema.decodeUnknownEffect(Changed)(json),
    () => new Server.NotDone({ problem: "the server does not know this request" })
  )
})

const changing = (change: Principals.Change, done: string, description: string) =>
  Command.make(
    change,
    flags,
    Effect.fnUntraced(function*(options: Options) {
      const { store, url } = options
      // The variable names the store of a server; an explicit server goes before it.
      const changed = Option.isSome(url)
        ? yield* byServer(url.value, options, change)
        : Option.isSome(store)
        ? yield* inStore(store.value, options, change)
        : yield* new NoPlace()
      const parts = [
        ...(change === "revoke" ? [`${Output.counted(changed.keys, "key")} revoked`] : []),
        ...(change === "restore" ? [] : [`${Output.counted(changed.schedules, "schedule")} paused`]),
        `${Output.counted(changed.runs, "run")} ${done}`
      ]
      const { keys, runs, schedules } = changed
      yield* Output.print(
        options.json,
        { id: options.id, change, keys, schedules, runs },
        ({ id }) => `${id}: ${parts.join(", ")}`
      )
    })
  ).pipe(Command.withDescription(description))

/** @category commands @since 0.1.0 */
export const command = Command.make("principals").pipe(
  Command.withDescription("All work of a principal at once. For the SQLite file of a running server use --url"),
  Command.withSubcommands([
    changing("revoke", "held", "Disable the account, revoke its keys, pause its schedules and hold its runs"),
    changing("restore", "may continue", "Enable the account; its held runs continue if they may"),
    changing("cancel", "cancelled", "Pause its schedules and cancel all its runs that have not ended")
  ]),
  Command.provide(FetchHttpClient.layer)
)
