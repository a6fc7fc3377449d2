// The write path of the PostgreSQL run store: a batch becomes as few statements as its order allows.
import { changed, type Write, type Written } from "@fastagentic/core/store/RunStore"
import { Effect } from "effect"
import type { SqlClient } from "effect/sql/SqlClient"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import { isTaken, notKept, refused, sqlState } from "../../sql/runReads.ts"
import { admissionOf, admit } from "./admitting.ts"
import { commit, type Commitment, commitmentOf } from "./committing.ts"
import { again, conflicts, retryAfterFailure } from "./conflicts.ts"
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
        const inTime = admissions.length === 0 ? round : round.filter((one) => !precedesAdmission(one, answers))
        if (inTime.length < round.length) {
          for (const one of round) if (!inTime.includes(one)) answers.set(one, refused)
        }
        if (inTime.length > 0) yield* commit(sql, node, channel, inTime, answers)
      }
      return admissions.length === 0 ? answers : withEarlierCommits(answers)
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
      const prepared = entriesOf(writes)
      const entries = prepared.filter((one): one is Entry => !(one instanceof Refusal))
      if (entries.length < prepared.length) {
        for (const one of prepared) if (one instanceof Refusal) yield* notKept(one.runId, one.reason)
      }
      if (entries.length === 0) return writes.map(() => refused)
      const answers = yield* make(entries)
      return prepared.map((one) => one instanceof Refusal ? refused : answers.get(one) ?? refused)
    })

  return {
    write: answering((entries) =>
      whole(entries).pipe(
        Effect.catchIf(isUnstorable, () => oneByOne(entries)),
        Effect.catchDefect((defect) => isSqlError(defect) ? Effect.fail(defect) : Effect.die(defect)),
        // Two admissions of the same run conflict once; the rows of a damaged run conflict each time.
        (written) => retryAfterFailure(written, { while: isTaken, schedule: again, times: 3 }),
        Effect.catchIf(isTaken, () => oneByOne(entries)),
        (written) => retryAfterFailure(written, conflicts)
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

/** A write with a value that is not JSON. */
class Refusal {
  readonly runId: string
  readonly reason: unknown

  constructor(runId: string, reason: unknown) {
    this.runId = runId
    this.reason = reason
  }
}

const entriesOf = (writes: ReadonlyArray<Write>): ReadonlyArray<Entry | Refusal> =>
  writes.map((write, index) => {
    try {
      return write._tag === "Admit" ? admissionOf(write, index) : commitmentOf(write, index)
    } catch (reason) {
      return new Refusal(write._tag === "Admit" ? write.run.runId : write.runId, reason)
    }
  })

/** Data exceptions (a character that text cannot have) and limits (a name too long for an index). */
const isUnstorable = (error: SqlError) => /^(22|54)/u.test(sqlState(error))

/** Groups in which no two writes share a run, a key or a thread; each write is as early as the order of the writes allows. */
const roundsOf = <A extends Entry>(entries: ReadonlyArray<A>): ReadonlyArray<ReadonlyArray<A>> => {
  const rounds: Array<Array<A>> = []
  const next = { run: new Map<string, number>(), key: new Map<string, number>(), thread: new Map<string, number>() }
  for (const entry of entries) {
    const key = "key" in entry ? entry.key : undefined
    // One statement can write the row of a thread only once.
    const thread = "thread" in entry ? entry.thread : undefined
    let round = next.run.get(entry.runId) ?? 0
    if (key !== undefined) round = Math.max(round, next.key.get(key) ?? 0)
    if (thread !== undefined) round = Math.max(round, next.thread.get(thread) ?? 0)
    next.run.set(entry.runId, round + 1)
    if (key !== undefined) next.key.set(key, round + 1)
    if (thread !== undefined) next.thread.set(thread, round + 1)
    ;(rounds[round] ??= []).push(entry)
  }
  return rounds
}

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
