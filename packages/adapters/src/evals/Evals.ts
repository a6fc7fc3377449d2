/**
 * Scores a share of the runs as they complete, and hands the scores to sinks. No run waits for a scorer or a sink.
 *
 * @since 0.1.0
 */
import * as Hook from "@fastagentic/core/hook/Hook"
import * as Tracing from "@fastagentic/core/telemetry/Tracing"
import { type Config, Effect, Layer, Metric, Option, Queue, Schema } from "effect"
import * as Egress from "../egress/Egress.ts"
import { makeDelivery, type Waiting } from "./internal/delivery.ts"
import { isSampled } from "./internal/sampling.ts"
import type { Scorer } from "./Scorer.ts"
import type { FromConfig, Sink } from "./Sink.ts"

/** @category options @since 0.1.0 */
export interface Options<R> {
  readonly scorers: ReadonlyArray<Scorer<R>>
  /** The share of runs to score, from 0 to 1. Default 1. A run is in it or not on every node. */
  readonly sample?: number | undefined
  readonly sinks?: ReadonlyArray<Sink | FromConfig> | undefined
  /** Whether sinks and spans get the explanations of scorers, which may repeat content. Default false. */
  readonly explanations?: boolean | undefined
  /** The runs that wait for a scorer. Default 1,024; those that do not fit are not scored. */
  readonly capacity?: number | undefined
  /** Addresses and networks of sinks that are not public. */
  readonly allow?: ReadonlyArray<string> | undefined
}

/** The hook: put it on an app or an agent. @category services @since 0.1.0 */
export class Evals extends Hook.make("evals", { onFailure: "open", timeout: "Infinity" }) {}

/** A share that is not between 0 and 1. @category errors @since 0.1.0 */
export class InvalidShare extends Schema.TaggedError<InvalidShare>()("InvalidShare", { sample: Schema.String }) {
  override get message() {
    return `the share of runs to score has to be from 0 to 1, not ${this.sample}`
  }
}

/** A turn takes 50 ms. */
const farewellTurns = 60

const dropped = Metric.counter("fastagentic_eval_samples_dropped_total", {
  description: "Sampled runs that were not scored because too many waited",
  incremental: true
})

/**
 * Scores the runs of agents that complete under the hook.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <R = never>(
  options: Options<R>
): Layer.Layer<Hook.Handler<"evals">, Config.ConfigError | Egress.UnknownNetwork | InvalidShare, R> =>
  Evals.toLayer(Effect.gen(function*() {
    const { capacity = 1_024, explanations = false, sample = 1, scorers, sinks = [] } = options
    if (!(sample >= 0 && sample <= 1)) return yield* new InvalidShare({ sample: String(sample) })
    const found = yield* Effect.forEach(sinks, (one) => Effect.isEffect(one) ? one : Effect.succeedSome(one))
    const deliver = yield* makeDelivery({ scorers, explanations, sinks: found.flatMap((one) => Option.toArray(one)) })
    const queue = yield* Queue.dropping<Waiting>(capacity)
    const services = yield* Effect.context<never>()
    dropped.updateUnsafe(0, services)
    let pending = 0
    const settled = Effect.sync(() => {
      pending--
    })
    yield* Effect.forkScoped(
      Effect.forever(Effect.flatMap(Queue.take(queue), (waiting) => Effect.ensuring(deliver(waiting), settled)))
    )
    // A stopping server scores what waits, as long as it gives its telemetry.
    yield* Effect.addFinalizer(() =>
      Effect.gen(function*() {
        for (let turn = 0; pending > 0 && turn < farewellTurns; turn++) yield* Effect.sleep(50)
        dropped.updateUnsafe(pending, services)
      })
    )
    return {
      request: (call, next) =>
        call.kind === "tool" || !isSampled(call.runId, sample) ?
          next(call) :
          Effect.tap(next(call), (output) =>
            Effect.map(Effect.all([Tracing.current, Effect.tracer]), ([span, tracer]) => {
              const { agent, payload: input, runId } = call
              if (Queue.offerUnsafe(queue, { sample: { runId, agent, input, output }, span, tracer })) {
                pending++
              } else dropped.updateUnsafe(1, services)
            }))
    } satisfies Hook.Points
  })).pipe(Layer.provide(Egress.layer({ allow: options.allow })))
