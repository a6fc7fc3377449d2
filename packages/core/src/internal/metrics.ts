import { type Context, Metric } from "effect"
import { isFinal, type RunRecord } from "../RunRecord.ts"

const started = Metric.counter("fastagentic_runs_started_total", {
  description: "Runs admitted",
  incremental: true
})

const finished = Metric.counter("fastagentic_runs_finished_total", {
  description: "Runs that ended, by their state",
  incremental: true
})

const duration = Metric.histogram("fastagentic_run_duration_seconds", {
  description: "From the admission of a run to its end, pauses included",
  boundaries: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 3_600]
})

const active = Metric.gauge("fastagentic_runs_active", { description: "Runs that this process drives now" })

const committed = Metric.counter("fastagentic_events_committed_total", {
  description: "Events written to journals",
  incremental: true
})

/** What the runtime counts, under the name of its app: several may share a process. */
export class Metrics {
  private readonly app: string
  private readonly services: Context.Context<never>
  private readonly driven: Metric.Metric<number, unknown>
  private readonly written: Metric.Metric<number, unknown>
  private readonly labelled = new Map<string, Metric.Metric<number, unknown>>()

  constructor(app: string, services: Context.Context<never>) {
    this.app = app
    this.services = services
    this.driven = Metric.withAttributes(active, { app })
    this.written = Metric.withAttributes(committed, { app })
  }

  started(run: RunRecord) {
    this.update(started, { kind: run.kind, agent: run.agent })
  }

  /** Counts a run whose record says that it has ended. */
  ended(run: RunRecord) {
    if (!isFinal(run.state)) return
    const { agent, createdAt, finishedAt = createdAt, kind, state } = run
    this.update(finished, { kind, agent, state })
    this.update(duration, { kind, agent }, (finishedAt - createdAt) / 1_000)
  }

  active(change: 1 | -1) {
    this.driven.modifyUnsafe(change, this.services)
  }

  committed(events: number) {
    this.written.updateUnsafe(events, this.services)
  }

  private update(metric: Metric.Metric<number, unknown>, labels: Record<string, string>, value = 1) {
    const key = `${metric.id} ${Object.values(labels).join(" ")}`
    const known = this.labelled.get(key) ?? Metric.withAttributes(metric, { app: this.app, ...labels })
    this.labelled.set(key, known)
    known.updateUnsafe(value, this.services)
  }
}
