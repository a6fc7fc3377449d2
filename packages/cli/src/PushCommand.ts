/**
 * `fastagentic push`: push notifications of A2A that were given up, in a store.
 *
 * @since 0.1.0
 */
import { DeadTargets } from "@fastagentic/core"
import { Effect, Layer, Option, Predicate, Schema } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Output from "./internal/output.ts"
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

const store = StoreFlags.flag("store")

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
  { store, json: Output.json },
  Effect.fnUntraced(function*({ json, store }) {
    const dead = yield* inStore(store, DeadTargets.list)
    yield* Effect.forEach(
      dead,
      (target) =>
        Output.print(
          json,
          viewOf(target),
          ({ attempts, id, keptUntil, problem, runId, url }) =>
            `${runId} ${id} ${url ?? "-"} ${Output.counted(attempts, "try")}: ${problem} (kept until ${keptUntil})`
        ),
      { discard: true }
    )
    if (dead.length === 0 && !json) yield* Output.print(false, "", () => "no push target is dead")
  })
).pipe(Command.withDescription("The targets whose deliveries were given up, with the problem of the last try"))

const redrive = Command.make(
  "redrive",
  {
    store,
    json: Output.json,
    run: Argument.String("run").pipe(
      Argument.withDescription("The run, or task, whose dead targets are delivered to again"),
      Argument.optional
    ),
    id: Flag.String("id").pipe(Flag.withDescription("Only the target with this id"), Flag.optional),
    all: Flag.Boolean("all").pipe(Flag.withDescription("Every dead target of the store"), Flag.withDefault(false))
  },
  Effect.fnUntraced(function*({ all, id, json, run, store }) {
    if (!all && Option.isNone(run)) return yield* new NoTarget()
    yield* inStore(
      store,
      Effect.gen(function*() {
        const meant = (yield* DeadTargets.list).filter((target) =>
          (Option.isNone(run) || target.runId === run.value) && (Option.isNone(id) || target.id === id.value)
        )
        if (Option.isSome(run) && meant.length === 0) return yield* new NotDead({ runId: run.value })
        let redriven = 0
        for (const target of meant) {
          if (!(yield* DeadTargets.redrive(target, "cli"))) continue
          redriven++
          if (json) yield* Output.print(true, { runId: target.runId, id: target.id, redriven: true }, () => "")
        }
        if (!json) {
          yield* Output.print(
            false,
            redriven,
            (count) => `${Output.counted(count, "target")} will be delivered to again`
          )
        }
      })
    )
  })
).pipe(Command.withDescription("Delivers again from the first update that a dead target has not taken"))

/** @category commands @since 0.1.0 */
export const command = Command.make("push").pipe(
  Command.withDescription(
    "Push notifications of A2A that were given up. The store is that of a stopped server, or shared"
  ),
  Command.withSubcommands([list, redrive])
)
