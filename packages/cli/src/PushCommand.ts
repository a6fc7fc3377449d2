/**
 * `fastagentic push`: push notifications of A2A that were given up, in a store or of a running server.
 *
 * @since 0.1.0
 */
import { DeadTargets } from "@fastagentic/core"
import { Config, Effect, Layer, Option, Predicate, type Redacted, Schema } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as Output from "./internal/output.ts"
import * as Request from "./internal/remote/request.ts"
import * as Server from "./internal/remote/server.ts"
import * as StoreFlags from "./internal/storeFlags.ts"
import * as Store from "./Store.ts"

/** A command that does not say which targets it is for. @category errors @since 0.1.0 */
export class NoTarget extends Schema.TaggedError<NoTarget>()("NoTarget", {}) {
  override get message() {
    return "name the run, or give --all for every dead target"
  }
}

/** The run that was named has nothing to deliver to again. @category errors @since 0.1.0 */
export class NotDead extends Schema.TaggedError<NotDead>()("NotDead", { runId: Schema.String }) {
  override get message() {
    return `the run ${this.runId} has no such dead target, see \`fastagentic push list\``
  }
}

/** Neither a store nor a server was named. @category errors @since 0.1.0 */
export class NoPushPlace extends Schema.TaggedError<NoPushPlace>()("NoPushPlace", {}) {
  override get message() {
    return "name a place: --store of a stopped server or a shared database, or --url of a running server"
  }
}

const place = {
  store: Flag.optional(StoreFlags.flag("store")),
  url: Flag.String("url").pipe(
    Flag.withDescription("The running server to ask; the token needs the scope push:manage"),
    Flag.optional
  ),
  token: Flag.Redacted("token").pipe(
    Flag.withDescription("A token or API key for --url; better given as FASTAGENTIC_TOKEN"),
    Flag.withFallbackConfig(Config.Redacted("FASTAGENTIC_TOKEN")),
    Flag.optional
  )
}

interface Place {
  readonly store: Option.Option<string>
  readonly url: Option.Option<string>
  readonly token: Option.Option<Redacted.Redacted>
}

/** Asks the server that was named, else the store: the variable of the store names that of a server. */
const at = <A, E, R, E2, R2>(
  { store, token, url }: Place,
  ways: {
    readonly server: (server: Server.Server) => Effect.Effect<A, E, R>
    readonly store: (store: string) => Effect.Effect<A, E2, R2>
  }
): Effect.Effect<A, E | E2 | NoPushPlace, R | R2> =>
  Option.isSome(url)
    ? ways.server({ url: url.value, token })
    : Option.isSome(store)
    ? ways.store(store.value)
    : new NoPushPlace()

/** A target as a list shows it. */
const View = Schema.Struct({
  runId: Schema.String,
  id: Schema.String,
  url: Schema.NullOr(Schema.String),
  cursor: Schema.Int,
  attempts: Schema.Int,
  problem: Schema.String,
  keptUntil: Schema.String
})
const Redriven = Schema.Array(Schema.Struct({ runId: Schema.String, id: Schema.String }))

/** The items of an answer of the server. */
const itemsOf = <A>(schema: Schema.Decoder<A>, server: Server.Server, request: Request.Request) =>
  Effect.flatMap(
    Request.json(server, request),
    (json) =>
      Effect.mapBoth(Schema.decodeUnknownEffect(Schema.Struct({ items: schema }))(json), {
        onSuccess: ({ items }) => items,
        onFailure: () => new Server.NotDone({ problem: "the server does not know this request" })
      })
  )

const inStore = <A, E>(value: string, effect: Effect.Effect<A, E, Layer.Success<Store.Store["layer"]>>) =>
  Effect.flatMap(
    Store.existing(value),
    ({ layer }) =>
      Effect.scoped(Effect.flatMap(Layer.build(layer), (context) => Effect.provideContext(effect, context)))
  )

/** A target without what its protocol keeps of it, which has sealed credentials. */
const viewOf = ({ attempts, config, cursor, id, keptUntil, problem, runId }: DeadTargets.DeadTarget) => ({
  runId,
  id,
  url: Predicate.hasProperty(config, "url") && typeof config.url === "string" ? config.url : null,
  cursor,
  attempts,
  problem,
  keptUntil: new Date(keptUntil).toISOString()
})

const list = Command.make(
  "list",
  { ...place, json: Output.json },
  Effect.fnUntraced(function*({ json, ...place }) {
    const dead = yield* at(place, {
      server: (server) => itemsOf(Schema.Array(View), server, { path: "/push/dead" }),
      store: (store) => inStore(store, Effect.map(DeadTargets.list, (all) => all.map(viewOf)))
    })
    yield* Effect.forEach(
      dead,
      (target) =>
        Output.print(
          json,
          target,
          ({ attempts, id, keptUntil, problem, runId, url }) =>
            `${runId} ${id} ${url ?? "-"} ${Output.counted(attempts, "try")}: ${problem} (kept until ${keptUntil})`
        ),
      { discard: true }
    )
    if (dead.length === 0 && !json) yield* Output.print(false, "", () => "no push target is dead")
  })
).pipe(Command.withDescription("The targets whose deliveries were given up, with the problem of the last try"))

interface Which {
  readonly id: Option.Option<string>
  readonly run: Option.Option<string>
}

const redriveInStore = ({ id, run }: Which) =>
  Effect.gen(function*() {
    const meant = (yield* DeadTargets.list).filter((target) =>
      (Option.isNone(run) || target.runId === run.value) && (Option.isNone(id) || target.id === id.value)
    )
    if (Option.isSome(run) && meant.length === 0) return yield* new NotDead({ runId: run.value })
    const redriven = yield* Effect.forEach(
      meant,
      (target) => Effect.map(DeadTargets.redrive(target, "cli"), (isMade) => isMade ? [target] : [])
    )
    return redriven.flat().map(({ id, runId }) => ({ runId, id }))
  })

const redrive = Command.make(
  "redrive",
  {
    ...place,
    json: Output.json,
    run: Argument.String("run").pipe(
      Argument.withDescription("The run, or task, whose dead targets are delivered to again"),
      Argument.optional
    ),
    id: Flag.String("id").pipe(Flag.withDescription("Only the target with this id"), Flag.optional),
    all: Flag.Boolean("all").pipe(Flag.withDescription("Every dead target of the store"), Flag.withDefault(false))
  },
  Effect.fnUntraced(function*({ all, id, json, run, ...place }) {
    if (!all && Option.isNone(run)) return yield* new NoTarget()
    const body = {
      ...(Option.isNone(run) ? {} : { runId: run.value }),
      ...(Option.isNone(id) ? {} : { id: id.value })
    }
    const redriven = yield* at(place, {
      server: (server) => itemsOf(Redriven, server, { path: "/push/redrive", body }),
      store: (store) => inStore(store, redriveInStore({ id, run }))
    })
    if (json) {
      yield* Effect.forEach(redriven, (target) => Output.print(true, { ...target, redriven: true }, () => ""), {
        discard: true
      })
    } else {
      yield* Output.print(
        false,
        redriven.length,
        (count) => `${Output.counted(count, "target")} will be delivered to again`
      )
    }
  })
).pipe(Command.withDescription("Delivers again from the first update that a dead target has not taken"))

/** @category commands @since 0.1.0 */
export const command = Command.make("push").pipe(
  Command.withDescription(
    "Push notifications of A2A that were given up. For the SQLite file of a running server use --url"
  ),
  Command.withSubcommands([list, redrive]),
  Command.provide(FetchHttpClient.layer)
)
