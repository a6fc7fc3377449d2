// A call whose run pauses or goes on beyond it, and the same call again: it finds the run, on any node, until the client has
// its result. A client that knows neither tasks nor forms has no other way back.
import * as Timings from "@fastagentic/core/base/Timings"
import type { Caller } from "@fastagentic/core/door/Caller"
import type { RunHandle, Runtime, Target } from "@fastagentic/core/operations/Runtime"
import type { RunError } from "@fastagentic/core/run/RunError"
import { Effect, Predicate } from "effect"
import { digestOf } from "./digest.ts"

/** The key of a call, which names its principal. */
export const keyOf = (
  runtime: Runtime["Service"],
  caller: Caller,
  { identifier, kind }: Target,
  args: unknown
): Effect.Effect<string, RunError> =>
  Effect.flatMap(
    runtime.principal(caller),
    ({ id, tenant }) => Effect.map(digestOf([tenant, id, kind, identifier, args]), (digest) => `mcp/again/${digest}`)
  )

/** The run that the same call has left, if its client has not got the result. */
export const find = (
  { notes, open }: Runtime["Service"],
  caller: Caller,
  key: string
): Effect.Effect<RunHandle | undefined, RunError> =>
  Effect.flatMap(
    notes.get(key),
    (runId) =>
      Predicate.isString(runId)
        ? Effect.catchReason(open(caller, runId), "RunError", "RunNotFound", () => Effect.undefined)
        : Effect.undefined
  )

export const remember = ({ notes }: Runtime["Service"], key: string, runId: string): Effect.Effect<void> =>
  notes.put(key, runId, Timings.mcpRepeatMillis)

export const forget = ({ notes }: Runtime["Service"], key: string): Effect.Effect<void> => notes.put(key, null, 0)
