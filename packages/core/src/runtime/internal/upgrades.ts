// Decides whether a run of an earlier definition fits the present one; claim, upgradeAll, forks and Replay ask it. It writes nothing.
import { Effect, type Schema } from "effect"
import type { Callable, Migration } from "../../app/Fusion.ts"
import { problemsOf } from "../../base/Validation.ts"
import type { Event } from "../../run/Event.ts"
import type { RunRecord } from "../../run/RunRecord.ts"
import type { Changes, Commit, Step, StoredStep } from "../../store/RunStore.ts"

/**
 * The fate of a run under the present definition: it resumes, with or without something to be written first,
 * or it stays where it is until a definition comes that fits it.
 */
export type Upgrade =
  | { readonly _tag: "Same" | "Compatible" | "Migrates"; readonly parts: UpgradeParts }
  | { readonly _tag: "Pinned"; readonly why: string }

/** The parts of the commit that resumes the run. */
export interface UpgradeParts {
  readonly events: ReadonlyArray<Event>
  readonly set: Changes
  readonly steps: ReadonlyArray<Step>
}

const unchanged: Upgrade = { _tag: "Same", parts: { events: [], set: {}, steps: [] } }

/** Every path that resumes a run asks here whether it may. */
export const upgradeOf = <E = never>(
  callable: Callable,
  run: RunRecord,
  stepsOf: Effect.Effect<ReadonlyArray<StoredStep>, E>
): Effect.Effect<Upgrade, E> => {
  if (run.fingerprint === callable.fingerprint) return Effect.succeed(unchanged)
  return Effect.gen(function*() {
    const stored = versionOf(run.fingerprint)
    const problem = stored === versionOf(callable.fingerprint)
      ? yield* misfit(callable, run.payload)
      : `it was started by ${named(stored)}, and this is ${named(versionOf(callable.fingerprint))}`
    if (problem === undefined) return goesOn(callable, "Compatible", "with a changed definition that it fits", {})
    for (const migration of callable.migrations) {
      const old = yield* readBy(migration, stored, run.payload)
      if (old === undefined) continue
      const migrated = yield* apply(callable, run, migration, old.value, stepsOf)
      return "why" in migrated ? pinned(`${problem}, and its migration failed: ${migrated.why}`) : migrated
    }
    return pinned(problem)
  })
}

const pinned = (why: string): Upgrade => ({ _tag: "Pinned", why })

const goesOn = (
  { fingerprint }: Callable,
  _tag: "Compatible" | "Migrates",
  how: string,
  set: Changes,
  steps: ReadonlyArray<Step> = []
): Upgrade => ({
  _tag,
  parts: {
    events: [{ type: "log", data: { level: "info", message: `this run goes on ${how}` }, place: "upgrade" }],
    set: { ...set, fingerprint },
    steps
  }
})

const versionOf = (fingerprint: string) => {
  const at = fingerprint.indexOf("@")
  return at === -1 ? undefined : fingerprint.slice(at + 1)
}

const named = (version: string | undefined) => version === undefined ? "no version" : `version "${version}"`

/** Says why a stored payload does not fit this definition. It names no values, because readers of logs may not see them. */
const misfit = (callable: Callable, payload: Schema.Json) =>
  Effect.match(callable.payload.decode(payload), {
    onFailure: (error) => {
      const places = problemsOf(error).map(({ path }) => path.join(".") || "the payload")
      return `its payload does not fit any more (${[...new Set(places)].join(", ")})`
    },
    onSuccess: () => undefined
  })

/** The payload as a migration wants it, if it is one for this run. */
const readBy = ({ from }: Migration, version: string | undefined, payload: Schema.Json) =>
  typeof from === "string"
    ? Effect.succeed(from === version ? { value: payload } : undefined)
    : Effect.match(from.decode(payload), { onFailure: () => undefined, onSuccess: (value) => ({ value }) })

const apply = Effect.fnUntraced(function*<E>(
  callable: Callable,
  run: RunRecord,
  { payload, steps: changes }: Migration,
  old: unknown,
  stepsOf: Effect.Effect<ReadonlyArray<StoredStep>, E>
): Effect.fn.Return<Upgrade | { readonly why: string }, E> {
  const stored = Object.keys(changes).length === 0 ? [] : yield* stepsOf
  return yield* Effect.try({
    try: () => ({ made: payload(old), steps: stored.flatMap((step) => changedStep(changes, step)) }),
    catch: (cause) => String(cause)
  }).pipe(
    Effect.flatMap(({ made, steps }) => Effect.map(callable.payload.encode(made), (payload) => ({ payload, steps }))),
    Effect.tap(({ payload }) => callable.payload.decode(payload)),
    Effect.match({
      onFailure: (error) => ({ why: typeof error === "string" ? error : "what it gave does not fit" }),
      onSuccess: ({ payload, steps }) =>
        goesOn(callable, "Migrates", `migrated from ${named(versionOf(run.fingerprint))}`, { payload }, steps)
    })
  )
})

/** A step that is used many times is one step here. */
const changedStep = (changes: Migration["steps"], { name, value }: StoredStep): ReadonlyArray<Step> => {
  const key = Object.hasOwn(changes, name) ? name : name.replace(/#\d+$/u, "")
  const change = Object.hasOwn(changes, key) ? changes[key] : undefined
  return change === undefined ? [] : [{ name, value: change(value) }]
}

/** The commit that keeps a run until a definition comes that fits it. */
export const pinning = (base: Commit, run: RunRecord, why: string): Commit => ({
  ...base,
  events: [
    ...base.events,
    { type: "log", data: { level: "warn", message: `this run waits for a migration: ${why}` }, place: "upgrade" },
    { type: "run_suspended", data: { reason: "migration", interrupts: [] } }
  ],
  // The attempt grows, so that whoever had it can write no more.
  set: { state: "suspended", waitsFor: "migration", attempt: run.state === "running" ? run.attempt + 1 : run.attempt }
})
