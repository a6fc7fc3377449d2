// The `requestState` of a call that asks in rounds (2026-07-28): it names the run, the last event that the client has seen,
// and the arguments of the call. The run itself is checked: it belongs to the caller, to the tool, and is young enough.
import * as Timings from "@fastagentic/core/base/Timings"
import type { Caller } from "@fastagentic/core/door/Caller"
import type { RunHandle, Runtime, Target } from "@fastagentic/core/operations/Runtime"
import type { RunError } from "@fastagentic/core/run/RunError"
import type { RunRecord } from "@fastagentic/core/run/RunRecord"
import { Clock, Effect } from "effect"
import { digestOf } from "./digest.ts"
import { invalidParams, McpError } from "./McpError.ts"

export const make = ({ runId, seq }: RunRecord, args: unknown): Effect.Effect<string> =>
  Effect.map(digestOf(args), (digest) => `${runId}.${seq}.${digest}`)

export const seqOf = (state: string): number => {
  const seq = Number(state.split(".").at(-2))
  return Number.isSafeInteger(seq) && seq >= 0 ? seq : 0
}

/** The run of a state, which must be the caller's own, of the called tool and of the same arguments. */
export const resume = Effect.fnUntraced(function*(
  runtime: Runtime["Service"],
  caller: Caller,
  { identifier, kind }: Target,
  args: unknown,
  state: string
): Effect.fn.Return<RunHandle, McpError | RunError> {
  const unknown = new McpError({
    code: invalidParams,
    message: "Invalid or expired requestState",
    data: { tag: "RunNotFound", reason: "invalid_request_state", traceId: caller.traceId }
  })
  const [runId = "", , digest, ...rest] = state.split(".")
  if (rest.length > 0 || digest !== (yield* digestOf(args))) return yield* unknown
  const handle = yield* Effect.catchReason(
    runtime.open(caller, runId),
    "RunError",
    "RunNotFound",
    () => Effect.fail(unknown)
  )
  const { run } = handle
  const expired = (yield* Clock.currentTimeMillis) > run.updatedAt + Timings.requestStateMillis
  return run.kind !== kind || run.agent !== identifier || expired ? yield* unknown : handle
})
