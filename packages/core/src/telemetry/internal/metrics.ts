// The counters and histograms of a runtime; supervisor, writers and budgets update them. Labels hold no user data.
import { type Context, Metric } from "effect"
import type { Usage } from "../../run/Event.ts"
import { isFinal, type RunRecord, type RunState } from "../../run/RunRecord.ts"

type Labels = Readonly<Record<string, string>>

/** Makes a metric with these labels. One of its own for each set of labels keeps the key of its series. */
type Labelled = (labels: Labels) => Metric.Metric<number, unknown>

const started = (attributes: Labels) =>
  Metric.counter("fastagentic_runs_started_total", {
    description: "Runs admitted",
    incremental: true,
    attributes
  })

const finished = (attributes: Labels) =>
  Metric.counter("fastagentic_runs_finished_total", {
    description: "Runs that ended, by their state",
    incremental: true,
    attributes
  })

const duration = (attributes: Labels) =>
  Metric.histogram("fastagentic_run_duration_seconds", {
    description: "From the admission of a run to its end, pauses included",
    boundaries: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 3_600],
    attributes
  })

const active = (attributes: Labels) =>
  Metric.gauge("fastagentic_runs_active", { description: "Runs that this process drives now", attributes })

const committed = (attributes: Labels) =>
  Metric.counter("fastagentic_events_committed_total", {
    description: "Events written to journals",
    incremental: true,
    attributes
  })

const tokens = (attributes: Labels) =>
  Metric.counter("fastagentic_tokens_total", {
    description: "Tokens that models have used, by their type: input or output",
    incremental: true,
    attributes
  })

const cost = (attributes: Labels) =>
  Metric.counter("fastagentic_cost_usd_total", {
    description: "What calls of models have cost, as far as prices are known",
    incremental: true,
    attributes
  })

const refused = (attributes: Labels) =>
  Metric.counter("fastagentic_calls_refused_total", {
    description: "Calls that were refused before they became runs, by what refused them",
    incremental: true,
    attributes
  })

const streams = (attributes: Labels) =>
  Metric.gauge("fastagentic_streams_open", { description: "Streams of events that are open now", attributes })

const waiting = (attributes: Labels) =>
  Metric.gauge("fastagentic_runs_waiting", {
    description: "Runs whose time has come and that stand in line, in the whole store, when this node last counted",
    attributes
  })

const commitDuration = (attributes: Labels) =>
  Metric.histogram("fastagentic_store_commit_duration_seconds", {
    description: "How long a transaction of the writer of journals takes",
    boundaries: [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    attributes
  })

const commitWrites = (attributes: Labels) =>
  Metric.histogram("fastagentic_store_commit_writes", {
    description: "How many writes share a transaction",
    boundaries: [1, 2, 4, 8, 16, 32, 64, 128, 256],
    attributes
  })

interface RunSeries {
  readonly started: Metric.Metric<number, unknown>
  readonly duration: Metric.Metric<number, unknown>
  /** By the state in which a run ended. */
  readonly finished: { [Name in RunState]?: Metric.Metric<number, unknown> }
}

/** The metrics of a runtime, labelled with its app, because several apps may share a process. */
export class Metrics {
  private readonly app: string
  private readonly services: Context.Context<never>
  private readonly driven: Metric.Metric<number, unknown>
  private readonly written: Metric.Metric<number, unknown>
  private readonly known = new Map<Labelled, Map<string, Metric.Metric<number, unknown>>>()
  private readonly callables = new Map<string, RunSeries>()

  constructor(app: string, services: Context.Context<never>) {
    this.app = app
    this.services = services
    this.driven = active({ app })
    this.written = committed({ app })
  }

  started(run: RunRecord) {
    this.seriesOf(run).started.updateUnsafe(1, this.services)
  }

  /** Counts a run whose record says that it has ended. */
  ended(run: RunRecord) {
    if (!isFinal(run.state)) return
    const { agent, createdAt, finishedAt = createdAt, kind, state } = run
    const series = this.seriesOf(run)
    const ended = series.finished[state] ??= finished({ app: this.app, kind, agent, state })
    ended.updateUnsafe(1, this.services)
    series.duration.updateUnsafe((finishedAt - createdAt) / 1_000, this.services)
  }

  active(change: 1 | -1) {
    this.driven.modifyUnsafe(change, this.services)
  }

  committed(events: number) {
    this.written.updateUnsafe(events, this.services)
  }

  used({ agent, kind }: RunRecord, usage: Usage & { readonly model?: string | undefined }) {
    const labels = { kind, agent, model: usage.model ?? "unknown" }
    if (usage.inputTokens > 0) this.update(tokens, { ...labels, type: "input" }, usage.inputTokens)
    if (usage.outputTokens > 0) this.update(tokens, { ...labels, type: "output" }, usage.outputTokens)
    if (usage.costUsd !== undefined && usage.costUsd > 0) this.update(cost, labels, usage.costUsd)
  }

  refused(protocol: string, reason: string, rule: string) {
    this.update(refused, { protocol, reason, rule })
  }

  streams(protocol: string, change: 1 | -1) {
    this.labelled(streams, { protocol }).modifyUnsafe(change, this.services)
  }

  waiting(durable: boolean, count: number) {
    this.update(waiting, { durable: String(durable) }, count)
  }

  /** A transaction of a store that takes time. */
  transaction(writes: number, millis: number) {
    this.update(commitDuration, {}, millis / 1_000)
    this.update(commitWrites, {}, writes)
  }

  /** The series of the runs of a callable: every run counts in them. */
  private seriesOf({ agent, kind }: RunRecord): RunSeries {
    const key = `${kind} ${agent}`
    const known = this.callables.get(key)
    if (known !== undefined) return known
    const labels = { app: this.app, kind, agent }
    const made = { started: started(labels), duration: duration(labels), finished: {} }
    this.callables.set(key, made)
    return made
  }

  private update(make: Labelled, labels: Labels, value = 1) {
    this.labelled(make, labels).updateUnsafe(value, this.services)
  }

  private labelled(make: Labelled, labels: Labels) {
    let series = this.known.get(make)
    if (series === undefined) this.known.set(make, series = new Map())
    let key = ""
    for (const name in labels) key += `${labels[name]} `
    let metric = series.get(key)
    if (metric === undefined) series.set(key, metric = make({ app: this.app, ...labels }))
    return metric
  }
}
