import {
  type App,
  Audit,
  Auth,
  Budget,
  Caller,
  type Event,
  type Interrupt,
  RateLimit,
  RunStore,
  Runtime
} from "@fastagentic/core"
import { Effect, Layer, Stream } from "effect"

export const caller = Caller.make("local")

/** A runtime in memory; a store of one's own makes restarts and failures possible. */
export const layerRuntime = <A extends App.Any, E, E2, R2>(
  app: A,
  handlers: Layer.Layer<App.Handlers<A>, E2, R2>,
  store: Layer.Layer<RunStore.RunStore, E> = RunStore.RunStore.layerMemory,
  options: Runtime.Options = { grace: "50 millis" },
  audit: Layer.Layer<Audit.Audit> = Audit.layerMemory
) =>
  Runtime.layer(app, options).pipe(
    Layer.provide(handlers),
    Layer.provideMerge(Layer.mergeAll(
      store,
      Auth.layerNone,
      RateLimit.layerUnlimited,
      Budget.layerUnlimited,
      audit
    ))
  )

export const start = (
  identifier: string,
  payload: unknown = {},
  kind: "agent" | "tool" = "agent",
  idempotencyKey?: string
) =>
  Effect.map(
    Runtime.Runtime.use((runtime) => runtime.start(caller, { kind, identifier, payload, idempotencyKey })),
    ({ run }) => run
  )

/** Starts a run and waits until it has ended or pauses. */
export const settle = (identifier: string, payload: unknown = {}, kind: "agent" | "tool" = "agent") =>
  Effect.flatMap(
    start(identifier, payload, kind),
    (run) => Runtime.Runtime.use((runtime) => runtime.await(caller, run.runId))
  )

/** The journal of a run until it ends or pauses. */
export const journal = Effect.fnUntraced(function*(runId: string) {
  const runtime = yield* Runtime.Runtime
  const pages = yield* runtime.follow(caller, runId, { after: 0, until: "settled" })
  return (yield* Stream.runCollect(pages)).flatMap((page) => page.events)
})

/** The journal of a run, as `type` or as `type detail`. */
export const summaryOf = (events: ReadonlyArray<Event.RunEvent>) =>
  events.map((event) => {
    switch (event.type) {
      case "token":
        return `token ${event.data.delta}`
      case "hook_decision":
        return `hook_decision ${event.data.hook} ${event.data.point} ${event.data.decision}`
      case "run_cancelled":
        return `run_cancelled ${event.data.reason}`
      default:
        return event.type
    }
  })

/** Answers the one open interrupt of a run and waits for what comes next. */
export const answer = Effect.fnUntraced(function*(runId: string, given: Interrupt.Answer) {
  const runtime = yield* Runtime.Runtime
  const open = (yield* runtime.interrupts(caller, runId)).find((interrupt) => interrupt.state === "open")
  yield* runtime.answer(caller, runId, open?.id ?? "", given)
  return yield* runtime.await(caller, runId)
})

export const isWhole = (events: ReadonlyArray<Event.RunEvent>) => events.every(({ seq }, index) => seq === index + 1)

/** Waits until a run has ended, over its pauses. */
export const ended = Effect.fnUntraced(function*(runId: string) {
  const runtime = yield* Runtime.Runtime
  while (true) {
    const run = yield* runtime.await(caller, runId)
    if (run.state !== "suspended") return run
    yield* Effect.sleep("5 millis")
  }
})
