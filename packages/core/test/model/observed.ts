import { Event, RunError, RunRecord, RunStore } from "@fastagentic/core"
import { Effect, type Schema } from "effect"
import type { Random } from "./reference.ts"

/** A process as the store sees it. */
export interface Process {
  dead: boolean
  /** Has been declared dead although it lives: others may take its runs. */
  suspected: boolean
}

/** The rows that replace an earlier one: a sleep that is over, a step that was given up. */
const isLater = (value: Schema.Json) =>
  ["~elapsed", "~withdrawn", "~forgotten"].some((mark) => typeof value === "object" && value !== null && mark in value)

const down = (operation: string) => Effect.fail(new RunError.StoreUnavailable({ operation }))

/** One store for many processes: it fails, loses answers and takes its time, and keeps its own books of what is allowed. */
export const observe = (base: RunStore.RunStore["Service"], random: Random) => {
  const flaws: Array<string> = []
  const runs = new Map<string, RunRecord.RunRecord>()
  const committed = new Map<string, Set<string>>()
  const owners = new Map<string, Process>()
  const losses = new Map<string, number>()
  const taken = new Map<string, number>()
  const keys = new Map<string, string>()
  const resolved = new Map<string, string>()
  const books = { flaws, runs, committed, resolved, losses, faults: 0.04 }

  const bump = (counts: Map<string, number>, runId: string) => counts.set(runId, (counts.get(runId) ?? 0) + 1)
  const lose = (process: Process) => {
    for (const [runId, owner] of owners) {
      if (owner === process && runs.get(runId)?.state === "running") bump(losses, runId)
    }
  }

  const admitted = (process: Process, { run, steps = [] }: RunStore.Admit, written: RunStore.Written) => {
    if (written._tag !== "Admitted") return
    const key = run.idempotencyKey === undefined ? undefined : `${run.owner} ${run.agent} ${run.idempotencyKey}`
    if (key !== undefined && keys.has(key)) flaws.push(`a second run was admitted under ${run.idempotencyKey}`)
    if (key !== undefined) keys.set(key, run.runId)
    runs.set(run.runId, written.run)
    committed.set(run.runId, new Set(steps.map(({ name }) => name)))
    owners.set(run.runId, process)
  }

  const accepted = (process: Process, write: RunStore.Commit, written: RunStore.Written) => {
    if (written._tag !== "Committed") return
    const { runId, set } = write
    const run = runs.get(runId)
    if (run === undefined) return
    if (process.dead) flaws.push(`a dead process wrote to ${runId}`)
    // The record of a run that has ended gets the name of the run that retries it, and nothing else.
    const isRetryNote = write.events.length === 0 && set !== undefined && Object.keys(set).join() === "retriedAs"
    if (RunRecord.isFinal(run.state) && !isRetryNote) flaws.push(`${runId} was written after its end`)
    if (run.attempt !== write.attempt) flaws.push(`attempt ${write.attempt} of ${runId} wrote during ${run.attempt}`)
    if (write.set?.attempt === undefined && write.steps !== undefined && owners.get(runId) !== process) {
      flaws.push(`a step of ${runId} was committed by who does not own it`)
    }
    for (const { name, value } of write.steps ?? []) {
      const names = committed.get(runId)
      if (names?.has(name) === true && !isLater(value)) flaws.push(`step ${name} of ${runId} was committed twice`)
      names?.add(name)
    }
    for (const [index, event] of written.events.entries()) {
      if (event.seq !== run.seq + index + 1) flaws.push(`${runId} has event ${event.seq} after ${run.seq + index}`)
    }
    if (write.resolve !== undefined) {
      const { id, resolution } = write.resolve
      if (resolved.has(id)) flaws.push(`interrupt ${id} was decided twice`)
      resolved.set(id, JSON.stringify(resolution.value))
    }
    if (set?.attempt !== undefined) {
      // Runs that a suspected process claims may be taken from it as well.
      if (run.state === "running" && owners.get(runId)?.suspected === true) bump(losses, runId)
      owners.set(runId, process)
      // A cancel, and the end at a deadline, take the run from its owner first.
      if (run.state === "running" && set.waitsFor !== "undo") {
        bump(taken, runId)
        if ((taken.get(runId) ?? 0) > (losses.get(runId) ?? 0)) flaws.push(`${runId} was taken from a living owner`)
      }
    }
    runs.set(runId, RunStore.changed(run, set, { seq: run.seq + written.events.length, ts: write.ts }))
  }

  /** Ids of one millisecond are in no order that a seed decides. */
  const inOrder = (found: ReadonlyArray<RunRecord.RunRecord>) => {
    const place = new Map(Array.from(runs.keys(), (runId, index) => [runId, index]))
    return found.toSorted((a, b) => (place.get(a.runId) ?? 0) - (place.get(b.runId) ?? 0))
  }

  const storeOf = (process: Process): RunStore.RunStore["Service"] => {
    const pause = Effect.suspend(() => random.chance(books.faults * 2) ? Effect.sleep(random.below(300)) : Effect.void)
    const slowly = Effect.suspend(() =>
      random.chance(books.faults * 15) ? Effect.sleep(random.below(1_000)) : Effect.void
    )
    const apply = (writes: ReadonlyArray<RunStore.Write>) =>
      Effect.map(base.write(writes), (answers) => {
        for (const [index, write] of writes.entries()) {
          const written = answers[index] ?? { _tag: "Refused" }
          if (write._tag === "Admit") admitted(process, write, written)
          else accepted(process, write, written)
        }
        return answers
      })
    /** A node that does not know the outcome of a write of a run gives the run up. */
    const lost = (writes: ReadonlyArray<RunStore.Write>) => {
      for (const write of writes) bump(losses, write._tag === "Admit" ? write.run.runId : write.runId)
    }
    const alive = <A, E>(effect: Effect.Effect<A, E>) =>
      Effect.suspend((): Effect.Effect<A, E | RunError.StoreUnavailable> => process.dead ? down("killed") : effect)
    return {
      ...base,
      due: (query) => Effect.map(base.due(query), inOrder),
      list: (query) => Effect.map(base.list(query), inOrder),
      // A node that resumes from data read before the fence is detected by the writes in between.
      steps: (runId) => Effect.tap(base.steps(runId), slowly),
      write: (writes) =>
        alive(Effect.andThen(
          pause,
          alive(Effect.suspend(() => {
            if (random.chance(books.faults)) {
              lost(writes)
              return down("refused")
            }
            return Effect.flatMap(apply(writes), (answers) => {
              if (!random.chance(books.faults)) return Effect.andThen(pause, alive(Effect.succeed(answers)))
              lost(writes)
              return down("the answer is lost")
            })
          }))
        )),
      unfinished: Effect.map(base.unfinished, (all) =>
        inOrder(all).filter(({ runId }) => {
          const owner = owners.get(runId)
          return owner === undefined || owner === process || owner.dead || owner.suspected
        })),
      abandoned: Effect.map(base.unfinished, (all) =>
        inOrder(all).filter(({ runId }) => {
          const owner = owners.get(runId)
          return owner !== process && (owner === undefined || owner.dead || owner.suspected)
        }))
    }
  }

  /** Compares the books, and what followers have seen, with what can be read. */
  const audit = Effect.fnUntraced(function*(seen: ReadonlyArray<Event.RunEvent>) {
    for (const [runId, run] of runs) {
      const events = yield* base.events(runId, 0, 100_000)
      if (!events.every(({ seq }, index) => seq === index + 1) || events.length !== run.seq) {
        flaws.push(`the journal of ${runId} has ${events.length} events, not ${run.seq} in a row`)
      }
      for (const event of seen.filter((event) => event.runId === runId)) {
        if (JSON.stringify(events[event.seq - 1]) === JSON.stringify(event)) continue
        flaws.push(`${event.type} was seen as event ${event.seq} of ${runId}, and is not there`)
      }
      const ends = events.filter(Event.isTerminal)
      if (ends.length > 1 || (ends.length === 1 && events.at(-1) !== ends[0])) {
        flaws.push(`${runId} has ${ends.length} ends`)
      }
    }
  })

  return { books, lose, storeOf, audit }
}
