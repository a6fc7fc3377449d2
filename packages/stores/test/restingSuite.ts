/** Tests two nodes on a store, one of which is lost while a run comes to rest: `restingSuite(…)` in a test file of the store. */
import { assert, it } from "@effect/vitest"
import { Agent, App, Audit, Auth, Budget, Caller, RateLimit, Run, Runtime } from "@fastagentic/core"
import { StoreUnavailable } from "@fastagentic/core/run/RunError"
import { RunStore } from "@fastagentic/core/store/RunStore"
import { Context, Deferred, Effect, Exit, Layer, Schema, Scope } from "effect"

const Waits = Agent.make("waits", { description: "Waits for a message", payload: {}, signals: { go: Schema.String } })
const Asks = Agent.make("asks", { description: "Asks", payload: {} })
const app = App.make("acme", { version: "1", agents: [Waits, Asks] })
const caller = Caller.make("local")

type Service = Runtime.Runtime["Service"]

const nodeOn = (store: Layer.Layer<RunStore>) =>
  Runtime.layer(app, { grace: 0 }).pipe(
    Layer.provide(Layer.merge(
      Waits.toLayer(() => Run.receive(Waits, "go")),
      Asks.toLayer(() => Effect.orDie(Run.interrupt("ok", { schema: Schema.String })))
    )),
    Layer.provide([store, Auth.layerNone, RateLimit.layerUnlimited, Budget.layerUnlimited, Audit.layerMemory])
  )

/**
 * The store of a node that is lost with the first rest of a run: another node sends to the run after this one has decided to
 * suspend it and before it has done so, and with the answer to that write the node neither reads nor writes any more.
 */
const lostAtRest = (inner: RunStore["Service"], send: (runId: string) => Effect.Effect<void>) =>
  Effect.gen(function*() {
    const lost = yield* Deferred.make<void>()
    const cut = Effect.fail(new StoreUnavailable({ operation: "reach" }))
    const unlessLost = <A, E>(effect: Effect.Effect<A, E>) =>
      Effect.suspend((): Effect.Effect<A, E | StoreUnavailable> => Deferred.isDoneUnsafe(lost) ? cut : effect)
    const store: RunStore["Service"] = {
      ...inner,
      get: (runId) => unlessLost(inner.get(runId)),
      interrupts: (runId) => unlessLost(inner.interrupts(runId)),
      steps: (runId) => unlessLost(inner.steps(runId)),
      due: (query) => unlessLost(inner.due(query)),
      unfinished: unlessLost(inner.unfinished),
      abandoned: unlessLost(inner.abandoned),
      write: (writes) =>
        unlessLost(Effect.gen(function*() {
          const rests = writes.find((write) => write._tag === "Commit" && write.set?.state === "suspended")
          if (rests?._tag !== "Commit") return yield* inner.write(writes)
          yield* send(rests.runId)
          yield* inner.write(writes)
          yield* Deferred.succeed(lost, undefined)
          return yield* cut
        }))
    }
    return { lost: Deferred.await(lost), store }
  })

/** `open` opens the store that both nodes share; a node that is lost closes its own. */
export const restingSuite = <E>(open: Effect.Effect<Layer.Layer<RunStore, E>, E, Scope.Scope>) => {
  const raced = (identifier: string, send: (two: Service, runId: string) => Effect.Effect<unknown, unknown>) =>
    Effect.gen(function*() {
      const layer = yield* open
      const two = Context.get(
        yield* Layer.build(Layer.fresh(nodeOn(Layer.orDie(Layer.fresh(layer))))),
        Runtime.Runtime
      )
      const scope = yield* Scope.fork(yield* Effect.scope)
      const inner = Context.get(yield* Layer.buildWithScope(Layer.fresh(layer), scope), RunStore)
      const { lost, store } = yield* lostAtRest(inner, (runId) => Effect.asVoid(Effect.orDie(send(two, runId))))
      const one = Context.get(yield* Layer.build(nodeOn(Layer.succeed(RunStore, store))), Runtime.Runtime)
      const { run } = yield* one.start(caller, { kind: "agent", identifier, payload: {} })
      yield* lost
      yield* Scope.close(scope, Exit.void)
      return yield* Effect.timeout(two.await(caller, run.runId), "20 seconds")
    }).pipe(Effect.scoped)

  it.live(
    "a message to a run that its node is about to suspend is delivered, although the node is lost with it",
    () =>
      Effect.gen(function*() {
        const ended = yield* raced("waits", (two, runId) => two.signal(caller, runId, { signal: "go", payload: "now" }))
        assert.deepInclude(ended, { state: "completed", output: "now", attempt: 2 })
      }),
    60_000
  )

  it.live(
    "a decision about a run that its node is about to suspend is delivered, although the node is lost with it",
    () =>
      Effect.gen(function*() {
        const ended = yield* raced("asks", (two, runId) =>
          Effect.flatMap(
            two.interrupts(caller, runId),
            ([asked]) => two.answer(caller, runId, asked?.id ?? "", { decision: "approve", value: "yes" })
          ))
        assert.deepInclude(ended, { state: "completed", output: "yes", attempt: 2 })
      }),
    60_000
  )
}
