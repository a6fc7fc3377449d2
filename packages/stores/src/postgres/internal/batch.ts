// The write path of the PostgreSQL run store: a batch becomes as few statements as its order allows.
import { changed, type Write, type Written } from "@fastagentic/core/store/RunStore"
import { Effect, Result } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import { isTaken, notKept, refused, sqlState } from "../../sql/runReads.ts"
import { admissionOf, admit } from "./admitting.ts"
import { commit, type Commitment, commitmentOf } from "./committing.ts"
import { again, conflicts } from "./conflicts.ts"
import { type Entry, isLimited, makeLimited } from "./limiting.ts"

/**
 * Commits writes as if one came after the other. Writes to different runs are one statement; a batch of one statement
 * needs no transaction around it and costs one round trip.
 */
export const makeWrite = (sql: SqlClient, node: string, channel: string) => {
  const unlimited = (entries: ReadonlyArray<Entry>): Effect.Effect<ReadonlyMap<Entry, Written>, SqlError> => {
    const admissions = roundsOf(entries.filter((entry) => entry._tag === "Admission"))
    const commitments = roundsOf(entries.filter((entry) => entry._tag === "Commitment"))
    // All keys first, then all runs: the same order in every batch, so that no two wait for each other.
    const rounds = Effect.gen(function*() {
      const answers = new Map<Entry, Written>()
      for (const round of admissions) {
        for (const [one, answer] of yield* admit(sql, node, round)) answers.set(one, answer)
      }
      for (const round of commitments) {
        const [early, inTime] = partition(round, (one) => precedesAdmission(one, answers))
        for (const one of early) answers.set(one, refused)
        if (inTime.length === 0) continue
        for (const [one, answer] of yield* commit(sql, node, channel, inTime)) answers.set(one, answer)
      }
      return withEarlierCommits(answers)
    })
    return admissions.length + commitments.length > 1 ? sql.withTransaction(rounds) : rounds
  }

  const limited = makeLimited(sql, unlimited)

  const whole = (entries: ReadonlyArray<Entry>) =>
    entries.some(isLimited) ? sql.withTransaction(limited(entries)) : unlimited(entries)

  /** Refuses the writes that the database cannot store, or whose key exists, and commits the others. */
  const oneByOne = (entries: ReadonlyArray<Entry>) =>
    Effect.forEach(entries, (entry) =>
      sql.withTransaction(whole([entry])).pipe(
        Effect.map((answers) => answers.get(entry) ?? refused),
        Effect.catchIf((error) => isUnstorable(error) || isTaken(error), (error) => notKept(entry.runId, error)),
        Effect.map((answer) => [entry, answer] as const)
      )).pipe(sql.withTransaction, Effect.map((answers) => new Map(answers)))

  const answering = (make: (entries: ReadonlyArray<Entry>) => Effect.Effect<ReadonlyMap<Entry, Written>, SqlError>) =>
    Effect.fnUntraced(function*(writes: ReadonlyArray<Write>): Effect.fn.Return<Array<Written>, SqlError> {
      const answers = Array.from(writes, () => refused)
      const entries: Array<Entry> = []
      for (const [index, write] of writes.entries()) {
        const entry = Result.try(() => write._tag === "Admit" ? admissionOf(write, index) : commitmentOf(write, index))
        if (Result.isSuccess(entry)) entries.push(entry.success)
        else yield* notKept(write._tag === "Admit" ? write.run.runId : write.runId, entry.failure)
      }
      if (entries.length === 0) return answers
      for (const [{ index }, answer] of yield* make(entries)) answers[index] = answer
      return answers
    })

  return {
    write: answering((entries) =>
      whole(entries).pipe(
        Effect.catchIf(isUnstorable, () => oneByOne(entries)),
        Effect.catchDefect((defect) => isSqlError(defect) ? Effect.fail(defect) : Effect.die(defect)),
        // Two admissions of the same run conflict once; the rows of a damaged run conflict each time.
        Effect.retry({ while: isTaken, schedule: again, times: 3 }),
        Effect.catchIf(isTaken, () => oneByOne(entries)),
        Effect.retry(conflicts)
      )
    ),
    /** Inside the caller's transaction, which cannot continue once the database has refused a value. */
    writeOnce: answering((entries) =>
      whole(entries).pipe(
        Effect.catchIf(isUnstorable, (error) =>
          Effect.as(notKept(entries[0]?.runId ?? "", error), new Map<Entry, Written>())),
        Effect.catchDefect((defect) =>
          isSqlError(defect) ? Effect.fail(defect) : Effect.die(defect)
        )
      )
    )
  }
}

/** Data exceptions (a character that text cannot have) and limits (a name too long for an index). */
const isUnstorable = (error: SqlError) => /^(22|54)/u.test(sqlState(error))

/** Groups in which no two writes share a run, a key or a thread; each write is as early as the order of the writes allows. */
const roundsOf = <A extends Entry>(entries: ReadonlyArray<A>): ReadonlyArray<ReadonlyArray<A>> => {
  const rounds: Array<Array<A>> = []
  const next = new Map<string, number>()
  for (const entry of entries) {
    const names = [
      `run ${entry.runId}`,
      ...("key" in entry && entry.key !== undefined ? [`key ${entry.key}`] : []),
      // One statement can write the row of a thread only once.
      ...("thread" in entry && entry.thread !== undefined ? [`thread ${entry.thread}`] : [])
    ]
    const round = Math.max(...names.map((name) => next.get(name) ?? 0))
    for (const name of names) next.set(name, round + 1)
    ;(rounds[round] ??= []).push(entry)
  }
  return rounds
}

const partition = <A>(values: ReadonlyArray<A>, first: (value: A) => boolean) =>
  [
    values.filter(first),
    values.filter((value) => !first(value))
  ] as const

/** Whether a commit was requested before its run was admitted; admissions of a batch are made first. */
const precedesAdmission = (one: Commitment, answers: ReadonlyMap<Entry, Written>) => {
  for (const [{ index, runId }, { _tag }] of answers) {
    if (_tag === "Admitted" && runId === one.runId && index > one.index) return true
  }
  return false
}

/**
 * Adds the earlier commits of the batch to the runs that admissions attached to, which were read before those commits.
 */
const withEarlierCommits = (answers: Map<Entry, Written>): ReadonlyMap<Entry, Written> => {
  for (const [entry, answer] of answers) {
    if (answer._tag !== "Attached") continue
    let { run } = answer
    for (const [earlier, { _tag }] of answers) {
      if (earlier._tag !== "Commitment" || _tag !== "Committed") continue
      if (earlier.index > entry.index || earlier.runId !== run.runId) continue
      const { events, set, ts } = earlier.write
      run = changed(run, set, { seq: run.seq + events.length, ts })
    }
    answers.set(entry, { _tag: "Attached", run })
  }
  return answers
}
