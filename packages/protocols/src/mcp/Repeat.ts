// A call whose run pauses or goes on beyond it, and the same call again: it finds the run, on any node, until the client has
// its result. A client that knows neither tasks nor forms has no other way back.
import * as Timings from "@fastagentic/core/base/Timings"
import type { Caller } from "@fastagentic/core/door/Caller"
import type { NoteOwner, RunHandle, Runtime, Target } from "@fastagentic/core/operations/Runtime"
import type { RunError } from "@fastagentic/core/run/RunError"
import { Effect, Predicate } from "effect"
import { digestOf } from "./digest.ts"

/** The call of a principal, as its note is found again. */
export interface Again {
  readonly owner: NoteOwner
  readonly key: string
}

export const of = (
  runtime: Runtime["Service"],
  caller: Caller,
  { identifier, kind }: Target,
  args: unknown
): Effect.Effect<Again, RunError> =>
  Effect.flatMap(
    runtime.principal(caller),
    (owner) => Effect.map(digestOf([kind, identifier, args]), (digest) => ({ owner, key: `mcp/again/${digest}` }))
  )

/** The run that the same call has left, if its client has not got the result. */
export const find = (
  { notes, open }: Runtime["Service"],
  caller: Caller,
  { key, owner }: Again
): Effect.Effect<RunHandle | undefined, RunError> =>
  Effect.flatMap(
    notes.get(owner, key),
    (runId) =>
      Predicate.isString(runId)
        ? Effect.catchReason(open(caller, runId), "RunError", "RunNotFound", () => Effect.undefined)
        : Effect.undefined
  )

/** A caller with too many notes still has its result, which says how to wait for the run. */
export const remember = ({ notes }: Runtime["Service"], { key, owner }: Again, runId: string): Effect.Effect<void> =>
  Effect.ignore(notes.put(owner, key, runId, Timings.mcpRepeatMillis))

export const forget = ({ notes }: Runtime["Service"], { key, owner }: Again): Effect.Effect<void> =>
  Effect.ignore(notes.put(owner, key, null, 0))
