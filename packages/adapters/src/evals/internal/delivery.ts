// Scores one sample after the other and hands each score to the trace and to every sink; failures are counted and logged.
import * as Tracing from "@fastagentic/core/telemetry/Tracing"
import { Clock, Effect, Metric, Schedule, Schema, type Tracer } from "effect"
import type { Judgement, Sample, Scorer } from "../Scorer.ts"
import type { Scored, Sink } from "../Sink.ts"

const scoredRuns = Metric.histogram("fastagentic_eval_score", {
  description: "The scores of runs",
  boundaries: [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]
})

const lost = Metric.counter("fastagentic_eval_scores_lost_total", {
  description: "Scores that a scorer did not give, or that a sink did not take",
  incremental: true
})

/** A run that waits to be scored, with its span and the tracer of its fiber. */
export interface Waiting {
  readonly sample: Sample
  readonly span: Tracer.AnySpan | undefined
  readonly tracer: Tracer.Tracer
}

/** A scorer that takes longer gives no score. */
const scorerLimit = "1 minute"

/** The times that a sink is asked again after it was unavailable or had too many requests. */
const again = 3

const isScore = Schema.is(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })))

export const makeDelivery = Effect.fnUntraced(function*<R>({ explanations, scorers, sinks }: {
  readonly scorers: ReadonlyArray<Scorer<R>>
  readonly sinks: ReadonlyArray<Sink>
  readonly explanations: boolean
}) {
  const connected = yield* Effect.forEach(sinks, ({ connect, name }) => Effect.map(connect, (send) => ({ name, send })))

  const lose = (by: string, reason: string, { agent, runId }: Sample) =>
    Effect.andThen(
      Metric.update(Metric.withAttributes(lost, { by }), 1),
      Effect.annotateLogs(Effect.logWarning("A score is lost"), { by, reason, runId, agent })
    )

  const score = (scorer: Scorer<R>, { sample, span, tracer }: Waiting) =>
    Effect.gen(function*() {
      const judged = yield* Effect.timeout(scorer.score(sample), scorerLimit)
      const { explanation, value }: Judgement = typeof judged === "number" ? { value: judged } : judged
      if (!isScore(value)) return yield* lose(scorer.name, "no number from 0 to 1", sample)
      const scored: Scored = {
        runId: sample.runId,
        agent: sample.agent,
        name: scorer.name,
        value,
        traceId: span?.traceId,
        at: yield* Clock.currentTimeMillis,
        ...(explanations && explanation !== undefined ? { explanation } : {})
      }
      yield* Metric.update(Metric.withAttributes(scoredRuns, { scorer: scorer.name, agent: sample.agent }), value)
      yield* Effect.withTracer(Tracing.under(traced(scored), span), tracer)
      yield* Effect.forEach(connected, ({ name, send }) =>
        send(scored).pipe(
          Effect.retry({
            times: again,
            schedule: Schedule.exponential("500 millis"),
            while: ({ kind }) => kind === "unavailable" || kind === "limited"
          }),
          Effect.catch(({ reason }) => lose(name, reason, sample))
        ), { concurrency: "unbounded", discard: true })
    }).pipe(Effect.catchCause(() => lose(scorer.name, "it failed or took too long", sample)))

  return (waiting: Waiting) =>
    Effect.forEach(scorers, (scorer) => score(scorer, waiting), { concurrency: 4, discard: true })
})

/** A span below the run's, with the event of OpenTelemetry's GenAI conventions. */
const traced = ({ explanation, name, value }: Scored) =>
  Tracing.within(Effect.void, `evaluate ${name}`, () => ({
    attributes: {
      "gen_ai.evaluation.name": name,
      "gen_ai.evaluation.score.value": value,
      ...(explanation === undefined ? {} : { "gen_ai.evaluation.explanation": explanation })
    }
  }))
